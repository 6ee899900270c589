//! The life of work: what follows when something happens to a task, an attempt, a merge, a planning phase,
//! a ticket or a spec, or when a person asks something of one.
//!
//! Each transition is a pure function from facts to actions, in a file of its own with its table
//! test. `omoi-execution` reads the facts, asks, and applies the actions in one transaction; nothing
//! here reads a row, a clock or a random source.

pub mod approval;
pub mod attempt;
pub mod merge;
pub mod phase;
pub mod spec;
pub mod task;
pub mod ticket;
pub mod tries;
pub mod work_result;
