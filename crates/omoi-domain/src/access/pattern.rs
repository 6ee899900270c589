//! Patterns of permissions, as custom roles and the scopes of keys hold them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::permission::Permission;
use super::permission_set::PermissionSet;

/// One permission, all below a leading part (`org:members:*`), or all there are (`*:*`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermissionPattern {
    text: String,
    kind: PatternKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PatternKind {
    Exact(Permission),
    Prefix,
    Any,
}

/// `text` names no permission.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no permission and matches none")]
pub struct UnknownPermission {
    /// What was written.
    pub text: String,
}

impl PermissionPattern {
    /// The pattern as people write it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The permissions it matches today.
    pub fn matching_set(&self) -> PermissionSet {
        let prefix = self.text.strip_suffix('*').unwrap_or(&self.text);
        match self.kind {
            PatternKind::Exact(permission) => PermissionSet::of_permissions(&[permission]),
            PatternKind::Prefix => below_prefix(prefix),
            PatternKind::Any => PermissionSet::FULL,
        }
    }

    /// What any of `patterns` matches.
    pub fn matching_any(patterns: &[Self]) -> PermissionSet {
        patterns.iter().fold(PermissionSet::EMPTY, |set, pattern| {
            set.union_with(pattern.matching_set())
        })
    }
}

/// Permissions whose name begins with `prefix`, which ends with its colon.
fn below_prefix(prefix: &str) -> PermissionSet {
    let below = |permission: &Permission| permission.as_str().starts_with(prefix);
    Permission::ALL.iter().copied().filter(below).collect()
}

impl FromStr for PermissionPattern {
    type Err = UnknownPermission;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = if text == "*:*" {
            PatternKind::Any
        } else if let Some(permission) = Permission::parse(text) {
            PatternKind::Exact(permission)
        } else {
            let is_prefix = text
                .strip_suffix('*')
                .filter(|prefix| prefix.ends_with(':'))
                .is_some_and(|prefix| below_prefix(prefix) != PermissionSet::EMPTY);
            if !is_prefix {
                let text = text.to_owned();
                return Err(UnknownPermission { text });
            }
            PatternKind::Prefix
        };
        let text = text.to_owned();
        Ok(Self { text, kind })
    }
}

impl From<Permission> for PermissionPattern {
    fn from(permission: Permission) -> Self {
        Self {
            text: permission.as_str().to_owned(),
            kind: PatternKind::Exact(permission),
        }
    }
}

impl TryFrom<String> for PermissionPattern {
    type Error = UnknownPermission;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PermissionPattern> for String {
    fn from(pattern: PermissionPattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for PermissionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, n_matching: usize, example: Option<Permission>) {
        let pattern: Result<PermissionPattern, _> = text.parse();
        let Ok(pattern) = pattern else {
            assert_eq!(n_matching, 0, "{text}");
            return;
        };
        let matching = pattern.matching_set();
        assert_eq!(matching.list_permissions().count(), n_matching, "{text}");
        assert!(example.is_none_or(|wanted| matching.contains(wanted)));
        let json = serde_json::to_string(&pattern).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        let read: PermissionPattern = serde_json::from_str(&json).unwrap();
        assert_eq!(read, pattern);
    }

    #[test]
    fn a_pattern_is_exact_or_a_leading_part_or_everything() {
        check("*:*", 54, Some(Permission::McpAdmin));
        check("org:*", 11, Some(Permission::OrgMembersWrite));
        check("org:members:*", 3, Some(Permission::OrgMembersDelete));
        check("ticket:read", 1, Some(Permission::TicketRead));
        for unknown in [
            "",
            "*",
            "org",
            "org:",
            "org*",
            "or*",
            "*:read",
            "org:*:read",
            "org:members",
            "ORG:READ",
            "ticket:fly",
            "nothing:*",
            ":*",
            "org:read:*",
        ] {
            check(unknown, 0, None);
        }
    }
}
