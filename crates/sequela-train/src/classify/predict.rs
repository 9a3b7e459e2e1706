//! Classes of new series.

use sequela_core::Sequence;
use sequela_data::envelope::Placing;
use sequela_formats::csv::{Cell, to_csv};
use sequela_kernels::Context;
use sequela_nn::{Batch, Keep, Loss, Parameters, Runner};
use serde_json::json;

use super::Classes;
use super::cases::{Asked, Cases};
use super::feed::SeriesFeed;
use crate::Error;
use crate::encode::narrow;
use crate::feed::{Feed as _, Order, Ports};
use crate::model::Model;
use crate::network::CLASS;
use crate::predict::{Options, count_outside, outside, placing_cells};

/// The classes of several series.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// What was told.
    pub label: String,
    /// The classes, one for each probability of a row.
    pub classes: Vec<String>,
    /// The probability of the second of two classes from which on it is chosen.
    pub threshold: Option<f64>,
    /// In the order of the series.
    pub rows: Vec<ClassifiedRow>,
}

/// The class of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifiedRow {
    /// Whose.
    pub subject: String,
    /// Name of the series.
    pub sequence: String,
    /// Steps that were looked at.
    pub steps: usize,
    /// The step that is told of, where it is not all of the series.
    pub at: Option<StepAt>,
    /// The probability of each class.
    pub probabilities: Vec<f32>,
    /// The class chosen, by position.
    pub decision: usize,
    /// How much of it is missing, and whether it lies inside what the model has seen in training;
    /// of a step from what was seen up to it. None where the model file does not know.
    pub placing: Option<Placing>,
}

/// A step of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepAt {
    /// Its number, from 0.
    pub step: usize,
    /// Its time in hours, where the series has times.
    pub time: Option<f64>,
}

impl Classified {
    /// A table with one row for each series, or for each step: subject, of a step its number and
    /// hours, probability of each class, class; share of cells that are missing (so far), `inside` or
    /// `outside` of what was seen in training, and why.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut header = vec!["subject".to_owned()];
        let is_steps = self.rows.iter().any(|row| row.at.is_some());
        if is_steps {
            header.extend(["step", "time_h"].map(str::to_owned));
        }
        header.extend(self.classes.iter().map(|class| format!("probability of {class}")));
        header.push(self.label.clone());
        let placed = self.rows.iter().any(|row| row.placing.is_some());
        if placed {
            header.extend(Placing::COLUMNS.map(str::to_owned));
        }
        let rows: Vec<Vec<Cell>> = self
            .rows
            .iter()
            .map(|row| {
                let mut cells = vec![Cell::Text(row.subject.clone())];
                if let Some(StepAt { step, time }) = row.at {
                    cells.push(i64::try_from(step).map_or(Cell::Missing, Cell::Integer));
                    cells.push(time.map_or(Cell::Missing, Cell::Number));
                }
                // Through its own shortest digits, so that 0.3 is not 0.30000001.
                cells.extend(
                    row.probabilities
                        .iter()
                        .map(|p| Cell::Number(p.to_string().parse().unwrap_or(f64::from(*p)))),
                );
                cells.push(Cell::Text(self.classes[row.decision].clone()));
                if placed {
                    cells.extend(placing_cells(row.placing.as_ref()));
                }
                cells
            })
            .collect();
        to_csv(&header.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
    }

    /// How many answers lie outside of what was seen in training; none where the model file does not
    /// know.
    pub fn outside(&self) -> Option<usize> {
        count_outside(self.rows.iter().map(|row| row.placing.as_ref()))
    }

    /// The same as JSON.
    pub fn to_json(&self) -> String {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let mut value = json!({
                    "subject": row.subject,
                    "sequence": row.sequence,
                    "probabilities": row.probabilities,
                    "class": self.classes[row.decision],
                    "missing": row.placing.as_ref().map(|placing| placing.missing),
                    "envelope": row.placing.as_ref().map(Placing::word),
                    "outside": row.placing.as_ref().map(outside),
                });
                if let Some(StepAt { step, time }) = row.at {
                    value["step"] = step.into();
                    value["time_hours"] = time.into();
                } else {
                    value["steps"] = row.steps.into();
                }
                value
            })
            .collect();
        json!({
            "label": self.label,
            "classes": self.classes,
            "threshold": self.threshold,
            "rows": rows,
        })
        .to_string()
    }
}

