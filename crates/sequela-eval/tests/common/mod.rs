//! Lists of numbers that other programs wrote.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test fails where a number is missing")]

use std::collections::BTreeMap;

use sequela_eval::bootstrap::Estimate;

pub(crate) struct Oracle(BTreeMap<String, Vec<f64>>);

impl Oracle {
    pub(crate) fn load(numbers: &str) -> Self {
        let lists = numbers.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap().to_owned();
            (name, words.map(|word| word.parse().unwrap()).collect())
        });
        Self(lists.collect())
    }

    pub(crate) fn list(&self, case: &str, name: &str) -> &[f64] {
        &self.0[&format!("{case}/{name}")]
    }

    pub(crate) fn plain(&self, name: &str) -> &[f64] {
        &self.0[name]
    }

    pub(crate) fn one(&self, case: &str, name: &str) -> f64 {
        self.list(case, name)[0]
    }

    pub(crate) fn whole(&self, case: &str, name: &str) -> Vec<u32> {
        self.list(case, name).iter().map(|&value| integer(value)).collect()
    }

    pub(crate) fn flags(&self, case: &str, name: &str) -> Vec<bool> {
        self.list(case, name).iter().map(|&value| value > 0.5).collect()
    }

    pub(crate) fn narrow(&self, case: &str, name: &str) -> Vec<f32> {
        #[allow(clippy::cast_possible_truncation, reason = "the script wrote f32 values")]
        self.list(case, name).iter().map(|&value| value as f32).collect()
    }
}

pub(crate) fn integer(value: f64) -> u32 {
    format!("{value}").parse().unwrap()
}

pub(crate) fn close(ours: f64, theirs: f64, what: &str) {
    let error = (ours - theirs).abs() / theirs.abs().max(1.0);
    assert!(error <= 1e-12, "{what}: {ours} against {theirs}");
}

pub(crate) fn same(ours: &Estimate, oracle: &Oracle, case: &str, name: &str) {
    let theirs = oracle.list(case, name);
    let (low, high) = ours.interval.bounds().unwrap();
    for (ours, theirs) in [ours.value, low, high].into_iter().zip(theirs) {
        close(ours, *theirs, &format!("{case}/{name}"));
    }
}
