//! Time series in tables, of text or Parquet: one row for each observation, named columns.
//!
//! ```text
//! patient,time,heart_rate
//! p01,2024-05-01T08:00:00,71
//! p01,2024-05-01T08:00:30,NA
//! p02,2024-05-01T09:10:00,88
//! ```
//!
//! Columns are found by the header row. A subject column parts the rows into subjects, a time
//! column orders them; both are optional. An empty cell, `NA`, `N/A`, `NaN`, `null` or `none`
//! (in any case) is a missing value. The separator (`,` `;` tab or `|`) is guessed from the
//! header, gzip is unpacked. This is not a general table reader: text columns other than the
//! subject are ignored.
//!
//! Parquet files, which are known by their first bytes, have their columns by name in the same
//! way; their numbers, texts, instants and dates are taken as what they are, null is missing.
//!
//! **Source** RFC 4180, read with the crate `csv`.
//!
//! # Example
//! ```
//! use sequela_core::Limits;
//! use sequela_formats::csv::{SeriesColumns, TimeFormat, parse_series};
//! let text = b"id,minutes,hr\na,0,70\na,1,\nb,0,90\n";
//! let columns = SeriesColumns::values([("hr", "bpm")])
//!     .with_subject("id")
//!     .with_time("minutes", TimeFormat::Minutes);
//! let table = parse_series(text, "ward.csv".as_ref(), &columns, &Limits::default())?;
//! assert_eq!(table.series.len(), 2);
//! assert_eq!(table.series[0].times.as_deref(), Some(&[0.0, 1.0 / 60.0][..]));
//! assert!(table.series[0].values[1].is_nan());
//! # Ok::<(), sequela_formats::Error>(())
//! ```

mod cells;
mod columnar;
mod columns;
mod labels;
mod line;
mod long;
mod parts;
mod read;
mod rows;
mod sniff;
mod sniff_long;
mod table;
mod workbook;
mod write;

pub(crate) use cells::instant;
pub use cells::{Fault, TimeFormat, is_missing, narrow, time};
pub use columns::{SeriesColumns, TimeColumn, ValueColumn};
pub(crate) use columns::{nearest, refuse_duplicates};
pub use labels::{
    Labels, StepLabelColumns, StepLabels, parse_labels, parse_step_labels, read_labels,
    read_step_labels,
};
pub use line::{LineFault, LineHeader, LineTable};
pub use long::{LongColumns, LongSeries, LongTable, Reading, parse_long, read_long};
pub use read::{Series, SeriesTable, parse_series, read_series};
pub use rows::instant_text;
pub(crate) use rows::{Row, Rows, with_rows_of, with_stream};
pub use sniff::{Sniffed, column_names, guess_keys, sniff, sniff_bytes};
pub use sniff_long::{LongSniffed, sniff_long};
pub use write::{Cell, push_text, to_csv};
