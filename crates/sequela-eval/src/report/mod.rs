//! A report of a classifier for those who have to judge it: one HTML page that holds everything.
//!
//! No script, no style sheet, font or picture from outside: the page can be mailed, archived and
//! printed. All text that comes from data is escaped. The page is a function of what it is made
//! from: the same bytes on every machine.

mod html;
mod tripod;

pub use html::Page;
pub use tripod::{Item, Known, items};

use crate::Error;
use crate::bootstrap::{Bootstrap, Interval};
use crate::classify::{
    Answers, CalibrationGroup, NetBenefit, Ranking, Truth, calibration_spread,
    decision_curve_spread,
};
use crate::picture::{Marked, Spread, Square, SquareLine};
use crate::table::{Align, Table};

/// One classifier of a report: its name, what it says, and its threshold.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it says of each row.
    pub answers: &'a Answers,
    /// The probability of the case from which on it is decided.
    pub threshold: Option<f64>,
}

/// A picture of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// A file name without an ending.
    pub name: &'static str,
    /// What is to be seen, a sentence.
    pub caption: String,
    /// The picture.
    pub svg: String,
}

/// Pictures of one class, and what they are drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// ROC, precision and recall, calibration, decision curve.
    pub figures: Vec<Figure>,
    /// Groups of similar probability of the first classifier, each with the interval of its
    /// observed share.
    pub calibration: (Vec<CalibrationGroup>, Vec<Interval>),
    /// The decision curve of the first classifier, with the interval of its net benefit.
    pub decisions: (Vec<NetBenefit>, Vec<Interval>),
}

/// ROC, precision and recall, calibration and decision curve of one class, `case`; the first
/// classifier is the model, whose calibration and decision curve have intervals by subject.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Value`] for answers that are not one row of probabilities for
/// each row of the truth; [`Error::Nothing`] without rows.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// use sequela_eval::classify::{Answers, Truth};
/// use sequela_eval::report::{Judged, figures};
/// let mut truth = Truth::new(2);
/// let mut answers = Answers::default();
/// for n in 0..20 {
///     truth.push(&SubjectId::new(n.to_string()), u32::from(n % 3 == 0))?;
///     answers.probabilities.extend([0.5, 0.5]);
///     answers.decisions.push(0);
/// }
/// let model = Judged { name: "GRU", answers: &answers, threshold: None };
/// let drawn = figures(&truth, (1, "died"), &[model], &Bootstrap::default())?;
/// assert_eq!((drawn.figures.len(), drawn.decisions.0.len()), (4, 60));
/// # Ok::<(), sequela_eval::Error>(())
/// ```
pub fn figures(
    truth: &Truth,
    (class, case): (usize, &str),
    judged: &[Judged<'_>],
    bootstrap: &Bootstrap,
) -> Result<Drawn, Error> {
    let (classes, label) = (truth.classes(), truth.is(class));
    let cases = label.iter().filter(|label| **label).count() as f64;
    let prevalence = cases / (label.len() as f64).max(1.0);
    // As far as somebody may act: ten times the prevalence, but not where nobody would.
    let most = (10.0 * prevalence).clamp(0.1, 0.6);
    let thresholds: Vec<f64> = (1..=60).map(|k| most * f64::from(k) / 60.0).collect();
    let (mut roc, mut recall) = (Vec::new(), Vec::new());
    let (mut calibrated, mut decisions) = (Vec::new(), Vec::new());
    let mut everybody = Vec::new();
    let (mut model_groups, mut model_curve) = (<_>::default(), <_>::default());
    let none = Bootstrap { replicates: 0, ..*bootstrap };
    for (at, one) in judged.iter().enumerate() {
        // Several bands would hide each other.
        let bootstrap = if at == 0 { bootstrap } else { &none };
        let p = one.answers.of(class, classes);
        let ranking = Ranking::new(&p, &label)?;
        let name = one.name;
        roc.push(SquareLine::roc(name, &ranking.curve(), one.threshold));
        recall.push(SquareLine::precision_recall(name, &ranking.precision_recall()));
        let groups = calibration_spread(truth, (class, &p), GROUPS, bootstrap)?;
        calibrated.push(SquareLine::calibration(name, &groups.0, &groups.1));
        let curve = decision_curve_spread(truth, (class, &p), &thresholds, bootstrap)?;
        decisions.push(SquareLine::decisions(name, &curve.0, &curve.1));
        if at == 0 {
            everybody = curve.0.iter().map(|point| (point.threshold, point.all)).collect();
            (model_groups, model_curve) = (groups, curve);
        }
    }
    let (name, marked, spread) = ("acting on everybody", Marked::None, Spread::None);
    decisions.push(SquareLine { name, points: everybody, marked, spread });
    let told = judged.first().map_or_else(Vec::new, |model| model.answers.of(class, classes));
    // What is ranked: people, or the steps of their series.
    let rows = if truth.steps().is_some() { "steps" } else { "people" };
    let figure = |name, caption: &str, svg| {
        let caption = caption.replace("ROWS", rows);
        Figure { name, caption, svg }
    };
    let figures = vec![
        figure(
            "roc",
            "How the model ranks ROWS: sensitivity over 1 - specificity. Dots: at the threshold \
             of decisions.",
            Square::roc(case, &roc).to_svg(),
        ),
        figure(
            "precision-recall",
            "Of the ROWS that an alarm is raised for, the share that are cases, over the share of \
             cases that is found. The level line is the prevalence.",
            Square::precision_recall(case, prevalence, &recall).to_svg(),
        ),
        figure(
            "calibration",
            "Whether risks come true: tenths of the ROWS by probability. On the diagonal they \
             do; upright lines are 95 % intervals of the model's by subject. Bars: how often the \
             model told each probability. Of rare classes the axes end where the tenths do.",
            Square::calibration(case, &calibrated, &told).to_svg(),
        ),
        figure(
            "decision",
            "Whether acting on the model does more good than acting on everybody or on nobody (the \
             level line), for every threshold at which one might act. Band: 95 % interval of the \
             model's by subject, at each threshold alone.",
            Square::decisions(case, (most, prevalence), &decisions).to_svg(),
        ),
    ];
    Ok(Drawn { figures, calibration: model_groups, decisions: model_curve })
}

/// How much of each channel was there: among those trained on, and among those judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// The channel.
    pub channel: String,
    /// Its unit.
    pub unit: String,
    /// Share of series without any value: of training, of those judged.
    pub absent: [f64; 2],
    /// Share of cells that are missing: likewise.
    pub missing: [f64; 2],
}

/// A row for each channel.
pub fn missing_table(missing: &[Missing]) -> Table {
    let mut table = Table::new(&[
        ("channel", Align::Left),
        ("unit", Align::Left),
        ("never observed, training", Align::Right),
        ("never observed, judged", Align::Right),
        ("cells missing, training", Align::Right),
        ("cells missing, judged", Align::Right),
    ]);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for row in missing {
        let [absent, here] = row.absent.map(percent);
        let [cells, cells_here] = row.missing.map(percent);
        table.row([row.channel.clone(), row.unit.clone(), absent, here, cells, cells_here]);
    }
    table
}

const GROUPS: usize = 10;
