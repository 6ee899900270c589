//! Documents of registries: which versions there are, how old they are and what their files sum up to.
//!
//! The cache keeps what the registry sent. What a client sees is made from it for each answer, so that
//! a version comes into sight on the day it is old enough and not before.

pub mod crates_index;
pub mod go_module;
pub mod packument;
mod raw_entries;
pub mod simple_index;

use omoi_domain::time::Timestamp;

use crate::package::{ArtefactSum, PackageVersion};

/// What a registry's document says about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtefactFacts {
    /// The version that the file is of.
    pub version: PackageVersion,
    /// What it must sum up to, the strongest that is given.
    pub sum: Option<ArtefactSum>,
    /// When it was published, where the document says so.
    pub published_at: Option<Timestamp>,
}

/// A document that is not in the format of its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedDocument(pub &'static str);
