//! What a study may not say, and what the message says about it.
#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "helpers and tables of tests")]

use std::path::Path;

use sequela_train::{Override, Study};

const STUDY: &str = r#"
[study]
name = "small"

[data]
kind = "csv"
path = "a.csv"
values = [{ name = "hr", unit = "bpm" }]

[window]
length = 12
horizons = [1, 4]

[model]
kind = "sequence"
hidden = 8

[train]
epochs = 3
"#;

/// The message for a study in which a line was changed, and its exit code.
fn refusal(from: &str, to: &str) -> (String, u8) {
    assert!(STUDY.contains(from));
    let text = STUDY.replace(from, to);
    let error = Study::parse(&text, Path::new("s.toml"), &[]).unwrap_err();
    (error.to_string(), error.class().exit_code())
}

#[test]
fn each_fault_is_one_line_with_place_and_remedy() {
    let cases = [
        (
            "epochs = 3",
            "epoch = 3",
            "s.toml:19, field train.epoch: train has no such field; did you mean \"epochs\"?",
        ),
        ("epochs = 3", "batch = 0", "s.toml:19, field train.batch: it is 0; give at least 1"),
        (
            "epochs = 3",
            "batch = -1",
            "s.toml:19, field train.batch: a whole number of at least 0 is expected, not integer `-1`",
        ),
        (
            "epochs = 3",
            "epochs = \"many\"",
            "s.toml:19, field train.epochs: a whole number of at least 0 is expected, not text",
        ),
        ("epochs = 3", "rate = 0.0", "field train.rate: it is not a positive number"),
        ("epochs = 3", "rate = nan", "field train.rate: it is not a positive number"),
        (
            "epochs = 3",
            "clip = { nrom = 1.0 }",
            "field train.clip: there is no such choice; did you mean \"norm\"?",
        ),
        (
            "epochs = 3",
            "clip = { norm = -1.0 }",
            "field train.clip: the limit is not a positive number",
        ),
        (
            "epochs = 3",
            "optimiser = { kind = \"adan\" }",
            "field train.optimiser.kind: there is no such choice; did you mean \"adam\"?",
        ),
        (
            "epochs = 3",
            "schedule = { kind = \"step\", epochs = 0, factor = 0.5 }",
            "field train.schedule.epochs: it is 0",
        ),
        (
            "epochs = 3",
            "loss = { kind = \"pinball\", quantiles = [0.9, 0.1] }",
            "field train.loss.quantiles",
        ),
        (
            "epochs = 3",
            "truncate = 5",
            "field train.truncate: truncated training asks for a forecast at every step",
        ),
        (
            "horizons = [1, 4]",
            "horizons = []",
            "s.toml:12, field window.horizons: there is no horizon; give for example",
        ),
        ("horizons = [1, 4]", "horizons = [4, 1]", "they are not rising numbers from 1"),
        ("horizons = [1, 4]", "horizons = [0]", "they are not rising numbers from 1"),
        (
            "horizons = [1, 4]",
            "",
            "field window: horizons is missing; add horizons = ... to [window]",
        ),
        ("length = 12", "length = 0", "s.toml:11, field window.length: it is 0"),
        (
            "length = 12",
            "lenght = 12",
            "field window.lenght: window has no such field; did you mean \"length\"?",
        ),
        (
            "hidden = 8",
            "hidden = 1000000000",
            "s.toml:16, field model.hidden: 1000000000, whose recurrent weights alone would take 13.9 EiB, is over the limit of 65536; make it smaller",
        ),
        (
            "hidden = 8",
            "hiden = 8",
            "field model.hiden: model has no such field; did you mean \"hidden\"?",
        ),
        (
            "kind = \"sequence\"",
            "kind = \"sequense\"",
            "field model.kind: there is no such choice; did you mean \"sequence\"?",
        ),
        (
            "kind = \"sequence\"\nhidden = 8",
            "kind = \"retain\"",
            "forecasts and classes of steps are trained with a sequence model",
        ),
        (
            "kind = \"csv\"",
            "kind = \"cvs\"",
            "field data.kind: there is no such choice; did you mean \"csv\"?",
        ),
        ("kind = \"csv\"\n", "", "field data: kind is missing"),
        (
            "name = \"small\"",
            "name = \"small\"\ntask = \"regress\"",
            "field study.task: only forecasts and classes can be trained yet; write task = \"forecast\"",
        ),
        ("name = \"small\"", "name = \" \"", "field study.name: the name is empty"),
        (
            "path = \"a.csv\"",
            "path = \"a.csv\"\ntarget = \"hrr\"",
            "field data.target: it is not among data.values; did you mean \"hr\"?",
        ),
        ("path = \"a.csv\"", "path = \"a.csv", "s.toml:7"),
        ("[model]", "[modle]", "field modle: a study has no such field; did you mean \"model\"?"),
        ("unit = \"bpm\"", "units = \"bpm\"", "did you mean \"unit\"?"),
    ];
    for (from, to, expected) in cases {
        let (message, code) = refusal(from, to);
        assert!(message.contains(expected), "{to}:\n  {message}\n  {expected}");
        assert_eq!(code, 2, "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn overrides_are_typed_and_unknown_paths_refused() {
    let parse = |change: &str| {
        Study::parse(STUDY, Path::new("s.toml"), &[Override::parse(change).unwrap()])
    };
    assert_eq!(parse("train.epochs=7").unwrap().train.epochs, 7);
    assert_eq!(parse("window.horizons=[2, 9]").unwrap().window.horizons, [2, 9]);
    assert_eq!(parse("data.path=b c.csv").unwrap().data.path(), Some(Path::new("b c.csv")));
    assert!(parse("train.clip={ norm = 2.0 }").is_ok());
    assert!(parse("train.schedule.kind=cosine").is_ok());
    for (change, expected) in [
        (
            "train.epoch=7",
            "--set, field train.epoch: train has no such field; did you mean \"epochs\"?",
        ),
        (
            "trian.epochs=7",
            "--set, field trian: a study has no such field; did you mean \"train\"?",
        ),
        (
            "train.epochs=lots",
            "--set, field train.epochs: a whole number of at least 0 is expected, not text",
        ),
        ("train.epochs.more=1", "train.epochs is a value, not a section"),
        ("train.batch=0", "--set, field train.batch: it is 0"),
    ] {
        let error = parse(change).unwrap_err();
        assert!(error.to_string().contains(expected), "{change}: {error}");
        assert_eq!(error.class().exit_code(), 2);
    }
    for broken in ["train.epochs", "=5", "train..epochs=5"] {
        assert!(Override::parse(broken).is_err(), "{broken}");
    }
}

#[test]
fn a_study_survives_being_written() {
    for (name, text) in Study::builtins() {
        let study = Study::parse(text, Path::new(name), &[]).unwrap();
        let again = Study::parse(&study.to_toml(), Path::new(name), &[]).unwrap();
        assert_eq!(study, again);
        assert_eq!(study.digest(), again.digest());
    }
}

#[test]
fn every_study_of_the_repository_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let study = Study::load(&path, &[]).unwrap();
        assert_eq!(
            path.file_stem().and_then(|stem| stem.to_str()),
            Some(study.study.name.as_str())
        );
        found += 1;
    }
    assert!(found >= 5, "{found}");
}

