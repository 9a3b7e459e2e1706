//! Norms of the gradients of states over the steps of a few batches.

use sequela_core::Layout;
use sequela_kernels::recurrent::{Direction, StatePart};
use sequela_kernels::{Context, Matrix};
use sequela_nn::{
    Batch, Gradients, InputId, Keep, LayoutId, Op, ParamKind, Parameters, Rows, Runner, Value,
    Wanted,
};

use super::LayerSeen;
use crate::Error;
use crate::feed::Feed;
use crate::prepare::Prepared;
use crate::study::{Study, Train};
use crate::task::Trainable as _;
use sequela_nn::Precision;

/// Batches that are measured.
const BATCHES: u64 = 4;

/// A network with some batches to measure it on.
pub(super) struct Measure<'a> {
    feed: Box<dyn Feed + 'a>,
    context: Context,
    runner: Runner,
    batch: Batch,
    nodes: Vec<Node>,
    /// Weights of predictions at every step, of which the last counts.
    every_step: Vec<(InputId, LayoutId)>,
    windows: usize,
}

/// The figures of one set of weights.
pub(super) struct Measured {
    /// Mean over the batches.
    pub(super) loss: f64,
    pub(super) layers: Vec<LayerSeen>,
    /// Norm of all weights' gradients, of each batch.
    pub(super) norms: Vec<f64>,
}

/// A recurrent layer of the network.
struct Node {
    value: Value,
    layout: LayoutId,
    layer: usize,
    reverse: bool,
    has_cell: bool,
}

impl<'a> Measure<'a> {
    pub(super) fn new(
        prepared: &'a Prepared,
        study: &Study,
        threads: usize,
    ) -> Result<Self, Error> {
        // Whole windows, also where training cuts them, and exact gradients.
        let train = Train {
            truncate: None,
            memory: None,
            precision: Precision::F32,
            ..study.train.clone()
        };
        let feed = prepared.feed(&Study { train, ..study.clone() })?;
        let program = &prepared.program;
        let nodes: Vec<Node> = program
            .nodes()
            .iter()
            .zip(program.values())
            .filter_map(|(node, value)| {
                let (Op::Recurrent(op), Rows::Steps(layout)) = (&node.op, node.rows) else {
                    return None;
                };
                let spec = &program.params()[op.param.index()];
                let ParamKind::Recurrent { cell, direction, layer, .. } = spec.kind else {
                    return None;
                };
                let (reverse, has_cell) = (
                    direction == Direction::Reverse,
                    cell == sequela_kernels::recurrent::Cell::Lstm,
                );
                Some(Node { value, layout, layer, reverse, has_cell })
            })
            .collect();
        let mut wanted = vec![Wanted::Parameters];
        wanted.extend(nodes.iter().map(|node| Wanted::States(node.value)));
        let capacity = feed.capacity(program);
        let every_step = program.inputs().iter().filter_map(|spec| match spec.rows {
            Rows::Steps(layout) if spec.name.starts_with("weight.") => {
                Some((program.input(&spec.name)?, layout))
            }
            _ => None,
        });
        Ok(Self {
            every_step: every_step.collect(),
            runner: Runner::new(program, &capacity, &Keep::Gradients(wanted))?,
            batch: Batch::new(program, &capacity)?,
            context: Context::new(threads)?,
            feed,
            nodes,
            windows: 0,
        })
    }

    /// Windows measured in the last run.
    pub(super) fn windows(&self) -> usize {
        self.windows
    }

