//! The files that a training writes while it goes on.

use std::path::{Path, PathBuf};

use sequela_core::{Class, Limits};
use sequela_formats::durable;
use sequela_formats::log::{AppendLog, read_lines};

use crate::Error;
use crate::checkpoint::{Belongs, Snapshot, restore};
use crate::fit::{EpochMetrics, Fit, Sink};
use crate::run::{CHECKPOINT, METRICS, TIMING};

/// Logs and checkpoints in a run folder.
pub(crate) struct RunSink {
    log: AppendLog,
    timing: AppendLog,
    checkpoint: PathBuf,
    saved: bool,
    belongs: Belongs,
}

impl RunSink {
    /// Opens the files, and puts the state of the checkpoint into `fit` where there is one.
    pub(crate) fn open(folder: &Path, belongs: Belongs, fit: &mut Fit<'_>) -> Result<Self, Error> {
        let checkpoint = folder.join(CHECKPOINT);
        let saved = durable::exists(&checkpoint)?;
        let length = if saved { restore(&checkpoint, &belongs, fit)? } else { 0 };
        let timing = folder.join(TIMING);
        let timed = if durable::exists(&timing)? { timed(&timing, fit.progress.epoch)? } else { 0 };
        Ok(Self {
            log: AppendLog::resume(&folder.join(METRICS), length)?,
            timing: AppendLog::resume(&timing, timed)?,
            checkpoint,
            saved,
            belongs,
        })
    }

    /// Makes sure that all lines are on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        Ok(self.log.sync()?)
    }
}

/// Bytes of the lines of `timing.jsonl` that belong to the first `epochs` epochs. The epochs after
/// them are made again, and timed again. A power loss may have spoilt later lines, which are only
/// times: they are left off.
fn timed(path: &Path, epochs: u64) -> Result<u64, Error> {
    let epoch = |line: &str| -> Option<u64> {
        serde_json::from_str::<serde_json::Value>(line).ok()?.get("epoch")?.as_u64()
    };
    let lines = match read_lines(path, &Limits::default()) {
        Ok(read) => read.lines,
        Err(error) if error.class() == Class::Io => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    let kept = lines.iter().take_while(|line| epoch(line).is_some_and(|epoch| epoch <= epochs));
    Ok(kept.map(|line| line.len() as u64 + 1).sum())
}

impl Sink for RunSink {
    fn epoch(&mut self, metrics: &EpochMetrics, seconds: f64) -> Result<(), Error> {
        self.log.append_line(&serde_json::to_string(metrics).unwrap_or_default())?;
        let line = serde_json::json!({ "epoch": metrics.epoch, "seconds": seconds });
        self.timing.append_line(&line.to_string())?;
        Ok(())
    }

    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<&Path, Error> {
        // The lines that a checkpoint counts have to be there whatever happens after it.
        self.log.sync()?;
        snapshot.to_file(&self.belongs).save(&self.checkpoint)?;
        self.saved = true;
        Ok(&self.checkpoint)
    }

    fn length(&self) -> u64 {
        self.log.len()
    }

    fn last(&self) -> Option<&Path> {
        self.saved.then_some(self.checkpoint.as_path())
    }
}

/// Keeps nothing.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn epoch(&mut self, _metrics: &EpochMetrics, _seconds: f64) -> Result<(), Error> {
        Ok(())
    }

    fn checkpoint(&mut self, _snapshot: &Snapshot) -> Result<&Path, Error> {
        Ok(Path::new(""))
    }

    fn length(&self) -> u64 {
        0
    }

    fn last(&self) -> Option<&Path> {
        None
    }
}
