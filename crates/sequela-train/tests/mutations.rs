//! Thousands of damaged model files and studies: each is refused or is a sound one; none panics,
//! and none takes more memory than its size gives reason for.
//!
//! The damage is drawn from a seed, so that a failure comes again. `fuzz/` has the same checks
//! for a fuzzer.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

mod common;
#[path = "../../sequela-kernels/tests/support/counting.rs"]
mod counting;

use std::path::Path;

use common::{SMALL, finish, small};
use counting::peak;
use sequela_core::Random;
use sequela_train::{Array, Model, Numbers, StreamOptions, Streams, Study, TensorFile};

/// Draws that follow each other.
struct Draws {
    random: Random,
    at: u64,
}

impl Draws {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, 77), at: 0 }
    }

    fn below(&mut self, n: usize) -> usize {
        self.at += 1;
        usize::try_from(self.random.below(self.at, n.max(1) as u64)).unwrap()
    }

    fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// Numbers that break things.
const EXTREME: [&str; 22] = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "7",
    "255",
    "65535",
    "65536",
    "65537",
    "1000000",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "-1e308",
    "1e999",
    "0.5",
    "-0.0",
];
/// Words of studies and manifests.
const WORDS: [&str; 24] = [
    "\"\"",
    "null",
    "true",
    "nan",
    "inf",
    "[]",
    "{}",
    "\"lstm\"",
    "\"none\"",
    "\"attention\"",
    "\"both\"",
    "\"relative\"",
    "\"level\"",
    "\"csv\"",
    "\"pinball\"",
    "\"retain\"",
    "\"encoder_decoder\"",
    "\"two_encoder\"",
    "[1, 2, 3]",
    "[[[[[[[[]]]]]]]]",
    "{ a = 1 }",
    "\u{0}",
    "é",
    "\"\\ud800\"",
];

/// Places of numbers in a text.
fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'-' || byte == b'e';
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        if bytes[at..end].iter().any(u8::is_ascii_digit) {
            found.push(at..end);
        }
        at = end.max(at + 1);
    }
    found
}