#[test]
fn unreadable_studies_are_io_errors() {
    let error = Study::load(Path::new("no/such/study.toml"), &[]).unwrap_err();
    assert_eq!(error.class().exit_code(), 4);
    assert!(error.to_string().contains("no/such/study.toml"), "{error}");
}

/// The message for a classifier's study in which a line was changed.
fn class_refusal(from: &str, to: &str) -> String {
    let text = STUDY
        .replace("name = \"small\"", "name = \"small\"\ntask = \"classify\"")
        .replace(
            "path = \"a.csv\"",
            "path = \"a.csv\"\nsubject = \"who\"\nlabel = { name = \"died\" }",
        )
        .replace("length = 12\nhorizons = [1, 4]\n", "missing = \"carry\"\n");
    assert!(text.contains(from), "{from}");
    assert!(Study::parse(&text, Path::new("s.toml"), &[]).is_ok());
    let error = Study::parse(&text.replace(from, to), Path::new("s.toml"), &[]).unwrap_err();
    assert_eq!(error.class().exit_code(), 2);
    error.to_string()
}

#[test]
fn fields_of_classes_are_checked_with_place_and_remedy() {
    let cases = [
        (
            "label = { name = \"died\" }",
            "",
            "field data.label: nothing says what the classes are; add label",
        ),
        (
            "subject = \"who\"",
            "",
            "nothing says whose each row is, and a class is a subject's; add subject",
        ),
        ("name = \"died\"", "name = \"hr\"", "field data.label: the label is among data.values"),
        (
            "name = \"died\"",
            "name = \"died\", class = []",
            "field data.label.class: data.label has no such field; did you mean \"classes\"?",
        ),
        (
            "name = \"died\"",
            "name = \"died\", classes = \"a\"",
            "field data.label.classes: a list is expected, not text",
        ),
        (
            "{ name = \"died\" }",
            "{ file = \"o.csv\" }",
            "field data.label: name is missing; add name = ... to [data.label]",
        ),
        (
            "subject = \"who\"",
            "subject = \"who\"\ntime = { name = \"t\", format = \"hour\" }",
            "field data.time.format: there is no such choice; did you mean \"hours\"?",
        ),
        (
            "values = [{ name = \"hr\"",
            "values = [{ nam = \"hr\"",
            "field data.values.nam: data.values has no such field; did you mean \"name\"?",
        ),
        (
            "subject = \"who\"",
            "subject = \"who\"\nsubjects = 3",
            "field data.subjects: data has no such field; did you mean \"subject\"?",
        ),
        (
            "name = \"died\"",
            "name = \"died\", classes = [\"a\", \"a\"]",
            "field data.label.classes: they are not at least two different words",
        ),
        ("name = \"died\"", "name = \"died\", classes = [0, 1]", "text in quotes is expected"),
        (
            "kind = \"csv\"\npath = \"a.csv\"\nsubject = \"who\"\nlabel = { name = \"died\" }\nvalues = [{ name = \"hr\", unit = \"bpm\" }]",
            "kind = \"simulated\"",
            "these data have no class for each subject",
        ),
        (
            "missing = \"carry\"",
            "horizons = [1]",
            "field window.horizons: it is for forecasts, and this study tells classes",
        ),
        (
            "missing = \"carry\"",
            "inputs = \"relative\"",
            "field window.inputs: it is for forecasts",
        ),
        (
            "missing = \"carry\"",
            "most_missing = 0.2",
            "field window.most_missing: it is for forecasts",
        ),
        ("epochs = 3", "truncate = 3", "field train.truncate: it is for forecasts"),
        (
            "epochs = 3",
            "class_weights = \"balance\"",
            "field train.class_weights: there is no such choice; did you mean \"balanced\"?",
        ),
        (
            "epochs = 3",
            "class_weights = 3",
            "or a table like { died = 3.0, survived = 1.0 } is expected, not integer `3`",
        ),
        (
            "epochs = 3",
            "class_weights = { yes = 0.0 }",
            "s.toml:21, field train.class_weights.yes: it is not a positive number; give for example 3.0",
        ),
        (
            "epochs = 3",
            "class_weights = { yes = -1 }",
            "train.class_weights.yes: it is not a positive number",
        ),
        (
            "epochs = 3",
            "class_weights = { yes = nan }",
            "train.class_weights.yes: it is not a positive number",
        ),
        (
            "epochs = 3",
            "class_weights = { yes = \"much\" }",
            "field train.class_weights.yes: a number is expected, not text",
        ),
        (
            "epochs = 3",
            "loss = { kind = \"huber\", delta = 1.0 }",
            "field train.loss.kind: this loss is not for classes; choose cross_entropy",
        ),
        (
            "epochs = 3",
            "loss = { kind = \"cross_entropy\", class_weights = [1.0, 2.0] }",
            "field train.loss: it has weights without names",
        ),
        (
            "hidden = 8",
            "hidden = 8\npooling = \"none\"",
            "field model.pooling: a class is of the whole series",
        ),
        (
            "[train]",
            "[evaluate]\nthreshold = { fixed = 1.5 }\n[train]",
            "field evaluate.threshold: it is not a probability between 0 and 1",
        ),
        (
            "[train]",
            "[evaluate]\nthreshold = \"yuden\"\n[train]",
            "field evaluate.threshold: there is no such choice; did you mean \"youden\"?",
        ),
        (
            "[train]",
            "[evaluate]\nbaselines = { logistic = [0.0] }\n[train]",
            "the strengths are not positive numbers",
        ),
        ("[train]", "[split]\nby = \"time\"\n[train]", "field split.by: it is for forecasts"),
    ];
    for (from, to, expected) in cases {
        let message = class_refusal(from, to);
        assert!(message.contains(expected), "{to}:\n  {message}\n  {expected}");
        assert!(!message.contains('\n'), "{message}");
    }
    let named = "name = \"died\", classes = [\"no\", \"yes\"]";
    let text = STUDY
        .replace("name = \"small\"", "name = \"small\"\ntask = \"classify\"")
        .replace(
            "path = \"a.csv\"",
            &format!("path = \"a.csv\"\nsubject = \"who\"\nlabel = {{ {named} }}"),
        )
        .replace("length = 12\nhorizons = [1, 4]\n", "")
        .replace("epochs = 3", "class_weights = { yess = 2.0 }");
    let error = Study::parse(&text, Path::new("s.toml"), &[]).unwrap_err().to_string();
    assert!(
        error.contains("train.class_weights.yess: there is no such class; did you mean \"yes\"?"),
        "{error}"
    );
}

