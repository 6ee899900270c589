//! Planning: sync.
