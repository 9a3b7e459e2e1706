//! Pictures as SVG text: self-contained, legible in black and white, described for screen readers.
//!
//! No script, style sheet, outside font, image or identifier is used, so a picture can be opened
//! on its own, put in a page beside others, or converted. Colours are those of Okabe and Ito
//! (2008), told apart by people with any colour vision; lines differ in dashes too.
//!
//! **Missing data** a value that is not finite, or not positive on a logarithmic axis, is a gap
//! in the line, never joined over. Long series keep each pixel column's first, last, lowest and
//! highest value, so no peak is lost.
//!
//! **Determinism** the text is a function of the values: the same bytes on every machine.
//!
//! # Example
//! ```
//! use sequela_eval::picture::{LossCurve, Scale};
//! let svg = LossCurve {
//!     title: "Heart-rate forecaster",
//!     loss: "loss (MSE, scaled)",
//!     train: &[1.0, 0.5, 0.25],
//!     tune: &[1.1, 0.7, 0.8],
//!     best_epoch: Some(2),
//!     scale: Scale::Log,
//! }
//! .to_svg();
//! assert!(svg.starts_with("<svg") && svg.contains("best: epoch 2"));
//! ```

mod axis;
mod bars;
mod chart;
mod classifier;
mod lines;
mod loss;
mod panels;
mod square;
mod svg;
mod trials;

pub use axis::Scale;
pub use bars::{BarSeries, ErrorBars};
pub use classifier::{ClassifierLine, ClassifierPicture};
pub use lines::{Band, ForecastLine, ForecastLines};
pub use loss::LossCurve;
pub use panels::{Panel, Panels};
pub use square::{Marked, Spread, Square, SquareLine};
pub use trials::{TrialCurve, TrialCurves};

pub use svg::escape;
