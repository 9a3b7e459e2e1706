//! Answers as lines.

use std::io::Write as _;

use sequela_data::envelope::Placing;
use sequela_formats::csv::{LineFault, push_text};
use serde_json::json;

use super::dialogue::Answers;
use crate::model::Model;
use crate::predict::outside;

/// One answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// The line that is answered.
    pub(super) line: u64,
    /// Whose; empty where lines do not tell.
    pub(super) subject: &'a str,
    /// The time as it was written; empty where lines do not tell.
    pub(super) time: &'a str,
    /// The forecasts, or nothing yet, or what is wrong with the line.
    pub(super) outcome: Result<Option<&'a [f32]>, &'a LineFault>,
    /// Where its window lies, where there is a whole one.
    pub(super) placing: Option<&'a Placing>,
}

/// How answers are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer {
    pub(super) answers: Answers,
    /// Whether answers have a subject and a time.
    pub(super) keys: [bool; 2],
    /// Whether there is a place for faults.
    pub(super) faults: bool,
    /// Number of horizons.
    pub(super) horizons: usize,
    /// Whether it is told where windows lie.
    pub(super) placed: bool,
}

impl Writer {
    /// The header of a table of answers.
    pub(super) fn header(&self, model: &Model, names: [&str; 2], out: &mut Vec<u8>) {
        let step = model.manifest().study.data.step();
        let name = &model.target().name;
        let keys = names.into_iter().zip(self.keys).filter(|(_, there)| *there);
        for (name, _) in keys {
            push_text(out, name);
            out.push(b',');
        }
        for (k, horizon) in model.manifest().encoder.horizons.iter().enumerate() {
            if k > 0 {
                out.push(b',');
            }
            push_text(out, &format!("{name}_{horizon}_{step}s_ahead"));
        }
        if self.placed {
            for column in Placing::COLUMNS {
                out.push(b',');
                out.extend_from_slice(column.as_bytes());
            }
        }
        out.extend_from_slice(if self.faults { b",fault\n" } else { b"\n" });
    }

    /// One answer as one line.
    pub(super) fn write(&self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        match self.answers {
            Answers::Csv => self.csv(answer, out),
            Answers::Json => self.json(answer, out),
        }
    }

    fn csv(&self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        for (text, there) in [answer.subject, answer.time].into_iter().zip(self.keys) {
            if there {
                push_text(out, text);
                out.push(b',');
            }
        }
        let forecasts = answer.outcome.unwrap_or(None);
        for k in 0..self.horizons {
            if k > 0 {
                out.push(b',');
            }
            if let Some(value) = forecasts.and_then(|forecasts| forecasts.get(k)) {
                let _ = write!(out, "{value}");
            }
        }
        if self.placed {
            match answer.placing {
                None => out.extend_from_slice(b",,,"),
                Some(placing) => {
                    out.push(b',');
                    share(libm::round(placing.missing * 1e4) / 1e4, out);
                    out.push(b',');
                    out.extend_from_slice(placing.word().as_bytes());
                    out.push(b',');
                    if !placing.is_inside() {
                        push_text(out, &placing.why());
                    }
                }
            }
        }
        if self.faults {
            out.push(b',');
            if let Err(fault) = answer.outcome {
                push_text(out, &in_words(answer.line, fault));
            }
        }
        out.push(b'\n');
    }

    fn json(&self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        let _ = write!(out, "{{\"line\":{}", answer.line);
        if self.keys[0] {
            out.extend_from_slice(b",\"subject\":");
            let _ = serde_json::to_writer(&mut *out, answer.subject);
        }
        if self.keys[1] {
            out.extend_from_slice(b",\"time\":");
            // A number stays one.
            if serde_json::from_str::<serde_json::Number>(answer.time).is_ok() {
                out.extend_from_slice(answer.time.as_bytes());
            } else {
                let _ = serde_json::to_writer(&mut *out, answer.time);
            }
        }
        match answer.outcome {
            Ok(None) => {
                out.extend_from_slice(b",\"forecasts\":null");
                self.json_placing(answer.placing, out);
            }
            Ok(Some(forecasts)) => {
                out.extend_from_slice(b",\"forecasts\":[");
                for (k, value) in forecasts.iter().enumerate() {
                    if k > 0 {
                        out.push(b',');
                    }
                    // JSON has no word for what is not a number.
                    let _ = if value.is_finite() {
                        write!(out, "{value}")
                    } else {
                        write!(out, "null")
                    };
                }
                out.push(b']');
                self.json_placing(answer.placing, out);
            }
            Err(LineFault { field, what, hint }) => {
                let fault = json!({ "field": field, "message": what, "hint": hint });
                let _ = writeln!(out, ",\"fault\":{fault}}}");
            }
        }
    }

    fn json_placing(&self, placing: Option<&Placing>, out: &mut Vec<u8>) {
        if !self.placed {
            out.extend_from_slice(b"}\n");
            return;
        }
        let Some(placing) = placing else {
            out.extend_from_slice(b",\"missing\":null,\"envelope\":null,\"outside\":null}\n");
            return;
        };
        out.extend_from_slice(b",\"missing\":");
        share(placing.missing, out);
        let _ = write!(out, ",\"envelope\":\"{}\",\"outside\":", placing.word());
        if placing.is_inside() {
            out.extend_from_slice(b"[]}\n");
        } else {
            let _ = writeln!(out, "{}}}", outside(placing));
        }
    }
}

/// A share, as the shortest number; most are nothing.
fn share(share: f64, out: &mut Vec<u8>) {
    if share.abs() > 0.0 {
        let _ = write!(out, "{share}");
    } else {
        out.push(b'0');
    }
}

/// A fault with its place.
fn in_words(line: u64, fault: &LineFault) -> String {
    match &fault.field {
        Some(field) => format!("line {line}, field {field}: {}; {}", fault.what, fault.hint),
        None => format!("line {line}: {}; {}", fault.what, fault.hint),
    }
}
