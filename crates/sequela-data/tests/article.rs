//! The article's series against NumPy's, bit for bit.
#![allow(clippy::doc_markdown, reason = "the name of a library is no code")]

use std::path::Path;

use sequela_core::Limits;
use sequela_data::simulate::article;
use sequela_formats::npy::read_array;

#[test]
fn all_thousand_values_have_the_bits_of_numpy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/data/article_series.npy");
    let expected = read_array(&path, &Limits::default()).unwrap().values;
    let series = article::series();
    assert_eq!((series.len(), expected.len()), (1000, 1000));
    for (index, (ours, theirs)) in series.iter().zip(&expected).enumerate() {
        assert_eq!(ours.to_bits(), theirs.to_bits(), "value {index}: {ours} and {theirs}");
    }
}

#[test]
fn the_cohort_is_one_sequence_of_a_thousand_steps() {
    let cohort = article::cohort().unwrap();
    assert_eq!((cohort.len(), cohort.steps(), cohort.missing()), (1, 1000, 0));
}
