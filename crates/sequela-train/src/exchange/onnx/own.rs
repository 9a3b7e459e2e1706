//! A graph that sequela wrote, taken back: its manifest says what its weights are.

use sequela_formats::onnx::{Model as File, TensorNumbers};
use sequela_kernels::recurrent::Cell;
use sequela_nn::{CellKind, ParamKind, Tensor};
use sha2::{Digest, Sha256};

use super::super::gates::{self, Order};
use super::wrap::{DIGEST, MANIFEST};
use crate::Error;
use crate::model::{Manifest, Model};
use crate::study::hex;

/// The model that was exported as this file, or `None` where the file is not as an export left
/// it: another program's, or changed.
pub(in super::super) fn read_own(file: &File) -> Option<Model> {
    let (_, manifest) = file.metadata.iter().find(|(key, _)| key == MANIFEST)?;
    let (_, digest) = file.metadata.iter().find(|(key, _)| key == DIGEST)?;
    let mut bare = file.clone();
    bare.metadata.retain(|(key, _)| key != DIGEST);
    if hex(&Sha256::digest(bare.to_bytes())) != *digest {
        return None;
    }
    let manifest: Manifest = serde_json::from_str(manifest).ok()?;
    restored(file, manifest).ok()?
}

fn restored(file: &File, manifest: Manifest) -> Result<Option<Model>, Error> {
    let program = manifest.program()?;
    let find = |name: &str| -> Option<&[f32]> {
        let tensor = file.graph.initializers.iter().find(|tensor| tensor.name == name)?;
        match &tensor.numbers {
            TensorNumbers::F32(numbers) => Some(numbers),
            _ => None,
        }
    };
    let mut tensors = Vec::new();
    for spec in program.params() {
        let names = spec.tensors();
        let found: Option<Vec<Vec<f32>>> = match spec.kind {
            ParamKind::Recurrent { cell, .. } => {
                let order = Order::onnx(match cell {
                    Cell::Elman(_) => CellKind::Elman,
                    Cell::Lstm => CellKind::Lstm,
                    Cell::Gru(_) => CellKind::Gru,
                    Cell::GruD(_) | Cell::MinGru | Cell::MinLstm | Cell::Lru => return Ok(None),
                });
                let bias = find(&names[2].name.replace("bias_ih", "bias"));
                let bias = bias.filter(|bias| bias.len() == 2 * names[2].count());
                let biases = bias.map(|bias| bias.split_at(bias.len() / 2));
                let plain = |rows: &[f32]| gates::from_foreign(rows, order);
                let parts = (find(&names[0].name), find(&names[1].name), biases);
                match parts {
                    (Some(ih), Some(hh), Some((own, other))) => {
                        Some([ih, hh, own, other].map(plain).to_vec())
                    }
                    _ => None,
                }
            }
            ParamKind::Linear { outputs, .. } => names
                .iter()
                .enumerate()
                .map(|(part, name)| {
                    let numbers = find(&name.name)?;
                    let turned = part == 0;
                    Some(if turned {
                        gates::transposed(numbers, outputs)
                    } else {
                        numbers.to_vec()
                    })
                })
                .collect(),
            _ => names.iter().map(|name| find(&name.name).map(<[f32]>::to_vec)).collect(),
        };
        let Some(found) = found else { return Ok(None) };
        for (name, values) in names.into_iter().zip(found) {
            tensors.push(Tensor { name: name.name, shape: name.shape, values });
        }
    }
    Ok(Some(Model::new(manifest, &tensors)?))
}
