#![doc = include_str!("../README.md")]

// The README above lists the modules in the order of their storeys.
pub mod artifacts;
pub mod coverage;
pub mod ears;
pub mod evaluate;
pub mod finding;
pub mod ids;
pub mod items;
pub mod normalise;
pub mod opinion;
pub mod outputs;
pub mod repository;
pub mod sections;
pub mod sync;
pub mod task_edits;
pub mod wording;
