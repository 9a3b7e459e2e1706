//! The description as one page of HTML, with small pictures and without anything from outside.
//!
//! It is made to be shown to others: it has no identifier, no path but the last part, no lowest
//! or highest value, and of a channel that fewer than [`FEWEST`] subjects have no figure of
//! values at all.

use std::fmt::Write as _;
use std::path::Path;

use sequela_eval::picture::escape;
use sequela_eval::table::number;

use super::figures::{Bars, ChannelFigures, Figures};
use super::source::Source;
use super::{bare, facts};

/// The whole page.
pub(super) fn page(path: &Path, source: &Source, figures: &Figures) -> String {
    let said = facts(source, figures).into_iter().map(|(name, fact)| {
        // Shortest and longest may be one subject's; the picture below shows lengths.
        let fact = if name == "sequences" { sequences(figures) } else { fact };
        (name, if name == "times" { times(figures) } else { fact })
    });
    let mut html = opening(path, &said.collect::<Vec<_>>(), &source.findings);
    if figures.sequences >= FEWEST {
        html.push_str("<h2>Steps of a sequence</h2>\n");
        html.push_str(&bars(&figures.length_bars, (480, 90), "steps of a sequence"));
    }
    html.push_str(
        "<h2>Channels</h2>\n<table class=\"channels\">\n<tr><th>channel</th><th>unit</th>\
         <th>observed</th><th>subjects</th><th>5 %</th><th>median</th><th>95 %</th>\
         <th>values</th></tr>\n",
    );
    for channel in &figures.channels {
        html.push_str(&row(channel, figures.subjects));
    }
    html.push_str("</table>\n");
    if !source.left_out.is_empty() {
        html.push_str("<h2>Left out</h2>\n<ul>\n");
        for (column, reason) in &source.left_out {
            let _ = writeln!(html, "<li>{}: {}</li>", escape(column), escape(reason));
        }
        html.push_str("</ul>\n");
    }
    if !source.cohort.notes().is_empty() {
        html.push_str("<h2>Notes</h2>\n<ul>\n");
        for note in source.cohort.notes() {
            let _ = writeln!(html, "<li>{}</li>", escape(note));
        }
        html.push_str("</ul>\n");
    }
    let _ = write!(
        html,
        "<p class=\"small\">Observed: the share of steps at which the channel was measured. \
         Subjects: those with a value. Pictures of values go from their 1st to their 99th \
         hundredth; figures of channels that fewer than {FEWEST} subjects have are left \
         out.</p>\n</body>\n</html>\n"
    );
    html
}

/// The head of a page, its title, what is said of all of it and what should be looked at.
pub(super) fn opening(path: &Path, facts: &[(&str, String)], findings: &[String]) -> String {
    let title = escape(&bare(path));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>{title}: what is in it</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<table class=\"facts\">\n"
    );
    for (name, fact) in facts {
        let _ = writeln!(html, "<tr><th>{name}</th><td>{}</td></tr>", escape(fact));
    }
    html.push_str("</table>\n");
    if !findings.is_empty() {
        html.push_str("<h2>To look at</h2>\n<ul class=\"findings\">\n");
        for finding in findings {
            let _ = writeln!(html, "<li>{}</li>", escape(finding));
        }
        html.push_str("</ul>\n");
    }
    html
}

fn sequences(figures: &Figures) -> String {
    format!(
        "{}, half of them of {} steps or more; {} steps in all",
        figures.sequences,
        number(figures.lengths[2], 0),
        figures.steps
    )
}

fn times(figures: &Figures) -> String {
    if figures.with_times == 0 {
        figures.times()
    } else {
        format!("{} h in all", number(figures.hours, 0))
    }
}

