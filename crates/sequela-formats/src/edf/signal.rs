//! One signal of a recording, and how its numbers become physical values.

use std::path::Path;

use sequela_core::Location;

use crate::Error;

/// What the header says of one signal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Signal {
    /// Its label, e.g. `EEG Fpz-Cz`.
    pub label: String,
    /// The kind of electrode or sensor.
    pub transducer: String,
    /// Its unit, e.g. `uV`; empty where there is none.
    pub unit: String,
    /// The physical values of the lowest and the highest number. The first is the greater one where
    /// the gain is negative.
    pub physical: (f64, f64),
    /// The lowest and the highest number.
    pub digital: (i32, i32),
    /// Filters it went through, e.g. `HP:0.1Hz LP:75Hz`.
    pub filter: String,
    /// Samples in one data record.
    pub samples: u32,
    /// Whether its bytes are annotations.
    pub is_annotations: bool,
    /// The reserved field, which the standards leave blank.
    pub reserved: String,
    /// Where in the file the fields of its physical and its digital range begin.
    pub ranges_at: [u64; 2],
}

impl Signal {
    /// How numbers of this signal become physical values; `name` stands for the file in messages.
    ///
    /// # Errors
    /// [`Error::Malformed`] where one of the ranges is empty or the digital one is upside down.
    pub fn calibration(&self, name: &Path) -> Result<Calibration, Error> {
        let [physical_at, digital_at] = self.ranges_at;
        let fault = |at: u64, field: &str, what: &str| {
            let place = Location::file(name).byte(at).field(field);
            Err(Error::malformed(place, what, "correct the header, or leave this signal out"))
        };
        let (low, high) = (f64::from(self.digital.0), f64::from(self.digital.1));
        if low >= high {
            let what = "the digital minimum is not below the digital maximum";
            return fault(digital_at, "digital minimum", what);
        }
        let gain = (self.physical.1 - self.physical.0) / (high - low);
        let offset = self.physical.1 / gain - high;
        if gain.abs() <= 0.0 || !gain.is_finite() || !offset.is_finite() {
            let what = "the physical minimum and maximum are one number, or too far apart";
            return fault(physical_at, "physical minimum", what);
        }
        Ok(Calibration { gain, offset })
    }
}

/// How numbers become physical values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Physical units in one digital unit.
    pub gain: f64,
    /// Added to a number before it is multiplied.
    pub offset: f64,
}

impl Calibration {
    /// The physical value of a number, computed as `EDFlib` does, to the same bits.
    pub fn physical(self, digital: i32) -> f64 {
        self.gain * (self.offset + f64::from(digital))
    }
}
