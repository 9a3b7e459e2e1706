//! A ward of people who do not exist: of those who deteriorate the heart rate rises.

use std::fmt::Write as _;
use std::path::Path;

use sequela_core::Random;
use sequela_train::{Override, Study};

/// A GRU of 8 on two channels with gaps.
pub(crate) const WARD: &str = r#"
[study]
name = "ward"
task = "classify"
seed = 5

[data]
kind = "csv"
path = "ward.csv"
subject = "patient"
time = { name = "hour", format = "hours" }
step = "hour"
values = [{ name = "heart_rate", unit = "bpm" }, { name = "lactate", unit = "mmol/L" }]
label = { name = "outcome", file = "outcomes.csv" }

[window]
indicators = ["observed", "gap"]

[split]
fractions = { tune = 0.2, test = 0.3 }

[model]
kind = "sequence"
cell = "gru"
hidden = 8
layers = 2
dropout = 0.2

[train]
epochs = 12
batch = 16
rate = 1e-2
class_weights = "balanced"
clip = { norm = 1.0 }

[evaluate]
replicates = 200
baselines = { logistic = [0.1, 1.0] }
"#;

/// The study beside the tables of a folder, after some changes.
pub(crate) fn ward_study(folder: &Path, changes: &[&str]) -> Study {
    let changes: Vec<Override> =
        changes.iter().map(|change| Override::parse(change).unwrap()).collect();
    Study::parse(WARD, &folder.join("ward.toml"), &changes).unwrap()
}

/// Writes `ward.csv` and `outcomes.csv`: so many patients, of whom one in three deteriorates; of
/// `classes` 3 one in nine recovers instead.
pub(crate) fn write_ward(folder: &Path, patients: u64, classes: u64) {
    let random = Random::new(77, 1);
    let mut series = String::from("patient,hour,heart_rate,lactate\n");
    let mut outcomes = String::from("patient,outcome\n");
    for patient in 0..patients {
        let at = patient * 1000;
        let (worse, better) = (patient % 3 == 0, classes == 3 && patient % 9 == 1);
        let slope = if worse {
            2.0
        } else if better {
            -2.0
        } else {
            0.0
        };
        for hour in 0..4 + random.below(at, 9) {
            let chance = at + 10 * hour;
            let rate = 80.0 + slope * hour as f64 + 5.0 * random.normal(chance + 1);
            let _ = write!(series, "p{patient:03},{hour},{rate:.1},");
            if random.below(chance + 2, 3) == 0 {
                let lactate = 1.5 + f64::from(u8::from(worse)) + 0.4 * random.normal(chance + 3);
                let _ = write!(series, "{lactate:.2}");
            }
            series.push('\n');
        }
        let word = if worse {
            "worse"
        } else if better {
            "better"
        } else {
            "stable"
        };
        let _ = writeln!(outcomes, "p{patient:03},{word}");
    }
    put(&folder.join("ward.csv"), series);
    put(&folder.join("outcomes.csv"), outcomes);
}

/// Gives the outcomes to other patients, by chance.
pub(crate) fn shuffle_outcomes(folder: &Path, seed: u64) {
    let path = folder.join("outcomes.csv");
    let text = text(&path);
    let mut words: Vec<&str> = text.lines().skip(1).filter_map(|l| l.split(',').nth(1)).collect();
    Random::new(seed, 2).shuffle(&mut words);
    let mut shuffled = String::from("patient,outcome\n");
    for (line, word) in text.lines().skip(1).zip(words) {
        let _ = writeln!(shuffled, "{},{word}", line.split(',').next().unwrap_or_default());
    }
    put(&path, shuffled);
}

#[allow(clippy::disallowed_methods, reason = "a test writes its own small files")]
pub(crate) fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap();
}

#[allow(clippy::disallowed_methods, reason = "a test reads its own small files")]
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
