//! Planning rules: phase outputs, identifiers, EARS, evaluators, coverage, sync and artifacts.

pub mod artifacts;
pub mod coverage;
pub mod ears;
pub mod evaluate;
pub mod ids;
pub mod normalise;
pub mod opinion;
pub mod outputs;
pub mod repository;
pub mod sync;