    /// Measures these weights.
    pub(super) fn run(&mut self, parameters: &Parameters) -> Result<Measured, Error> {
        let mut sums: Vec<[Squares; 2]> =
            self.nodes.iter().map(|_| <[Squares; 2]>::default()).collect();
        let mut gradients = Gradients::new(parameters);
        let (mut loss, mut norms) = (0.0, Vec::new());
        self.windows = 0;
        self.feed.begin(0);
        for step in 0..self.feed.steps().min(BATCHES) {
            self.feed.fill(step, &mut self.batch)?;
            self.only_last_steps();
            self.windows += self.batch.sequences();
            loss +=
                self.runner.train(&mut self.context, parameters, &self.batch, &mut gradients)?;
            norms.push(gradients.norm(&mut self.context));
            for (node, sums) in self.nodes.iter().zip(&mut sums) {
                let layout = self.batch.layout(node.layout);
                for (part, sums) in [StatePart::Hidden, StatePart::Cell].into_iter().zip(sums) {
                    let gradient = self.runner.state_gradient(node.value, part, &self.batch);
                    if let Some(gradient) = gradient {
                        sums.add(layout, gradient, node.reverse);
                    }
                }
            }
        }
        let batches = norms.len().max(1) as f64;
        let layers = self.nodes.iter().zip(sums).map(|(node, [hidden, cell])| LayerSeen {
            layer: node.layer,
            reverse: node.reverse,
            hidden: hidden.norms(batches),
            cell: if node.has_cell { cell.norms(batches) } else { Vec::new() },
        });
        Ok(Measured { loss: loss / batches, layers: layers.collect(), norms })
    }

    /// Takes the weight of all predictions but each window's last.
    fn only_last_steps(&mut self) {
        for &(input, layout) in &self.every_step {
            let layout = self.batch.layout(layout).clone();
            let mut weights = self.batch.input_mut(input);
            for t in 0..layout.steps() {
                for rank in 0..layout.active(t) {
                    if t + 1 < layout.lengths()[rank] as usize {
                        weights.row_mut(layout.row(t, rank)).fill(0.0);
                    }
                }
            }
        }
    }
}

/// Sums of squares by distance from the step nearest to the loss.
#[derive(Debug, Default)]
struct Squares {
    /// The mean over the sequences that are so long, times all sequences, summed over batches:
    /// of windows of one length, the square of the norm of the whole step.
    sums: Vec<f64>,
}

impl Squares {
    fn add(&mut self, layout: &Layout, gradient: Matrix<'_>, reverse: bool) {
        let steps = layout.steps();
        let (mut sums, mut counts) = (vec![0.0; steps], vec![0_u32; steps]);
        for t in 0..steps {
            for rank in 0..layout.active(t) {
                let last = layout.lengths()[rank] as usize - 1;
                let distance = if reverse { t } else { last - t };
                let row = gradient.row(layout.row(t, rank));
                sums[distance] += row.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
                counts[distance] += 1;
            }
        }
        if self.sums.len() < steps {
            self.sums.resize(steps, 0.0);
        }
        let all = layout.sequences() as f64;
        for ((total, sum), count) in self.sums.iter_mut().zip(sums).zip(counts) {
            *total += all * sum / f64::from(count.max(1));
        }
    }

    fn norms(self, batches: f64) -> Vec<f64> {
        self.sums.into_iter().map(|sum| libm::sqrt(sum / batches)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_kernels::{Buffer, MatrixMut, stride};

    #[test]
    fn steps_are_counted_from_each_sequence_s_own_end() {
        let layout = Layout::new(&[3, 1]);
        let mut buffer = Buffer::new(layout.rows() * stride(2));
        let mut matrix = MatrixMut::new(&mut buffer, layout.rows(), 2);
        for t in 0..3 {
            for rank in 0..layout.active(t) {
                let value = if rank == 0 { [t as f32, 0.0] } else { [3.0, 4.0] };
                matrix.row_mut(layout.row(t, rank)).copy_from_slice(&value);
            }
        }
        let norms = |reverse| {
            let mut squares = Squares::default();
            squares.add(&layout, Matrix::new(&buffer, layout.rows(), 2), reverse);
            squares.norms(1.0).iter().map(|norm| norm * norm).collect::<Vec<_>>()
        };
        let near = |found: Vec<f64>, wanted: [f64; 3]| {
            assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-9), "{found:?}");
        };
        // Of the last step both sequences, 2 (4 + 25) / 2; then the long one alone, twice.
        near(norms(false), [29.0, 2.0, 0.0]);
        near(norms(true), [25.0, 2.0, 8.0]);
    }
}
