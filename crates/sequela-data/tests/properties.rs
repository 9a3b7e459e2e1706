//! What holds for every cohort: splits leak nothing, windows stay inside.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use sequela_core::{Limits, Sequence, Steps, SubjectId};
use sequela_data::gaps::{cut_at_gaps, stretches};
use sequela_data::heart_rate::schema;
use sequela_data::resample::{Grid, resample};
use sequela_data::split::{self, Fractions, Split};
use sequela_data::windows::{WindowPlan, Windows};
use sequela_data::{Cohort, Error};

/// Series of (hours since the step before, value), one for each record; NaN is missing.
fn series() -> impl Strategy<Value = Vec<(u8, Vec<(f64, f32)>)>> {
    let value = prop_oneof![4 => -50.0_f32..150.0, 1 => Just(f32::NAN)];
    let gap = prop_oneof![6 => 0.0_f64..0.5, 1 => 2.0_f64..9.0];
    proptest::collection::vec((0_u8..6, proptest::collection::vec((gap, value), 0..40)), 1..8)
}

fn cohort(series: &[(u8, Vec<(f64, f32)>)]) -> Cohort {
    let sequences = series
        .iter()
        .enumerate()
        .map(|(index, (subject, steps))| {
            let values: Vec<f32> = steps.iter().map(|(_, value)| *value).collect();
            let mut now = 0.0;
            let times = steps.iter().map(|(gap, _)| {
                now += gap;
                now
            });
            Sequence::numeric(
                format!("r{index}"),
                SubjectId::new(format!("p{subject}")),
                1,
                &values,
            )
            .unwrap()
            .with_times(times.collect())
            .unwrap()
        })
        .collect();
    Cohort::new(schema(), sequences, "random").unwrap()
}

fn covers_once(parts: &[&[usize]], count: usize) -> bool {
    let mut all: Vec<usize> = parts.concat();
    all.sort_unstable();
    all == (0..count).collect::<Vec<_>>()
}

