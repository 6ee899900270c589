//! The templates: one function per kind of file.

mod earlier_phases;
mod task_files;

pub(super) use earlier_phases::{design, prd, requirements};
pub(super) use task_files::{index, summary, task, ticket};
