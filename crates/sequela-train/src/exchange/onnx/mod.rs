//! ONNX: a model as a graph of standard operations, and such graphs as models.
//!
//! `wrap.rs` writes what lies around the network (scales, anchors, states), `write.rs` the network
//! itself, `classes.rs` what a classifier says; `own.rs` takes back what those two wrote, `trace.rs` reads what others write.
//!
//! **Source** the operators of ONNX opset 17, <https://onnx.ai/onnx/operators/>.

mod classes;
mod dense;
mod layers;
mod meaning;
#[cfg(test)]
mod oracle;
mod own;
mod shapes;
mod stack;
mod trace;
mod values;
mod wrap;
mod write;

pub(super) use own::read_own;
pub(super) use trace::read;
pub(super) use wrap::export;
