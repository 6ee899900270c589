//! The omoi binary
fn main() {}
