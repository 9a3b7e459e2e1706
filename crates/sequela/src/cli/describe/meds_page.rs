//! A folder of MEDS as one page of HTML: what [`super::page`] is for series.
//!
//! The same rules hold: no identifier, no path but the last part, no lowest or highest value, no
//! date, and of a code that fewer than [`FEWEST`] subjects have no figure of values.

use std::fmt::Write as _;
use std::path::Path;

use sequela_data::load::{CodeSummary, MedsSummary, MedsValues};
use sequela_eval::picture::escape;
use sequela_eval::table::number;

use super::figures::{Bars, at_share};
use super::meds::{SHOWN, findings, frequent, label_words};
use super::page::{FEWEST, bars, meter, opening};

/// The whole page; `values` are those of the codes that are shown, in their order.
pub(super) fn page(folder: &Path, summary: &MedsSummary, values: &MedsValues) -> String {
    let mut html = opening(folder, &facts(summary, values), &findings(summary));
    if !summary.splits.is_empty() {
        html.push_str("<h2>Splits</h2>\n<table>\n");
        for (part, count) in &summary.splits {
            html.push_str(&shares(part, *count, summary.subjects, "subjects"));
        }
        html.push_str("</table>\n");
    }
    if !summary.labels.is_empty() {
        html.push_str("<h2>Labels</h2>\n<table>\n");
        for (task, labels) in &summary.labels {
            let words = escape(&label_words(labels));
            let _ = writeln!(html, "<tr><th>{}</th><td>{words}</td></tr>", escape(task));
        }
        html.push_str("</table>\n");
    }
    if summary.subjects >= FEWEST {
        let events: Vec<f64> = summary.events_of_subjects.iter().map(|n| *n as f64).collect();
        html.push_str("<h2>Events of a subject</h2>\n");
        html.push_str(&bars(&Bars::of(&events), (480, 90), "events of a subject"));
        if let Some((first, last)) = years(summary, values)
            && first < last
        {
            let times: Vec<f64> = values.times.iter().map(|time| year(*time)).collect();
            let years = Bars { low: first, high: last, ..Bars::of(&times) };
            html.push_str("<h2>Events over the years</h2>\n");
            html.push_str(&bars(&years, (480, 90), "events over the years"));
        }
    }
    html.push_str(
        "<h2>Codes</h2>\n<table class=\"channels\">\n<tr><th>code</th><th>unit</th>\
         <th>events</th><th>with a value</th><th>subjects</th><th>5 %</th><th>median</th>\
         <th>95 %</th><th>values</th></tr>\n",
    );
    for ((name, code), values) in frequent(summary).into_iter().zip(&values.values) {
        html.push_str(&row((name, code), values, summary.subjects));
    }
    html.push_str("</table>\n");
    if summary.codes.len() > SHOWN {
        let rarer = summary.codes.len() - SHOWN;
        let _ = writeln!(html, "<p>{rarer} rarer codes are not shown.</p>");
    }
    let _ = write!(
        html,
        "<p class=\"small\">Pictures go from the 1st to the 99th hundredth; of codes with more \
         than 65,536 values they and the hundredths are of every second, fourth or n-th value. \
         Figures of codes that fewer than {FEWEST} subjects have are left out.</p>\n\
         </body>\n</html>\n"
    );
    html
}

fn facts(summary: &MedsSummary, values: &MedsValues) -> Vec<(&'static str, String)> {
    let times = match years(summary, values) {
        Some((first, last)) if first < last => {
            format!("{} to {} (98 % of the events)", number(first, 0), number(last, 0))
        }
        Some((year, _)) => number(year, 0),
        None => "-".to_owned(),
    };
    vec![
        ("format", format!("MEDS, {} shards", summary.shards)),
        ("subjects", summary.subjects.to_string()),
        ("events", format!("{}, {} of them without a time", summary.events, summary.statics)),
        ("times", times),
        ("codes", summary.codes.len().to_string()),
    ]
}

/// The years between which 98 % of the events lie; `None` where there are none, or of too few.
fn years(summary: &MedsSummary, values: &MedsValues) -> Option<(f64, f64)> {
    let shown = summary.subjects >= FEWEST && !values.times.is_empty();
    let at = |part| year(at_share(&values.times, part, 100)).floor();
    shown.then(|| (at(1), at(99)))
}

/// The year and its part of a time in microseconds, near enough for a picture.
fn year(time: f64) -> f64 {
    1970.0 + time / (365.2425 * 86_400.0 * 1e6)
}

fn shares(name: &str, count: usize, all: usize, what: &str) -> String {
    let percent = 100.0 * count as f64 / all.max(1) as f64;
    format!(
        "<tr><th>{}</th><td class=\"n\">{} {percent:.1} %</td><td class=\"n\">{count} {what}\
         </td></tr>\n",
        escape(name),
        meter(percent)
    )
}

fn row((name, code): (&str, &CodeSummary), values: &[f64], subjects: usize) -> String {
    let valued = 100.0 * code.values as f64 / code.events.max(1) as f64;
    let had = 100.0 * code.subjects as f64 / subjects.max(1) as f64;
    let shown = code.subjects >= FEWEST as u64 && !values.is_empty();
    let figure = |part| if shown { number(at_share(values, part, 100), 2) } else { "-".to_owned() };
    let picture = if shown {
        bars(&Bars::of(values), (144, 28), &format!("values of {name}"))
    } else {
        String::new()
    };
    let unit = code.unit(name);
    let description = if code.description.is_empty() || code.description == unit {
        String::new()
    } else {
        format!("<br><span class=\"small\">{}</span>", escape(&code.description))
    };
    format!(
        "<tr><td>{}{description}</td><td>{unit}</td><td class=\"n\">{}</td><td class=\"n\">{} \
         {valued:.1} %</td><td class=\"n\">{} {had:.1} %</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{picture}</td></tr>\n",
        escape(name),
        code.events,
        meter(valued),
        meter(had),
        figure(5),
        figure(50),
        figure(95),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(subjects: u64) -> String {
        let code = CodeSummary {
            events: 3 * subjects,
            subjects,
            values: 3 * subjects,
            range: [1.0, 61.0, 1273.0],
            description: "<b>heart</b>".into(),
            own_unit: String::new(),
        };
        let count = usize::try_from(subjects).unwrap();
        let summary = MedsSummary {
            shards: 1,
            subjects: count,
            events: 3 * subjects,
            events_of_subjects: vec![3; count],
            span: Some((0, 4_102_444_800_000_000)),
            codes: [("HR//<bpm>//bpm".to_owned(), code)].into(),
            splits: [("train".to_owned(), count)].into(),
            label_faults: vec!["look & see".into()],
            ..MedsSummary::default()
        };
        let mut values = vec![61.0; count * 3 - 1];
        values.push(1273.0);
        let values = MedsValues { times: vec![3e15; count], values: vec![values] };
        page(Path::new("/canary-folder/meds"), &summary, &values)
    }

    #[test]
    fn a_page_has_no_extreme_no_date_and_nothing_from_outside() {
        let page = page_of(40);
        for hidden in ["canary", "1273", "<b>", "<bpm>", "http", "<script", "2100", "1970"] {
            assert!(!page.contains(hidden), "{hidden}");
        }
        for shown in ["&lt;b&gt;heart", "look &amp; see", "61.00", "<td>bpm</td>", "2065", "train"]
        {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }

    #[test]
    fn few_subjects_have_no_figures_of_values() {
        let page = page_of(9);
        for hidden in ["61.00", "values of", "2065", "events of a subject"] {
            assert!(!page.contains(hidden), "{hidden}");
        }
    }
}
