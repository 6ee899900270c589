//! Planning: evaluate.
