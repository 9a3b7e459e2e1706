//! The Medical Event Data Standard: coded events of subjects, in Parquet.
//!
//! ```text
//! FOLDER/data/**/*.parquet               subject_id, time, code, numeric_value, text_value ...
//! FOLDER/metadata/subject_splits.parquet subject_id, split (train, tuning, held_out)
//! labels (any file)                      subject_id, prediction_time, boolean_value ...
//! ```
//!
//! A subject is in one shard only, its rows together and sorted by time; a time that is missing
//! stands for what does not change. What is written here is valid by the schemas of the package
//! `meds` 0.4; see `scripts/check_meds.py`. **Source** the schemas and the README of `meds`.

mod coded;
mod labels;
mod shard;
mod table;
mod write;

pub(crate) use self::coded::Words;
pub use self::coded::{Code, Coded, CodedEvent, Counted};
pub use self::labels::{Label, label_files, read_codes, read_labels, read_splits, read_units};
pub use self::shard::{STATIC, Shard, SubjectRows, read_shard, read_shards, shards};
pub use self::write::{NewEvent, write_codes, write_labels, write_shard, write_splits};
