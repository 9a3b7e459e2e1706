//! The article's program, exactly: two LSTM layers of 50 on a series of noise with one step.
//!
//! `x = series[:-1]`, `y = series[1:]`, `LSTM(50, return_sequences) -> LSTM(50) -> Dense(1)`,
//! Keras's initialisation, Adam with its defaults, mean squared error, 100 epochs, batches of 32,
//! shuffled, raw values. [`Study::builtin`] `("article")` is the same as a study; this module runs
//! it without a folder.

use sequela_core::Limits;

use crate::fit::{EpochMetrics, Fit, Sink};
use crate::prepare::Prepared;
use crate::study::{Override, Study};
use crate::task::{self, Trainable as _};
use crate::{Error, checkpoint};

/// The loss of each epoch: mean over its windows, each before its batch's update, as Keras
/// reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// One for each epoch.
    pub losses: Vec<f64>,
}

/// The series, number for number that of `NumPy`.
pub fn series() -> Vec<f64> {
    sequela_data::simulate::article::series()
}

/// Trains the program from the first weights of a seed.
///
/// # Errors
/// Those of training; none is expected.
///
/// # Example
/// ```
/// let curve = sequela_train::article::run(0, 2, 1)?;
/// assert!(curve.losses[1] < curve.losses[0]);
/// # Ok::<(), sequela_train::Error>(())
/// ```
pub fn run(seed: u64, epochs: u64, threads: usize) -> Result<Curve, Error> {
    let study = study(seed, epochs)?;
    let prepared = Prepared::new(&study, &Limits::default())?;
    let mut feed = prepared.feed(&study)?;
    let threads = task::threads(&prepared, &study, threads);
    let mut fit = Fit::new(&prepared.program, &study.train, seed, feed.as_ref(), threads)?;
    let mut curve = Curve { losses: Vec::new() };
    fit.run(feed.as_mut(), &mut None, &mut curve, None, &mut |_| {})?;
    Ok(curve)
}

fn study(seed: u64, epochs: u64) -> Result<Study, Error> {
    let seed = Override::parse(&format!("study.seed={seed}"))?;
    let epochs = Override::parse(&format!("train.epochs={epochs}"))?;
    Study::builtin("article", &[seed, epochs])
}

impl Sink for Curve {
    fn epoch(&mut self, metrics: &EpochMetrics, _seconds: f64) -> Result<(), Error> {
        self.losses.push(metrics.train_loss);
        Ok(())
    }

    fn checkpoint(&mut self, _snapshot: &checkpoint::Snapshot) -> Result<&std::path::Path, Error> {
        Ok(std::path::Path::new(""))
    }

    fn length(&self) -> u64 {
        0
    }

    fn last(&self) -> Option<&std::path::Path> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Order, Ports, WindowFeed};
    use crate::fit::Fit;
    use crate::tensors::{Numbers, TensorFile};
    use sequela_nn::Tensor;
    use std::path::Path;

    fn dump() -> TensorFile {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/parity/article.safetensors");
        let bytes = sequela_formats::bounded::read(&path, &Limits::default()).unwrap();
        TensorFile::parse_foreign(&bytes, &path).unwrap()
    }

    fn f32s<'a>(file: &'a TensorFile, name: &str) -> &'a [f32] {
        let Numbers::F32(values) = &file.arrays[name].numbers else { panic!("{name}") };
        values
    }

    fn f64s<'a>(file: &'a TensorFile, name: &str) -> &'a [f64] {
        let Numbers::F64(values) = &file.arrays[name].numbers else { panic!("{name}") };
        values
    }

    /// Keras keeps `(inputs, outputs)`, PyTorch `(outputs, inputs)`; both order gates i, f, c, o.
    fn transposed(file: &TensorFile, name: &str) -> Vec<f32> {
        let [inputs, outputs] = file.arrays[name].shape[..] else { panic!("{name}") };
        let values = f32s(file, name);
        (0..outputs).flat_map(|o| (0..inputs).map(move |i| values[i * outputs + o])).collect()
    }

    fn weights(file: &TensorFile, like: &[Tensor]) -> Vec<Tensor> {
        let find = |name: &str| -> Vec<f32> {
            if name.starts_with("head") {
                return match name.rsplit('.').next() {
                    Some("weight") => transposed(file, "initial.dense.kernel"),
                    _ => f32s(file, "initial.dense.bias").to_vec(),
                };
            }
            let layer = name.chars().last().unwrap();
            let part = |part: &str| format!("initial.lstm_{layer}.{part}");
            match &name[..name.len() - 3] {
                "rnn.weight_ih" => transposed(file, &part("kernel")),
                "rnn.weight_hh" => transposed(file, &part("recurrent_kernel")),
                "rnn.bias_ih" => f32s(file, &part("bias")).to_vec(),
                "rnn.bias_hh" => vec![0.0; f32s(file, &part("bias")).len()],
                other => panic!("{other}"),
            }
        };
        like.iter().map(|tensor| Tensor { values: find(&tensor.name), ..tensor.clone() }).collect()
    }

    #[test]
    fn the_series_is_numpys() {
        let file = dump();
        let expected = f64s(&file, "series");
        assert_eq!(series().len(), expected.len());
        for (ours, theirs) in series().iter().zip(expected) {
            assert_eq!(ours.to_bits(), theirs.to_bits());
        }
    }

    #[test]
    fn the_first_200_losses_are_kerass() {
        let file = dump();
        let study = study(0, 7).unwrap();
        let prepared = Prepared::new(&study, &Limits::default()).unwrap();
        let Numbers::I32(order) = &file.arrays["permutations"].numbers else { panic!() };
        let lists = order.chunks(999).map(|epoch| {
            epoch.iter().map(|&row| u32::try_from(row).unwrap()).collect::<Vec<u32>>()
        });
        let form = (Ports::find(&prepared.program, crate::network::HEAD).unwrap(), prepared.form);
        let order = Order::Listed(lists.collect());
        let mut feed = WindowFeed::new(&prepared.encoder, &prepared.train, form, 32, order);
        let mut fit = Fit::new(&prepared.program, &study.train, 0, &feed, 1).unwrap();
        let tensors = weights(&file, &fit.parameters.tensors());
        fit.parameters.load(&tensors).unwrap();
        let mut losses = Vec::new();
        fit.record(&mut feed, &mut losses).unwrap();
        let (single, double) = (f32s(&file, "losses_f32"), f64s(&file, "losses_f64"));
        let mut apart = [0.0_f64; 2];
        for (step, ours) in losses.iter().take(200).enumerate() {
            for (apart, theirs) in apart.iter_mut().zip([f64::from(single[step]), double[step]]) {
                *apart = apart.max((ours - theirs).abs() / theirs);
            }
        }
        assert_eq!(losses.len(), 7 * 32);
        assert!(apart[0] < 1e-4 && apart[1] < 1e-4, "{apart:?}");
    }

    #[test]
    fn ten_seeds_end_where_kerass_do() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/parity/article_seeds.json");
        let bytes = sequela_formats::bounded::read(&path, &Limits::default()).unwrap();
        let keras: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let bound = |name: &str| keras[name].as_f64().unwrap();
        let finals: Vec<f64> =
            (0..10).map(|seed| *run(seed, 100, 1).unwrap().losses.last().unwrap()).collect();
        let mean = finals.iter().sum::<f64>() / 10.0;
        assert!(mean > bound("min") && mean < bound("max"), "{mean}: {finals:?}");
    }
}
