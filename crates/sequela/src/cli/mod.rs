//! The parts of the command line, one file for each verb.

pub(crate) mod arguments;
mod article;
mod classes;
mod compare;
pub(crate) mod console;
mod convert;
mod data;
mod demo;
mod describe;
mod errors;
mod evaluate;
mod export;
pub(crate) mod failure;
#[cfg(feature = "fetch")]
mod get;
mod import;
mod init;
mod inspect;
mod predict;
mod progress;
mod run;
mod search;
mod sets;
pub(crate) mod signal;
mod stream;
mod train;
