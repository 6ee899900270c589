//! Planning: coverage.
