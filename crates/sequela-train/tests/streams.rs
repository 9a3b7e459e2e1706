//! Many subjects at once: the bits of the batch however their lines are mixed and cut, states
//! that go on where they ended, and lines that are refused.
//!
//! **Length** tables of lines and their answers, which lose nothing by standing together.
#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "helpers and tables of tests")]

mod common;

use std::path::Path;

use common::{finish, small};
use sequela_core::{Limits, Random, Sequence, Steps, SubjectId};
use sequela_data::envelope::Placing;
use sequela_train::{
    Dialogue, DialogueOptions, InputFormat, Model, OnFault, Options, PredictRows, StreamOptions,
    Streams, predict,
};

/// One model for each way in which a step becomes forecasts.
fn models(folder: &Path) -> Vec<Model> {
    let carried = ["model.pooling=\"none\"", "train.truncate=16", "train.epochs=1"];
    let variants: [(&str, &[&str]); 8] = [
        (
            "window",
            &[
                "train.epochs=1",
                "window.longest_gap_hours=1",
                "window.inputs=\"relative\"",
                "window.target=\"level\"",
            ],
        ),
        ("observed", &["window.indicators=[\"observed\", \"gap\"]", "window.longest_gap_hours=1"]),
        (
            "every-step",
            &["model.pooling=\"none\"", "train.loss={kind=\"pinball\",quantiles=[0.1,0.5]}"],
        ),
        (
            "lstm",
            &[
                "model.cell=\"lstm\"",
                "window.indicators=[\"observed\"]",
                "window.longest_gap_hours=1",
            ],
        ),
        ("gru", &["window.indicators=[\"gap\"]", "window.missing=\"centre\""]),
        ("gru_d", &["model.cell=\"gru_d\"", "window.longest_gap_hours=1"]),
        ("gru_d-window", &["model.cell=\"gru_d\"", "window.longest_gap_hours=1"]),
        (
            "elman",
            &["model.cell=\"elman\"", "window.target=\"value\"", "window.longest_gap_hours=1"],
        ),
    ];
    variants
        .iter()
        .map(|(name, changes)| {
            let path = folder.join(name);
            let carries = ["lstm", "gru", "gru_d", "elman"].contains(name);
            let changes: Vec<&str> =
                changes.iter().copied().chain(carried.into_iter().filter(|_| carries)).collect();
            finish(&small(&changes), &path);
            Model::load(&path.join("model.safetensors"), &Limits::default()).unwrap()
        })
        .collect()
}

fn model(folder: &Path, changes: &[&str]) -> Model {
    let report = finish(&small(changes), &folder.join("run"));
    Model::load(&report.model, &Limits::default()).unwrap()
}

/// Seven people with times, holes, long silences, and one with nothing for a whole window.
fn people() -> Vec<Sequence> {
    let random = Random::new(5, 1);
    (0..7_u64)
        .map(|person| {
            let steps = 20 + usize::try_from(random.below(person, 60)).unwrap();
            let mut time = 3.0 * person as f64;
            let (mut values, mut times) = (Vec::new(), Vec::new());
            for step in 0..steps as u64 {
                let draw = random.below(1000 * (person + 1) + step, 40);
                // Some are measured as often as those trained on, some far less.
                let often = if person % 2 == 0 { 0.000_2 } else { draw as f64 / 100.0 };
                time += if draw == 7 { 2.0 } else { often };
                times.push(time);
                let silent = person == 3 && (15..30).contains(&step);
                let silent = silent || draw.is_multiple_of(9);
                let fast = if person == 6 { 150.0 } else { 60.0 };
                values.push(if silent { f32::NAN } else { fast + draw as f32 });
            }
            let id = format!("p{person}");
            let sequence = Sequence::numeric(&id, SubjectId::new(&id), 1, &values).unwrap();
            sequence.with_times(times).unwrap()
        })
        .collect()
}

