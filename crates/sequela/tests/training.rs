//! Training through the program: what it leaves, how it is stopped, and what a failure spares.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Bench, ran};
use serde_json::Value;

/// Long enough to be stopped on the way.
const LONGER: [&str; 2] = ["--set", "train.epochs=150"];

/// Every file of a folder.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_study_becomes_a_folder_and_the_folder_forecasts() {
    let bench = Bench::with_inputs();
    let trained = bench.run(&["train", "ward.toml", "--out", "run"]);
    assert_eq!(trained.code, 0, "{}", trained.err);
    assert!(trained.out.contains("persistence"), "{}", trained.out);
    assert!(trained.err.contains("next: look at forecast.svg"), "{}", trained.err);
    for file in ["model.safetensors", "forecast.svg", "loss.svg", "errors.svg", "evaluation.md"] {
        assert!(bench.path("run").join(file).is_file(), "{file}");
    }

    let last = bench.run(&["predict", "run/model.safetensors", "ward.csv"]);
    assert_eq!((last.code, last.out.lines().count()), (0, 1 + 6 * 2), "{}", last.err);
    let kept = bench.run(&["predict", "run/model.safetensors", "ward.csv", "--out", "kept.csv"]);
    assert_eq!((kept.code, kept.out.as_str()), (0, ""));
    assert_eq!(bench.read("kept.csv"), last.out.as_bytes());
    let one = bench.run(&["predict", "run/model.safetensors", "ward.csv", "--threads", "3"]);
    assert_eq!(one.out, last.out);

    let judged = bench.run(&["evaluate", "run", "ward.csv"]);
    assert!(judged.code == 1 && judged.out.contains("persistence"), "{}", judged.err);
    // All of them had a part in the training: that stands before the figures, and is a finding.
    let warning = "of 6 subjects the model was trained on 3, tuned on 1, tested on 2: figures of people \
                   that a model was made with are not figures of new people\n";
    assert!(judged.out.starts_with(&format!("WARNING: {warning}\n")), "{}", judged.out);
    assert!(judged.err.contains(&format!("finding: {warning}")), "{}", judged.err);
    assert!(last.err.contains(&format!("warning: {warning}")), "{}", last.err);
    let of_model = bench.read("run/model.safetensors");
    bench.write("away.safetensors", of_model);
    let away = bench.run(&["evaluate", "away.safetensors", "ward.csv", "--json"]);
    let value: Value = serde_json::from_str(&away.out).unwrap();
    assert_eq!(value["people"]["met"], Value::Null);
    let note = "it is not known whether the model was trained on any of the 6 subjects: there is no \
                parts.json beside the model file";
    assert!(value["notes"].as_array().unwrap().iter().any(|found| found == note), "{}", away.out);
    let kept = bench.run(&["evaluate", "run"]);
    assert!(kept.code == 0 && kept.out.contains("feed-forward net"), "{}", kept.err);
    let shown = bench.run(&["inspect", "model", "run"]);
    assert!(shown.code == 0 && shown.out.contains("heart_rate_bpm"), "{}", shown.err);

    // The program of the study is that of the model.
    let from_study = bench.run(&["inspect", "program", "ward.toml"]);
    assert!(from_study.out.contains("recurrent"), "{}{}", from_study.out, from_study.err);
    assert_eq!(bench.run(&["inspect", "program", "run"]).out, from_study.out);

    // A folder that holds a run is not written to again.
    let before = content(&bench.path("run"));
    let again = bench.run(&["train", "ward.toml", "--out", "run"]);
    assert_eq!(again.code, 4, "{}", again.err);
    assert!(again.err.contains("hint: "), "{}", again.err);
    assert!(before == content(&bench.path("run")));
}

