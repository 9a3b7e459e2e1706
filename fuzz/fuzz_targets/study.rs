//! Any text as a study: refused, or a study that is written and read again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sequela_train::Study;

fuzz_target!(|text: &str| {
    let name = Path::new("fuzz.toml");
    if let Ok(study) = Study::parse(text, name, &[]) {
        let written = study.to_toml();
        let again = Study::parse(&written, name, &[]);
        assert!(again.is_ok_and(|again| again.to_toml() == written));
    }
});
