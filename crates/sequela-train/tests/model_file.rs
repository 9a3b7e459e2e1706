//! The model file: the same bits as at the end of training, and nothing damaged is used.
#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "helpers and tables of tests")]

mod common;

use common::{files, finish, small};
use sequela_core::{Limits, Sequence, Steps, SubjectId};
use sequela_train::{
    Array, Error, Model, Numbers, Options, PredictRows, Stream, TensorFile, evaluate, predict,
};

fn people() -> Vec<Sequence> {
    let simulation = sequela_data::simulate::HeartRateSimulation {
        subjects: 3,
        hours: 0.05,
        seed: 99,
        ..Default::default()
    };
    let mut sequences = simulation.run().unwrap().sequences().to_vec();
    // One with holes, and one shorter than all others.
    let mut values = values(&sequences[1]).to_vec();
    for hole in [3, 4, 20, 21, 22, 40] {
        values[hole] = f32::NAN;
    }
    sequences[1] = Sequence::numeric("holes", SubjectId::new("h"), 1, &values).unwrap();
    sequences[2] = Sequence::numeric("short", SubjectId::new("s"), 1, &values[30..50]).unwrap();
    sequences
}

fn values(sequence: &Sequence) -> &[f32] {
    match &sequence.steps {
        Steps::Numeric { values, .. } => values,
        _ => unreachable!(),
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_window_in_another_unit_gets_a_forecast_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    finish(&small(&[]), &path);
    let model = Model::load(&path.join("model.safetensors"), &Limits::default()).unwrap();
    let envelope = model.manifest().encoder.envelope.as_ref().unwrap();
    assert!(envelope.sequences > 3, "windows, not series: {}", envelope.sequences);
    // A middle rate of training, in beats a minute and then in beats a second.
    let [low, high] = envelope.channels[0].middle.unwrap();
    let at = |rate: f64, id: &str| {
        let values: Vec<f32> =
            [rate; 40].iter().map(|rate| rate.to_string().parse().unwrap()).collect();
        Sequence::numeric(id, SubjectId::new(id), 1, &values).unwrap()
    };
    let rate = f64::midpoint(low, high);
    let both = [at(rate, "usual"), at(rate / 60.0, "other")];
    let forecasts = predict(&model, &both, PredictRows::Last, &Options::default()).unwrap();
    let words = |row: usize| forecasts.rows[row].placing.as_ref().map_or("", |p| p.word());
    assert_eq!((words(0), words(1)), ("inside", "outside"));
    let csv = String::from_utf8(forecasts.to_csv()).unwrap();
    assert!(csv.lines().next().unwrap().ends_with(",missing,envelope,outside"), "{csv}");
    assert!(
        csv.lines().last().unwrap().contains(",0,outside,heart_rate: lower than in training (")
    );
    assert!(forecasts.to_json().contains("\"envelope\":\"inside\""));
}

#[test]
fn forecasts_are_the_same_alone_in_a_batch_on_threads_and_in_a_stream() {
    let variants: [&[&str]; 6] = [
        &[],
        &["model.pooling=\"none\"", "train.truncate=16", "window.indicators=[\"observed\"]"],
        &["model.pooling=\"attention\"", "window.indicators=[\"gap\", \"observed\"]"],
        &["model.cell=\"min_gru\""],
        &["model.cell=\"min_lstm\"", "model.pooling=\"none\"", "train.truncate=16"],
        &["model.cell=\"lru\"", "model.pooling=\"none\"", "train.truncate=16"],
    ];
    for changes in variants {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        finish(&small(changes), &path);
        let model = Model::load(&path.join("model.safetensors"), &Limits::default()).unwrap();
        let people = people();
        let options = Options::default();
        let all = predict(&model, &people, PredictRows::Every, &options).unwrap();
        let two = Options { threads: 2, ..Options::default() };
        assert_eq!(all, predict(&model, &people, PredictRows::Every, &two).unwrap());
        let last = predict(&model, &people, PredictRows::Last, &options).unwrap();
        assert_eq!(last.rows.len(), 3);
        for person in &people {
            let own: Vec<_> = all.rows.iter().filter(|row| row.sequence == person.id).collect();
            let alone = predict(&model, std::slice::from_ref(person), PredictRows::Every, &options);
            assert!(own.iter().copied().eq(&alone.unwrap().rows));
            assert_eq!(last.rows.iter().find(|row| row.sequence == person.id), own.last().copied());
            let mut stream = Stream::new(&model).unwrap();
            for _ in 0..2 {
                let mut streamed = own.iter();
                let Steps::Numeric { values, observed, .. } = &person.steps else { unreachable!() };
                for (&value, &seen) in values.iter().zip(observed) {
                    let value = if seen { value } else { f32::NAN };
                    if let Some(forecast) = stream.push(&[value]).unwrap() {
                        let row = streamed.next().unwrap();
                        assert_eq!(bits(forecast), bits(&row.values), "{changes:?} {}", row.step);
                    }
                }
                assert!(streamed.next().is_none());
                stream.reset();
            }
            assert!(stream.push(&[1.0, 2.0]).is_err());
        }
    }
}

#[test]
fn the_file_judges_as_the_end_of_training_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let study = small(&[]);
    let report = finish(&study, &path);
    let model = Model::load(&report.model, &Limits::default()).unwrap();
    // The test people again, from the same simulation and split.
    let cohort = sequela_data::simulate::HeartRateSimulation {
        subjects: 6,
        hours: 0.06,
        seed: 3,
        ..Default::default()
    };
    let cohort = cohort.run().unwrap();
    let fractions = sequela_data::split::Fractions { tune: 0.2, test: 0.3 };
    let split = sequela_data::split::by_subject(&cohort, fractions, 3).unwrap();
    let test = split.parts(&cohort).test;
    let again = evaluate(&model, test.sequences(), &Options::default()).unwrap();
    let (again, judged) = (again.forecasts().unwrap(), report.evaluation.forecasts().unwrap());
    assert_eq!(again.forecasters.len() + 1, judged.forecasters.len());
    for forecaster in &again.forecasters {
        let at_the_end = judged.forecasters.iter().find(|f| f.name == forecaster.name).unwrap();
        assert_eq!(forecaster, at_the_end);
    }
    // Saving what was loaded gives the same file, and the figures are in it.
    let bytes = &files(&path)["model.safetensors"];
    model.save(&path.join("copy.safetensors")).unwrap();
    assert!(bytes == &files(&path)["copy.safetensors"]);
    assert_eq!(model.manifest().metrics.len(), judged.forecasters.len() * 2);
    let text = model.describe();
    for part in ["GRU", "heart_rate (bpm)", "1, 4 beats ahead", "rnn.weight_ih_l0", model.digest()]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn no_subject_and_no_folder_is_named_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("secret-ward");
    std::fs::create_dir(&data).unwrap();
    let mut csv = String::from("patient,hr\n");
    for row in 0..400_u32 {
        csv.push_str(&format!("canary{},{}\n", row % 5, 60 + (row * 7) % 30));
    }
    #[allow(clippy::disallowed_methods, reason = "a test makes its data")]
    std::fs::write(data.join("a.csv"), csv).unwrap();
    let file = data.join("a.csv");
    let csv_data = format!(
        "data={{ kind = \"csv\", path = {:?}, subject = \"patient\", values = [{{ name = \"hr\" }}] }}",
        file.to_str().unwrap()
    );
    let path = folder.path().join("run");
    finish(&small(&[csv_data.as_str()]), &path);
    for (name, bytes) in files(&path) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("canary"), "{name} names a subject");
        assert!(name == "study.toml" || !text.contains("secret-ward"), "{name} names a folder");
    }
}