#[test]
fn every_step_has_the_bits_of_the_stream() {
    let bench = Bench::with_inputs();
    assert_eq!(bench.run(&["train", "ward.toml", "--out", "run", "--quiet"]).code, 0);
    let table = String::from_utf8(bench.read("ward.csv")).unwrap();
    let first: Vec<&str> = table.lines().filter(|line| line.starts_with("p01,")).collect();
    bench.write("p01.csv", format!("patient,time_s,heart_rate_bpm,ward\n{}\n", first.join("\n")));
    let values: Vec<&str> = first.iter().filter_map(|line| line.split(',').nth(2)).collect();
    bench.write("p01.txt", values.join("\n") + "\n");

    let every = bench.run(&["predict", "run/model.safetensors", "p01.csv", "--every", "--json"]);
    let every: Value = serde_json::from_str(&every.out).unwrap();
    let every: Vec<Vec<f64>> = every["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| serde_json::from_value(row["forecasts"].clone()).unwrap())
        .collect();
    let stream = bench.run(&["predict", "run/model.safetensors", "p01.txt", "--stream"]);
    assert_eq!((stream.code, stream.out.lines().count()), (0, values.len()), "{}", stream.err);
    let answers: Vec<Vec<f64>> = stream
        .out
        .lines()
        .filter(|line| !line.starts_with(','))
        .map(|line| {
            let forecasts = line.split(',').take(2);
            forecasts.map(|cell| f64::from(cell.parse::<f32>().unwrap())).collect()
        })
        .collect();
    assert_eq!(answers, every);

    bench.write("bad.txt", "70\nx\n");
    let bad = bench.run(&["predict", "run/model.safetensors", "bad.txt", "--stream"]);
    assert_eq!(bad.code, 3);
    assert!(bad.err.contains("\nsequela: bad.txt:2, field heart_rate_bpm: "), "{}", bad.err);
}

#[test]
fn machines_get_json_and_nothing_else() {
    let bench = Bench::with_inputs();
    let trained = bench.run(&["train", "ward.toml", "--out", "run", "--json"]);
    assert_eq!((trained.code, trained.err.as_str()), (0, ""));
    let events: Vec<Value> =
        trained.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let epochs = events.iter().filter(|event| event["event"] == "epoch").count();
    assert_eq!(epochs, 3);
    let last = events.last().unwrap();
    assert_eq!(last["event"], "finished");
    assert!(
        last["evaluation"]["forecasters"][0]["scores"][0]["mae"]["value"].is_number(),
        "{last}"
    );

    let refused =
        bench.run(&["train", "ward.toml", "--out", "r", "--set", "train.batch=0", "--json"]);
    let error: Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!((refused.code, &error["error"]["exit"]), (2, &Value::from(2)));
    assert!(error["error"]["hint"].is_string());
}

#[test]
fn quiet_runs_print_results_only() {
    let bench = Bench::with_inputs();
    let trained = bench.run(&["train", "ward.toml", "--quiet"]);
    assert_eq!((trained.code, trained.err.as_str()), (0, ""));
    assert!(trained.out.contains("persistence"));
    assert!(bench.path("runs/ward/model.safetensors").is_file());
    assert_eq!(bench.run(&["train", "ward.toml", "--quiet"]).code, 0);
    assert!(bench.path("runs/ward-2/model.safetensors").is_file());
}

#[test]
fn a_closed_pipe_is_quiet_success_and_a_full_one_is_told() {
    let bench = Bench::empty();
    let simulate = "data simulate heart-rate --subjects 4 --hours 1";
    let script = format!("{{ \"$0\" {simulate}; echo $? >&2; }} | head -1");
    let ended = ran(&mut bench.shell(&script));
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("subject,seconds,heart_rate\n", "0\n"));
    if Path::new("/dev/full").exists() {
        let full = ran(&mut bench.shell(&format!("\"$0\" {simulate} > /dev/full")));
        assert_eq!(full.code, 4);
        assert!(full.err.starts_with("sequela: standard output: writing failed"), "{}", full.err);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_a_checkpoint_that_resumes_to_the_same_bits() {
    let bench = Bench::with_inputs();
    let whole = ran(bench.command().args(["train", "ward.toml", "--out", "whole"]).args(LONGER));
    assert_eq!(whole.code, 0, "{}", whole.err);
    for signal in ["INT", "TERM"] {
        let folder = format!("stopped-{signal}");
        let child = bench
            .command()
            .args(["train", "ward.toml", "--out", &folder])
            .args(LONGER)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The first checkpoint tells that training goes on and signals are watched.
        let start = Instant::now();
        while !bench.path(&folder).join("checkpoint.safetensors").exists() {
            assert!(start.elapsed() < Duration::from_mins(1), "no checkpoint was written");
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = format!("kill -{signal} {}", child.id());
        assert_eq!(ran(&mut bench.shell(&kill)).code, 0);
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        // A fast machine may have finished before the signal came.
        if ended.status.code() != Some(0) {
            assert_eq!(ended.status.code(), Some(130), "{said}");
            assert!(said.contains(&format!("train --resume {folder}")), "{said}");
            let resumed = bench.run(&["train", "--resume", &folder, "--threads", "2"]);
            assert_eq!(resumed.code, 0, "{}", resumed.err);
            assert_eq!(resumed.out, whole.out);
        }
        let (whole, stopped) = (content(&bench.path("whole")), content(&bench.path(&folder)));
        for file in ["model.safetensors", "metrics.jsonl", "evaluation.json", "forecast.svg"] {
            assert!(whole[file] == stopped[file], "{signal}: {file} differs");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_resumes_on_another_instruction_set_to_the_same_bits() {
    let bench = Bench::with_inputs();
    let whole = ran(bench.command().args(["train", "ward.toml", "--out", "whole"]).args(LONGER));
    assert_eq!(whole.code, 0, "{}", whole.err);
    for isa in ["portable", "avx2", "avx512"] {
        let out = format!("killed-{isa}");
        let mut child = bench
            .command()
            .args(["train", "ward.toml", "--out", &out])
            .args(LONGER)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !bench.path(&out).join("checkpoint.safetensors").exists() {
            assert!(start.elapsed() < Duration::from_mins(1), "no checkpoint was written");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let resumed =
            ran(bench.command().env("SEQUELA_ISA", isa).args(["train", "--resume", &out]));
        if resumed.code == 2 {
            assert!(resumed.err.contains("this machine does not have it"), "{}", resumed.err);
            continue;
        }
        assert_eq!(resumed.code, 0, "{isa}: {}", resumed.err);
        let (whole, killed) = (content(&bench.path("whole")), content(&bench.path(&out)));
        for file in ["model.safetensors", "metrics.jsonl", "evaluation.json"] {
            assert!(whole[file] == killed[file], "{isa}: {file} differs");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_spares_the_checkpoint_before() {
    let bench = Bench::with_inputs();
    assert_eq!(ran(bench.command().args(["train", "ward.toml", "--out", "whole"])).code, 0);
    // Files may have 4 KiB: the study fits, a checkpoint does not.
    let limit = "ulimit -f 8; exec \"$0\" train ward.toml --out run";
    let failed = ran(&mut bench.shell(limit));
    assert_eq!(failed.code, 4, "{}", failed.err);
    assert!(failed.err.contains("run/checkpoint.safetensors: writing failed"), "{}", failed.err);
    assert!(failed.err.contains("hint: "), "{}", failed.err);
    let left = content(&bench.path("run"));
    assert!(left.keys().all(|name| !name.contains(".tmp-")), "{:?}", left.keys());

    // A checkpoint that is there already stays as it was, and goes on when there is room again.
    let mut child = bench.command();
    child.args(["train", "ward.toml", "--out", "kept"]).args(LONGER).stderr(Stdio::piped());
    let mut child = child.stdout(Stdio::null()).spawn().unwrap();
    let checkpoint = bench.path("kept/checkpoint.safetensors");
    let start = Instant::now();
    while !checkpoint.exists() && start.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ran(&mut bench.shell(&format!("kill -TERM {}", child.id()))).code, 0);
    if child.wait().unwrap().code() == Some(130) {
        let before = std::fs::read(&checkpoint).unwrap();
        let failed = ran(&mut bench.shell("ulimit -f 8; exec \"$0\" train --resume kept"));
        assert_eq!(failed.code, 4, "{}", failed.err);
        assert!(before == std::fs::read(&checkpoint).unwrap());
        assert_eq!(bench.run(&["train", "--resume", "kept"]).code, 0);
    }
}

#[test]
fn bad_input_spares_earlier_results() {
    let bench = Bench::with_inputs();
    assert_eq!(bench.run(&["train", "ward.toml", "--out", "run", "--quiet"]).code, 0);
    let before = content(&bench.path("run"));
    for data in ["renamed.csv", "text.csv", "backwards.csv", "empty.csv", "short.csv", "nan.csv"] {
        let set = format!("data.path={data}");
        let refused = bench.run(&["train", "ward.toml", "--out", "run", "--set", &set]);
        assert!((3..=4).contains(&refused.code), "{data}: {}", refused.err);
        let refused = bench.run(&["predict", "run/model.safetensors", data, "--out", "f.csv"]);
        assert_eq!(refused.code, 3, "{data}: {}", refused.err);
        assert!(refused.err.contains(data) && refused.err.contains("hint: "), "{}", refused.err);
        assert!(!bench.path("f.csv").exists());
    }
    assert!(before == content(&bench.path("run")));
}

#[test]
fn a_changed_model_file_is_refused() {
    let bench = Bench::with_inputs();
    assert_eq!(bench.run(&["train", "ward.toml", "--out", "run", "--quiet"]).code, 0);
    let model = bench.read("run/model.safetensors");
    let mut flipped = model.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cut = &model[..model.len() - 9];
    for (name, bytes) in [("flipped.safetensors", &flipped[..]), ("cut.safetensors", cut)] {
        bench.write(name, bytes);
        let refused = bench.run(&["predict", name, "ward.csv"]);
        assert_eq!(refused.code, 5, "{}", refused.err);
        assert!(refused.err.starts_with(&format!("sequela: {name}")), "{}", refused.err);
        assert!(refused.err.contains("hint: "), "{}", refused.err);
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let bench = Bench::with_inputs();
    let wild = ["--set", "train.rate=1e30", "--set", "train.optimiser={kind=\"sgd\"}"];
    let stopped = ran(bench.command().args(["train", "ward.toml", "--out", "run"]).args(wild));
    assert_eq!(stopped.code, 3, "{}", stopped.err);
    assert!(stopped.err.contains("batch") && stopped.err.contains("hint: "), "{}", stopped.err);
}
