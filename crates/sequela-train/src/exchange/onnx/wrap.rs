//! A model as a graph: scales before the network, units behind it, states beside it.
//!
//! ```text
//! x (B,T,F) in units --scale--> (T,B,F) --network--> --units--> forecast (B,K), or (B,T,K);
//!                                                        or     probability (B,K) and class (B)
//! lengths (B), h0 [, c0] (L*D,B,H)                              hn [, cn] (L*D,B,H)
//! ```

use sequela_core::Location;
use sequela_formats::onnx::{
    AttributeValue, Dimension, Element, Model as File, Node, TensorNumbers, ValueInfo,
};
use sequela_kernels::recurrent::Cell;
use sequela_nn::{Op, ParamKind, Value};
use sha2::{Digest, Sha256};

use super::classes;
use super::write::{Network, Ragged, Sheet, States, needed};
use crate::Error;
use crate::encode::{Encoder, narrow};
use crate::feed::Form;
use crate::judge::Net;
use crate::model::Model;
use crate::network::CLASS;
use crate::study::{InputKind, TargetKind, hex};

/// The key under which the graph keeps what the model file says.
pub(super) const MANIFEST: &str = "sequela.manifest";

/// The key of the SHA-256 of everything else: a graph that was changed is not an export any more.
pub(super) const DIGEST: &str = "sequela.sha256";

/// The graph of a model.
pub(in super::super) fn export(model: &Model) -> Result<File, Error> {
    let net = model.net();
    let encoder = net.encoder;
    let told = model.manifest().classes.as_ref();
    let output = match (told, net.program.output(CLASS)) {
        (Some(_), Some(output)) => output,
        _ => net.output()?,
    };
    let mut states = states(model, output)?;
    let mut sheet = Sheet::default();
    sheet.graph.name.clone_from(&model.manifest().study.study.name);
    for (part, name) in ["h0", "c0"].into_iter().enumerate().take(1 + usize::from(states.has_cell))
    {
        states.initial[part] = split(&mut sheet, name, states.count);
    }
    let raw = sheet.transpose("x", &[1, 0, 2]);
    let ragged = Ragged::new(&mut sheet, &raw);
    let fed = encode(&mut sheet, encoder, &ragged, &raw);
    let mut network = Network::new((net.program, net.parameters), ragged, states);
    let out = network.write(&mut sheet, &fed, output)?;
    let outputs = if let Some(told) = told {
        classes::tell(&mut sheet, told, &model.manifest().study.train.loss, &out);
        classes::outputs(told)
    } else {
        forecast(&mut sheet, &net, &network.ragged, (&raw, &out))
    };
    let states = network.states;
    for (part, name) in ["hn", "cn"].into_iter().enumerate().take(1 + usize::from(states.has_cell))
    {
        let names: Vec<&str> = states.finals[part].iter().map(String::as_str).collect();
        let all = sheet.concatenate(&names, 0);
        sheet.rename(&all, name);
    }
    declare(&mut sheet, encoder, outputs, &states);
    drop_unused(&mut sheet);
    let manifest = serde_json::to_string(model.manifest()).unwrap_or_default();
    let mut file = File {
        ir_version: 8,
        opset: 17,
        producer: "sequela".into(),
        metadata: vec![(MANIFEST.into(), manifest)],
        graph: sheet.graph,
    };
    let digest = hex(&Sha256::digest(file.to_bytes()));
    file.metadata.push((DIGEST.into(), digest));
    Ok(file)
}

/// Writes `forecast` behind what the network says; its form.
fn forecast(
    sheet: &mut Sheet,
    net: &Net<'_>,
    ragged: &Ragged,
    (raw, out): (&str, &str),
) -> Vec<ValueInfo> {
    let encoder = net.encoder;
    let middle: Vec<i64> = (0..encoder.horizons.len())
        .map(|k| integer(k * net.quantiles.0 + net.quantiles.1))
        .collect();
    let out = if net.quantiles.0 > 1 {
        let columns = sheet.integers(&middle);
        let node = Node::new("Gather", &[out, &columns], &[]).with("axis", AttributeValue::Int(-1));
        sheet.add_node(node, 1).swap_remove(0)
    } else {
        out.to_owned()
    };
    let out = decode(sheet, (encoder, net.form), ragged, (raw, &out));
    let horizons = Dimension::Fixed(encoder.horizons.len());
    let (out, shape) = if net.form == Form::EveryStep {
        let zero = sheet.number(0.0);
        let kept = sheet.add("Where", &[&ragged.mask, &out, &zero]);
        let shape = vec![free("batch"), free("time"), horizons];
        (sheet.transpose(&kept, &[1, 0, 2]), shape)
    } else {
        (out, vec![free("batch"), horizons])
    };
    sheet.rename(&out, "forecast");
    vec![ValueInfo { name: "forecast".into(), element: Element::F32, shape: Some(shape) }]
}

fn free(name: &str) -> Dimension {
    Dimension::Free(name.into())
}

/// The states that the recurrent nodes of a model have.
fn states(model: &Model, output: Value) -> Result<States, Error> {
    let program = model.program();
    let needed = needed(program, output);
    let mut states = States::default();
    for (node, _) in program.nodes().iter().zip(needed).filter(|(_, needed)| *needed) {
        let Op::Recurrent(op) = &node.op else { continue };
        let ParamKind::Recurrent { cell, hidden, .. } = program.params()[op.param.index()].kind
        else {
            continue;
        };
        let has_cell = cell == Cell::Lstm;
        if states.count > 0 && (states.hidden, states.has_cell) != (hidden, has_cell) {
            return Err(Error::foreign(
                Location::default().field(program.params()[op.param.index()].name.as_str()),
                "recurrent layers of different kinds or sizes are not written as ONNX",
                "models of kind sequence are",
            ));
        }
        states = States { count: states.count + 1, hidden, has_cell, ..States::default() };
    }
    Ok(states)
}

