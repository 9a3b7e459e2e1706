//! What a model file keeps of its classes.

use serde::{Deserialize, Serialize};

use sequela_eval::classify::Recalibration;

use super::{BoostedTrees, LogisticRegression};
use crate::Error;
use crate::study::{ClassWeights, nearest};
use sequela_core::Location;

/// The classes of a model, and how one is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// What is told: the name of the column of classes.
    pub label: String,
    /// The classes, in the order of the network's outputs; of two the second is the case.
    pub names: Vec<String>,
    /// What each counted for in training.
    pub weights: Vec<f64>,
    /// The share of each among the training subjects, or steps: what the baseline `prevalence` says.
    pub frequencies: Vec<f64>,
    /// The probability of the second of two classes from which on it is chosen; without it the
    /// most probable class is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The same of the networks alone, in an ensemble that has trees in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_threshold: Option<f64>,
    /// What makes the probabilities of the network come true, fitted on the tuning part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibration: Option<Recalibration>,
    /// The baseline `logistic regression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logistic: Option<LogisticRegression>,
    /// The baseline `boosted trees`, and a part of an ensemble that has trees in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trees: Option<BoostedTrees>,
    /// What the log probabilities of the networks count for beside those of the trees, 0 to 1, in an
    /// ensemble that has trees in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How well model and baselines did on the test part.
    pub metrics: Vec<ClassMetric>,
}

/// What there is to see for the baselines of a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sees {
    /// Whole series.
    Series {
        /// F.
        channels: usize,
    },
    /// Steps of series.
    Steps {
        /// F.
        channels: usize,
        /// Numbers that the network is told at each.
        width: usize,
    },
}

/// One figure of one classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassMetric {
    /// The classifier.
    pub classifier: String,
    /// The figure: `auroc`, `brier` ...
    pub figure: String,
    /// Its value, where it is defined.
    pub value: Option<f64>,
    /// The ends of its 95 % interval by subject, where there is one.
    pub interval: Option<[f64; 2]>,
}

impl Classes {
    /// The classes of a training part, by how many subjects or steps are of each.
    pub(super) fn new(
        label: &str,
        names: Vec<String>,
        counts: &[usize],
        weights: &ClassWeights,
    ) -> Result<Self, Error> {
        let total: usize = counts.iter().sum();
        if let Some(empty) = counts.iter().position(|&count| count == 0) {
            return Err(Error::data(
                "data.label.classes",
                format!("nothing in the training part is of class {}", names[empty]),
                "take it out of the classes, or give more subjects of it",
            ));
        }
        let frequencies: Vec<f64> =
            counts.iter().map(|&count| count as f64 / total.max(1) as f64).collect();
        let weights = match weights {
            ClassWeights::None => vec![1.0; names.len()],
            ClassWeights::Balanced => balanced(counts),
            ClassWeights::Named(named) => {
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                if let Some(unknown) = named.keys().find(|name| !known.contains(&name.as_str())) {
                    let field = format!("train.class_weights.{unknown}");
                    return Err(Error::Study {
                        location: Location::file("study").field(field).into(),
                        what: "there is no such class".into(),
                        hint: nearest::hint(unknown, &known),
                    });
                }
                let weight = |name: &String| named.get(name).map_or(1.0, |&w| f64::from(w));
                names.iter().map(weight).collect()
            }
        };
        Ok(Self {
            label: label.to_owned(),
            names,
            weights,
            frequencies,
            threshold: None,
            network_threshold: None,
            recalibration: None,
            logistic: None,
            trees: None,
            share: None,
            metrics: Vec::new(),
        })
    }

    /// Number of classes, K.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// Whether the numbers of a file can be used, for what there is to see.
    pub(crate) fn is_sound(&self, sees: Sees) -> bool {
        let classes = self.count();
        let positive = |list: &[f64]| {
            list.len() == classes && list.iter().all(|number| number.is_finite() && *number > 0.0)
        };
        classes >= 2
            && positive(&self.weights)
            && positive(&self.frequencies)
            && [self.threshold, self.network_threshold]
                .iter()
                .flatten()
                .all(|threshold| classes == 2 && threshold.is_finite())
            && self.recalibration.as_ref().is_none_or(|map| map.is_sound(classes))
            && self.share.is_none_or(|share| (0.0..=1.0).contains(&share) && self.trees.is_some())
            && self.trees.as_ref().is_none_or(|known| known.is_sound(sees, classes))
            && self.logistic.as_ref().is_none_or(|known| known.is_sound(sees, classes))
    }

    /// The class of each row of probabilities, `(N, K)`: by the threshold, or the most probable.
    pub(super) fn decide(&self, probabilities: &[f64], threshold: Option<f64>) -> Vec<u32> {
        let decide = |row: &[f64]| {
            if let (Some(threshold), [_, case]) = (threshold, row) {
                u32::from(*case >= threshold)
            } else {
                let best =
                    (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
                u32::try_from(best).unwrap_or(0)
            }
        };
        probabilities.chunks_exact(self.count()).map(decide).collect()
    }
}

/// `N / (K N_k)`, as scikit-learn's `compute_class_weight("balanced")`.
pub(super) fn balanced(counts: &[usize]) -> Vec<f64> {
    let total: usize = counts.iter().sum();
    counts.iter().map(|&count| total as f64 / (counts.len() as f64 * count as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    #[test]
    fn weights_are_by_name_and_one_elsewhere() {
        let named = ClassWeights::Named(BTreeMap::from([("b".to_owned(), 2.5)]));
        let classes = Classes::new("y", names(), &[5, 2, 3], &named).unwrap();
        assert_eq!(classes.weights, [1.0, 2.5, 1.0]);
        assert_eq!(classes.frequencies, [0.5, 0.2, 0.3]);
        let unknown = ClassWeights::Named(BTreeMap::from([("bb".to_owned(), 2.5)]));
        let error = Classes::new("y", names(), &[5, 2, 3], &unknown).unwrap_err();
        assert!(error.to_string().contains("train.class_weights.bb: there is no such class; did"));
        let error = Classes::new("y", names(), &[5, 0, 3], &named).unwrap_err();
        assert!(
            error.to_string().contains("nothing in the training part is of class b"),
            "{error}"
        );
    }

    #[test]
    fn decisions_follow_threshold_or_the_largest() {
        let classes = Classes::new("y", names(), &[1, 1, 1], &ClassWeights::None).unwrap();
        assert_eq!(classes.decide(&[0.2, 0.5, 0.3, 0.4, 0.2, 0.4], None), [1, 0]);
        let two = ["a", "b"].map(str::to_owned).to_vec();
        let two = Classes::new("y", two, &[1, 1], &ClassWeights::None).unwrap();
        assert_eq!(two.decide(&[0.8, 0.2, 0.9, 0.1], Some(0.2)), [1, 0]);
        assert_eq!(two.decide(&[0.8, 0.2, 0.4, 0.6], None), [0, 1]);
    }

    #[test]
    fn numbers_of_a_changed_file_are_looked_at() {
        let good = Classes::new("y", names(), &[5, 2, 3], &ClassWeights::Balanced).unwrap();
        assert!(good.is_sound(Sees::Series { channels: 2 }));
        for change in [
            |c: &mut Classes| c.names.truncate(1),
            |c: &mut Classes| c.weights[0] = 0.0,
            |c: &mut Classes| c.weights[0] = f64::NAN,
            |c: &mut Classes| c.frequencies.truncate(2),
            |c: &mut Classes| c.threshold = Some(0.5),
        ] {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(!bad.is_sound(Sees::Series { channels: 2 }), "{bad:?}");
        }
    }
}
