//! Recurrent nodes and how they stand on each other.

use std::rc::Rc;

use sequela_formats::onnx::{Node, Tensor};

use super::super::found::Scale;
use super::layers::{self, Layer};
use super::meaning::{Axis, Meaning, Signal, What};
use super::trace::{Placed, Trace};
use super::values::is_zero;
use crate::Error;

impl<'a> Trace<'a> {
    /// A recurrent node: its weights are kept, its values get their meaning.
    pub(super) fn recurrent(&mut self, node: &'a Node) -> Result<(), Error> {
        let x = self.input(node, 0)?;
        let constant = |k: usize| -> Result<Option<Rc<Tensor>>, Error> {
            match self.input(node, k)? {
                None => Ok(None),
                Some(Meaning::Constant(tensor)) => Ok(Some(tensor)),
                Some(_) => Err(self.refuse(node, "its weights are not constant")),
            }
        };
        let (Some(weight), Some(recurrent)) = (constant(1)?, constant(2)?) else {
            return Err(self.refuse(node, "it has no weights"));
        };
        let bias = constant(3)?;
        if !matches!(self.input(node, 4)?, None | Some(Meaning::Fed)) {
            return Err(self.refuse(node, "its sequence_lens are not an input"));
        }
        for k in [5, 6] {
            let from_zero = match self.input(node, k)? {
                None | Some(Meaning::Zeros | Meaning::Fed) => true,
                Some(Meaning::Constant(tensor)) => is_zero(&tensor),
                Some(_) => false,
            };
            if !from_zero {
                return Err(self.refuse(node, "its initial state is neither zero nor an input"));
            }
        }
        if self.input(node, 7)?.is_some() {
            return Err(self.refuse(node, "it has peepholes (input P)"));
        }
        let layer = layers::layer(node, (&weight, &recurrent, bias.as_deref()))
            .map_err(|what| self.refuse(node, &what))?;
        let depth = self.depth(node, x, &layer)?;
        if let Some(known) = &self.settings {
            let same = known.cell == layer.cell
                && known.activation == layer.activation
                && known.reset == layer.reset
                && known.hidden == layer.hidden;
            if !same {
                let what = "it differs from the layers before it in cell, settings or hidden size";
                return Err(self.refuse(node, what));
            }
        }
        let (start, count) = (self.sides.len(), layer.sides.len());
        let placed = layer.sides.iter().zip(&layer.reverse);
        let placed =
            placed.map(|(side, &reverse)| Placed { layer: depth, reverse, side: side.clone() });
        self.sides.extend(placed);
        let sides: Vec<usize> = (start..start + count).collect();
        let [steps, states] = if layer.batch_first {
            [
                vec![Axis::Batch, Axis::Time, Axis::Sides, Axis::Width],
                vec![Axis::Batch, Axis::Sides, Axis::Width],
            ]
        } else {
            [
                vec![Axis::Time, Axis::Sides, Axis::Batch, Axis::Width],
                vec![Axis::Sides, Axis::Batch, Axis::Width],
            ]
        };
        let whats = [What::Steps(sides.clone()), What::Hidden(sides.clone()), What::Cell(sides)];
        for (output, (what, axes)) in
            node.outputs.iter().zip(whats.into_iter().zip([steps, states.clone(), states]))
        {
            self.values.insert(output, Meaning::Signal(Signal { axes, what }));
        }
        self.settings.get_or_insert(layer);
        Ok(())
    }

    /// The number of the layer that a recurrent node is, by what it stands on.
    pub(super) fn depth(
        &mut self,
        node: &Node,
        x: Option<Meaning>,
        layer: &Layer,
    ) -> Result<usize, Error> {
        let Some(Meaning::Signal(signal)) = x else {
            return Err(self.refuse(node, "it does not read the series"));
        };
        if signal.axes.len() != 3 || signal.axes[2] != Axis::Width {
            return Err(
                self.refuse(node, "what it reads is not laid out as steps, sequences, values")
            );
        }
        let inputs = layer.sides.first().map_or(0, |side| side.inputs);
        match &signal.what {
            What::Input(scales) => {
                let plain = scales.iter().all(|s| *s == Scale { centre: 0.0, spread: 1.0 });
                let own = match scales.as_slice() {
                    _ if plain => None,
                    [one] => Some(vec![*one; inputs]),
                    all if all.len() == inputs => Some(all.to_vec()),
                    _ => {
                        return Err(
                            self.refuse(node, "its inputs and their scales differ in number")
                        );
                    }
                };
                self.scales = own;
                Ok(0)
            }
            What::Steps(sides) => {
                let order = if layer.batch_first {
                    [Axis::Batch, Axis::Time]
                } else {
                    [Axis::Time, Axis::Batch]
                };
                if signal.axes[..2] != order {
                    return Err(self.refuse(node, "steps and sequences are exchanged before it"));
                }
                let below = sides.first().map_or(0, |&side| self.sides[side].layer);
                if !self.is_whole(sides, below) {
                    return Err(
                        self.refuse(node, "it does not read both directions of one layer in order")
                    );
                }
                Ok(below + 1)
            }
            _ => Err(self.refuse(node, "it stands on something else than steps of a layer")),
        }
    }

    /// Whether these are all directions of a layer, forward first.
    pub(super) fn is_whole(&self, sides: &[usize], layer: usize) -> bool {
        let of_layer = self.sides.iter().filter(|side| side.layer == layer).count();
        sides.len() == of_layer
            && sides.iter().enumerate().all(|(at, &side)| {
                let placed = &self.sides[side];
                placed.layer == layer && placed.reverse == (at == 1)
            })
    }
}