/// The initial states of all recurrent nodes.
fn split(sheet: &mut Sheet, name: &str, count: usize) -> Vec<String> {
    if count == 1 {
        return vec![name.to_owned()];
    }
    let sizes = sheet.integers(&vec![1; count]);
    sheet.add_node(Node::new("Split", &[name, &sizes], &[]), count)
}

/// What the network sees of `raw (T, B, F)`, as [`Encoder::rows`] makes it where nothing is
/// missing.
fn encode(sheet: &mut Sheet, encoder: &Encoder, ragged: &Ragged, raw: &str) -> String {
    let scales = &encoder.scaler.channels;
    let mut x = raw.to_owned();
    if scales.iter().any(|scale| scale.centre != 0.0) {
        // In two parts: the first difference is exact near the centre.
        let high: Vec<f32> = scales.iter().map(|scale| narrow(scale.centre)).collect();
        let low = scales.iter().zip(&high).map(|(s, &high)| narrow(s.centre - f64::from(high)));
        let low: Vec<f32> = low.collect();
        for (name, numbers) in [("centre", high), ("centre.rest", low)] {
            if numbers.iter().any(|&number| number != 0.0) {
                let centre = sheet.constant(name, &[numbers.len()], TensorNumbers::F32(numbers));
                x = sheet.add("Sub", &[&x, &centre]);
            }
        }
    }
    if scales.iter().any(|scale| scale.spread.to_bits() != 1.0_f64.to_bits()) {
        let spread: Vec<f32> = scales.iter().map(|scale| narrow(scale.spread)).collect();
        let spread = sheet.constant("spread", &[spread.len()], TensorNumbers::F32(spread));
        x = sheet.add("Div", &[&x, &spread]);
    }
    if encoder.inputs == InputKind::Relative {
        let base = match encoder.output {
            TargetKind::Level => ragged.mean(sheet, &x),
            TargetKind::Value | TargetKind::Change => ragged.last(sheet, &x),
        };
        x = sheet.add("Sub", &[&x, &base]);
    }
    if !encoder.indicators.is_empty() {
        let told = sheet.transpose("indicators", &[1, 0, 2]);
        x = sheet.concatenate(&[&x, &told], -1);
    }
    x
}

/// The forecast in the unit of the target, as [`Encoder::decode`] makes it.
fn decode(
    sheet: &mut Sheet,
    (encoder, form): (&Encoder, Form),
    ragged: &Ragged,
    (raw, out): (&str, &str),
) -> String {
    let factor: Vec<f32> = match encoder.output {
        TargetKind::Value => encoder
            .scaler
            .channels
            .get(encoder.target)
            .map(|s| narrow(s.spread))
            .into_iter()
            .collect(),
        TargetKind::Change | TargetKind::Level => {
            encoder.changes.iter().map(|&change| narrow(change)).collect()
        }
    };
    let mut out = out.to_owned();
    if factor.iter().any(|factor| factor.to_bits() != 1.0_f32.to_bits()) {
        let factor = sheet.constant("unit", &[factor.len()], TensorNumbers::F32(factor));
        out = sheet.add("Mul", &[&out, &factor]);
    }
    if encoder.output == TargetKind::Value {
        let centre = sheet.number(narrow(encoder.centre()));
        return sheet.add("Add", &[&out, &centre]);
    }
    let column = sheet.integers(&[integer(encoder.target)]);
    let node = Node::new("Gather", &[raw, &column], &[]).with("axis", AttributeValue::Int(2));
    let target = sheet.add_node(node, 1).swap_remove(0);
    let anchor = match (form, encoder.output) {
        (Form::EveryStep, _) => target,
        (_, TargetKind::Level) => ragged.mean(sheet, &target),
        _ => ragged.last(sheet, &target),
    };
    sheet.add("Add", &[&out, &anchor])
}

/// Says what is fed and what comes out.
fn declare(sheet: &mut Sheet, encoder: &Encoder, outputs: Vec<ValueInfo>, states: &States) {
    let info = |name: &str, element: Element, shape: Vec<Dimension>| ValueInfo {
        name: name.into(),
        element,
        shape: Some(shape),
    };
    let channels = encoder.scaler.channels.len();
    let steps = |width: usize| vec![free("batch"), free("time"), Dimension::Fixed(width)];
    let state =
        || vec![Dimension::Fixed(states.count), free("batch"), Dimension::Fixed(states.hidden)];
    let graph = &mut sheet.graph;
    graph.inputs.push(info("x", Element::F32, steps(channels)));
    if !encoder.indicators.is_empty() {
        let width = channels * encoder.indicators.len();
        graph.inputs.push(info("indicators", Element::F32, steps(width)));
    }
    graph.inputs.push(info("lengths", Element::I32, vec![free("batch")]));
    graph.outputs.extend(outputs);
    for (initial, last) in
        [("h0", "hn"), ("c0", "cn")].into_iter().take(1 + usize::from(states.has_cell))
    {
        graph.inputs.push(info(initial, Element::F32, state()));
        graph.outputs.push(info(last, Element::F32, state()));
    }
}

/// Leaves out operations and constants whose values nobody reads.
fn drop_unused(sheet: &mut Sheet) {
    let graph = &mut sheet.graph;
    let mut read: std::collections::BTreeSet<String> =
        graph.outputs.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::with_capacity(graph.nodes.len());
    for node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        if node.outputs.iter().any(|name| read.contains(name)) {
            read.extend(node.inputs.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.nodes = kept;
    graph.initializers.retain(|tensor| read.contains(&tensor.name));
}

fn integer(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
