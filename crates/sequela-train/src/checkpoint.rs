//! The whole state of a run in one file.

use std::path::Path;

use sequela_core::{Limits, Location};

use crate::Error;
use crate::fit::{Fit, Progress};
use crate::tensors::{Array, TensorFile};

/// The state of a run at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) progress: Progress,
    parameters: Vec<f32>,
    best: Option<Vec<f32>>,
    optimiser_step: u64,
    moments: Vec<(&'static str, Vec<f32>)>,
    /// Bytes of `metrics.jsonl`.
    log: u64,
}

/// What a checkpoint belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Belongs {
    /// Digest of the study.
    pub(crate) study: String,
    /// Fingerprint of the data.
    pub(crate) data: String,
}

impl Snapshot {
    /// The present state.
    pub(crate) fn take(fit: &Fit<'_>, log: u64) -> Self {
        let moments = fit.optimiser.state().into_iter();
        Self {
            progress: fit.progress.clone(),
            parameters: fit.parameters.flat().to_vec(),
            best: fit.best.clone(),
            optimiser_step: fit.optimiser.step(),
            moments: moments.map(|(name, values)| (name, values.to_vec())).collect(),
            log,
        }
    }

    /// The state as a file.
    pub(crate) fn to_file(&self, belongs: &Belongs) -> TensorFile {
        let mut file = TensorFile::default();
        let progress = serde_json::to_string(&self.progress).unwrap_or_default();
        for (key, text) in [
            ("kind", "sequela checkpoint".to_owned()),
            ("version", VERSION.to_owned()),
            ("progress", progress),
            ("study", belongs.study.clone()),
            ("data", belongs.data.clone()),
            ("optimiser_step", self.optimiser_step.to_string()),
            ("log", self.log.to_string()),
        ] {
            file.texts.insert(key.to_owned(), text);
        }
        file.arrays.insert("parameters".into(), Array::flat(&self.parameters));
        if let Some(best) = &self.best {
            file.arrays.insert("best".into(), Array::flat(best));
        }
        for (name, values) in &self.moments {
            file.arrays.insert(format!("optimiser.{name}"), Array::flat(values));
        }
        file
    }
}

/// Puts the state of a checkpoint into a network; bytes of the log that belong to it.
pub(crate) fn restore(path: &Path, belongs: &Belongs, fit: &mut Fit<'_>) -> Result<u64, Error> {
    let file = TensorFile::load(path, &Limits::default())?;
    let place = |field: &str| Location::file(path).field(field);
    let refuse = |field: &str, what: &str, hint: &str| Error::Folder {
        location: place(field).into(),
        what: what.into(),
        hint: hint.into(),
    };
    if file.text("kind", path)? != "sequela checkpoint" {
        return Err(Error::integrity(place("kind"), "this is not a checkpoint"));
    }
    if file.text("version", path)? != VERSION {
        return Err(Error::integrity(place("version"), "it is of another version of sequela"));
    }
    if file.text("study", path)? != belongs.study {
        return Err(refuse(
            "study",
            "the checkpoint was made by another study",
            "put back the study.toml of the run, or train anew in another folder",
        ));
    }
    if file.text("data", path)? != belongs.data {
        return Err(refuse(
            "data",
            "the data have changed since the checkpoint was made",
            "put back the data, or train anew in another folder",
        ));
    }
    let number = |field: &str| -> Result<u64, Error> {
        let text = file.text(field, path)?;
        text.parse().map_err(|_| Error::integrity(place(field), "it is not a number"))
    };
    let progress: Progress = serde_json::from_str(file.text("progress", path)?)
        .map_err(|_| Error::integrity(place("progress"), "it cannot be read"))?;
    fit.parameters.set_flat(file.f32("parameters", path)?)?;
    let names: Vec<&'static str> = fit.optimiser.state().iter().map(|(name, _)| *name).collect();
    let mut moments = Vec::with_capacity(names.len());
    for name in names {
        moments.push((name, file.f32(&format!("optimiser.{name}"), path)?));
    }
    fit.optimiser.restore(number("optimiser_step")?, &moments)?;
    fit.best = if file.arrays.contains_key("best") {
        Some(file.f32("best", path)?.to_vec())
    } else {
        None
    };
    fit.progress = progress;
    number("log")
}

/// Version of the format.
const VERSION: &str = "1";
