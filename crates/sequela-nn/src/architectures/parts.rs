//! What several architectures are made of: inputs and heads.

use super::{Features, Head, Interface, configuration};
use crate::builder::Builder;
use crate::error::Error;
use crate::loss::LossTerm;
use crate::operations::{Activate, Combine, Concatenate, Embedding, Linear, Spread};
use crate::param::{Initial, ParamKind, ParamSpec};
use crate::program::{Param, Rows, Scalar, Value};
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;

/// The input of steps: numbers as they are, symbols through an embedding of this width.
pub(super) fn steps(
    builder: &mut Builder,
    prefix: &str,
    features: Features,
    embedding: usize,
    initial: Initial,
) -> Result<Value, Error> {
    let layout = builder.layout(&format!("{prefix}steps"));
    let rows = Rows::Steps(layout);
    let vocabulary = match features {
        Features::Numeric { width } | Features::Measured { width, .. } => {
            return builder.input(&format!("{prefix}x"), rows, width);
        }
        Features::Tokens { vocabulary } | Features::Bags { vocabulary } => vocabulary,
    };
    if vocabulary == 0 || embedding == 0 {
        return Err(configuration("embedding", "a size is 0", "use at least 1"));
    }
    let ids = builder.ids(&format!("{prefix}ids"), rows, vocabulary);
    let param = builder.param(ParamSpec {
        name: format!("{prefix}embedding"),
        kind: ParamKind::Table { rows: vocabulary, width: embedding },
        initial,
    });
    builder.add(Embedding { param, ids, combine: Combine::Sum }, &[])
}

/// The weights of a dense layer.
pub(super) fn dense(
    builder: &mut Builder,
    name: impl Into<String>,
    (inputs, outputs): (usize, usize),
    bias: Bias,
    initial: Initial,
) -> Param {
    let kind = ParamKind::Linear { inputs, outputs, bias };
    builder.param(ParamSpec { name: name.into(), kind, initial })
}

/// Puts the statics, if there are any, beside a value.
pub(super) fn with_statics(
    builder: &mut Builder,
    interface: &Interface,
    value: Value,
    rows: Rows,
) -> Result<Value, Error> {
    if interface.statics == 0 {
        return Ok(value);
    }
    let mut statics = builder.input("statics", Rows::Sequences, interface.statics)?;
    if let Rows::Steps(layout) = rows {
        statics = builder.add(Spread { layout }, &[statics])?;
    }
    builder.add(Concatenate {}, &[value, statics])
}

/// How heads are built.
#[derive(Clone, Copy)]
pub(super) struct HeadStyle<'a> {
    /// Widths of the layers, with ReLU, before each output.
    pub(super) hidden: &'a [usize],
    pub(super) initial: Initial,
    /// What the rows of the value are.
    pub(super) rows: Rows,
}

/// Adds all heads on `value`, with their losses.
pub(super) fn heads(
    builder: &mut Builder,
    heads: &[Head],
    value: Value,
    style: HeadStyle<'_>,
) -> Result<(), Error> {
    for head in heads {
        let mut x = value;
        for (index, &width) in style.hidden.iter().enumerate() {
            let name = format!("heads.{}.hidden{index}", head.name);
            let sizes = (builder.width(x), width);
            let param = dense(builder, name, sizes, Bias::Trained, style.initial);
            x = builder.add(Linear { param }, &[x])?;
            x = builder.add(Activate { kind: Activation::Relu }, &[x])?;
        }
        let name = format!("heads.{}", head.name);
        let sizes = (builder.width(x), head.width());
        let param = dense(builder, name, sizes, Bias::Trained, style.initial);
        let prediction = builder.add(Linear { param }, &[x])?;
        let width = head.target_width();
        let target = builder.input(&format!("target.{}", head.name), style.rows, width)?;
        judge(builder, head, prediction, target, style.rows)?;
    }
    Ok(())
}

/// Names a prediction as the head's output and adds its loss.
pub(super) fn judge(
    builder: &mut Builder,
    head: &Head,
    prediction: Value,
    target: Value,
    rows: Rows,
) -> Result<(), Error> {
    let weight = builder.input(&format!("weight.{}", head.name), rows, builder.width(target))?;
    let scale = Scalar::Input(builder.scalar(&format!("scale.{}", head.name)));
    builder.output(&head.name, prediction);
    let (kind, weight) = (head.loss.clone(), Some(weight));
    builder.loss(LossTerm { kind, prediction, target, weight, scale });
    Ok(())
}
