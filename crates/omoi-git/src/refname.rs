//! Names of refs, checked by git's own rules and ours.

use std::ffi::OsStr;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A full ref name such as `refs/heads/omoi/tags`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RefName(String);

/// The text is not a ref name that git and we accept.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a valid ref name")]
pub struct BadRefName {
    /// What was given, cut to a printable length.
    pub text: String,
}

impl RefName {
    /// Takes a full name: it begins with `refs/` and has at least three parts.
    pub fn parse(text: &str) -> Result<Self, BadRefName> {
        let known = text
            .strip_prefix("refs/")
            .is_some_and(|rest| rest.contains('/'));
        if known && text.len() <= 240 && text.split('/').all(part_ok) && !text.contains("@{") {
            return Ok(Self(text.to_owned()));
        }
        Err(BadRefName {
            text: text.chars().filter(|c| !c.is_control()).take(200).collect(),
        })
    }

    /// The branch called `name`, without `refs/heads/`.
    pub fn from_branch(name: &str) -> Result<Self, BadRefName> {
        if name == "HEAD" {
            return Err(BadRefName { text: name.into() });
        }
        Self::parse(&format!("refs/heads/{name}"))
    }

    /// The full name, with `refs/` in front.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without `refs/heads/`, when it is a branch.
    pub fn as_branch(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }
}

/// Git's rules for one part, and one of ours: no leading `-`, so it never reads as an option.
fn part_ok(part: &str) -> bool {
    let forbidden =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !part.is_empty()
        && part != "@"
        && !part.starts_with(['.', '-'])
        && !part.ends_with('.')
        && !part.to_ascii_lowercase().ends_with(".lock")
        && !part.contains("..")
        && !part.contains(forbidden)
}

impl AsRef<OsStr> for RefName {
    fn as_ref(&self) -> &OsStr {
        self.0.as_ref()
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RefName {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let text = String::deserialize(de)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for good in [
            "main",
            "omoi/tags-2",
            "task/1a2b3c4d/add-x",
            "ü",
            "a@b",
            "v1.0",
        ] {
            assert!(RefName::from_branch(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "HEAD",
            "-x",
            "a/-b",
            ".a",
            "a/.b",
            "a..b",
            "a.lock",
            "a.lock/b",
            "a.LOCK",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "a/",
            "/a",
            "a//b",
            "a.",
            "@",
            "a@{1}",
            "a\nb",
            "a\u{7f}",
            &"x".repeat(300),
        ];
        for name in bad {
            assert!(RefName::from_branch(name).is_err(), "{name:?}");
        }
        for bad in ["main", "refs/heads", "refs/", "HEAD", "heads/x"] {
            assert!(RefName::parse(bad).is_err(), "{bad}");
        }
    }
}
