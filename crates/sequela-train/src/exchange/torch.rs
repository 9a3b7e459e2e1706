//! PyTorch's state dicts: `lstm.weight_ih_l0`, `fc.weight`, saved as safetensors.
//!
//! **Source** <https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html> and its
//! neighbours: gates i,f,g,o and r,z,n below each other, two biases.

use std::collections::BTreeSet;
use std::path::Path;

use sequela_core::Location;
use sequela_kernels::activation::Activation;
use sequela_nn::{CellKind, Directions, Pooling, Sequence};

use super::found::{Dense, Found, Side, cell_of};
use super::schema::Schema;
use super::values;
use crate::Error;
use crate::tensors::TensorFile;

/// The network in a state dict.
pub(super) fn read(file: &TensorFile, name: &Path, schema: &Schema) -> Result<Found, Error> {
    let dict = Dict { file, name, schema };
    let mut rest: BTreeSet<&str> = file
        .arrays
        .keys()
        .map(String::as_str)
        .filter(|key| !schema.ignore.iter().any(|prefix| is_below(key, prefix)))
        .collect();
    let modules = dict.modules(&rest)?;
    let mut sides = Vec::new();
    let mut shape: Option<(CellKind, usize, bool)> = None;
    for module in &modules {
        for layer in 0.. {
            let key = |end: &str| format!("{module}weight_ih_l{layer}{end}");
            if !rest.contains(key("").as_str()) {
                break;
            }
            let both = rest.contains(key("_reverse").as_str());
            for end in if both { &["", "_reverse"][..] } else { &[""] } {
                let (side, cell, hidden) =
                    dict.side(module, &format!("_l{layer}{end}"), &mut rest)?;
                let this = (cell, hidden, both);
                if *shape.get_or_insert(this) != this {
                    let what = "layers differ in cell, hidden size or directions";
                    return Err(dict.refuse(&key(end), what, "one stack has one of each"));
                }
                sides.push(side);
            }
        }
    }
    let Some((cell, hidden, both)) = shape else {
        let what = "there is no recurrent layer (no weight_ih_l0)";
        return Err(dict.refuse(
            "",
            what,
            "save the state dict of a module with nn.RNN, LSTM or GRU",
        ));
    };
    let heads = dict.heads(&rest)?;
    let dense = heads.iter().map(|head| dict.dense(head, &mut rest)).collect::<Result<_, _>>()?;
    if let Some(key) = rest.first() {
        let hint =
            "leave it behind with ignore = [\"NAME\"] in the schema if it has no part in this";
        return Err(dict.refuse(key, "weights of a kind that is not read", hint));
    }
    let mut assumed = Vec::new();
    if schema.pooling.is_none() {
        assumed.push("pooling = \"last\"".to_owned());
    }
    if schema.activation.is_none() && cell == CellKind::Elman {
        assumed.push("activation = \"tanh\"".to_owned());
    }
    Ok(Found {
        kind: "PyTorch",
        settings: Sequence {
            cell,
            hidden,
            activation: schema.activation.map_or(Activation::Tanh, Activation::from),
            directions: if both { Directions::Both } else { Directions::Forward },
            pooling: schema.pooling.unwrap_or(Pooling::Last),
            ..Sequence::default()
        },
        sides,
        dense,
        scales: None,
        assumed,
    })
}

struct Dict<'a> {
    file: &'a TensorFile,
    name: &'a Path,
    schema: &'a Schema,
}