type Damage<'a> = &'a dyn Fn(&mut TensorFile);

#[test]
fn damage_is_refused_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let report = finish(&small(&["train.epochs=1"]), &path);
    let good = files(&path).remove("model.safetensors").unwrap();
    let broken = folder.path().join("broken.safetensors");
    let load = |bytes: &[u8]| {
        #[allow(clippy::disallowed_methods, reason = "a test damages a file")]
        std::fs::write(&broken, bytes).unwrap();
        Model::load(&broken, &Limits::default())
    };
    assert!(load(&good).is_ok());
    let random = sequela_core::Random::new(1, 2);
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap());
    for turn in 0..600_u64 {
        // Half of the flips hit the header.
        let reach = if turn.is_multiple_of(2) { header } else { good.len() as u64 };
        let at = usize::try_from(random.below(turn, reach)).unwrap();
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (turn % 8);
        let error = load(&bytes).expect_err("a flipped bit was accepted");
        assert_eq!(error.class().exit_code(), 5, "{error}");
        let cut = load(&good[..at]).expect_err("a cut file was accepted");
        assert_eq!(cut.class().exit_code(), 5, "{cut}");
    }
    let error = load(&good[..good.len() - 5]).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
    assert!(load(&[&good[..], &[0; 4]].concat()).is_err());
    // A whole file with a sound digest, and wrong all the same.
    let sound = TensorFile::load(&report.model, &Limits::default()).unwrap();
    let cases: [(&str, Damage<'_>); 5] = [
        ("format 9", &|file| drop(file.texts.insert("version".into(), "9".into()))),
        ("not a model file", &|file| drop(file.texts.insert("kind".into(), "x".into()))),
        ("the entry is missing", &|file| drop(file.texts.remove("manifest"))),
        ("weight number 1 is not a finite number", &|file| {
            let array = file.arrays.values_mut().next().unwrap();
            if let Numbers::F32(values) = &mut array.numbers {
                values[1] = f32::NAN;
            }
        }),
        ("belong to another model", &|file| {
            drop(file.arrays.insert("surplus".into(), Array::flat(&[1.0])));
        }),
    ];
    for (expected, damage) in cases {
        let mut file = sound.clone();
        damage(&mut file);
        let error = load(&file.to_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.class().exit_code(), 5, "{error}");
    }
}