/// Subject, time and value of every step, in an order that keeps each subject's own.
fn mixed(people: &[Sequence], seed: u64) -> Vec<(String, f64, f32)> {
    let random = Random::new(seed, 2);
    let mut next: Vec<usize> = vec![0; people.len()];
    let mut steps = Vec::new();
    for draw in 0.. {
        let open: Vec<usize> = (0..people.len()).filter(|&p| next[p] < people[p].len()).collect();
        if open.is_empty() {
            break;
        }
        let person = open[usize::try_from(random.below(draw, open.len() as u64)).unwrap()];
        let at = next[person];
        next[person] += 1;
        let series = &people[person];
        let Steps::Numeric { values, observed, .. } = &series.steps else { unreachable!() };
        let value = if observed[at] { values[at] } else { f32::NAN };
        steps.push((series.id.clone(), series.times.as_ref().unwrap()[at], value));
    }
    steps
}

/// Of each step the bits of its forecasts, and where its window lies.
type Answers = Vec<Option<(Vec<u32>, Option<Placing>)>>;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// What the batch says to each of the mixed steps.
fn wanted(model: &Model, people: &[Sequence], steps: &[(String, f64, f32)]) -> Answers {
    let all = predict(model, people, PredictRows::Every, &Options::default()).unwrap();
    let mut next = std::collections::BTreeMap::<&str, usize>::new();
    steps
        .iter()
        .map(|(subject, ..)| {
            let step = next.entry(subject).or_default();
            *step += 1;
            let row = all.rows.iter().find(|row| row.subject == *subject && row.step + 1 == *step);
            row.map(|row| (bits(&row.values), row.placing.clone()))
        })
        .collect()
}

/// What streams say that take so many steps together.
fn streamed(
    streams: &mut Streams<'_>,
    steps: &[(String, f64, f32)],
    together: impl Fn(usize) -> usize,
) -> Answers {
    let (mut answers, mut rest, mut turn) = (Vec::new(), steps, 0);
    while !rest.is_empty() {
        let (now, after) = rest.split_at(together(turn).min(rest.len()));
        let numbers: Vec<usize> = now
            .iter()
            .map(|(subject, time, value)| streams.push(subject, Some(*time), &[*value]).unwrap())
            .collect();
        streams.run().unwrap();
        answers.extend(numbers.iter().map(|&at| {
            let forecasts = streams.forecasts(at)?;
            Some((bits(forecasts), streams.placing(at).cloned()))
        }));
        streams.clear().unwrap();
        (rest, turn) = (after, turn + 1);
    }
    answers
}

#[test]
fn the_bits_are_those_of_the_batch_whatever_the_mixture() {
    let folder = tempfile::tempdir().unwrap();
    let people = people();
    for model in models(folder.path()) {
        let name = model.manifest().study.model.clone();
        for seed in 0..2 {
            let steps = mixed(&people, seed);
            let wanted = wanted(&model, &people, &steps);
            assert!(wanted.iter().any(Option::is_some) && wanted.iter().any(Option::is_none));
            let placings = || wanted.iter().flatten().map(|(_, placing)| placing.as_ref().unwrap());
            assert!(placings().any(Placing::is_inside), "{name:?}");
            assert!(placings().any(|p| p.why().contains("heart_rate: ")), "{name:?}");
            assert!(placings().any(|p| p.why().contains("apart than in training")), "{name:?}");
            for (threads, together) in [(1, 512), (2, 3), (1, 1)] {
                let options = StreamOptions { threads, together, ..StreamOptions::default() };
                for size in [1, 6, 10_000] {
                    let mut streams = Streams::new(&model, &options).unwrap();
                    let found = streamed(&mut streams, &steps, |turn| size + turn % 2);
                    assert!(found == wanted, "{name:?} seed {seed}, {size} at once, {options:?}");
                    assert_eq!(streams.subjects(), people.len());
                }
            }
        }
    }
}

#[test]
fn a_state_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let states = tempfile::tempdir().unwrap();
    let people = people();
    let file = states.path().join("ward.state");
    for model in models(folder.path()) {
        let steps = mixed(&people, 9);
        let wanted = wanted(&model, &people, &steps);
        for cut in [0, 1, 40, 111, steps.len()] {
            let options = StreamOptions::default();
            let mut streams = Streams::new(&model, &options).unwrap();
            let mut found = streamed(&mut streams, &steps[..cut], |_| 30);
            streams.save(&file, cut as u64).unwrap();
            let mut streams = Streams::new(&model, &options).unwrap();
            assert_eq!(streams.restore(&file, &Limits::default()).unwrap(), cut as u64);
            found.extend(streamed(&mut streams, &steps[cut..], |_| 30));
            assert!(found == wanted, "cut at {cut}");
            streams.save(&file, 0).unwrap();
            let bytes = common::files(states.path()).remove("ward.state");
            streams.restore(&file, &Limits::default()).unwrap();
            streams.save(&file, 0).unwrap();
            assert!(bytes == common::files(states.path()).remove("ward.state"));
        }
    }
}

