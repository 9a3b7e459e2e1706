//! The public data sets that sequela knows.

use std::fs;
use std::path::Path;

/// A data set: the name of its folder, what it is for and what its licence asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) task: &'static str,
    pub(crate) content: &'static str,
    pub(crate) licence: &'static str,
}

/// Files below a folder and their bytes; links are not followed.
pub(crate) fn size(folder: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(folder) else { return (0, 0) };
    entries.flatten().fold((0, 0), |(files, bytes), entry| match entry.metadata() {
        Ok(found) if found.is_dir() => {
            let (more, size) = size(&entry.path());
            (files + more, bytes + size)
        }
        Ok(found) if found.is_file() => (files + 1, bytes + found.len()),
        _ => (files, bytes),
    })
}

const fn set(
    name: &'static str,
    task: &'static str,
    content: &'static str,
    licence: &'static str,
) -> Set {
    Set { name, task, content, licence }
}

/// Sorted by application, the heart first.
pub(crate) const SETS: [Set; 22] = [
    set(
        "heart_rate",
        "forecast",
        "2 series of beat intervals (4684 and 337 beats)",
        "BSD-3 / ODC-By",
    ),
    set(
        "mitbih",
        "forecast, label",
        "26 ECG records of 30 min with beat annotations",
        "ODC-By 1.0",
    ),
    set(
        "wfdb_formats",
        "(formats)",
        "WFDB records and the output expected of readers",
        "MIT / ODC-By",
    ),
    set("physionet2012", "classify", "8000 ICU stays of 48 h, in-hospital death", "ODC-By 1.0"),
    set("physionet2019", "label", "10,000 ICU patients by the hour, sepsis", "CC BY 4.0"),
    set(
        "icu_open_demos",
        "classify",
        "MIMIC-III and eICU demos, death and length of stay",
        "ODbL 1.0",
    ),
    set(
        "parkinsons_telemonitoring",
        "regress",
        "42 subjects, 5875 voice recordings, UPDRS",
        "CC BY 4.0",
    ),
    set("pbc2", "survive", "312 patients, 1945 visits, liver disease", "MIT"),
    set("uci_diabetes", "forecast", "70 patients, 29,330 glucose and insulin events", "CC BY 4.0"),
    set("synthea", "(formats)", "159 synthetic patients as CSV and FHIR", "Apache-2.0"),
    set("omop_synthea27nj", "(formats)", "28 synthetic persons in the OMOP model", "Apache-2.0"),
    set("meds_sample", "(formats)", "6 synthetic subjects in the MEDS format", "MIT"),
    set(
        "moleculenet",
        "classify, regress, generate",
        "ESOL, BBBP, BACE, Tox21 ... as SMILES",
        "MIT",
    ),
    set("uci_splice", "classify", "3190 DNA sequences of 60 bases, splice sites", "CC BY 4.0"),
    set("uci_promoters", "classify", "106 DNA sequences, promoters", "CC BY 4.0"),
    set("protein_ss", "label", "11,156 proteins, secondary structure", "AFL-3.0 / CC0"),
    set("tmbed_sp_tm", "label", "5217 proteins, signal peptides and membranes", "Apache-2.0"),
    set("peptides", "classify", "16,420 peptides in 11 sets", "MIT"),
    set("medmnist_pneumonia", "classify", "5856 chest images, pneumonia", "CC BY 4.0"),
    set("dicom_samples", "(formats)", "162 DICOM files of many kinds", "MIT"),
    set("nifti_samples", "(formats)", "19 NIfTI files", "MIT / PDDL"),
    set("onnx_rnn", "(formats)", "12 recurrent test cases of ONNX", "Apache-2.0"),
];