#[test]
fn other_channels_and_units_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let report = finish(&small(&["train.epochs=1"]), &path);
    let model = Model::load(&report.model, &Limits::default()).unwrap();
    let read = |text: &str| {
        let file = folder.path().join("series.csv");
        #[allow(clippy::disallowed_methods, reason = "a test makes its data")]
        std::fs::write(&file, text).unwrap();
        sequela_train::read_input(&file, &model, &Limits::default())
    };
    let error = read("heart_rte\n70\n71\n").unwrap_err();
    assert!(error.to_string().contains("did you mean \"heart_rte\""), "{error}");
    assert_eq!(error.class().exit_code(), 3);
    let sequences = read("who;heart_rate\na;70\na;71\nb;72\n").unwrap();
    assert_eq!(sequences.len(), 1, "a column that is not a subject by name is left out");
    let sequences = read("patient;heart_rate\na;70\na;71\nb;72\n").unwrap();
    assert_eq!(sequences.len(), 2);
    let error = predict(&model, &sequences, PredictRows::Last, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Load(_)), "{error}");
    assert!(error.to_string().contains("need 12"), "{error}");
}

#[test]
fn the_file_is_read_by_the_safetensors_crate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    finish(&small(&["train.epochs=1"]), &path);
    let bytes = files(&path).remove("model.safetensors").unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert!(metadata.metadata().as_ref().unwrap().contains_key("sha256"));
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = read.tensor("rnn.weight_hh_l1").unwrap();
    assert_eq!(tensor.shape(), [24, 8]);
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32);
}
