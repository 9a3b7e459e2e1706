//! A model in words.

use std::fmt::Write as _;

use sequela_eval::classify::Figure;
use sequela_eval::table::number;
use sequela_nn::Precision;

use crate::classify::{ClassMetric, Classes};
use crate::model::{Imported, Model};
use crate::network;
use crate::study::Task;

impl Model {
    /// The model in words, for people.
    pub fn describe(&self) -> String {
        let manifest = self.manifest();
        let (study, encoder) = (&manifest.study, &manifest.encoder);
        let mut text = String::new();
        let _ = writeln!(text, "model        {} ({})", study.study.name, network::name(study));
        match &manifest.classes {
            Some(classes) => self.say_classes(classes, &mut text),
            None => self.say_forecasts(&mut text),
        }
        for (channel, scale) in manifest.schema.iter().zip(&encoder.scaler.channels) {
            let name = &channel.name;
            let scaled = match scale.log {
                None => name.clone(),
                Some(log) if log.shift > 0.0 => format!("ln({name} + {:.4})", log.shift),
                Some(_) => format!("ln {name}"),
            };
            let _ = writeln!(
                text,
                "input        {name} ({}), scaled by ({scaled} - {:.4}) / {:.4}",
                channel.unit, scale.centre, scale.spread
            );
        }
        let _ = writeln!(text, "weights      {} numbers", self.parameters().count());
        for tensor in self.parameters().tensors() {
            let _ = writeln!(text, "             {} {:?}", tensor.name, tensor.shape);
        }
        if let Some(imported) = &manifest.imported {
            self.say_origin(imported, &mut text);
            return text;
        }
        let [train, tune, test] = &manifest.provenance.parts;
        let what = if manifest.classes.is_some() { "series" } else { "windows" };
        let _ = writeln!(
            text,
            "trained on   {} subjects ({} {what}), tuned on {}, judged on {}",
            train.subjects, train.windows, tune.subjects, test.subjects
        );
        let [epochs, best] = manifest.provenance.epochs;
        let _ = writeln!(text, "epochs       {epochs}, weights of epoch {best}");
        if study.train.precision != Precision::F32 {
            let precision = study.train.precision.name();
            let _ =
                writeln!(text, "precision    trained with products in {precision}, judged in f32");
        }
        self.say_figures(&mut text);
        let _ = writeln!(text, "made by      sequela {}", manifest.provenance.sequela);
        let _ = writeln!(text, "data         sha256 {}", manifest.provenance.data);
        let _ = writeln!(text, "file         sha256 {}", self.digest());
        text
    }

    /// Where weights came from that were not trained here.
    fn say_origin(&self, imported: &Imported, text: &mut String) {
        let Imported { file, kind, sha256, assumed } = imported;
        let _ = writeln!(text, "weights of   {kind}, from {file} (sha256 {sha256})");
        if !assumed.is_empty() {
            let _ = writeln!(text, "assumed      {}", assumed.join(", "));
        }
        let _ = writeln!(text, "made by      sequela {}", self.manifest().provenance.sequela);
        let _ = writeln!(text, "file         sha256 {}", self.digest());
    }

    fn say_forecasts(&self, text: &mut String) {
        let encoder = &self.manifest().encoder;
        let step = self.manifest().study.data.step();
        let horizons: Vec<String> = encoder.horizons.iter().map(usize::to_string).collect();
        let _ = writeln!(
            text,
            "forecasts    {} ({}) {} {step}s ahead, from the last {} {step}s",
            self.target().name,
            self.target().unit,
            horizons.join(", "),
            encoder.length
        );
    }

    fn say_classes(&self, classes: &Classes, text: &mut String) {
        let step = self.manifest().study.data.step();
        let is_steps = self.manifest().study.study.task == Task::Label;
        let steps = match self.manifest().encoder.length {
            0 if is_steps => format!("of each {step}, from it and all before it"),
            0 => "from the whole series".to_owned(),
            length => format!("from the last {length} {step}s"),
        };
        let of = if is_steps { format!("{step}s") } else { "subjects".to_owned() };
        let _ = writeln!(text, "tells        {} {steps}", classes.label);
        let each = classes.names.iter().zip(&classes.weights).zip(&classes.frequencies);
        for ((name, weight), frequency) in each {
            let _ = writeln!(
                text,
                "class        {name}: {:.2} % of the training {of}, weight {weight:.4}",
                100.0 * frequency
            );
        }
        match classes.threshold {
            Some(threshold) => {
                let case = classes.names.last().map_or("", String::as_str);
                let _ = writeln!(text, "decides      {case} from a probability of {threshold:.4}");
            }
            None => text.push_str("decides      for the most probable class\n"),
        }
        if let Some(map) = &classes.recalibration {
            let _ = writeln!(text, "recalibrated {}", map.words());
        }
    }

    fn say_figures(&self, text: &mut String) {
        let manifest = self.manifest();
        let step = manifest.study.data.step();
        for metric in &manifest.metrics {
            let _ = writeln!(
                text,
                "error        {:>4} {step}s ahead, {}: MAE {:.3}, RMSE {:.3} {}",
                metric.horizon,
                metric.forecaster,
                metric.mae,
                metric.rmse,
                self.target().unit
            );
        }
        let metrics = manifest.classes.iter().flat_map(|classes| &classes.metrics);
        let metrics: Vec<&ClassMetric> = metrics.collect();
        for of_one in metrics.chunk_by(|a, b| a.classifier == b.classifier) {
            let figures = of_one.iter().filter_map(|metric| {
                let figure = Figure::from_key(&metric.figure)?;
                let value = number(metric.value.unwrap_or(f64::NAN), 3);
                Figure::COMPARED.contains(&figure).then(|| format!("{} {value}", figure.name()))
            });
            let figures: Vec<String> = figures.collect();
            let name = of_one.first().map_or("", |metric| metric.classifier.as_str());
            let _ = writeln!(text, "figures      {name}: {}", figures.join(", "));
        }
    }
}
