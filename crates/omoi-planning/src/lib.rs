//! Spec pipeline: explore to sync
