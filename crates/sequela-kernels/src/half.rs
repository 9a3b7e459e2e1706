//! Products in bf16 with sums in f32: a second precision, for processors with AVX-512 BF16.
//!
//! What is rounded to bf16 (8 bits of mantissa) are the operands of each product: weights, x, h
//! (not where a single sequence is streamed on a processor with AMX, see `single`), and on the way back the gradients of gates. Sums, gates, states, gradients and the weights
//! that an optimiser works on stay f32. **Determinism** none of what the crate promises for f32:
//! sums are grouped by what the processor has (AMX tiles of 16 rows, or `vdpbf16ps`), so the last
//! bits differ between processors and with the number of rows. A run on one processor with one
//! number of threads repeats its bits.
//!
//! | module | what it does |
//! |---|---|
//! | `dot` | the proof of AVX-512 BF16, and its vectors of pairs |
//! | `amx` | the proof of AMX, its tiles, the system's leave to use them |
//! | `multiply` | the one product that everything is made of |
//! | `single` | one row against rounded weights, where `vdpbf16ps` gains nothing |
//! | `operands` | rows, pairs of rows and weights, rounded into the forms that it reads |

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod dot;
#[cfg(target_arch = "x86_64")]
pub(crate) mod multiply;
#[cfg(target_arch = "x86_64")]
pub(crate) mod operands;
#[cfg(target_arch = "x86_64")]
pub(crate) mod single;

use crate::{Error, Isa};

/// In what the products of recurrent layers are computed.
///
/// # Example
/// ```
/// use sequela_kernels::{Isa, Precision};
/// assert!(Precision::F32.check(Isa::named("portable")?).is_ok());
/// let refused = Precision::Bf16.check(Isa::named("portable")?).unwrap_err();
/// assert!(refused.to_string().contains("precision = \"f32\""));
/// # Ok::<(), sequela_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// f32 throughout, with the same bits everywhere.
    #[default]
    F32,
    /// Operands of products in bf16, sums in f32; not the same bits everywhere.
    Bf16,
}

impl Precision {
    /// Whether kernels can run in this precision.
    ///
    /// # Errors
    /// [`Error::Precision`] for bf16 where the processor lacks AVX-512 BF16, or the chosen
    /// instruction set is another than AVX-512.
    pub fn check(self, isa: Isa) -> Result<(), Error> {
        match self {
            Self::F32 => Ok(()),
            Self::Bf16 => Bf16::on(isa).map(|_| ()),
        }
    }

    /// `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Proof that products in bf16 may run, and what with.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bf16 {
    pub(crate) dot: dot::Dot,
    pub(crate) tiles: Option<amx::Tiles>,
}

#[cfg(target_arch = "x86_64")]
impl Bf16 {
    /// # Errors
    /// [`Error::Precision`] where it cannot be had.
    pub(crate) fn on(isa: Isa) -> Result<Self, Error> {
        if isa.name() != "avx512" && dot::Dot::detect().is_some() {
            return Err(Error::Precision { reason: OTHER_ISA });
        }
        let dot = dot::Dot::detect().ok_or(Error::Precision { reason: ABSENT })?;
        Ok(Self { dot, tiles: amx::Tiles::detect() })
    }
}

/// Nothing has this type: no other processor can run these products.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bf16 {}

#[cfg(not(target_arch = "x86_64"))]
impl Bf16 {
    /// # Errors
    /// [`Error::Precision`], always.
    pub(crate) fn on(_: Isa) -> Result<Self, Error> {
        Err(Error::Precision { reason: ABSENT })
    }
}

const ABSENT: &str = "bf16 needs AVX-512 BF16, which this processor has not";
#[cfg(target_arch = "x86_64")]
const OTHER_ISA: &str = "bf16 needs AVX-512 BF16, and SEQUELA_ISA names another instruction set";
