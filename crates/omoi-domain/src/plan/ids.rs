//! Planning: ids.