#[test]
fn the_state_of_another_model_and_a_damaged_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let states = tempfile::tempdir().unwrap();
    let models = models(folder.path());
    let file = states.path().join("ward.state");
    let options = StreamOptions::default();
    let mut streams = Streams::new(&models[0], &options).unwrap();
    streams.push("a", Some(1.0), &[70.0]).unwrap();
    streams.push("b", Some(1.0), &[70.0]).unwrap();
    streams.save(&file, 2).unwrap();
    let limits = Limits::default();
    for other in &models[1..] {
        let error = Streams::new(other, &options).unwrap().restore(&file, &limits).unwrap_err();
        assert_eq!(error.class().exit_code(), 5);
        assert!(error.to_string().contains("the state of another model"), "{error}");
    }
    let few = StreamOptions { max_subjects: 1, ..options };
    let error = Streams::new(&models[0], &few).unwrap().restore(&file, &limits).unwrap_err();
    assert!(error.to_string().contains("raise --max-subjects"), "{error}");
    let model_file = folder.path().join("window/model.safetensors");
    let error = streams.restore(&model_file, &limits).unwrap_err();
    assert!(error.to_string().contains("not a state"), "{error}");
    let good = common::files(states.path()).remove("ward.state").unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        sequela_formats::durable::write_atomic(&file, &bytes).unwrap();
        let error = streams.restore(&file, &limits).expect_err("a flipped bit was accepted");
        assert_eq!(error.class().exit_code(), 5, "{error}");
    }
    // Nothing was taken from what was refused.
    assert_eq!(streams.subjects(), 2);
    assert!(streams.push("a", Some(0.5), &[70.0]).is_err(), "its time is still known");
}

#[test]
fn steps_that_cannot_be_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), &["train.epochs=1"]);
    let options = StreamOptions { max_subjects: 2, ..StreamOptions::default() };
    let mut streams = Streams::new(&model, &options).unwrap();
    streams.push("a", Some(5.0), &[70.0]).unwrap();
    streams.push("b", None, &[70.0]).unwrap();
    let mut refused = |subject: &str, time: Option<f64>, values: &[f32], words: &str| {
        let error = streams.push(subject, time, values).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.class().exit_code(), 3);
    };
    refused("a", Some(4.9), &[70.0], "the time goes backwards");
    refused("a", None, &[70.0], "some have none");
    refused("b", Some(9.0), &[70.0], "some have none");
    refused("a", Some(f64::NAN), &[70.0], "not a number");
    refused("a", Some(6.0), &[70.0, 1.0], "2 values, the model takes 1");
    refused("a", Some(6.0), &[f32::INFINITY], "field heart_rate: the value is infinite");
    refused("c", None, &[70.0], "over the limit of 2 subjects");
    assert!(streams.push("a", Some(5.0), &[f32::NAN]).is_ok(), "the same time again is no fault");
    assert_eq!(streams.subjects(), 2);
    assert!((48..400).contains(&streams.bytes_per_subject()), "{}", streams.bytes_per_subject());
}

/// The lines of mixed steps as CSV and as JSON.
fn lines(steps: &[(String, f64, f32)]) -> [String; 2] {
    let mut csv = String::from("hours,ward,patient,heart_rate\n");
    let mut json = String::new();
    for (subject, time, value) in steps {
        let cell = if value.is_nan() { String::new() } else { value.to_string() };
        csv.push_str(&format!("{time},\"3, east\",{subject},{cell}\n"));
        let cell = if value.is_nan() { "null" } else { &cell };
        json.push_str(&format!(
            "{{\"heart_rate\":{cell},\"patient\":\"{subject}\",\"hours\":{time}}}\n"
        ));
    }
    [csv, json]
}

