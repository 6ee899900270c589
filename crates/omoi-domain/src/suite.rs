//! The project's own test suite: what a run of it says, which files decide what it runs, and when
//! the machine is at fault rather than the code.

pub mod control;
pub mod fault;
pub mod report;
pub mod verdict;

#[cfg(test)]
mod tests;
