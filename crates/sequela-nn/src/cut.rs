//! Where a program can be cut in time.
//!
//! A program that only looks backward can be run over a piece of the steps at a time, if states
//! are carried from piece to piece. What is not over steps runs before all pieces or after them.

use crate::operation::Cuts;
use crate::plan::{Phase, Plan};
use crate::program::{Program, Rows};

/// When a node runs in a program that is cut in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Once, before the steps.
    Before,
    /// Over each piece of the steps.
    Steps,
    /// Once, after the steps.
    After,
}

/// The stage of each node.
pub(crate) fn stages(program: &Program) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::with_capacity(program.nodes().len());
    for node in program.nodes() {
        let after = node.inputs.iter().any(|input| stages[input.index()] != Stage::Before);
        stages.push(match node.rows {
            Rows::Steps(_) => Stage::Steps,
            Rows::Sequences if after => Stage::After,
            Rows::Sequences => Stage::Before,
        });
    }
    stages
}

/// Why a program cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uncut {
    pub(crate) node: usize,
    pub(crate) why: &'static str,
}

/// Whether a program can be cut in time so that no bit changes.
///
/// `plan` is the plan without cuts.
pub(crate) fn check(program: &Program, plan: &Plan) -> Result<(), Uncut> {
    let nodes = program.nodes();
    let mut users = vec![0; program.params().len()];
    for (index, (node, planned)) in nodes.iter().zip(&plan.nodes).enumerate() {
        if planned.phase == Phase::Never {
            continue;
        }
        let refuse = |why| Err(Uncut { node: index, why });
        if program.layouts().len() > 1 {
            return refuse("the program has steps of several kinds");
        }
        let operation = node.op.operation();
        if let Cuts::No(why) = operation.cuts(&program.parts(), &node.inputs) {
            return refuse(why);
        }
        if planned.stage != Stage::Steps {
            continue;
        }
        for (k, input) in node.inputs.iter().enumerate() {
            match plan.nodes[input.index()].stage {
                Stage::After => return refuse("it starts from the end of other steps"),
                Stage::Before if planned.passes[k].is_some() => {
                    return refuse("it sends a gradient to what is not over steps");
                }
                Stage::Before | Stage::Steps => {}
            }
        }
        if let Some(param) = operation.param() {
            users[param.index()] += 1;
            if users[param.index()] > 1 {
                return refuse("it shares its weights with another layer");
            }
        }
    }
    Ok(())
}