fn said(
    model: &Model,
    text: &[u8],
    cut: usize,
    options: &DialogueOptions,
) -> (String, Option<String>) {
    let mut dialogue = Dialogue::new(model, Path::new("pipe"), options.clone()).unwrap();
    let mut answers = Vec::new();
    let mut failed = None;
    for piece in text.chunks(cut) {
        if let Err(error) = dialogue.hear(piece, &mut answers) {
            failed = Some(error.to_string());
            break;
        }
    }
    if failed.is_none() {
        failed = dialogue.finish(&mut answers).err().map(|error| error.to_string());
    }
    (String::from_utf8(answers).unwrap(), failed)
}

#[test]
fn every_line_is_answered_in_its_order_however_the_bytes_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let people = people();
    let steps = mixed(&people, 4);
    for model in models(folder.path()) {
        let wanted = wanted(&model, &people, &steps);
        let [csv, json] = lines(&steps);
        let options = DialogueOptions::default();
        let (whole, failed) = said(&model, csv.as_bytes(), usize::MAX, &options);
        assert_eq!(failed, None);
        let mut rows = whole.lines();
        assert_eq!(
            rows.next(),
            Some(
                "patient,hours,heart_rate_1_beats_ahead,heart_rate_4_beats_ahead,missing,envelope,outside"
            )
        );
        for ((row, wanted), (subject, time, _)) in rows.zip(&wanted).zip(&steps) {
            let cells: Vec<&str> = row.split(',').collect();
            assert_eq!((cells[0], cells[1].parse()), (subject.as_str(), Ok(*time)));
            let Some((forecasts, placing)) = wanted else {
                assert_eq!(&cells[2..4], ["", ""], "{row}");
                // A whole window of nothing is told all the same.
                let nothing = cells[4..6] == ["1", "outside"];
                let nothing = nothing && cells[6].starts_with("nothing was observed");
                assert!(nothing || cells[4..] == ["", "", ""], "{row}");
                continue;
            };
            let found: Vec<u32> =
                cells[2..4].iter().map(|c| c.parse::<f32>().unwrap().to_bits()).collect();
            assert_eq!(found, *forecasts, "{row}");
            let placing = placing.as_ref().unwrap();
            let missing = (placing.missing * 1e4).round() / 1e4;
            assert_eq!(cells[4..], [&missing.to_string(), placing.word(), &placing.why()]);
        }
        assert_eq!(whole.lines().count(), steps.len() + 1);
        assert!(whole.contains(",,,1,outside,nothing was observed"));
        for cut in [1, 7, 64, 1000] {
            assert!(said(&model, csv.as_bytes(), cut, &options).0 == whole, "cut {cut}");
        }
        let (objects, failed) = said(&model, json.as_bytes(), usize::MAX, &options);
        assert_eq!(failed, None);
        for ((number, row), wanted) in objects.lines().enumerate().zip(&wanted) {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            assert_eq!(row["line"], number + 1);
            assert_eq!(row["subject"], steps[number].0);
            assert_eq!(row["time"].as_f64(), Some(steps[number].1));
            #[allow(clippy::cast_possible_truncation, reason = "they were f32")]
            let found = row["forecasts"]
                .as_array()
                .map(|list| list.iter().map(|v| (v.as_f64().unwrap() as f32).to_bits()).collect());
            assert_eq!(found, wanted.as_ref().map(|(forecasts, _)| forecasts.clone()));
            let Some((_, Some(placing))) = wanted else { continue };
            assert_eq!(row["missing"].as_f64(), Some(placing.missing));
            assert_eq!(row["envelope"], placing.word());
            assert_eq!(row["outside"].as_array().unwrap().len(), placing.outside.len());
        }
        assert_eq!(objects.lines().count(), steps.len());
        let as_json = DialogueOptions { json: true, ..options };
        let (mixed, _) = said(&model, csv.as_bytes(), 100, &as_json);
        let without_line = |line: &str| line.split_once(',').unwrap().1.to_owned();
        assert!(mixed.lines().map(without_line).eq(objects.lines().map(without_line)));
    }
}

