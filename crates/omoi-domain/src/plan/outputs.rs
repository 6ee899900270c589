//! Planning: outputs.