fn observed(sequence: &Sequence) -> Vec<Option<f32>> {
    let Steps::Numeric { values, observed, .. } = &sequence.steps else { unreachable!() };
    values.iter().zip(observed).map(|(&value, &seen)| seen.then_some(value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splits_by_subject_leak_nothing_and_lose_nothing(
        data in series(), tune in 0.0..0.5_f64, test in 0.0..0.5_f64, seed: u64,
    ) {
        let cohort = cohort(&data);
        match split::by_subject(&cohort, Fractions { tune, test }, seed) {
            Ok(parts) => {
                split::check_leakage(&cohort, &parts).unwrap();
                prop_assert!(covers_once(&[&parts.train, &parts.tune, &parts.test], cohort.len()));
                prop_assert!(!parts.train.is_empty());
                prop_assert_eq!(parts.test.is_empty(), test <= 0.0);
                // The order of the files plays no part in who is where.
                let other: Vec<_> = data.into_iter().rev().collect();
                let reversed = self::cohort(&other);
                let again = split::by_subject(&reversed, Fractions { tune, test }, seed).unwrap();
                let subjects = |cohort: &Cohort, parts: &Split| {
                    cohort.select(&parts.test).subjects()
                };
                prop_assert_eq!(subjects(&cohort, &parts), subjects(&reversed, &again));
            }
            Err(error) => prop_assert!(matches!(error, Error::Unfit { .. }), "{}", error),
        }
    }

    #[test]
    fn folds_test_every_subject_once(data in series(), k in 2_usize..5, seed: u64) {
        let cohort = cohort(&data);
        let wanted = split::Folds { count: k, tune: 0.0 };
        let Ok(folds) = split::folds(&cohort, &BTreeMap::new(), wanted, seed) else {
            prop_assert!(cohort.subjects().len() < k);
            return Ok(());
        };
        for fold in &folds {
            split::check_leakage(&cohort, fold).unwrap();
            prop_assert!(!fold.train.is_empty() && !fold.test.is_empty());
        }
        let tests: Vec<&[usize]> = folds.iter().map(|fold| fold.test.as_slice()).collect();
        prop_assert!(covers_once(&tests, cohort.len()));
    }

    #[test]
    fn a_subject_on_two_sides_is_always_found(data in series(), seed: u64) {
        let cohort = cohort(&data);
        let Ok(mut parts) = split::by_subject(&cohort, Fractions { tune: 0.0, test: 0.3 }, seed)
        else { return Ok(()) };
        parts.train.push(parts.test[0]);
        let leak = split::check_leakage(&cohort, &parts);
        let found = matches!(leak, Err(Error::Leakage { .. }));
        prop_assert!(found);
    }

    #[test]
    fn splits_by_time_keep_their_gap(
        data in series(), tune in 0.0..0.4_f64, test in 0.0..0.4_f64, gap in 0_usize..6,
    ) {
        let cohort = cohort(&data);
        let Ok(parts) = split::by_time(&cohort, Fractions { tune, test }, gap) else {
            return Ok(());
        };
        for (index, whole) in cohort.sequences().iter().enumerate() {
            let train = &parts.train.sequences()[index];
            let whole = observed(whole);
            prop_assert_eq!(&observed(train)[..], &whole[..train.len()]);
            let mut used = train.len();
            for part in [&parts.tune, &parts.test] {
                if let Some(later) = part.sequences().get(index) {
                    let later = observed(later);
                    prop_assert!(!later.is_empty());
                    let start = used + gap;
                    prop_assert_eq!(&later[..], &whole[start..start + later.len()]);
                    used = start + later.len();
                }
            }
            prop_assert_eq!(used, whole.len());
        }
    }

    #[test]
    fn windows_are_all_those_that_a_plain_search_finds(
        data in series(), length in 1_usize..6, horizons in proptest::collection::btree_set(1_usize..7, 1..4),
        stride in 1_usize..4, longest in 0.3_f64..3.0,
    ) {
        let cohort = cohort(&data);
        let horizons: Vec<usize> = horizons.into_iter().collect();
        let plan = WindowPlan {
            stride,
            longest_gap_hours: Some(longest),
            ..WindowPlan::new(length, &horizons)
        };
        let found = match plan.with_targets(&cohort) {
            Ok(windows) => windows,
            Err(error) => {
                let expected = matches!(error, Error::TooShort { .. } | Error::Unfit { .. });
                prop_assert!(expected, "{}", error);
                Windows::default()
            }
        };
        let mut plain = Vec::new();
        for (at, sequence) in cohort.sequences().iter().enumerate() {
            let seen: Vec<bool> = observed(sequence).iter().map(Option::is_some).collect();
            let times = sequence.times.as_ref().unwrap();
            for range in stretches(sequence, longest) {
                for start in range.clone().step_by(stride) {
                    let end = start + plan.reach();
                    if end > range.end { continue }
                    let close = (start + 1..end).all(|i| times[i] - times[i - 1] <= longest);
                    prop_assert!(close, "a window crosses a gap");
                    let targets: Vec<bool> =
                        horizons.iter().map(|h| seen[start + length - 1 + h]).collect();
                    if seen[start..start + length].contains(&true) && targets.contains(&true) {
                        plain.push((at, start, !targets.contains(&false)));
                    }
                }
            }
        }
        let listed: Vec<_> =
            found.list.iter().map(|w| (w.sequence, w.start, w.complete)).collect();
        prop_assert_eq!(listed, plain);
    }

    #[test]
    fn stretches_cover_each_step_once(data in series(), longest in 0.1_f64..3.0) {
        let cohort = cohort(&data);
        for sequence in cohort.sequences() {
            let steps: Vec<usize> = stretches(sequence, longest).into_iter().flatten().collect();
            prop_assert_eq!(steps, (0..sequence.len()).collect::<Vec<_>>());
        }
        let cut = cut_at_gaps(&cohort, longest).unwrap();
        prop_assert_eq!(cut.steps(), cohort.steps());
        prop_assert_eq!(cut.missing(), cohort.missing());
        for sequence in cut.sequences() {
            prop_assert!(stretches(sequence, longest).len() <= 1);
        }
    }

    #[test]
    fn bins_hold_the_means_of_what_falls_into_them(data in series(), step in 0.1_f64..2.0) {
        let grid = Grid { step_hours: step, carry_forward: 0 };
        for sequence in cohort(&data).sequences() {
            let regular = resample(sequence, &grid, &Limits::default()).unwrap();
            let times = sequence.times.as_ref().unwrap();
            let start = times.first().copied().unwrap_or(0.0);
            for (bin, mean) in observed(&regular).into_iter().enumerate() {
                let inside: Vec<f64> = observed(sequence)
                    .iter()
                    .zip(times)
                    .filter(|(_, time)| (((*time - start) / step).floor() - bin as f64).abs() < 0.5)
                    .filter_map(|(value, _)| value.map(f64::from))
                    .collect();
                prop_assert_eq!(mean.is_none(), inside.is_empty());
                if let Some(mean) = mean {
                    let plain = inside.iter().sum::<f64>() / inside.len() as f64;
                    prop_assert!((f64::from(mean) - plain).abs() < 1e-4);
                }
            }
        }
    }
}
