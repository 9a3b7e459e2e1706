//! Forecasts of models whose state is carried over whole stretches.

use std::ops::Range;

use sequela_data::Cohort;
use sequela_data::gaps::stretches;
use sequela_kernels::Context;
use sequela_nn::{Batch, Capacity, Keep, Runner};

use crate::Error;
use crate::encode::Encoder;
use crate::judge::Net;
use crate::series::Examples;

/// The unbroken stretches of all sequences.
pub(crate) fn all_stretches(encoder: &Encoder, cohort: &Cohort) -> Vec<(usize, Range<usize>)> {
    let longest = encoder.longest_gap_hours.unwrap_or(f64::INFINITY);
    let sequences = cohort.sequences().iter().enumerate();
    sequences
        .flat_map(|(at, sequence)| stretches(sequence, longest).into_iter().map(move |r| (at, r)))
        .collect()
}

/// Forecasts at the last step of every window, after all steps of its stretch before it.
pub(crate) fn forecasts(
    net: &Net<'_>,
    cohort: &Cohort,
    examples: &Examples,
    context: &mut Context,
) -> Result<Vec<f32>, Error> {
    let (encoder, program) = (net.encoder, net.program);
    let horizons = encoder.horizons.len();
    let mut all = vec![0.0; examples.windows.len() * horizons];
    let capacity = Capacity::uniform(program, 1, PIECE);
    let runner = Runner::new(program, &capacity, &Keep::Nothing)?;
    let mut runner = runner.with_precision(net.precision, context)?;
    let mut batch = Batch::new(program, &capacity)?;
    let output = net.output()?;
    let missing = || Error::data("program", "it has no input x over steps", "report this as a bug");
    let layout = program.layout("steps").ok_or_else(missing)?;
    let x = program.input("x").ok_or_else(missing)?;
    let (mut rows, mut outputs, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
    for (at, stretch) in all_stretches(encoder, cohort) {
        let series = &examples.series[at];
        // Windows are in the order of sequences and steps.
        let in_stretch = |start: usize| stretch.contains(&start);
        let windows: Vec<(usize, usize)> = examples
            .windows
            .iter()
            .enumerate()
            .filter(|(_, w)| w.series as usize == at && in_stretch(w.start as usize))
            .map(|(place, w)| (place, w.start as usize + encoder.length - 1))
            .collect();
        let mut next = windows.iter().peekable();
        runner.forget_states();
        let mut from = stretch.start;
        while next.peek().is_some() && from < stretch.end {
            let to = (from + PIECE).min(stretch.end);
            rows.clear();
            encoder.rows(series, stretch.start, from..to, &mut rows);
            batch.set_lengths(layout, &[to - from])?;
            batch.write(x, 0, &rows)?;
            runner.forward(context, net.parameters, &batch)?;
            runner.read(output, &batch, 0, &mut outputs);
            runner.carry_states()?;
            let width = outputs.len() / (to - from);
            while let Some(&(place, last)) = next.next_if(|(_, last)| *last < to) {
                decoded.clear();
                let row = &outputs[(last - from) * width..][..width];
                net.decode(series, (stretch.start, last), row, &mut decoded);
                all[place * horizons..][..horizons].copy_from_slice(&decoded);
            }
            from = to;
        }
    }
    Ok(all)
}

/// Steps run at once.
const PIECE: usize = 512;
