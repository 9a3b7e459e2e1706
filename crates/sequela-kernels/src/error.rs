//! Why a kernel could not be set up or did not finish.

use sequela_core::Class;

/// The error of this crate. Shapes that do not fit are bugs of the caller and panic instead.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// `SEQUELA_ISA` names an instruction set that is not known or not on this machine.
    #[error("SEQUELA_ISA={name}: {reason}; use avx512, avx2 or portable")]
    Isa {
        /// What was asked for.
        name: String,
        /// Why it cannot be had.
        reason: &'static str,
    },
    /// Products in bf16 cannot be had.
    #[error("{reason}; leave precision = \"f32\"")]
    Precision {
        /// Why.
        reason: &'static str,
    },
    /// A worker thread could not be started.
    #[error("worker thread {index} could not be started: {message}; ask for fewer threads")]
    Thread {
        /// Which worker.
        index: usize,
        /// What the system said.
        message: String,
    },
    /// A worker panicked; the numbers of this call are not to be used.
    #[error("a worker thread panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl Error {
    /// The class of this error.
    pub fn class(&self) -> Class {
        match self {
            Self::Isa { .. } | Self::Precision { .. } => Class::Usage,
            Self::Thread { .. } => Class::Io,
            Self::Panicked { .. } => Class::Internal,
        }
    }
}
