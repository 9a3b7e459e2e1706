//! What a study of one task may say: fields of the other are refused rather than left unheard.

use sequela_data::scaling::ScalingMethod;
use sequela_eval::classify::ThresholdRule;
use sequela_nn::{Architecture, Directions, Loss, Pooling};

use super::check::Check;
use super::{
    Baselines, ClassWeights, CsvData, Data, InputKind, LabelSpec, SplitBy, Study, TargetKind, Task,
    Window,
};
use crate::Error;

impl Check<'_> {
    /// Refuses fields that the task does not read, and a task that is not built.
    pub(super) fn task(&self, study: &Study) -> Result<(), Error> {
        match study.study.task {
            Task::Forecast => self.forecast(study),
            Task::Classify => self.classify(study),
            Task::Label => self.steps(study),
            _ => Err(Error::Unsupported {
                location: self.at("study.task").into(),
                what: "only forecasts and classes can be trained yet".into(),
                hint: "write task = \"forecast\", \"classify\" or \"label\"".into(),
            }),
        }
    }

    /// Refuses folds that cannot be made.
    pub(super) fn folds(&self, study: &Study) -> Result<(), Error> {
        let split = &study.split;
        let Some(folds) = split.folds else {
            return match split.fold {
                None => Ok(()),
                Some(_) => Err(self.refuse(
                    "split.fold",
                    "there are no folds",
                    "write folds = 5 beside it, or leave it out",
                )),
            };
        };
        if !(2..=MOST_FOLDS).contains(&folds) {
            let what = format!("it is not between 2 and {MOST_FOLDS}");
            return Err(self.refuse("split.folds", &what, "write folds = 5 or folds = 10"));
        }
        if split.fold.is_some_and(|fold| fold == 0 || fold > folds) {
            let hint = format!("write a number from 1 to {folds}, or leave it out for all folds");
            return Err(self.refuse("split.fold", "there is no such fold", &hint));
        }
        if split.is_listed() || split.fractions.test > 0.0 {
            let field = if split.is_listed() { "split" } else { "split.fractions.test" };
            return Err(self.refuse(
                field,
                "the folds say already who is tested",
                "leave it out, or leave out split.folds",
            ));
        }
        Ok(())
    }

    /// Refuses parts that are said in two ways, or in none.
    fn sides(&self, study: &Study) -> Result<(), Error> {
        let split = &study.split;
        let by_group = split.by == SplitBy::Group;
        if by_group != split.group.is_some() {
            let (what, hint) = if by_group {
                (
                    "nothing says which group a subject belongs to",
                    "add group = \"hospital\", a channel",
                )
            } else {
                ("it is for by = \"group\"", "write by = \"group\", or leave it out")
            };
            return Err(self.refuse("split.group", what, hint));
        }
        if by_group && split.test.is_empty() && split.folds.is_none() {
            return Err(self.refuse(
                "split.test",
                "nothing says which groups are tested",
                "name them: test = [\"2\"]; or write as many folds as there are groups",
            ));
        }
        if by_group && !split.train.is_empty() {
            return Err(self.refuse(
                "split.train",
                "everyone outside the groups of test and tune is trained on",
                "leave it out",
            ));
        }
        if split.by == SplitBy::Start && (split.folds.is_some() || split.is_listed()) {
            return Err(self.refuse(
                "split.by",
                "who came when says already who is tested",
                "leave out folds and names of subjects, or write by = \"subject\"",
            ));
        }
        if split.by == SplitBy::Published {
            if split.folds.is_some() || split.is_listed() {
                return Err(self.refuse(
                    "split.by",
                    "the data say already who is tested",
                    "leave out folds and names of subjects, or write by = \"subject\"",
                ));
            }
            if !matches!(study.data, Data::Meds(_)) {
                return Err(self.refuse(
                    "split.by",
                    "these data come with no split",
                    "write by = \"subject\"",
                ));
            }
        }
        Ok(())
    }

    fn forecast(&self, study: &Study) -> Result<(), Error> {
        let only = "it is for classes, and this study forecasts";
        let hint = "leave it out, or write task = \"classify\" in [study]";
        let baselines = &study.evaluate.baselines;
        let label = matches!(&study.data, Data::Csv(CsvData { label: Some(_), .. }));
        self.unheard(
            only,
            hint,
            &[
                ("data.label", label),
                ("split.folds", study.split.folds.is_some()),
                ("split.by", matches!(study.split.by, SplitBy::Group | SplitBy::Start)),
                ("split.group", study.split.group.is_some()),
                ("window.summaries", !study.window.summaries.is_empty()),
                ("window.clip", study.window.clip.is_some()),
                ("scale.kind", study.scale.kind == ScalingMethod::StandardLog),
                ("train.replicate", study.train.replicate > 0.0),
                ("window.statics", !study.window.statics.is_empty()),
                ("audit.allow", !study.audit.allow.is_empty()),
                ("train.class_weights", !study.train.class_weights.is_none()),
                ("evaluate.recalibrate", study.evaluate.recalibrate.is_some()),
                ("evaluate.subgroups", !study.evaluate.subgroups.is_empty()),
                ("evaluate.threshold", study.evaluate.threshold != ThresholdRule::default()),
                (
                    "evaluate.baselines.logistic",
                    baselines.logistic != Baselines::default().logistic,
                ),
                ("evaluate.baselines.trees", baselines.trees != Baselines::default().trees),
                ("ensemble", !study.ensemble.is_one()),
            ],
        )
    }

    /// A class for each subject.
    fn classify(&self, study: &Study) -> Result<(), Error> {
        if study.data.label().is_none() && !matches!(study.data, Data::Csv(_))
            || matches!(study.data, Data::Physionet2019(_))
        {
            return Err(Error::Unsupported {
                location: self.at("data.kind").into(),
                what: "these data have no class for each subject".into(),
                hint: "write kind = \"csv\" with a label, or physionet2012; physionet2019 has a class \
                       for each hour, task = \"label\""
                    .into(),
            });
        }
        if study.evaluate.threshold == ThresholdRule::SepsisUtility {
            return Err(self.refuse(
                "evaluate.threshold",
                "the utility is of hourly warnings, and this study tells one class for each subject",
                "write task = \"label\", or threshold = \"youden\", \"f1\" or \"event1\"",
            ));
        }
        if let Architecture::Sequence(model) = &study.model
            && model.pooling == Pooling::None
        {
            return Err(self.refuse(
                "model.pooling",
                "a class is of the whole series, not of each step",
                "write pooling = \"last\", or mean, max, attention; or task = \"label\"",
            ));
        }
        self.at_most("window.length", study.window.length as u64, super::check::STEPS)?;
        self.classes(study)
    }

    /// A class for each step, told without looking ahead.
    fn steps(&self, study: &Study) -> Result<(), Error> {
        match &study.data {
            Data::Physionet2019(_) => {}
            Data::Csv(data) => self.step_table(data)?,
            _ => {
                return Err(Error::Unsupported {
                    location: self.at("data.kind").into(),
                    what: "these data have no class for each step".into(),
                    hint: "write kind = \"csv\" with a label, or physionet2019".into(),
                });
            }
        }
        if study.window.length != 0 {
            return Err(self.refuse(
                "window.length",
                "a step is told from all that came before it",
                "leave it out",
            ));
        }
        if let Architecture::Sequence(model) = &study.model {
            if model.pooling != Pooling::None {
                return Err(self.refuse(
                    "model.pooling",
                    "each step has a class of its own, and pooling would let it see later ones",
                    "write pooling = \"none\", or leave it out",
                ));
            }
            if model.directions != Directions::Forward {
                return Err(self.refuse(
                    "model.directions",
                    "reading both ways, a step would be told from later ones",
                    "write directions = \"forward\", or leave it out",
                ));
            }
        }
        self.classes(study)?;
        let two = study.data.label().is_none_or(|label| label.classes.len() <= 2);
        if study.evaluate.threshold == ThresholdRule::SepsisUtility && !two {
            return Err(self.refuse(
                "evaluate.threshold",
                "the utility is of warnings, for two classes",
                "leave it out",
            ));
        }
        Ok(())
    }

    /// What a table of steps may say.
    fn step_table(&self, data: &CsvData) -> Result<(), Error> {
        let elsewhere = data.label.as_ref().is_some_and(|label| label.file.is_some());
        if elsewhere && data.time.is_none() {
            return Err(self.refuse(
                "data.label.file",
                "labels of steps in a second table are found by their times, and data.time is not there",
                "name the column of times, which both tables have, or leave the file out",
            ));
        }
        for (field, is_written) in [
            ("data.long", data.long.is_some()),
            ("data.every_seconds", data.every_seconds.is_some()),
        ] {
            if is_written {
                return Err(self.refuse(
                    field,
                    "a class of each step needs one row for each step",
                    "leave it out, and give a table with a row for each time of each subject",
                ));
            }
        }
        Ok(())
    }

    /// What is common to classes of subjects and of steps.
    fn classes(&self, study: &Study) -> Result<(), Error> {
        let (label, target) = match &study.data {
            Data::Csv(data) => (self.label(data)?.clone(), data.target.is_some()),
            data => (data.label().unwrap_or_else(|| LabelSpec::of_column("class")), false),
        };
        let only = "it is for forecasts, and this study tells classes";
        let hint = "leave it out, or write task = \"forecast\" in [study]";
        let (window, usual) = (&study.window, Window::default());
        let (baselines, usual_baselines) = (&study.evaluate.baselines, Baselines::default());
        self.unheard(
            only,
            hint,
            &[
                ("data.target", target),
                ("window.horizons", !window.horizons.is_empty()),
                ("window.stride", window.stride != usual.stride),
                ("window.target", window.target != TargetKind::Value),
                ("window.inputs", window.inputs != InputKind::Values),
                ("window.longest_gap_hours", window.longest_gap_hours.is_some()),
                ("window.most_missing", (window.most_missing - usual.most_missing).abs() > 0.0),
                ("split.by", study.split.by == SplitBy::Time),
                ("train.truncate", study.train.truncate.is_some()),
                ("evaluate.stride", study.evaluate.stride != 1),
                ("evaluate.baselines.season", baselines.season != 0),
                (
                    "evaluate.baselines.autoregression",
                    baselines.autoregression != usual_baselines.autoregression,
                ),
                (
                    "evaluate.baselines.feed_forward",
                    baselines.feed_forward != usual_baselines.feed_forward,
                ),
            ],
        )?;
        self.statics(study)?;
        self.sides(study)?;
        if window.clip.is_some_and(|clip| !(clip > 0.0 && clip.is_finite())) {
            return Err(self.refuse(
                "window.clip",
                "it is not a positive number",
                "give how many spreads from the centre are believed, as clip = 4.0",
            ));
        }
        self.replicate(study)?;
        self.class_weights(&study.train.class_weights, &label)?;
        self.classes_loss(study, &label)?;
        self.decisions(study, &label)
    }

    /// Refuses statics that could tell the future, or that are named twice.
    fn statics(&self, study: &Study) -> Result<(), Error> {
        let statics = &study.window.statics;
        if statics.is_empty() {
            return Ok(());
        }
        if study.study.task == Task::Label {
            return Err(self.refuse(
                "window.statics",
                "a static is told at every step, before it may have been recorded",
                "leave it out: missing = \"carry\" goes on telling its value from where it was seen",
            ));
        }
        match (1..statics.len()).find(|&at| statics[..at].contains(&statics[at])) {
            Some(at) => Err(self.refuse(
                &format!("window.statics[{at}]"),
                "it is named twice",
                "name it once",
            )),
            None => Ok(()),
        }
    }

    fn unheard(&self, what: &str, hint: &str, fields: &[(&str, bool)]) -> Result<(), Error> {
        match fields.iter().find(|(_, written)| *written) {
            Some((field, _)) => Err(self.refuse(field, what, hint)),
            None => Ok(()),
        }
    }

    fn label<'a>(&self, data: &'a CsvData) -> Result<&'a LabelSpec, Error> {
        let Some(label) = &data.label else {
            return Err(self.refuse(
                "data.label",
                "nothing says what the classes are",
                "add label = { name = \"died\" } to [data], the column that has each subject's or step's class",
            ));
        };
        if data.subject.is_none() {
            return Err(self.refuse(
                "data.subject",
                "nothing says whose each row is, and a class is a subject's",
                "add subject = \"...\" to [data], the column that names the subject",
            ));
        }
        let is_value = |name: &str| data.values.iter().any(|value| value.name == name);
        if label.file.is_none() && is_value(&label.name) {
            return Err(self.refuse(
                "data.label",
                "the label is among data.values: the model would be told the answer",
                "take it out of data.values",
            ));
        }
        let classes = &label.classes;
        let twice = (1..classes.len()).any(|at| classes[..at].contains(&classes[at]));
        if classes.len() == 1 || twice || classes.iter().any(|class| class.trim() != class) {
            return Err(self.refuse(
                "data.label.classes",
                "they are not at least two different words without spaces around them",
                "write for example classes = [\"survived\", \"died\"], or leave it out",
            ));
        }
        Ok(label)
    }

    fn class_weights(&self, weights: &ClassWeights, label: &LabelSpec) -> Result<(), Error> {
        let ClassWeights::Named(weights) = weights else { return Ok(()) };
        for (class, weight) in weights {
            let field = format!("train.class_weights.{class}");
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(self.refuse(
                    &field,
                    "it is not a positive number",
                    "give for example 3.0; a class to be left out is left out of the data",
                ));
            }
            if !label.classes.is_empty() && !label.classes.contains(class) {
                let known: Vec<&str> = label.classes.iter().map(String::as_str).collect();
                let hint = super::nearest::hint(class, &known);
                return Err(self.refuse(&field, "there is no such class", &hint));
            }
        }
        Ok(())
    }

    fn classes_loss(&self, study: &Study, label: &LabelSpec) -> Result<(), Error> {
        let (weights, two_only) = match &study.train.loss {
            Loss::CrossEntropy { class_weights } => (class_weights, false),
            Loss::BinaryCrossEntropy { positive_weight } => (positive_weight, true),
            _ => {
                return Err(self.refuse(
                    "train.loss.kind",
                    "this loss is not for classes",
                    "choose cross_entropy, or binary_cross_entropy for two classes",
                ));
            }
        };
        if !weights.is_empty() {
            return Err(self.refuse(
                "train.loss",
                "it has weights without names",
                "write class_weights = \"balanced\" or { died = 3.0, survived = 1.0 } in [train]",
            ));
        }
        if two_only && label.classes.len() > 2 {
            return Err(self.refuse(
                "train.loss.kind",
                "binary cross-entropy is for two classes",
                "write loss = { kind = \"cross_entropy\" }",
            ));
        }
        Ok(())
    }

    fn decisions(&self, study: &Study, label: &LabelSpec) -> Result<(), Error> {
        if label.classes.len() > 2 && study.evaluate.threshold != ThresholdRule::default() {
            return Err(self.refuse(
                "evaluate.threshold",
                "a threshold is for two classes",
                "leave it out: of more classes the most probable is chosen",
            ));
        }
        if let ThresholdRule::Fixed(threshold) = study.evaluate.threshold
            && !(0.0..=1.0).contains(&threshold)
        {
            return Err(self.refuse(
                "evaluate.threshold",
                "it is not a probability between 0 and 1",
                "write threshold = { fixed = 0.5 }, or \"youden\" or \"f1\"",
            ));
        }
        let (ensemble, leaves) = (&study.ensemble, &study.evaluate.baselines.trees);
        if !(1..=MOST_MEMBERS).contains(&ensemble.members) {
            let what = format!("it is not between 1 and {MOST_MEMBERS}");
            return Err(self.refuse("ensemble.members", &what, "write members = 5"));
        }
        if let Some(turns) = ensemble.turns {
            self.turns(study, turns)?;
        }
        if !leaves.iter().all(|leaves| (2..=MOST_LEAVES).contains(leaves)) {
            let what = format!("a number of leaves is not between 2 and {MOST_LEAVES}");
            let hint = "give for example trees = [8, 16], or [] to leave it out";
            return Err(self.refuse("evaluate.baselines.trees", &what, hint));
        }
        if ensemble.trees && leaves.is_empty() {
            return Err(self.refuse(
                "ensemble.trees",
                "there are no trees among the baselines",
                "write baselines = { trees = [8, 16] } in [evaluate]",
            ));
        }
        let strengths = &study.evaluate.baselines.logistic;
        if !strengths.iter().all(|strength| *strength > 0.0 && strength.is_finite()) {
            return Err(self.refuse(
                "evaluate.baselines.logistic",
                "the strengths are not positive numbers",
                "give for example logistic = [0.01, 0.1, 1.0], or [] to leave it out",
            ));
        }
        Ok(())
    }
}

/// Networks of an ensemble at most.
const MOST_MEMBERS: usize = 50;
/// Leaves of a tree at most.
const MOST_LEAVES: usize = 1024;
/// Folds at most.
const MOST_FOLDS: usize = 100;