/// A text after one to three changes.
fn damaged(text: &str, draws: &mut Draws) -> String {
    let mut text = text.to_owned();
    for _ in 0..=draws.below(3) {
        let boundary = |text: &str, at: usize| {
            (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
        };
        let (one, other) = (draws.below(text.len() + 1), draws.below(text.len() + 1));
        let (from, to) = (boundary(&text, one.min(other)), boundary(&text, one.max(other)));
        match draws.below(8) {
            0..=2 => {
                let places = numbers(&text);
                if !places.is_empty() {
                    let place = places[draws.below(places.len())].clone();
                    text.replace_range(place, draws.of(&EXTREME));
                }
            }
            3 => text.insert_str(from, draws.of(&WORDS)),
            4 => {
                let end = boundary(&text, from + 1 + draws.below(12));
                text.replace_range(from..end.max(from), "");
            }
            5 => {
                let piece = text[from..to].chars().take(200).collect::<String>();
                text.insert_str(to, &piece);
            }
            6 => {
                let lines: Vec<&str> = text.split_inclusive(['\n', ',']).collect();
                let (a, b) = (draws.below(lines.len()), draws.below(lines.len()));
                let mut lines = lines.clone();
                if !lines.is_empty() {
                    lines.swap(a, b);
                }
                text = lines.concat();
            }
            _ => text.truncate(to),
        }
    }
    text
}

/// Changes one array: its name, its sizes or its numbers.
fn damage_array(file: &mut TensorFile, draws: &mut Draws) {
    let names: Vec<String> = file.arrays.keys().cloned().collect();
    let name = &names[draws.below(names.len())];
    let mut array = file.arrays.remove(name).unwrap();
    match draws.below(6) {
        0 => array.shape.reverse(),
        1 => array.shape.push(1),
        2 => array = Array::flat(&[]),
        3 => {
            if let Numbers::F32(values) = &mut array.numbers {
                let at = draws.below(values.len());
                values[at] = [f32::NAN, f32::INFINITY, 1e38, 1e-45, -0.0][draws.below(5)];
            }
        }
        4 => array.numbers = Numbers::I32(vec![1; array.shape.iter().product()]),
        _ => return,
    }
    let name = if draws.below(4) == 0 { format!("{name}x") } else { name.clone() };
    file.arrays.insert(name, array);
}

/// One test: the heap is the whole process's.
#[test]
fn damage_is_refused_or_harmless_and_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let name = Path::new("damaged");
    let mut counts = [0_u32; 4];
    let mut highest = 0;

    let mut draws = Draws::new(1);
    let full = small(&[]).to_toml();
    for text in [SMALL, &full] {
        for turn in 0..4000 {
            let text = damaged(text, &mut draws);
            let (study, bytes) = peak(|| Study::parse(&text, name, &[]));
            highest = highest.max(bytes);
            assert!(bytes < (16 << 20) + 64 * text.len(), "turn {turn}: {bytes} bytes for\n{text}");
            counts[usize::from(study.is_ok())] += 1;
            if let Ok(study) = study {
                // What was taken can be written, and is the same when it is read again.
                let again = Study::parse(&study.to_toml(), name, &[]).unwrap();
                assert!(again == study || study.to_toml().contains("nan"), "turn {turn}:\n{text}");
            }
        }
    }

    let run = folder.path().join("run");
    let report =
        finish(&small(&["train.epochs=1", "model.pooling=\"none\"", "train.truncate=8"]), &run);
    let good = common::files(&run).remove("model.safetensors").unwrap();
    assert!(report.model.ends_with("model.safetensors"));
    let sound = TensorFile::parse(&good, name).unwrap();
    for turn in 0..6000 {
        let mut file = sound.clone();
        match draws.below(5) {
            0 => damage_array(&mut file, &mut draws),
            1 => {
                let keys: Vec<String> = file.texts.keys().cloned().collect();
                let key = &keys[draws.below(keys.len())];
                let text = damaged(&file.texts[key], &mut draws);
                file.texts.insert(key.clone(), text);
            }
            _ => {
                let manifest = damaged(&file.texts["manifest"], &mut draws);
                file.texts.insert("manifest".into(), manifest);
            }
        }
        // The digest is right: it is the content that has to be looked at.
        let bytes = file.to_bytes();
        let (model, heap) = peak(|| Model::parse(&bytes, name));
        highest = highest.max(heap);
        assert!(heap < (16 << 20) + 64 * bytes.len(), "turn {turn}: {heap} bytes");
        counts[2 + usize::from(model.is_ok())] += 1;
        if let Ok(model) = model {
            let text = model.describe();
            assert!(text.contains("weights"), "{text}");
            let again = Model::parse(&model.to_bytes(), name);
            assert!(again.is_ok(), "turn {turn}: {again:?}\n{}", file.texts["manifest"]);
            // What loads can also be used, or says why not.
            if let Ok(mut streams) = Streams::new(&model, &StreamOptions::default()) {
                let values = vec![70.0; model.manifest().schema.len()];
                for _ in 0..40 {
                    streams.push("a", None, &values).unwrap();
                    streams.run().unwrap();
                    streams.clear().unwrap();
                }
            }
        }
    }
    for turn in 0..6000 {
        // Without the digest: the format alone.
        let mut bytes = good.clone();
        for _ in 0..=draws.below(4) {
            let reach = if draws.below(3) == 0 { bytes.len() } else { bytes.len().min(600) };
            let at = draws.below(reach);
            bytes[at] = [0, 255, bytes[at] ^ 1, bytes[at] ^ 128, b'9', b'"'][draws.below(6)];
        }
        bytes.truncate(bytes.len() - draws.below(2) * draws.below(bytes.len()));
        let (_, heap) = peak(|| TensorFile::parse_foreign(&bytes, name));
        assert!(heap < (16 << 20) + 8 * bytes.len(), "turn {turn}: {heap} bytes");
        highest = highest.max(heap);
    }
    let [refused, taken, models_refused, models_taken] = counts;
    assert!(refused > 4000 && taken > 200, "{counts:?}");
    assert!(models_refused > 3000 && models_taken > 100, "{counts:?}");
    assert!(highest < 64 << 20, "{highest}");
}
