//! Planning: artifacts.