#[test]
fn a_threshold_goes_with_two_classes_only() {
    let text = STUDY
        .replace("name = \"small\"", "name = \"small\"\ntask = \"classify\"")
        .replace(
            "path = \"a.csv\"",
            "path = \"a.csv\"\nsubject = \"who\"\nlabel = { name = \"died\", classes = [\"a\", \"b\", \"c\"] }",
        )
        .replace("length = 12\nhorizons = [1, 4]\n", "missing = \"carry\"\n");
    assert!(Study::parse(&text, Path::new("s.toml"), &[]).is_ok());
    for rule in ["f1", "{ fixed = 0.3 }"] {
        let change = Override::parse(&format!("evaluate.threshold={rule}")).unwrap();
        let error = Study::parse(&text, Path::new("s.toml"), &[change]).unwrap_err().to_string();
        assert!(
            error.contains("field evaluate.threshold: a threshold is for two classes"),
            "{error}"
        );
        assert!(error.contains("; leave it out: of more classes"), "{error}");
    }
}

#[test]
fn fields_of_classes_are_refused_in_a_forecast() {
    for (from, to, field) in [
        ("epochs = 3", "class_weights = \"balanced\"", "train.class_weights"),
        ("epochs = 3", "class_weights = { died = 3.0 }", "train.class_weights"),
        ("path = \"a.csv\"", "path = \"a.csv\"\nlabel = { name = \"died\" }", "data.label"),
        ("[train]", "[evaluate]\nthreshold = \"f1\"\n[train]", "evaluate.threshold"),
    ] {
        let (message, code) = refusal(from, to);
        let expected =
            format!("field {field}: it is for classes, and this study forecasts; leave it out");
        assert!(message.contains(&expected), "{message}");
        assert_eq!(code, 2);
    }
}

#[test]
fn a_classifier_has_defaults_of_its_own() {
    let text = "study = { name = \"c\", task = \"classify\" }\nmodel = { kind = \"sequence\" }\n\
        [data]\nkind = \"csv\"\npath = \"a.csv\"\nsubject = \"s\"\nvalues = [{ name = \"x\" }]\n\
        label = { name = \"y\" }\n";
    let study = Study::parse(text, Path::new("c.toml"), &[]).unwrap();
    assert_eq!(study.train.loss, sequela_nn::Loss::CrossEntropy { class_weights: vec![] });
    assert_eq!((study.window.length, study.window.horizons.len()), (0, 0));
    let again = Study::parse(&study.to_toml(), Path::new("c.toml"), &[]).unwrap();
    assert_eq!(study, again);
    assert!(sequela_train::outline(&study).unwrap().output("class").is_some());
}
