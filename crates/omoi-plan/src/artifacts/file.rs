//! One file: its head, its text, and how both are named.

use omoi_domain::id::SpecId;
use omoi_domain::time::Timestamp;

use super::body::{self, ChecklistItem};
use super::frontmatter::{self, FrontMatter};
use super::parse_error::ParseError;

/// Longest name of a feature in file names, in characters.
pub const FEATURE_CHARS_MAX: usize = 50;

/// The number of a feature's only document of a kind.
const FIRST: &str = "001";

/// What every file says about its spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecFileMeta {
    /// The spec's row.
    pub spec_id: SpecId,
    /// `n` of `SPEC-n`.
    pub number: i64,
    /// Name of the feature; its [`feature_slug`] goes into file names.
    pub feature: String,
    /// When the spec was made.
    pub created_at: Timestamp,
    /// When the newest output was accepted.
    pub updated_at: Timestamp,
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecFile<F> {
    /// Its frontmatter.
    pub front: F,
    /// The markdown below.
    pub body: String,
    /// The checkbox lines of the markdown.
    pub criteria: Vec<ChecklistItem>,
}

impl<F: FrontMatter> SpecFile<F> {
    pub(super) fn new(front: F, body: String) -> Self {
        let criteria = body::criteria_in(&body, front.id());
        Self {
            front,
            body,
            criteria,
        }
    }

    pub(super) fn write(&self) -> String {
        frontmatter::write_file(&self.front, &self.body)
    }

    pub(super) fn read(path: &str, text: &str) -> Result<Self, ParseError> {
        let (front, body) = frontmatter::read_file(path, text)?;
        Ok(Self::new(front, body))
    }
}

/// `name` in kebab case: lower-case letters, digits and single hyphens.
pub fn feature_slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-");
    slug.truncate(FEATURE_CHARS_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "feature" } else { slug }.to_owned()
}

/// The id of the document of a kind.
pub(super) fn document_id(prefix: &str, meta: &SpecFileMeta) -> String {
    let feature = feature_slug(&meta.feature).replace('-', "").to_uppercase();
    format!("{prefix}-{feature}-{FIRST}")
}