/// The class of each series, or of each of its steps, with the probabilities of all classes.
///
/// **Causality** what is said of a step has the same bits whatever comes after it.
///
/// **Missing data** a series or step with nothing observed gets an answer too: look at its missing
/// values before it is used. **Determinism** the same bits for a series alone or among others, for any
/// number of threads, and those of the judgement at the end of training.
///
/// # Errors
/// [`Error::Unsupported`] where the model does not classify; [`Error::Data`] for a series of other
/// channels.
pub fn classify(
    model: &Model,
    sequences: &[Sequence],
    options: &Options<'_>,
) -> Result<Classified, Error> {
    let classes = model.classes()?;
    let manifest = model.manifest();
    let asked = Asked::every(&manifest.study);
    let cases = Cases::of(&model.cohort(sequences)?, &manifest.encoder, asked)?;
    let mut context = Context::new(options.threads.max(1))?;
    let probabilities = probabilities(model, classes, &cases, &mut context)?;
    let wide: Vec<f64> = probabilities.iter().map(|&p| f64::from(p)).collect();
    let decisions = classes.decide(&wide, classes.threshold);
    let is_steps = asked == Asked::EveryStep;
    let mut placings = placings(model, sequences, &cases).into_iter();
    let rows = probabilities.chunks_exact(classes.count()).zip(decisions).enumerate();
    let rows = rows.map(|(row, (probabilities, decision))| {
        let (of, step) = cases.place(row);
        let sequence = &sequences[of];
        ClassifiedRow {
            subject: sequence.subject.as_str().to_owned(),
            sequence: sequence.id.clone(),
            steps: cases.seen(row).1.len(),
            at: is_steps.then(|| StepAt {
                step,
                time: sequence.times.as_ref().and_then(|times| times.get(step)).copied(),
            }),
            probabilities: probabilities.to_vec(),
            decision: decision as usize,
            placing: placings.next().flatten(),
        }
    });
    Ok(Classified {
        label: classes.label.clone(),
        classes: classes.names.clone(),
        threshold: classes.threshold,
        rows: rows.collect(),
    })
}

/// Where each row lies, the row of a step from what was seen up to it: what is said of a step must
/// not hang on later ones.
fn placings(model: &Model, sequences: &[Sequence], cases: &Cases) -> Vec<Option<Placing>> {
    let Some(envelope) = &model.manifest().encoder.envelope else { return Vec::new() };
    if cases.steps.is_none() {
        return sequences.iter().map(|sequence| Some(envelope.place(sequence))).collect();
    }
    let mut all = Vec::with_capacity(cases.len());
    for (at, sequence) in sequences.iter().enumerate() {
        let mut steps = envelope.place_steps(sequence).map(Vec::into_iter);
        let mut next = 0;
        all.extend(cases.rows_of(at).map(|row| {
            let step = cases.place(row).1;
            let skipped = step - std::mem::replace(&mut next, step + 1);
            steps.as_mut().and_then(|steps| steps.nth(skipped))
        }));
    }
    all
}

/// The probability of each class, `(N, K)`, in the population that was trained on: that of the
/// networks, or of an ensemble with trees that of both.
pub(super) fn probabilities(
    model: &Model,
    classes: &Classes,
    cases: &Cases,
    context: &mut Context,
) -> Result<Vec<f32>, Error> {
    let networks = network_probabilities(model, classes, cases, context)?;
    let trees = match (classes.share, &classes.trees) {
        (Some(_), Some(trees)) => trees.probabilities(cases),
        _ => Vec::new(),
    };
    Ok(answer(classes, networks, &trees))
}

/// What a model answers where its networks and its trees say these probabilities.
pub(super) fn answer(classes: &Classes, networks: Vec<f32>, trees: &[f64]) -> Vec<f32> {
    let mut all = networks;
    if let (Some(share), Some(_)) = (classes.share, &classes.trees) {
        let networks: Vec<f64> = all.iter().map(|&p| f64::from(p)).collect();
        let both = blend(&networks, trees, share, classes.count());
        all = both.into_iter().map(narrow).collect();
    }
    recalibrate(classes, &mut all);
    all
}

/// The weights of all networks of a model.
pub(super) fn members(model: &Model) -> Vec<&Parameters> {
    std::iter::once(model.parameters()).chain(model.others()).collect()
}

/// The mean of log probabilities, of which the first count for `share`, as probabilities.
pub(super) fn blend(one: &[f64], other: &[f64], share: f64, classes: usize) -> Vec<f64> {
    let mut all = Vec::with_capacity(one.len());
    for (one, other) in one.chunks_exact(classes).zip(other.chunks_exact(classes)) {
        let log = |p: f64| libm::log(libm::fmax(p, LEAST));
        let logs = one.iter().zip(other).map(|(&a, &b)| share * log(a) + (1.0 - share) * log(b));
        let logs: Vec<f64> = logs.collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| libm::exp(log - most)).sum();
        all.extend(logs.iter().map(|log| libm::exp(log - most) / sum));
    }
    all
}

/// No probability counts for less: one side must not rule alone.
const LEAST: f64 = 1e-7;

/// The probability of each class, `(N, K)`, that the networks of a model say: that of the mean of
/// their logits, before they are blended and recalibrated.
pub(super) fn network_probabilities(
    model: &Model,
    classes: &Classes,
    cases: &Cases,
    context: &mut Context,
) -> Result<Vec<f32>, Error> {
    said_by((model, &members(model)), classes, cases, context)
}