#[test]
fn a_line_that_is_not_understood_stops_or_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), &["train.epochs=1"]);
    let good = "patient,heart_rate\na,70\n";
    let cases: [(&[u8], &str); 7] = [
        (b"a,7o", "pipe:3, field heart_rate: the text is not a number"),
        (b"a,1e39", "pipe:3, field heart_rate: the number is too large"),
        (b",70", "pipe:3, field patient: the subject is missing"),
        (b"a,70,1", "pipe:3: the line has 3 cells, not 2"),
        (b"\"a,70", "pipe:3: a quote is opened"),
        (b"\xFF,70", "pipe:3: the text is not UTF-8"),
        (b"b,70", "pipe:3: the subject is new and over the limit of 1 subjects"),
    ];
    let options = DialogueOptions {
        streams: StreamOptions { max_subjects: 1, ..StreamOptions::default() },
        ..DialogueOptions::default()
    };
    for (bad, words) in cases {
        let text = [good.as_bytes(), bad, b"\na,71\n\na,72"].concat();
        for cut in [3, 1000] {
            let (answers, failed) = said(&model, &text, cut, &options);
            assert_eq!(answers.lines().count(), 2, "what came before is answered: {answers}");
            assert!(failed.as_ref().is_some_and(|f| f.starts_with(words)), "{failed:?}");
            let skip = DialogueOptions { on_fault: OnFault::Skip, ..options.clone() };
            let (answers, failed) = said(&model, &text, cut, &skip);
            assert_eq!((answers.lines().count(), failed), (5, None), "{answers}");
            let words = words.replacen("pipe:3", "line 3", 1);
            let fault = answers.lines().nth(2).unwrap();
            assert!(fault.contains(&words), "{fault} has not {words}");
        }
    }
    let json = "{\"patient\":\"a\",\"heart_rate\":70}\n";
    for (bad, words) in [
        (
            "{\"patient\":\"a\",\"heart_rte\":70}",
            "pipe:2, field heart_rte: the model has no such channel",
        ),
        ("{\"patient\":\"a\",\"heart_rate\":\"70\"}", "field heart_rate: the value is a text"),
        ("{\"patient\":\"a\",\"heart_rate\":[70]}", "field heart_rate: the value is not a number"),
        ("{\"patient\":\"a\",\"heart_rate\":1e39}", "field heart_rate: the number is too large"),
        (
            "{\"patient\":\"a\",\"heart_rate\":70,\"heart_rate\":7}",
            "heart_rate: the key is there twice",
        ),
        ("{\"heart_rate\":70}", "field patient: the subject is missing"),
        ("{\"patient\":{},\"heart_rate\":70}", "field patient: the subject is no name"),
        ("{\"patient\":\"a\",", "pipe:2: the line is not valid JSON at byte 15"),
        ("[1]", "pipe:2: the line is not a JSON object"),
        ("{\"patient\":\"a\",\"heart_rate\":70} x", "pipe:2: the line is not valid JSON"),
    ] {
        let text = format!("{json}{bad}\n{json}");
        let (answers, failed) = said(&model, text.as_bytes(), 1000, &options);
        assert_eq!(answers.lines().count(), 1, "{answers}");
        assert!(failed.as_ref().is_some_and(|f| f.contains(words)), "{failed:?} has not {words}");
        let skip = DialogueOptions { on_fault: OnFault::Skip, ..options.clone() };
        let (answers, failed) = said(&model, text.as_bytes(), 1000, &skip);
        assert_eq!((answers.lines().count(), failed), (3, None));
        let fault: serde_json::Value =
            serde_json::from_str(answers.lines().nth(1).unwrap()).unwrap();
        assert!(fault["fault"]["hint"].is_string(), "{fault}");
    }
}

#[test]
fn hostile_objects_are_refused_and_the_next_line_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), &["train.epochs=1"]);
    let good = "{\"patient\":\"a\",\"heart_rate\":70}\n";
    let keys: Vec<String> = (0..20_000).map(|key| format!("\"k{key}\":1,")).collect();
    let keys = keys.concat();
    let hostile = [
        format!("{{\"heart_rate\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{{\"patient\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000)),
        format!("{{{keys}\"heart_rate\":70}}"),
        "{\"patient\":\"\\ud800\",\"heart_rate\":70}".to_owned(),
        "{\"patient\":\"a\",\"heart_rate\":1e999}".to_owned(),
        format!("{{\"patient\":\"a\",\"heart_rate\":{}}}", "9".repeat(5000)),
        "{\"patient\":\"a\",\"heart_rate\":NaN}".to_owned(),
        "\u{0}\u{1}".to_owned(),
    ];
    for line in hostile {
        let skip = DialogueOptions { on_fault: OnFault::Skip, ..DialogueOptions::default() };
        let text = format!("{good}{line}\n{good}");
        let (answers, failed) = said(&model, text.as_bytes(), 1 << 20, &skip);
        let start: String = line.chars().take(40).collect();
        assert_eq!((answers.lines().count(), failed), (3, None), "{start}");
        assert!(answers.lines().nth(1).unwrap().contains("fault"), "{start}: {answers}");
    }
}

