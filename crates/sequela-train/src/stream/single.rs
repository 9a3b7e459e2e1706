//! One subject without a name.

use sequela_data::envelope::Placing;

use crate::Error;
use crate::model::Model;

use super::{StreamOptions, Streams};

/// A model that is fed one step at a time.
///
/// What it says after a step are the bits that [`predict`](crate::predict) gives for that step.
/// A gap in time is for the caller to tell, by [`Stream::reset`]; [`Streams`] takes times, and
/// many subjects.
#[derive(Debug)]
pub struct Stream<'a> {
    streams: Streams<'a>,
}

impl<'a> Stream<'a> {
    /// A stream at its beginning.
    ///
    /// # Errors
    /// As [`Streams::new`].
    pub fn new(model: &'a Model) -> Result<Self, Error> {
        let options = StreamOptions { max_subjects: 1, together: 1, ..StreamOptions::default() };
        Ok(Self { streams: Streams::new(model, &options)? })
    }

    /// Takes the values of one step (one for each channel, NaN where missing); the forecasts for
    /// each horizon, once a whole window was seen.
    ///
    /// # Errors
    /// [`Error::Data`] for another number of values, or an infinite one.
    pub fn push(&mut self, values: &[f32]) -> Result<Option<&[f32]>, Error> {
        self.streams.clear()?;
        let at = self.streams.push(NAME, None, values)?;
        self.streams.run()?;
        Ok(self.streams.forecasts(at))
    }

    /// Where the window that ends with the last step lies; see [`Streams::placing`].
    pub fn placing(&self) -> Option<&Placing> {
        self.streams.placing(0)
    }

    /// Begins anew: another subject, or a gap in the record.
    pub fn reset(&mut self) {
        // Nothing is queued between two steps, so nothing can fail.
        let _ = self.streams.forget(NAME);
    }
}

const NAME: &str = "";
