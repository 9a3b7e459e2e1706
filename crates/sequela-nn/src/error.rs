//! Why a program could not be built, planned, fed or run.

use sequela_core::{Class, Location};

/// The error of this crate.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An operation was given inputs that it cannot take.
    #[error("node {node} ({operation}): {what}")]
    Shape {
        /// Index that the node has or would have had.
        node: usize,
        /// Name of the operation.
        operation: String,
        /// What does not fit.
        what: String,
    },
    /// A program is not sound.
    #[error("{location}: the program is not sound: {what}")]
    Program {
        /// The part of the program.
        location: Location,
        /// What is wrong.
        what: String,
    },
    /// A configuration value is outside its range.
    #[error("{location}: {what}; {hint}")]
    Configuration {
        /// The field.
        location: Location,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// A size is over its limit.
    #[error(
        "{location}: {what} is {found}, over the limit of {limit}; make the model or the batch smaller"
    )]
    Limit {
        /// The field.
        location: Location,
        /// The size that is too large.
        what: &'static str,
        /// The size found.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A batch does not fit the program or the plan.
    #[error("{location}: {what}")]
    Batch {
        /// The input or layout.
        location: Location,
        /// What does not fit.
        what: String,
    },
    /// Named weights do not fit the program.
    #[error("{location}: {what}; the weights belong to another model")]
    Weights {
        /// The weight.
        location: Location,
        /// What does not fit.
        what: String,
    },
    /// A call came before the one that it depends on.
    #[error("{location}: {what}")]
    Order {
        /// The call.
        location: Location,
        /// What has to come first.
        what: &'static str,
    },
    /// A program cannot be run one step at a time.
    #[error(
        "node {node} ({operation}) needs the whole sequence: {what}; predict without streaming"
    )]
    NotStreamable {
        /// The node.
        node: usize,
        /// Name of the operation.
        operation: String,
        /// Why it looks ahead.
        what: &'static str,
    },
    /// A budget of memory is too small, even if all is recomputed that can be.
    #[error(
        "{location}: {needed} bytes are needed at least, the budget is {budget}{why}; raise it, or \
         make the model, the batch or the sequences smaller"
    )]
    Budget {
        /// The setting.
        location: Location,
        /// The least that is needed.
        needed: u64,
        /// What may be taken.
        budget: u64,
        /// What stands in the way of a smaller plan; empty where nothing does.
        why: Box<str>,
    },
    /// A kernel broke.
    #[error("a kernel broke: {0}")]
    Kernel(#[from] sequela_kernels::Error),
}

impl Error {
    /// The class of this error.
    pub fn class(&self) -> Class {
        match self {
            Self::Configuration { .. }
            | Self::Limit { .. }
            | Self::NotStreamable { .. }
            | Self::Budget { .. } => Class::Usage,
            Self::Batch { .. } => Class::Input,
            Self::Program { .. } | Self::Weights { .. } => Class::Integrity,
            Self::Shape { .. } | Self::Order { .. } => Class::Internal,
            Self::Kernel(error) => error.class(),
        }
    }
}

/// An error about one input of a batch.
pub(crate) fn batch_error(input: &str, what: impl Into<String>) -> Error {
    Error::Batch { location: Location::default().field(input), what: what.into() }
}

/// An error about one part of a program.
pub(crate) fn program_error(part: impl Into<String>, what: impl Into<String>) -> Error {
    Error::Program { location: Location::default().field(part), what: what.into() }
}

/// An error about a call that came too early.
pub(crate) fn order_error(call: &str, what: &'static str) -> Error {
    Error::Order { location: Location::default().field(call), what }
}
