//! The rewrites of one output, as they are reported.

use crate::finding::RuleFinding;
use crate::repository::RepoPaths;

/// Collects a warning per rewrite, with the place of the item that is rewritten.
#[derive(Debug)]
pub(super) struct RewriteLog<'a> {
    pub(super) repo: &'a RepoPaths,
    pub(super) base: String,
    pub(super) warnings: Vec<RuleFinding>,
}

impl<'a> RewriteLog<'a> {
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
        self.warnings.push(RuleFinding {
            code: "normalised".to_owned(),
            message: message.into(),
            path,
        });
    }
}