impl Dict<'_> {
    fn refuse(&self, key: &str, what: &str, hint: &str) -> Error {
        let place = Location::file(self.name);
        Error::foreign(if key.is_empty() { place } else { place.field(key) }, what, hint)
    }

    /// The prefixes of recurrent modules, in their order.
    fn modules(&self, keys: &BTreeSet<&str>) -> Result<Vec<String>, Error> {
        let found: BTreeSet<&str> =
            keys.iter().filter_map(|key| key.strip_suffix("weight_ih_l0")).collect();
        if self.schema.recurrent.is_empty() {
            if found.len() > 1 {
                let names: Vec<&str> = found.iter().map(|p| p.trim_end_matches('.')).collect();
                let what = format!("there are several recurrent modules: {}", names.join(", "));
                let hint = "say their order with recurrent = [...] in the schema, or ignore some";
                return Err(self.refuse("", &what, hint));
            }
            return Ok(found.into_iter().map(str::to_owned).collect());
        }
        let mut modules = Vec::new();
        for module in &self.schema.recurrent {
            let prefix = format!("{module}.");
            if !found.contains(prefix.as_str()) {
                let names: Vec<&str> = found.iter().map(|p| p.trim_end_matches('.')).collect();
                let hint = crate::study::nearest::hint(module, &names);
                return Err(self.refuse(module, "there is no such recurrent module", &hint));
            }
            modules.push(prefix);
        }
        Ok(modules)
    }

    /// One layer and direction.
    fn side(
        &self,
        module: &str,
        end: &str,
        rest: &mut BTreeSet<&str>,
    ) -> Result<(Side, CellKind, usize), Error> {
        let mut take = |part: &str| {
            let key = format!("{module}{part}{end}");
            rest.remove(key.as_str()).then(|| values(self.file, &key, self.name)).transpose()
        };
        let key = format!("{module}weight_ih{end}");
        if take("weight_hr")?.is_some() {
            let what = "an LSTM with a projection (proj_size)";
            return Err(self.refuse(&key, what, "train one without proj_size"));
        }
        let (Some(ih), Some(hh)) = (take("weight_ih")?, take("weight_hh")?) else {
            return Err(self.refuse(
                &key,
                "weight_ih has no weight_hh beside it",
                "save all weights",
            ));
        };
        let biases = (take("bias_ih")?, take("bias_hh")?);
        let (&[rows, inputs], &[rows_too, hidden]) = (ih.shape.as_slice(), hh.shape.as_slice())
        else {
            return Err(self.refuse(
                &key,
                "a recurrent weight is not a matrix",
                "save it as PyTorch does",
            ));
        };
        let gates = if hidden > 0 && rows == rows_too { rows / hidden } else { 0 };
        let (Some(cell), true) = (cell_of(gates), gates * hidden == rows && inputs > 0) else {
            let what =
                format!("shapes {:?} and {:?} are of no RNN, LSTM or GRU", ih.shape, hh.shape);
            return Err(self.refuse(&key, &what, "save it as PyTorch does"));
        };
        let bias = |bias: Option<super::Values>| match bias {
            Some(bias) if bias.shape != [rows] => Err(self.refuse(
                &key,
                "a bias has another size than its weight",
                "save it as PyTorch does",
            )),
            Some(bias) => Ok(bias.values),
            None => Ok(vec![0.0; rows]),
        };
        let (bias_ih, bias_hh) = (bias(biases.0)?, bias(biases.1)?);
        let (weight_ih, weight_hh) = (ih.values, hh.values);
        Ok((Side { inputs, weight_ih, weight_hh, bias_ih, bias_hh }, cell, hidden))
    }

    /// Names of dense layers, in their order.
    fn heads(&self, keys: &BTreeSet<&str>) -> Result<Vec<String>, Error> {
        if !self.schema.head.is_empty() {
            return Ok(self.schema.head.clone());
        }
        let matrices = keys.iter().filter_map(|key| {
            let head = key.strip_suffix("weight")?;
            let array = self.file.arrays.get(*key)?;
            (array.shape.len() == 2).then(|| head.trim_end_matches('.').to_owned())
        });
        let heads: Vec<String> = matrices.collect();
        match heads.len() {
            1 => Ok(heads),
            0 => Err(self.refuse(
                "",
                "there is no Linear layer on the recurrent ones",
                "save the state dict of the whole network, head and all",
            )),
            _ => {
                let what = format!("there are several Linear layers: {}", heads.join(", "));
                let hint =
                    "say their order with head = [...] in the schema; ReLU lies between them";
                Err(self.refuse("", &what, hint))
            }
        }
    }

    fn dense(&self, head: &str, rest: &mut BTreeSet<&str>) -> Result<Dense, Error> {
        let key = |part: &str| {
            if head.is_empty() { part.to_owned() } else { format!("{head}.{part}") }
        };
        let (weight, bias) = (key("weight"), key("bias"));
        if !rest.remove(weight.as_str()) {
            let known: Vec<&str> =
                rest.iter().filter_map(|key| key.strip_suffix(".weight")).collect();
            let hint = crate::study::nearest::hint(head, &known);
            return Err(self.refuse(head, "there is no such layer", &hint));
        }
        let matrix = values(self.file, &weight, self.name)?;
        let &[outputs, inputs] = matrix.shape.as_slice() else {
            return Err(self.refuse(&weight, "the weight is not a matrix", "name a Linear layer"));
        };
        let bias = if rest.remove(bias.as_str()) {
            values(self.file, &bias, self.name)?.values
        } else {
            vec![0.0; outputs]
        };
        if bias.len() != outputs || inputs == 0 {
            return Err(self.refuse(
                &weight,
                "weight and bias differ in size",
                "save it as PyTorch does",
            ));
        }
        Ok(Dense { inputs, weight: matrix.values, bias })
    }
}

/// Whether a key is of the module or layer `prefix`.
fn is_below(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
