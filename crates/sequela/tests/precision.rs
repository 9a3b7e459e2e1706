//! bf16 through the program: a study that asks for it, forecasts in it, and where it is refused.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod common;

use common::{Bench, ran};

const BF16: [&str; 2] = ["--set", "train.precision=bf16"];

/// Whether this machine has it: what the program itself says.
fn can(bench: &Bench) -> bool {
    let trained = ran(bench.command().args(["train", "ward.toml", "--out", "probe"]).args(BF16));
    if trained.code != 0 {
        assert_eq!(trained.code, 2, "{}", trained.err);
        assert!(trained.err.contains("bf16 needs AVX-512 BF16"), "{}", trained.err);
        assert!(!bench.path("probe").exists(), "a run that cannot be leaves nothing behind");
        eprintln!("skipped: no AVX-512 BF16 here");
    }
    trained.code == 0
}

#[test]
fn a_study_is_trained_in_bf16_and_says_so() {
    let bench = Bench::with_inputs();
    if !can(&bench) {
        return;
    }
    let shown = bench.run(&["inspect", "model", "probe"]);
    let words = "trained with products in bf16, judged in f32";
    assert!(shown.out.contains(words), "{}{}", shown.out, shown.err);
    let study = String::from_utf8(bench.read("probe/study.toml")).unwrap();
    assert!(study.contains("precision = \"bf16\""), "{study}");
    // One machine, one number of threads: the same model again.
    let again = ran(bench.command().args(["train", "ward.toml", "--out", "again"]).args(BF16));
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(bench.read("again/model.safetensors") == bench.read("probe/model.safetensors"));
    assert_eq!(bench.run(&["train", "ward.toml", "--out", "plain"]).code, 0);
    assert!(bench.read("plain/model.safetensors") != bench.read("probe/model.safetensors"));
    let study = String::from_utf8(bench.read("plain/study.toml")).unwrap();
    assert!(!study.contains("precision"), "{study}");
}

#[test]
fn forecasts_in_bf16_are_near_those_in_f32() {
    let bench = Bench::with_inputs();
    if !can(&bench) {
        return;
    }
    let numbers = |precision: &str| -> Vec<f64> {
        let words = ["predict", "probe/model.safetensors", "ward.csv", "--every"];
        let ran = ran(bench.command().args(words).args(["--precision", precision]));
        assert_eq!(ran.code, 0, "{}", ran.err);
        let cells = ran.out.lines().skip(1).filter_map(|line| line.split(',').nth(5));
        cells.map(|cell| cell.parse().unwrap()).collect()
    };
    let (wide, half) = (numbers("f32"), numbers("bf16"));
    assert_eq!(wide.len(), half.len());
    let apart = wide.iter().zip(&half).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // Beats in a minute, with a spread of about ten.
    assert!(apart > 0.0 && apart < 0.5, "{apart}");
}

#[test]
fn other_instruction_sets_refuse_to_train_to_resume_and_to_predict() {
    let bench = Bench::with_inputs();
    let refuses = |words: &[&str]| {
        let refused = ran(bench.command().env("SEQUELA_ISA", "portable").args(words));
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains("precision: bf16 needs AVX-512 BF16"), "{}", refused.err);
        assert!(refused.err.contains("leave precision = \"f32\""), "{}", refused.err);
    };
    refuses(&["train", "ward.toml", "--out", "run", "--set", "train.precision=bf16"]);
    assert!(!bench.path("run").exists());
    if can(&bench) {
        refuses(&["train", "--resume", "probe"]);
        let predict = ["predict", "probe/model.safetensors", "ward.csv", "--precision", "bf16"];
        refuses(&predict);
        let wide = ["predict", "probe/model.safetensors", "ward.csv"];
        assert_eq!(ran(bench.command().env("SEQUELA_ISA", "portable").args(wide)).code, 0);
    }
}
