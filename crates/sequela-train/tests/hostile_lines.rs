//! Hostile JSON in a stream of lines, and hostile settings of windows: each is refused in one
//! line that says where, quotes no value, takes little memory, and leaves the next line to be
//! read.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

mod common;
#[path = "../../sequela-kernels/tests/support/counting.rs"]
mod counting;

use std::path::Path;

use common::{SMALL, finish, small};
use sequela_core::{Limits, Random};
use sequela_train::{Dialogue, DialogueOptions, Model, OnFault, Options, Override, Study, train};

const GOOD: &str = "{\"patient\":\"canary1\",\"heart_rate\":70}\n";

fn model(folder: &Path) -> Model {
    finish(&small(&["train.epochs=1"]), &folder.join("run"));
    Model::load(&folder.join("run/model.safetensors"), &Limits::default()).unwrap()
}

/// What is wrong with a line between two good ones; empty where nothing is. After holding memory and words against what
/// is promised.
fn answer(model: &Model, line: &[u8], case: &str) -> String {
    let skip = DialogueOptions { on_fault: OnFault::Skip, ..DialogueOptions::default() };
    let text = [GOOD.as_bytes(), line, b"\n", GOOD.as_bytes()].concat();
    let mut dialogue = Dialogue::new(model, Path::new("pipe"), skip).unwrap();
    let mut answers = Vec::new();
    let ((), peak) = counting::peak(|| {
        for piece in text.chunks(1 << 16) {
            dialogue.hear(piece, &mut answers).unwrap();
        }
        dialogue.finish(&mut answers).unwrap();
    });
    let bound = (16 << 20) + 4 * text.len();
    assert!(peak <= bound, "{case}: {peak} bytes at once, {bound} are promised");
    let answers = String::from_utf8(answers).unwrap();
    let lines: Vec<&str> = answers.lines().collect();
    assert!(lines.len() <= 3 && lines.len() >= 2, "{case}: {} answers", lines.len());
    let mut second = String::new();
    for (number, line) in lines.iter().enumerate() {
        let answer: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(fault) = answer.get("fault") else { continue };
        // A field is named by its key, which is a name and no value.
        for part in ["message", "hint"] {
            let words = fault[part].as_str().unwrap();
            assert!(!words.contains("7731") && !words.contains("canary"), "{case}: {words}");
        }
        assert!(line.len() < 2000, "{case}: {} bytes", line.len());
        if number == 1 {
            let field = fault["field"].as_str().map_or(String::new(), |name| format!(", {name}"));
            second =
                format!("line {}{field}: {}", answer["line"], fault["message"].as_str().unwrap());
        }
    }
    second
}

#[test]
fn each_line_of_the_list_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let _turn = counting::turn();
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"k{key}\":1,")).collect();
    let keys = keys.concat();
    let some: Vec<String> = (0..50_000).map(|key| format!("\"k{key}\":7731,")).collect();
    let some = some.concat();
    let of = |value: &str| format!("{{\"patient\":\"canary1\",\"heart_rate\":{value}}}");
    let cases = [
        (
            "lists 10,000 deep",
            of(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
            "line 2",
        ),
        ("lists that never close", of(&"[".repeat(900_000)), "line 2"),
        (
            "objects 10,000 deep",
            of(&format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))),
            "line 2",
        ),
        (
            "50,000 keys",
            format!("{{{some}\"heart_rate\":70}}"),
            ", k0: the model has no such channel",
        ),
        ("a million keys", format!("{{{keys}\"heart_rate\":70}}"), "line 2"),
        (
            "a key twice",
            format!("{{\"heart_rate\":7731,{}", &of("70")[1..]),
            "heart_rate: the key is there twice",
        ),
        (
            "a subject twice",
            format!("{{\"patient\":\"canary7731\",{}", &of("70")[1..]),
            "patient: the key is there twice",
        ),
        ("a number beyond f32", of("7731e36"), ", heart_rate: the number is too large"),
        ("a number beyond f64", of("7731e999"), "line 2"),
        ("900,000 digits", of(&"7731".repeat(225_000)), "line 2"),
        ("a million nines behind the point", of(&format!("0.{}", "7731".repeat(200_000))), ""),
        ("half a letter", of("70").replace("canary1", "\\ud800"), "line 2"),
        ("half a letter, the other half", of("70").replace("canary1", "\\udc00x"), "line 2"),
        ("NUL", of("70").replace("canary1", "a\0b"), "line 2"),
        ("a mark of byte order", format!("\u{FEFF}{}", of("70")), "line 2"),
        ("a text", of("\"7731\""), ", heart_rate: the value is a text"),
        ("a list", of("[7731]"), ", heart_rate: the value is not a number"),
        ("a truth value", of("true"), ", heart_rate: the value is not a number"),
        ("not a number", of("NaN"), "line 2"),
        ("a decimal comma", of("77,31"), "line 2"),
        ("a list in place of an object", "[7731]".to_owned(), "the line is not a JSON object"),
        ("two objects", format!("{}{}", of("7731"), of("70")), "line 2"),
        ("no subject", "{\"heart_rate\":7731}".to_owned(), ", patient: the subject is missing"),
        (
            "a subject of 900,000 letters",
            of("70").replace("canary1", &"canary".repeat(150_000)),
            "",
        ),
    ];
    for (case, line, wanted) in cases {
        let answer = answer(&model, line.as_bytes(), case);
        let start: String = answer.chars().take(300).collect();
        assert!(answer.contains(wanted), "{case}: {start}");
    }
    let utf16: Vec<u8> = of("70").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(answer(&model, &utf16, "utf-16").contains("line 2"));
    // Cut at every byte.
    let whole = of("70.5e0");
    for cut in 1..whole.len() {
        let answer = answer(&model, &whole.as_bytes()[..cut], &format!("cut at {cut}"));
        assert!(answer.contains("line 2: "), "cut at {cut}: {answer}");
    }
}

