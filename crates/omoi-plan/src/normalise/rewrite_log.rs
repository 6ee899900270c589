//! The rewrites of one output, as they are reported.

use crate::finding::Finding;
use crate::repository::RepoPaths;

/// What the rewriting knows and collects on its way.
#[derive(Debug)]
pub(super) struct Log<'a> {
    pub(super) repo: &'a RepoPaths,
    pub(super) base: String,
    pub(super) warnings: Vec<Finding>,
}

impl<'a> Log<'a> {
    pub(super) fn new(repo: &'a RepoPaths) -> Self {
        Self {
            repo,
            base: String::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, field: &str, message: impl Into<String>) {
        let path = match (self.base.as_str(), field) {
            ("", field) => field.to_owned(),
            (base, "") => base.to_owned(),
            (base, field) => format!("{base}.{field}"),
        };
        self.warnings.push(Finding {
            code: "normalised".to_owned(),
            message: message.into(),
            path,
        });
    }
}
