//! What types cannot say about a study: ranges, and fields that have to agree.

use sequela_core::Location;
use sequela_nn::{Architecture, Clip, Loss, Pooling, Retain};

use super::{Data, InputKind, MedsData, Schedule, SplitBy, Study, TargetKind, Task, ValueSpec};
use crate::Error;

/// Finds the place of a field.
type Place<'a> = &'a dyn Fn(&[String]) -> Location;

/// Refuses a study that cannot be run.
pub(super) fn check(study: &Study, place: Place<'_>) -> Result<(), Error> {
    let check = Check { place };
    if study.study.name.trim().is_empty() {
        return Err(check.refuse("study.name", "the name is empty", "give it a word or two"));
    }
    check.data(study)?;
    check.folds(study)?;
    check.task(study)?;
    if study.study.task == Task::Forecast {
        check.window(study)?;
        check.loss(study)?;
    }
    check.train(study)?;
    check.schedule(study)?;
    check.model(study)?;
    check.fading(study)?;
    check.search(study)?;
    match not_finite(study) {
        Some(field) => Err(check.refuse(&field, "the number is not finite", "give another one")),
        None => Ok(()),
    }
}

/// The first field whose number is infinite or none, also where it is too large for an f32.
fn not_finite(study: &Study) -> Option<String> {
    fn of(value: &toml::Value, path: &str) -> Option<String> {
        match value {
            toml::Value::Float(number) => (!number.is_finite()).then(|| path.to_owned()),
            toml::Value::Array(list) => list.iter().find_map(|value| of(value, path)),
            toml::Value::Table(table) => table.iter().find_map(|(key, value)| {
                of(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") })
            }),
            _ => None,
        }
    }
    of(&toml::Value::try_from(study).ok()?, "")
}

/// The checks, and where fields stand.
pub(super) struct Check<'a> {
    place: Place<'a>,
}

