//! What to recompute so that a plan stays within a budget of memory.

use crate::Op;
use crate::batch::Batch;
use crate::cut::{self, Uncut};
use crate::error::Error;
use crate::operations::first_state;
use crate::plan::{Capacity, Phase, Pieces, Plan, Recompute, Wanted};
use crate::program::{Program, Rows};
use crate::state::bytes_of_states;
use crate::walk::{least_rows, most_pieces};
use sequela_core::Location;

/// The plan within `budget` bytes that recomputes least.
pub(crate) fn plan(
    program: &Program,
    capacity: &Capacity,
    wanted: &[Wanted],
    budget: u64,
) -> Result<Plan, Error> {
    let whole = Plan::of(program, capacity, wanted, Recompute::Nothing);
    let mut needed = bytes(&whole, program, capacity);
    if needed <= budget {
        return Ok(whole);
    }
    let uncut = cut::check(program, &whole).err();
    let kind = if uncut.is_none() { Recompute::Steps } else { Recompute::Gates };
    // No piece keeps the gradients of all states.
    let states = wanted.iter().any(|wanted| matches!(wanted, Wanted::States(_)));
    for pieces in candidates(program, capacity).filter(|_| !states) {
        let plan = Plan::of(program, capacity, wanted, kind(pieces));
        let bytes = bytes(&plan, program, capacity);
        if bytes <= budget {
            return Ok(plan);
        }
        needed = needed.min(bytes);
    }
    let why = uncut.map_or_else(String::new, |Uncut { node, why }| {
        let name = program.nodes()[node].op.label(program.params());
        format!(" (only gates can be recomputed, for node {node}, {name}: {why})")
    });
    let why = if states { " (gradients of states are kept for all steps)".into() } else { why };
    let location = Location::default().field("memory");
    Err(Error::Budget { location, needed, budget, why: why.into() })
}

/// Ways to cut, from few long pieces to many short ones.
fn candidates(program: &Program, capacity: &Capacity) -> impl Iterator<Item = Pieces> {
    let steps = program.nodes().iter().filter(|node| matches!(node.rows, Rows::Steps(_)));
    let total = steps.map(|node| capacity.of(node.rows)).max().unwrap_or(0);
    let sequences = capacity.sequences;
    let least = least_rows(sequences);
    let mut share = 2;
    std::iter::from_fn(move || {
        let rows = (total / share).max(least);
        let fits = share == 2 || total / share >= least;
        share += (share / 8).max(1);
        fits.then(|| Pieces { rows, count: most_pieces(total, rows, sequences) })
    })
}

/// Bytes that a runner with this plan takes, with one batch.
pub(crate) fn bytes(plan: &Plan, program: &Program, capacity: &Capacity) -> u64 {
    let mut bytes = Batch::bytes_for(program, capacity);
    let mut add = |more: usize| bytes = bytes.saturating_add(more);
    for &values in plan.slots.iter().chain(&plan.kept) {
        add(values.saturating_mul(4));
    }
    for (spec, &needed) in program.params().iter().zip(&plan.transposed) {
        add(if needed { spec.transposed_len() * 4 } else { 0 });
    }
    add(bytes_of_states(program, plan, capacity));
    if let Recompute::Steps(pieces) = plan.recompute {
        add(Batch::bytes_for(program, &piece_capacity(program, capacity, pieces)));
    }
    bytes as u64
}

/// The capacity of one piece.
pub(crate) fn piece_capacity(program: &Program, capacity: &Capacity, pieces: Pieces) -> Capacity {
    Capacity::uniform(program, capacity.sequences, pieces.rows)
}

/// Whether the gates of a node are recomputed where the program is not cut: those of layers over
/// steps that are trained.
pub(crate) fn recomputes_gates(program: &Program, plan: &Plan, node: usize) -> bool {
    let (planned, node) = (&plan.nodes[node], &program.nodes()[node]);
    let Op::Recurrent(op) = &node.op else { return false };
    let shape = program.params()[op.param.index()].recurrent();
    // The states that a reverse layer is given come in at other steps for each sequence.
    let given = shape.is_some_and(|shape| {
        let reverse = shape.direction == sequela_kernels::recurrent::Direction::Reverse;
        reverse && node.inputs.len() > first_state(shape.cell)
    });
    planned.backward && planned.phase != Phase::Never && planned.rows != Rows::Sequences && !given
}
