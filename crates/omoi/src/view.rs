//! What people and scripts see of a run.
//!
//! [`run_view`] folds events into the state of a run; [`header`], [`progress`], [`log_line`] and
//! [`summary`] turn that state into lines without touching a terminal; [`live_screen`] draws lines on one.

pub(crate) mod header;
pub(crate) mod live_screen;
pub(crate) mod log_line;
pub(crate) mod plan_opinion;
pub(crate) mod process_line;
pub(crate) mod progress;
pub(crate) mod run_view;
pub(crate) mod summary;
pub(crate) mod task_log;
pub(crate) mod text_layout;
pub(crate) mod trace_tree;

#[cfg(test)]
mod tests;
