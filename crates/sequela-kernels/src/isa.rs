//! Which instruction set the kernels run on: chosen once, at run time.

use crate::Error;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Kernel, Portable};

/// An instruction set that was found on this machine. Values exist only where detection
/// succeeded, so holding one is the proof that its instructions may run.
///
/// # Example
/// ```
/// use sequela_kernels::Isa;
/// assert!(Isa::all().contains(&Isa::best()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isa(Found);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Isa {
    /// The fastest instruction set of this machine.
    pub fn best() -> Self {
        Self::all()[0]
    }

    /// All instruction sets of this machine, fastest first; portable code is always the last.
    pub fn all() -> Vec<Self> {
        let mut found = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(Avx512::detect().map(|isa| Self(Found::Avx512(isa))));
            found.extend(Avx2::detect().map(|isa| Self(Found::Avx2(isa))));
        }
        found.push(Self(Found::Portable(Portable)));
        found
    }

    /// The instruction set that `SEQUELA_ISA` names, or the best one where it is not set.
    ///
    /// # Errors
    /// [`Error::Isa`] where the name is unknown or the machine lacks it.
    pub fn from_environment() -> Result<Self, Error> {
        match std::env::var("SEQUELA_ISA") {
            Ok(name) => Self::named(&name),
            Err(_) => Ok(Self::best()),
        }
    }

    /// The instruction set of this name.
    ///
    /// # Errors
    /// [`Error::Isa`] where the name is unknown or the machine lacks it.
    pub fn named(name: &str) -> Result<Self, Error> {
        let known = ["avx512", "avx2", "portable"];
        let reason = if known.contains(&name) {
            "this machine does not have it"
        } else {
            "no such instruction set"
        };
        Self::all()
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| Error::Isa { name: name.into(), reason })
    }

    /// `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Found::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Found::Avx2(_) => "avx2",
            Found::Portable(_) => "portable",
        }
    }

    /// Runs `kernel`, compiled for this instruction set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Found::Avx512(isa) => isa.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Found::Avx2(isa) => isa.run(kernel),
            Found::Portable(isa) => kernel.run(isa),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_absent_instruction_sets_are_told_apart() {
        let error = Isa::named("sse9").unwrap_err().to_string();
        assert!(error.contains("no such instruction set"), "{error}");
        assert_eq!(Isa::named("portable").unwrap().name(), "portable");
    }
}