#[test]
fn five_thousand_drawn_objects_are_read_or_refused() {
    const PIECES: [&str; 30] = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u",
        "\\ud83d",
        "\\n",
        "\"patient\"",
        "\"heart_rate\"",
        "\"canary1\"",
        "\"canary2\"",
        "7731",
        "70",
        "-0",
        "1e39",
        "1e-400",
        "0.1",
        "null",
        "true",
        "NaN",
        " ",
        "\t",
        "\0",
        "\u{202E}",
        "\u{1F9EC}",
        "e",
    ];
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let _turn = counting::turn();
    let mut faults = 0;
    for seed in 0..5000 {
        let random = Random::new(seed, 9);
        let mut line = GOOD.trim_end().to_owned().into_bytes();
        for change in 0..=random.below(0, 4) {
            let draw = |at: u64, bound: usize| {
                usize::try_from(random.below(1 + change * 8 + at, bound as u64)).unwrap()
            };
            let at = draw(0, line.len());
            let piece = PIECES[draw(1, PIECES.len())].repeat(1 + draw(2, 3));
            let end = (at + draw(3, 8)).min(line.len());
            match draw(4, 4) {
                0 => line.truncate(at.max(1)),
                1 => line[at] = [0, 0xFF, b'"', b'9', line[at] ^ 1][draw(5, 5)],
                _ => drop(line.splice(at..end, piece.bytes())),
            }
        }
        line.retain(|byte| !matches!(byte, b'\n' | b'\r'));
        faults += usize::from(!answer(&model, &line, &format!("seed {seed}")).is_empty());
    }
    assert!(faults > 2500 && faults < 4990, "{faults}");
}

#[test]
fn windows_of_no_step_and_of_a_thousand_million_are_refused() {
    let _turn = counting::turn();
    let parse = |change: &str| {
        let changes = [Override::parse(change).unwrap()];
        Study::parse(SMALL, Path::new("small.toml"), &changes)
    };
    for change in ["window.length=0", "window.length=-1", "window.length=99999999999999999999"] {
        let (result, peak) = counting::peak(|| parse(change));
        let message = result.unwrap_err().to_string();
        assert!(message.contains("window.length") && peak < 16 << 20, "{change}: {message}");
    }
    // A number that a study may have, but no series: found before memory is taken for it.
    let folder = tempfile::tempdir().unwrap();
    let (result, peak) = counting::peak(|| {
        let study = parse("window.length=1000000000")?;
        train(&study, &folder.path().join("run"), &Options::default(), &mut |_| {}).map(drop)
    });
    assert!(result.is_err() && peak < 64 << 20, "{peak} bytes: {result:?}");
}
