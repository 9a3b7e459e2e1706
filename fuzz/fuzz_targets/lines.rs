//! Any bytes as the lines of a stream, cut anywhere: the same answers, and one for each line.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sequela_train::{Dialogue, DialogueOptions, Model, OnFault, StreamOptions};

/// The model that `SEQUELA_FUZZ_MODEL` names.
static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let path = std::env::var_os("SEQUELA_FUZZ_MODEL").expect("SEQUELA_FUZZ_MODEL names a model file");
    Model::load(Path::new(&path), &Default::default()).expect("a model file")
});

fn answers(bytes: &[u8], cut: usize) -> (Vec<u8>, bool) {
    let streams = StreamOptions { max_subjects: 8, together: 4, ..StreamOptions::default() };
    let options = DialogueOptions { on_fault: OnFault::Skip, streams, ..DialogueOptions::default() };
    let mut dialogue = Dialogue::new(&MODEL, Path::new("fuzz"), options).expect("a dialogue");
    let mut answers = Vec::new();
    for piece in bytes.chunks(cut) {
        if dialogue.hear(piece, &mut answers).is_err() {
            return (answers, false);
        }
    }
    let ended = dialogue.finish(&mut answers).is_ok();
    (answers, ended)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, lines)) = bytes.split_first() else { return };
    assert_eq!(answers(lines, usize::from(cut) + 1), answers(lines, usize::MAX));
});
