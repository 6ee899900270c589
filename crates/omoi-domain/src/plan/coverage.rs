//! Coverage of requirements by tasks, and whether a plan is ready to be carried out.

mod combined;
#[cfg(test)]
pub(crate) mod fixtures;

pub use combined::{Combined, EdgeOrigin, PlanFault, combined};
