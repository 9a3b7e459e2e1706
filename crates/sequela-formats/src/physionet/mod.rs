//! The layouts of two challenges of PhysioNet: many small text files, one for each ICU stay.
//!
//! ```text
//! 2012: set-a/132539.txt          2019: p000001.psv
//! Time,Parameter,Value            HR|O2Sat|Temp| ... |ICULOS|SepsisLabel
//! 00:00,RecordID,132539           NaN|NaN|NaN| ... |1|0
//! 00:00,Age,54                    97|95|NaN| ... |2|0
//! 00:07,HR,73
//! Outcomes-a.txt
//! RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death
//! ```
//!
//! Both are read from a folder, from an archive, or from a folder of archives, as published or
//! unpacked. What the numbers mean, and which of them can be believed, is not decided here.
//!
//! **Source** Silva, Moody, Scott, Celi and Mark, Computing in Cardiology 39 (2012) 245;
//! Reyna et al., Critical Care Medicine 48 (2020) 210; the challenges' pages on physionet.org.

mod challenge_2012;
mod challenge_2019;
mod lines;

pub(crate) use challenge_2012::is_stay;
pub use challenge_2012::{
    Measurement, Outcomes, PARAMETERS, Stay, parse_outcomes, parse_stay, read_outcomes, read_stays,
};
pub(crate) use challenge_2019::is_hours;
pub use challenge_2019::{COLUMNS, Hours, parse_hours, read_hours};