fn row(channel: &ChannelFigures, subjects: usize) -> String {
    let all = (channel.observed + channel.missing).max(1);
    let seen = 100.0 * channel.observed as f64 / all as f64;
    let had = 100.0 * channel.subjects as f64 / subjects.max(1) as f64;
    let shown = channel.subjects >= FEWEST;
    let figure = |value: f64| if shown { number(value, 2) } else { "-".to_owned() };
    let picture = if shown {
        let label = format!("values of {}", channel.name);
        bars(&channel.bars, (144, 28), &label)
    } else {
        String::new()
    };
    format!(
        "<tr><td>{}</td><td>{}</td><td class=\"n\">{} {seen:.1} %</td><td class=\"n\">{} \
         {had:.1} %</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td>{picture}</td></tr>\n",
        escape(&channel.name),
        escape(&channel.unit),
        meter(seen),
        meter(had),
        figure(channel.most[0]),
        figure(channel.quantiles[2]),
        figure(channel.most[1]),
    )
}

/// A share as a bar.
pub(super) fn meter(percent: f64) -> String {
    format!(
        "<svg width=\"60\" height=\"10\" role=\"img\" aria-label=\"{percent:.1} %\">\
         <rect width=\"60\" height=\"10\" fill=\"#e4e4e4\"/>\
         <rect width=\"{:.1}\" height=\"10\" fill=\"#0072b2\"/></svg>",
        0.6 * percent
    )
}

/// Counts as bars, with the ends of their range below where there is room.
pub(super) fn bars(bars: &Bars, (width, height): (u32, u32), label: &str) -> String {
    let tallest = bars.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let written = if height > 60 { 16.0 } else { 0.0 };
    let room = f64::from(height) - written;
    let step = f64::from(width) / bars.counts.len().max(1) as f64;
    let mut svg = format!(
        "<svg width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
        escape(label)
    );
    for (at, count) in bars.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let tall = (room * *count as f64 / tallest).max(1.0);
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"#0072b2\"/>",
            at as f64 * step,
            room - tall,
            step - 1.0
        );
    }
    if written > 0.0 {
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{height}\" dy=\"-3\" font-size=\"12\">{}</text>\
             <text x=\"{width}\" y=\"{height}\" dy=\"-3\" font-size=\"12\" \
             text-anchor=\"end\">{}</text>",
            number(bars.low, 0),
            number(bars.high, 0)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Subjects below which figures of values could be those of single people.
pub(super) const FEWEST: usize = 10;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;\
padding:0 1rem;color:#1a1a1a;background:#fff}h1{font-size:1.5rem;overflow-wrap:anywhere}\
h2{font-size:1.1rem;margin-top:1.8rem}table{border-collapse:collapse}th,td{text-align:left;\
padding:.2rem .8rem .2rem 0;vertical-align:middle}.channels{width:100%}.channels tr{border-bottom:\
1px solid #e4e4e4}.n{font-variant-numeric:tabular-nums;white-space:nowrap}.findings li{color:#a33a00;\
font-weight:600}.small{color:#555;font-size:.85rem;margin-top:2rem}";

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Channel, Schema, Sequence, SubjectId};
    use sequela_data::Cohort;

    fn page_of(subjects: usize) -> String {
        let channel = Channel { name: "<b>hr</b>".into(), unit: "bpm".into() };
        let sequences = (0..subjects)
            .map(|at| {
                let values = [1234.0 + at as f32, 60.0, 61.0];
                let id = format!("canary-{at}");
                Sequence::numeric(&id, SubjectId::new(&id), 1, &values).unwrap()
            })
            .collect();
        let cohort = Cohort::new(Schema::new(vec![channel]), sequences, "canary-source").unwrap();
        let figures = Figures::of(&cohort);
        let source = Source {
            format: "test",
            cohort,
            left_out: vec![],
            classes: None,
            findings: vec!["look & see".into()],
        };
        page(Path::new("/canary-folder/ward.csv"), &source, &figures)
    }

    #[test]
    fn a_page_has_no_identifier_no_extreme_and_nothing_from_outside() {
        let page = page_of(40);
        for hidden in ["canary", "1273", "<b>", "http", "<script"] {
            assert!(!page.contains(hidden), "{hidden}");
        }
        assert!(page.contains("&lt;b&gt;hr") && page.contains("look &amp; see"), "{page}");
        assert!(page.contains("61.00"), "{page}");
    }

    #[test]
    fn few_subjects_have_no_figures_of_values() {
        let page = page_of(9);
        assert!(!page.contains("61.00") && !page.contains("values of"), "{page}");
    }
}
