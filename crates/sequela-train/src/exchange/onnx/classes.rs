//! The end of a classifier's graph: probabilities and the class chosen.

use sequela_formats::onnx::{AttributeValue, Dimension, Element, Node, TensorNumbers, ValueInfo};
use sequela_nn::Loss;

use super::write::Sheet;
use crate::classify::Classes;
use crate::encode::narrow;

/// Writes `probability (B, K)` and `class (B)` behind what the network says: the class weights are
/// taken out and one is chosen as [`classify`](crate::classify()) does.
pub(super) fn tell(sheet: &mut Sheet, classes: &Classes, loss: &Loss, said: &str) {
    let one = matches!(loss, Loss::BinaryCrossEntropy { .. });
    let taken: Vec<f32> = if one {
        vec![narrow(libm::log(classes.weights[1] / classes.weights[0]))]
    } else {
        classes.weights.iter().map(|weight| narrow(libm::log(*weight))).collect()
    };
    let mut logits = said.to_owned();
    if taken.iter().any(|&taken| taken != 0.0) {
        let taken = sheet.constant("weights", &[taken.len()], TensorNumbers::F32(taken));
        logits = sheet.add("Sub", &[&logits, &taken]);
    }
    let probability = if one {
        let second = sheet.add("Sigmoid", &[&logits]);
        let whole = sheet.number(1.0);
        let first = sheet.add("Sub", &[&whole, &second]);
        sheet.concatenate(&[&first, &second], -1)
    } else {
        along(sheet, "Softmax", &logits, &[])
    };
    let class = match classes.threshold {
        Some(threshold) => {
            let second = sheet.constant("second", &[], TensorNumbers::I64(vec![1]));
            let node = Node::new("Gather", &[&probability, &second], &[])
                .with("axis", AttributeValue::Int(1));
            let second = sheet.add_node(node, 1).swap_remove(0);
            let threshold = at_least(threshold);
            let threshold = sheet.constant("threshold", &[], TensorNumbers::F32(vec![threshold]));
            let chosen = sheet.add("GreaterOrEqual", &[&second, &threshold]);
            let node = Node::new("Cast", &[&chosen], &[]).with("to", AttributeValue::Int(INT64));
            sheet.add_node(node, 1).swap_remove(0)
        }
        None => along(sheet, "ArgMax", &probability, &[("keepdims", 0)]),
    };
    sheet.rename(&probability, "probability");
    sheet.rename(&class, "class");
}

/// What a classifier's graph gives, beside states.
pub(super) fn outputs(classes: &Classes) -> Vec<ValueInfo> {
    let batch = || Dimension::Free("batch".into());
    let info =
        |name: &str, element, shape| ValueInfo { name: name.into(), element, shape: Some(shape) };
    vec![
        info("probability", Element::F32, vec![batch(), Dimension::Fixed(classes.names.len())]),
        info("class", Element::I64, vec![batch()]),
    ]
}

/// An operation along the last axis.
fn along(sheet: &mut Sheet, op: &str, value: &str, more: &[(&str, i64)]) -> String {
    let node = Node::new(op, &[value], &[]).with("axis", AttributeValue::Int(-1));
    let node = more
        .iter()
        .fold(node, |node, (name, number)| node.with(name, AttributeValue::Int(*number)));
    sheet.add_node(node, 1).swap_remove(0)
}

/// The smallest f32 that is not below a threshold: an f32 reaches the one where it reaches the other.
fn at_least(threshold: f64) -> f32 {
    let near = narrow(threshold);
    if f64::from(near) < threshold { near.next_up() } else { near }
}

/// The standard's number of this type.
const INT64: i64 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_in_f32_chooses_as_in_f64() {
        for threshold in [0.0, 0.1, 0.3, 0.5, 1.0 / 3.0, f64::from(0.7_f32), 0.999_999_999] {
            let limit = at_least(threshold);
            for p in [limit.next_down(), limit, limit.next_up()] {
                assert_eq!(p >= limit, f64::from(p) >= threshold, "{p} {threshold}");
            }
        }
    }
}
