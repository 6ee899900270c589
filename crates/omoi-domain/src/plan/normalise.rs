//! Planning: normalise.