#[test]
fn a_fault_leaves_its_subject_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for model in models(folder.path()) {
        let skip = DialogueOptions { on_fault: OnFault::Skip, ..DialogueOptions::default() };
        let (mut clean, mut spoilt) = (String::from("id,hours,heart_rate\n"), String::new());
        spoilt.push_str(&clean);
        for step in 0..40 {
            let line = format!("p{},{step},{}\n", step % 2, 60 + step);
            clean.push_str(&line);
            spoilt.push_str(&line);
            spoilt.push_str(&format!("p0,{step},x\np0,{},70\n", step - 9));
        }
        let (clean, _) = said(&model, clean.as_bytes(), 50, &skip);
        let (spoilt, _) = said(&model, spoilt.as_bytes(), 50, &skip);
        let kept: Vec<&str> = spoilt.lines().filter(|line| !line.contains("line ")).collect();
        assert!(clean.lines().eq(kept));
        assert_eq!(
            spoilt.lines().filter(|line| line.contains("the time goes backwards")).count(),
            40
        );
    }
}

#[test]
fn the_first_line_tells_how_lines_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path(), &["train.epochs=1"]);
    let reading = |text: &str, options: DialogueOptions| {
        let mut dialogue = Dialogue::new(&model, Path::new("pipe"), options).unwrap();
        let mut answers = Vec::new();
        let heard = dialogue.hear(text.as_bytes(), &mut answers);
        heard.map(|()| dialogue.reading().unwrap_or_default()).map_err(|error| error.to_string())
    };
    let auto = DialogueOptions::default;
    assert_eq!(reading("71\n", auto()).unwrap(), "values of one subject, without a header");
    assert_eq!(reading("\n", auto()).unwrap(), "", "a blank line before tells nothing");
    assert_eq!(reading("heart_rate\n71\n", auto()).unwrap(), "CSV, all of one subject, no times");
    assert_eq!(
        reading("\u{feff}stay_id;charted_time;heart_rate\r\n1;2024-05-01 08:00;71\r\n", auto())
            .unwrap(),
        "CSV, subjects by stay_id, times by charted_time (date_time)"
    );
    assert_eq!(
        reading("{\"id\":7,\"t\":3,\"heart_rate\":71}\n", auto()).unwrap(),
        "JSON, subjects by id, times by t (seconds)"
    );
    let asked =
        DialogueOptions { subject: Some("bed".into()), time: Some("taken_min".into()), ..auto() };
    assert_eq!(
        reading("bed,id,taken_min,heart_rate\nb1,4,9,70\n", asked.clone()).unwrap(),
        "CSV, subjects by bed, times by taken_min (minutes)"
    );
    assert!(
        reading("id,heart_rate\n4,70\n", asked)
            .unwrap_err()
            .contains("field bed: there is no such column")
    );
    assert!(reading("hart_rate\n", auto()).unwrap_err().contains("did you mean \"hart_rate\""));
    let skip = DialogueOptions { on_fault: OnFault::Skip, ..auto() };
    assert!(reading("{\"heart_rate\":\n", skip).unwrap_err().contains("not valid JSON"));
    let values = DialogueOptions { format: InputFormat::Values, ..auto() };
    assert!(
        reading("heart_rate\n", values)
            .unwrap_err()
            .contains("field heart_rate: the text is not a number")
    );
    let long = DialogueOptions {
        limits: Limits { line_bytes: 20, ..Limits::default() },
        on_fault: OnFault::Skip,
        ..auto()
    };
    let text = format!("heart_rate\n71\n{}\n72\n", "7".repeat(50));
    for cut in [1, 19, 1000] {
        let (answers, failed) = said(&model, text.as_bytes(), cut, &long);
        assert_eq!((answers.lines().count(), failed), (4, None), "{answers}");
        assert!(
            answers.lines().nth(2).unwrap().contains("line 3: the line is over 20 bytes"),
            "{answers}"
        );
    }
}
