//! Any bytes as a model file: refused, or a model that is written and read again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sequela_train::{Model, TensorFile};

fuzz_target!(|bytes: &[u8]| {
    let name = Path::new("fuzz");
    let _ = Model::parse(bytes, name);
    // A digest stops almost everything: give the content a right one and look at that.
    let Ok(file) = TensorFile::parse_foreign(bytes, name) else { return };
    let whole = file.to_bytes();
    assert!(TensorFile::parse(&whole, name).is_ok());
    if let Ok(model) = Model::parse(&whole, name) {
        let _ = model.describe();
        assert!(Model::parse(&model.to_bytes(), name).is_ok());
    }
});