impl Check<'_> {
    pub(super) fn at(&self, field: &str) -> Location {
        let path: Vec<String> = field.split('.').map(str::to_owned).collect();
        (self.place)(&path)
    }

    pub(super) fn refuse(&self, field: &str, what: &str, hint: &str) -> Error {
        Error::Study { location: self.at(field).into(), what: what.into(), hint: hint.into() }
    }

    /// Refuses 0 and what is over the limit.
    pub(super) fn count(&self, field: &str, value: u64, limit: u64) -> Result<(), Error> {
        if value == 0 {
            return Err(self.refuse(field, "it is 0", "give at least 1"));
        }
        self.at_most(field, value, limit)
    }

    pub(super) fn at_most(&self, field: &str, value: u64, limit: u64) -> Result<(), Error> {
        if value <= limit {
            return Ok(());
        }
        Err(Error::TooLarge {
            location: self.at(field).into(),
            what: value.to_string(),
            limit,
            hint: "make it smaller".into(),
        })
    }

    fn data(&self, study: &Study) -> Result<(), Error> {
        match &study.data {
            Data::Csv(data) => {
                if data.values.is_empty() {
                    return Err(self.refuse(
                        "data.values",
                        "there is no column of values",
                        "write values = [{ name = \"heart_rate\", unit = \"bpm\" }]",
                    ));
                }
                let names: Vec<&str> =
                    data.values.iter().map(|value| value.name.as_str()).collect();
                if let Some(target) = &data.target
                    && !names.contains(&target.as_str())
                {
                    let hint = super::nearest::hint(target, &names);
                    return Err(self.refuse("data.target", "it is not among data.values", &hint));
                }
                if data.every_seconds.is_some_and(|seconds| !(seconds > 0.0 && seconds.is_finite()))
                {
                    return Err(self.refuse(
                        "data.every_seconds",
                        "it is not a positive number",
                        "give the seconds of one step",
                    ));
                }
                if data.long.is_some() && (data.subject.is_none() || data.time.is_none()) {
                    return Err(self.refuse(
                        "data.long",
                        "a long table needs a column of subjects and one of times",
                        "name them: subject = \"...\", time = { name = \"...\" }",
                    ));
                }
                if data.every_seconds.is_some() && data.time.is_none() {
                    return Err(self.refuse(
                        "data.every_seconds",
                        "a grid of times needs a column of times",
                        "name it: time = { name = \"time\", format = \"seconds\" }",
                    ));
                }
            }
            Data::Simulated(data) => {
                self.count("data.subjects", data.subjects as u64, 100_000)?;
                if !(data.hours > 0.0 && data.hours <= 24.0 * 365.0) {
                    return Err(self.refuse(
                        "data.hours",
                        "it is not between 0 and a year",
                        "give for example hours = 24",
                    ));
                }
            }
            Data::Physionet2012(data) => {
                let positive = |number: f64| number > 0.0 && number.is_finite();
                if !positive(data.hours) {
                    let hint = "give for example hours = 48";
                    return Err(self.refuse("data.hours", "it is not a positive number", hint));
                }
                if data.every_seconds.is_some_and(|seconds| !(seconds >= 60.0 && positive(seconds)))
                {
                    return Err(self.refuse(
                        "data.every_seconds",
                        "it is less than the minute in which times are given",
                        "give for example every_seconds = 3600",
                    ));
                }
            }
            Data::Meds(data) => self.meds(data, study.split.by)?,
            Data::Wfdb(data) => {
                self.signals(&data.values, data.target.as_deref(), data.every_seconds)?;
                if data.values.is_empty() && (data.every_seconds.is_some() || data.target.is_some())
                {
                    return Err(self.refuse(
                        "data.values",
                        "no signal is named, so a step is a heart beat",
                        "name the signals: values = [{ name = \"MLII\", unit = \"mV\" }]",
                    ));
                }
            }
            Data::Edf(data) => {
                self.signals(&data.values, data.target.as_deref(), data.every_seconds)?;
            }
            Data::Npy(_) | Data::Physionet2019(_) | Data::Article(_) => {}
        }
        Ok(())
    }

    /// Refuses a forecast of a signal that is not named, and a grid of no length.
    fn signals(
        &self,
        values: &[ValueSpec],
        target: Option<&str>,
        every_seconds: Option<f64>,
    ) -> Result<(), Error> {
        let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
        if let Some(target) = target.filter(|target| !names.is_empty() && !names.contains(target)) {
            let hint = super::nearest::hint(target, &names);
            return Err(self.refuse("data.target", "it is not among data.values", &hint));
        }
        if every_seconds.is_some_and(|seconds| !(seconds > 0.0 && seconds.is_finite())) {
            return Err(self.refuse(
                "data.every_seconds",
                "it is not a positive number",
                "give the seconds of one step",
            ));
        }
        Ok(())
    }

    /// Refuses codes that nobody names, and a grid of no length.
    fn meds(&self, data: &MedsData, by: SplitBy) -> Result<(), Error> {
        if data.channels.is_empty() == data.frequent.is_none() {
            return Err(self.refuse(
                "data.channels",
                "either the codes are named, or how many of the most frequent are taken",
                "write channels = [{ name = \"HR\" }], or frequent = 50",
            ));
        }
        if let Some(count) = data.frequent {
            self.count("data.frequent", count as u64, 65_536)?;
            if by != SplitBy::Published {
                return Err(self.refuse(
                    "data.frequent",
                    "who is trained on is not known before the codes are",
                    "write by = \"published\" in [split], or name the codes in data.channels",
                ));
            }
        }
        for (field, number) in
            [("data.every_seconds", data.every_seconds), ("data.hours", data.hours)]
        {
            if number.is_some_and(|number| !(number > 0.0 && number.is_finite())) {
                let hint = "give for example every_seconds = 3600, hours = 48";
                return Err(self.refuse(field, "it is not a positive number", hint));
            }
        }
        Ok(())
    }

    fn window(&self, study: &Study) -> Result<(), Error> {
        let window = &study.window;
        self.count("window.length", window.length as u64, STEPS)?;
        self.count("window.stride", window.stride as u64, STEPS)?;
        self.count("evaluate.stride", study.evaluate.stride as u64, STEPS)?;
        if window.horizons.is_empty() {
            return Err(self.refuse(
                "window.horizons",
                "there is no horizon",
                "give for example horizons = [1, 5, 30]",
            ));
        }
        self.at_most("window.horizons", window.horizons.len() as u64, 4096)?;
        let rising = window.horizons.windows(2).all(|pair| pair[0] < pair[1]);
        if window.horizons[0] == 0 || !rising {
            return Err(self.refuse(
                "window.horizons",
                "they are not rising numbers from 1",
                "give for example horizons = [1, 5, 30]",
            ));
        }
        let furthest = window.horizons[window.horizons.len() - 1];
        self.at_most("window.horizons", furthest as u64, STEPS)?;
        let whole = window.inputs == InputKind::Relative || window.target == TargetKind::Level;
        if let (true, Architecture::Sequence(model)) = (whole, &study.model)
            && model.pooling == Pooling::None
        {
            return Err(self.refuse(
                "model.pooling",
                "inputs or targets that look at the whole window go with one forecast for each window",
                "write pooling = \"last\" in [model]",
            ));
        }
        if window.inputs == InputKind::Relative && window.target == TargetKind::Value {
            return Err(self.refuse(
                "window.inputs",
                "relative inputs tell nothing of the level that the target has",
                "write target = \"change\" or target = \"level\"",
            ));
        }
        if !(0.0..=1.0).contains(&window.most_missing) {
            return Err(self.refuse(
                "window.most_missing",
                "it is not a share between 0 and 1",
                "give for example 0.5",
            ));
        }
        Ok(())
    }

    fn train(&self, study: &Study) -> Result<(), Error> {
        let train = &study.train;
        self.count("train.epochs", train.epochs, 1_000_000)?;
        self.count("train.batch", train.batch as u64, 1 << 20)?;
        if let Some(windows) = train.windows_per_epoch {
            self.count("train.windows_per_epoch", windows as u64, u64::from(u32::MAX))?;
        }
        if !(train.rate > 0.0 && train.rate.is_finite()) {
            return Err(self.refuse(
                "train.rate",
                "it is not a positive number",
                "give for example rate = 1e-3",
            ));
        }
        if train.patience == Some(0) {
            return Err(self.refuse(
                "train.patience",
                "it is 0",
                "give at least 1, or leave it out to run every epoch",
            ));
        }
        if let Clip::Norm(limit) | Clip::Value(limit) = train.clip
            && !(limit > 0.0 && limit.is_finite())
        {
            return Err(self.refuse(
                "train.clip",
                "the limit is not a positive number",
                "write clip = { norm = 1.0 } or clip = \"off\"",
            ));
        }
        if let Some(steps) = train.truncate {
            self.count("train.truncate", steps as u64, STEPS)?;
            if let Architecture::Sequence(model) = &study.model
                && model.pooling != Pooling::None
            {
                return Err(self.refuse(
                    "train.truncate",
                    "truncated training asks for a forecast at every step",
                    "write pooling = \"none\" in [model], or leave truncate out",
                ));
            }
        }
        Ok(())
    }

    fn schedule(&self, study: &Study) -> Result<(), Error> {
        let share = |field: &str, value: f32| {
            if (0.0..=1.0).contains(&value) {
                return Ok(());
            }
            Err(self.refuse(field, "it is not a share between 0 and 1", "give for example 0.1"))
        };
        match study.train.schedule {
            Schedule::Constant { .. } => Ok(()),
            Schedule::Step { epochs, factor, .. } => {
                self.count("train.schedule.epochs", epochs, u64::MAX)?;
                share("train.schedule.factor", factor)
            }
            Schedule::Cosine { floor, .. } => share("train.schedule.floor", floor),
            Schedule::Plateau { patience, factor, floor, .. } => {
                self.count("train.schedule.patience", patience, u64::MAX)?;
                share("train.schedule.factor", factor)?;
                share("train.schedule.floor", floor)
            }
        }
    }

    fn loss(&self, study: &Study) -> Result<(), Error> {
        match &study.train.loss {
            Loss::MeanSquared | Loss::MeanAbsolute => Ok(()),
            Loss::Huber { delta } if *delta > 0.0 && delta.is_finite() => Ok(()),
            Loss::Huber { .. } => Err(self.refuse(
                "train.loss.delta",
                "it is not a positive number",
                "give for example delta = 1.0",
            )),
            Loss::Pinball { quantiles } => {
                let sound = quantiles.iter().all(|&q| q > 0.0 && q < 1.0)
                    && quantiles.windows(2).all(|pair| pair[0] < pair[1])
                    && quantiles.contains(&0.5);
                if sound {
                    return Ok(());
                }
                Err(self.refuse(
                    "train.loss.quantiles",
                    "they are not rising numbers between 0 and 1 with 0.5 among them",
                    "give for example quantiles = [0.1, 0.5, 0.9]",
                ))
            }
            _ => Err(self.refuse(
                "train.loss.kind",
                "this loss is not for forecasts",
                "choose mean_squared, mean_absolute, huber or pinball",
            )),
        }
    }

    fn model(&self, study: &Study) -> Result<(), Error> {
        let model = match &study.model {
            Architecture::Sequence(model) => model,
            Architecture::Retain(model) if study.study.task == Task::Classify => {
                let Retain { embedding, alpha_hidden, beta_hidden, .. } = model;
                self.count("model.embedding", *embedding as u64, WIDTH)?;
                self.count("model.alpha_hidden", *alpha_hidden as u64, WIDTH)?;
                return self.count("model.beta_hidden", *beta_hidden as u64, WIDTH);
            }
            _ => {
                return Err(Error::Unsupported {
                    location: self.at("model.kind").into(),
                    what: "forecasts and classes of steps are trained with a sequence model, classes of series with that or with RETAIN"
                        .into(),
                    hint: "write kind = \"sequence\", or kind = \"retain\" for classes".into(),
                });
            }
        };
        self.count("model.layers", model.layers as u64, 64)?;
        if model.hidden == 0 {
            return Err(self.refuse("model.hidden", "it is 0", "give for example hidden = 32"));
        }
        if model.hidden as u64 > WIDTH {
            let bytes = 4.0 * 4.0 * (model.hidden as f64) * (model.hidden as f64);
            return Err(Error::TooLarge {
                location: self.at("model.hidden").into(),
                what: format!(
                    "{}, whose recurrent weights alone would take {},",
                    model.hidden,
                    memory(bytes)
                ),
                limit: WIDTH,
                hint: "make it smaller; 16 to 512 are usual".into(),
            });
        }
        if !(0.0..1.0).contains(&model.dropout) {
            return Err(self.refuse(
                "model.dropout",
                "it is not a share from 0 to below 1",
                "give for example dropout = 0.2",
            ));
        }
        Ok(())
    }
}

/// Bytes in a unit that people read.
pub(crate) fn memory(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Steps of a window, a horizon or a stride at most.
pub(super) const STEPS: u64 = 1_000_000;
/// Hidden units of a layer at most.
const WIDTH: u64 = 1 << 16;
