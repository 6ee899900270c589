//! Planning: ears.
