//! What people and scripts see of a run.
//!
//! [`state`] folds events into a picture; [`block`], [`plain`], [`opening`] and [`ending`] turn the
//! picture into lines without touching a terminal; [`live`] puts lines onto one.

pub(crate) mod block;
pub(crate) mod ending;
pub(crate) mod live;
pub(crate) mod log;
pub(crate) mod opening;
pub(crate) mod opinion;
pub(crate) mod plain;
pub(crate) mod state;
pub(crate) mod text;
pub(crate) mod tree;

#[cfg(test)]
mod tests;
