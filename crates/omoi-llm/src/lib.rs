//! Model wire formats, gateway, structured output, simulated model

pub mod scenario;
pub mod simulated;
pub mod wire;
