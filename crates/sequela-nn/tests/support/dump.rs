//! Numbers of other frameworks; `testdata/parity/README.md` describes them.

use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A dump of named tensors, with its description.
pub(crate) struct Dump {
    tensors: BTreeMap<String, Vec<f64>>,
    pub(crate) about: BTreeMap<String, String>,
}

impl Dump {
    pub(crate) fn load(name: &str) -> Self {
        let file = format!("../../testdata/parity/{name}.safetensors");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
        #[allow(clippy::disallowed_methods, reason = "a small file of this repository")]
        let bytes =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let about = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
        let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter();
        let tensors = tensors.map(|(name, tensor)| (name, numbers(tensor.dtype(), tensor.data())));
        Self { tensors: tensors.collect(), about }
    }

    pub(crate) fn get(&self, name: &str) -> &[f64] {
        self.tensors.get(name).unwrap_or_else(|| {
            let known: Vec<&String> = self.tensors.keys().collect();
            panic!("no tensor {name} in {known:?}")
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub(crate) fn f32(&self, name: &str) -> Vec<f32> {
        self.get(name).iter().map(|&value| value as f32).collect()
    }

    pub(crate) fn sizes(&self, name: &str) -> Vec<usize> {
        self.get(name).iter().map(|&value| value as usize).collect()
    }
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    let four = || bytes.chunks_exact(4).map(|bytes| bytes.try_into().unwrap());
    let eight = || bytes.chunks_exact(8).map(|bytes| bytes.try_into().unwrap());
    match dtype {
        Dtype::F64 => eight().map(f64::from_le_bytes).collect(),
        Dtype::I64 => eight().map(|bytes| i64::from_le_bytes(bytes) as f64).collect(),
        Dtype::F32 => four().map(|bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
        Dtype::I32 => four().map(|bytes| f64::from(i32::from_le_bytes(bytes))).collect(),
        other => panic!("{other:?} in a dump"),
    }
}
