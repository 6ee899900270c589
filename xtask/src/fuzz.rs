//! What `cargo xtask fuzz` tells the targets of a run.

/// The variable with the seconds that each target goes on for; without it a target replays a few changes.
pub const SECONDS_VARIABLE: &str = "OMOI_FUZZ_SECONDS";
/// The variable with the number that the changes come of.
pub const SEED_VARIABLE: &str = "OMOI_FUZZ_SEED";
