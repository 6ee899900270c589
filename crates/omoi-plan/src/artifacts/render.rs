//! The templates: one function per kind of file.

mod earlier_phases;
mod task_files;

pub(super) use earlier_phases::{render_design, render_prd, render_requirements};
pub(super) use task_files::{render_index, render_summary, render_task, render_ticket};
