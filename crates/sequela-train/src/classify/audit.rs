//! The leakage audit of a classifier, before anything is trained.

use sequela_core::Location;
use sequela_data::audit::{TELLING, fitted_on, same_records, separation};
use sequela_data::split::Parts;

use super::cases::Cases;
use super::summary::{EACH, NAMES, summaries};
use crate::Error;
use crate::encode::Encoder;
use crate::study::Study;

/// Refuses parts between which something leaks, and a channel that tells the class all alone;
/// what was looked at, for the report.
pub(super) fn audit(
    study: &Study,
    parts: &Parts,
    encoder: &Encoder,
    train: &Cases,
    classes: &[String],
) -> Result<String, Error> {
    let channels: Vec<&str> =
        encoder.scaler.channels.iter().map(|channel| channel.name.as_str()).collect();
    for (at, name) in study.audit.allow.iter().enumerate() {
        if !channels.contains(&name.as_str()) && name != LENGTH {
            return Err(Error::Study {
                location: Location::file("study").field(format!("audit.allow[{at}]")).into(),
                what: "there is no such channel".into(),
                hint: crate::study::nearest::hint(name, &channels),
            });
        }
    }
    if study.audit.records {
        same_records(parts)?;
    }
    fitted_on(&parts.train, &encoder.scaler, study.scale.kind)?;
    let most = most_telling(study, train, &channels, classes)?;
    let records = if study.audit.records { "or record " } else { "" };
    let allowed = if study.audit.allow.is_empty() {
        String::new()
    } else {
        format!(" ({} were not looked at)", study.audit.allow.join(", "))
    };
    Ok(format!(
        "leakage audit: no subject {records}is in two parts, scales are of the training part alone, \
         and no single number tells the class{allowed}{}",
        most.map_or_else(String::new, |(what, area)| {
            format!("; the most telling is {what}, AUROC {area:.3} on the training part")
        })
    ))
}

/// The number that separates a class best, of those that are not allowed to; refused from
/// [`TELLING`] on.
fn most_telling(
    study: &Study,
    train: &Cases,
    channels: &[&str],
    classes: &[String],
) -> Result<Option<(String, f64)>, Error> {
    let sample = train.sample(MOST_ROWS, study.study.seed);
    let rows = summaries(train, &sample.rows);
    let width = channels.len() * EACH;
    let length = |&row: &usize| train.seen(row).1.len() as f64;
    let lengths: Vec<f64> = sample.rows.iter().map(length).collect();
    let mut most: Option<(String, f64)> = None;
    let cases = if classes.len() == 2 { 1..2 } else { 0..classes.len() };
    for class in cases {
        let is_class = train.is(class);
        let is_case: Vec<bool> = sample.rows.iter().map(|&row| is_class[row]).collect();
        for column in 0..=width {
            let channel = channels.get(column / EACH).copied().unwrap_or(LENGTH);
            if study.audit.allow.iter().any(|name| name == channel) {
                continue;
            }
            let values: Vec<f64> = if column < width {
                rows.iter().skip(column).step_by(width).copied().collect()
            } else {
                lengths.clone()
            };
            let Some(area) = separation(&values, &is_case) else { continue };
            let number = if column < width { NAMES[column % EACH] } else { "number" };
            if area >= TELLING {
                return Err(Error::Data {
                    location: Location::default().field(channel).into(),
                    what: format!(
                        "its {number} alone tells the class {} (AUROC {area:.3} on the training \
                         part): it looks like something that is known only afterwards",
                        classes[class]
                    ),
                    hint: format!(
                        "take it out of data.values, or, where it is known in time, write \
                         audit.allow = [\"{channel}\"]"
                    ),
                });
            }
            if most.as_ref().is_none_or(|(_, before)| area > *before) {
                most = Some((format!("the {number} of {channel}"), area));
            }
        }
    }
    Ok(most)
}

/// Rows that are looked at, at most.
const MOST_ROWS: usize = 40_000;
/// What stands for the length of the series among the channels.
const LENGTH: &str = "steps";