/// The same that some of the networks of a model say.
pub(super) fn said_by(
    (model, members): (&Model, &[&Parameters]),
    classes: &Classes,
    cases: &Cases,
    context: &mut Context,
) -> Result<Vec<f32>, Error> {
    let (program, study) = (model.program(), &model.manifest().study);
    let ports = Ports::find(program, CLASS)?;
    let output = program.output(CLASS).ok_or_else(|| {
        Error::data("program", "it has no output called class", "report this as a bug")
    })?;
    let encoder = &model.manifest().encoder;
    let (batch, given) = (cases.at_once(study.train.batch), Order::Given);
    let mut feed = SeriesFeed::new((encoder, cases), &classes.weights, ports, batch, given);
    let is_steps = cases.steps.is_some();
    let capacity = feed.capacity(program);
    let mut runner = Runner::new(program, &capacity, &Keep::Nothing)?;
    let mut batch = Batch::new(program, &capacity)?;
    let (mut logits, mut row, mut each) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = Vec::with_capacity(cases.len() * classes.count());
    for step in 0..feed.steps() {
        feed.fill(step, &mut batch)?;
        let series: Vec<usize> = feed.members(step).iter().map(|&at| at as usize).collect();
        let rows: usize = series.iter().map(|&at| cases.rows_of(at).len()).sum();
        let mut sums: Vec<f64> = Vec::new();
        for parameters in members {
            runner.forward(context, parameters, &batch)?;
            each.clear();
            for (b, &at) in series.iter().enumerate() {
                runner.read(output, &batch, b, &mut logits);
                if !is_steps {
                    each.extend(logits.iter().map(|&logit| f64::from(logit)));
                    continue;
                }
                let (start, steps) = (cases.spans[at].start, cases.spans[at].len());
                let width = logits.len() / steps.max(1);
                for row in cases.rows_of(at) {
                    let from = (cases.place(row).1 - start) * width;
                    each.extend(logits[from..from + width].iter().map(|&logit| f64::from(logit)));
                }
            }
            sums.resize(each.len(), 0.0);
            sums.iter_mut().zip(&each).for_each(|(sum, logit)| *sum += logit);
        }
        for sums in sums.chunks_exact((sums.len() / rows.max(1)).max(1)) {
            logits.clear();
            logits.extend(sums.iter().map(|sum| narrow(sum / members.len() as f64)));
            unweigh(&mut logits, &classes.weights);
            row.clear();
            row.resize(logits.len(), 0.0);
            study.train.loss.probabilities(&logits, &mut row);
            if let Loss::BinaryCrossEntropy { .. } = study.train.loss {
                all.push(1.0 - row[0]);
            }
            all.extend_from_slice(&row);
        }
    }
    Ok(all)
}

/// Makes probabilities come true, where the model file knows how; the same lines for a file of
/// people, one alone, the judgement at the end of training.
fn recalibrate(classes: &Classes, probabilities: &mut [f32]) {
    let Some(map) = &classes.recalibration else { return };
    let mut wide = vec![0.0; classes.count()];
    for row in probabilities.chunks_exact_mut(classes.count()) {
        wide.iter_mut().zip(row.iter()).for_each(|(wide, p)| *wide = f64::from(*p));
        map.apply(&mut wide);
        row.iter_mut().zip(&wide).for_each(|(p, wide)| *p = narrow(*wide));
    }
}

/// Takes the class weights out of what the network says: out of the logits of all classes, or out
/// of the log odds of the second of two.
fn unweigh(logits: &mut [f32], weights: &[f64]) {
    match logits {
        [odds] => *odds = narrow(f64::from(*odds) - libm::log(weights[1] / weights[0])),
        _ => {
            for (logit, weight) in logits.iter_mut().zip(weights) {
                *logit = narrow(f64::from(*logit) - libm::log(*weight));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_taken_out_by_bayes_rule() {
        let weights = [0.5, 2.0, 4.0];
        let mut logits = [0.3, -0.2, 1.1];
        let (mut weighed, mut out) = ([0.0; 3], [0.0; 3]);
        let loss = Loss::CrossEntropy { class_weights: Vec::new() };
        loss.probabilities(&logits, &mut weighed);
        unweigh(&mut logits, &weights);
        loss.probabilities(&logits, &mut out);
        let shares: Vec<f64> =
            weighed.iter().zip(weights).map(|(p, w)| f64::from(*p) / w).collect();
        let sum: f64 = shares.iter().sum();
        for (found, share) in out.iter().zip(shares) {
            assert!((f64::from(*found) - share / sum).abs() < 1e-6);
        }
        let mut odds = [0.8];
        unweigh(&mut odds, &[0.5, 4.0]);
        assert!((f64::from(odds[0]) - (0.8 - libm::log(8.0))).abs() < 1e-6);
    }
}
