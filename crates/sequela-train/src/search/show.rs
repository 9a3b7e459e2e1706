//! The files of a finished search.

use std::fmt::Write as _;

use sequela_eval::picture::{Scale, TrialCurve, TrialCurves};
use sequela_eval::table::{Align, Table, number};
use serde_json::{Value, json};

use super::Trial;
use super::rounds::Round;
use crate::report::{RunFile, loss_name};
use crate::study::{Search, SearchMethod, Study};

/// The study with the best settings.
pub(super) const BEST: &str = "best.toml";
/// Every trial, for machines.
pub(super) const NUMBERS: &str = "search.json";
/// The page, which is written last.
pub(super) const PAGE: &str = "search.md";

pub(super) fn files(
    study: &Study,
    search: &Search,
    rounds: &[Round],
    trials: &[Trial],
    best: &Study,
) -> Vec<RunFile> {
    vec![
        (BEST, best.to_toml().into_bytes()),
        (NUMBERS, machine(study, search, rounds, trials).to_string().into_bytes()),
        ("search.svg", picture(study, trials).into_bytes()),
        (PAGE, page(study, search, rounds, trials).into_bytes()),
    ]
}

/// A table of trials, the best first; up to `most` of them.
pub fn table(trials: &[Trial], most: usize) -> Table {
    let fields = trials.first().map_or(&[][..], |trial| &trial.values);
    let mut columns = vec![("trial", Align::Right)];
    columns.extend(fields.iter().map(|(field, _)| (field.as_str(), Align::Right)));
    columns.extend([
        ("tuning loss", Align::Right),
        ("at epoch", Align::Right),
        ("epochs", Align::Right),
    ]);
    let mut table = Table::new(&columns);
    for trial in trials.iter().take(most) {
        let mut cells = vec![trial.number.to_string()];
        cells.extend(trial.values.iter().map(|(_, value)| value.trim_matches('"').to_owned()));
        match trial.best {
            Some((loss, epoch)) => cells.extend([number(loss, 5), epoch.to_string()]),
            None => cells.extend(["not finite".to_owned(), String::new()]),
        }
        cells.push(trial.history.len().to_string());
        table.row(cells);
    }
    if trials.len() > most {
        table.note(&format!("and {} more, in search.md", trials.len() - most));
    }
    if trials.iter().any(|trial| trial.number == 1) {
        table.note("trial 1 is the study as it is");
    }
    table
}

fn page(study: &Study, search: &Search, rounds: &[Round], trials: &[Trial]) -> String {
    let mut text = format!("# {}: search\n\n", study.study.name);
    let _ = writeln!(text, "{} trials, {}.\n", trials.len(), method(search));
    for (at, round) in rounds.iter().enumerate() {
        let plural = if round.trials == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "{}. {} trial{plural} up to epoch {}",
            at + 1,
            round.trials,
            round.epochs
        );
    }
    let _ = write!(text, "\n{}\n", table(trials, usize::MAX).markdown());
    text.push_str(
        "![tuning losses](search.svg)\n\n\
         Trials of later rounds come first, then those with the lower tuning loss. The test part was not looked at.\n\
         The lowest of many tuning losses is lower than what new people would give: judge the best settings by\n\n\
         ```\nsequela train best.toml\n```\n",
    );
    text
}

fn method(search: &Search) -> String {
    match search.method {
        SearchMethod::Random => "each trained to its end".into(),
        SearchMethod::Halving => {
            format!("successive halving: one of {} goes on into the next round", search.reduce)
        }
    }
}

fn machine(study: &Study, search: &Search, rounds: &[Round], trials: &[Trial]) -> Value {
    let rounds: Vec<Value> = rounds
        .iter()
        .map(|round| json!({ "trials": round.trials, "epochs": round.epochs }))
        .collect();
    let trials: Vec<Value> = trials
        .iter()
        .map(|trial| {
            let values: serde_json::Map<String, Value> = trial
                .values
                .iter()
                .map(|(field, value)| (field.clone(), Value::from(value.trim_matches('"'))))
                .collect();
            let losses: Vec<Option<f64>> =
                trial.history.iter().map(|line| line.tune_loss).collect();
            json!({ "trial": trial.number, "values": values, "rounds": trial.rounds,
                "epochs": trial.history.len(), "tune_loss": trial.best.map(|best| best.0),
                "best_epoch": trial.best.map(|best| best.1), "tune_losses": losses })
        })
        .collect();
    json!({ "study": study.study.name, "method": search.method, "seed": study.study.seed,
        "rounds": rounds, "trials": trials })
}

fn picture(study: &Study, trials: &[Trial]) -> String {
    let losses: Vec<Vec<f64>> = trials
        .iter()
        .map(|trial| trial.history.iter().map(|line| line.tune_loss.unwrap_or(f64::NAN)).collect())
        .collect();
    let curves: Vec<TrialCurve<'_>> = trials
        .iter()
        .zip(&losses)
        .map(|(trial, losses)| TrialCurve { number: trial.number, losses })
        .collect();
    let all = || losses.iter().flatten().copied().filter(|loss| loss.is_finite());
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    TrialCurves {
        title: &format!("{}: search", study.study.name),
        loss: &format!("tuning {}", loss_name(study)),
        curves: &curves,
        scale: if least > 0.0 && most > 3.0 * least { Scale::Log } else { Scale::Linear },
    }
    .to_svg()
}
