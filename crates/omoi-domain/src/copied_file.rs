//! Files of a person's checkout that sandboxes get beside the commit, as `sandbox.copy` lists them.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

/// Bytes of one file that is copied.
pub const COPY_BYTES_MAX: u64 = 16 << 20;
/// Bytes of one secret file: all of it is searched for in other texts.
pub const SECRET_COPY_BYTES_MAX: u64 = 64 << 10;
/// Bytes of all files of a project.
pub const COPIES_BYTES_MAX: u64 = 64 << 20;
/// Rows of one project.
pub const COPIES_MAX: usize = 100;

/// A line of `sandbox.copy`: one file, of one project.
///
/// `project=todo; path=fixtures/sample.bin` is copied into every workspace, `project=todo; secret=.env` is granted to
/// planned tasks alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRow {
    /// The project's short name.
    pub project: String,
    /// Where the file is, from the top of the repository.
    pub path: String,
    /// Whether its content must not be seen outside of the sandboxes that it is granted to.
    pub is_secret: bool,
}

/// The text is no such line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a line is {shape}", shape = CopyRow::SHAPE)]
pub struct BadCopyRow(String);

/// Who works in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyAudience {
    /// The agent of a task that the plan has.
    PlannedTask,
    /// Any other agent: one that plans, or one at a task that an agent proposed, whose text is not to be trusted.
    OtherAgent,
    /// A command of the platform.
    Check,
}

impl CopyAudience {
    /// The agent at a task, which the plan has or an agent proposed.
    pub const fn of_task(is_planned: bool) -> Self {
        match is_planned {
            true => Self::PlannedTask,
            false => Self::OtherAgent,
        }
    }

    /// Whether it is given the file of `row`. Secrets are for those whose orders people agreed to.
    pub const fn is_given(self, row: &CopyRow) -> bool {
        match self {
            Self::PlannedTask => true,
            Self::OtherAgent | Self::Check => !row.is_secret,
        }
    }
}

impl CopyRow {
    /// How a line is written.
    pub const SHAPE: &str =
        "project=NAME; path=PATH, or secret=PATH in place of it for a file with secrets";

    /// Bytes that the file may have.
    pub const fn bytes_max(&self) -> u64 {
        match self.is_secret {
            true => SECRET_COPY_BYTES_MAX,
            false => COPY_BYTES_MAX,
        }
    }
}

impl FromStr for CopyRow {
    type Err = BadCopyRow;

    fn from_str(text: &str) -> Result<Self, BadCopyRow> {
        let bad = |says: String| BadCopyRow(says);
        let (mut project, mut file) = (None, None);
        let parts = text.split(';').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            let named = part.split_once('=');
            let (name, value) = named.ok_or_else(|| bad(format!("`{part}` has no `=`")))?;
            let (name, value) = (name.trim(), value.trim());
            let is_new = match name {
                "project" if value.is_empty() => return Err(bad("no project is named".to_owned())),
                "project" => project.replace(value.to_owned()).is_none(),
                "path" | "secret" => {
                    check_path(value)?;
                    file.replace((value.to_owned(), name == "secret")).is_none()
                }
                name => return Err(bad(format!("there is no field `{name}`"))),
            };
            if !is_new {
                return Err(bad(format!("`{part}` is one too many")));
            }
        }
        let (path, is_secret) = file.ok_or_else(|| bad("no file is named".to_owned()))?;
        Ok(Self {
            project: project.ok_or_else(|| bad("no project is named".to_owned()))?,
            path,
            is_secret,
        })
    }
}

impl fmt::Display for CopyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.is_secret { "secret" } else { "path" };
        write!(f, "project={}; {field}={}", self.project, self.path)
    }
}

/// Lets a path through that stays below the top of the repository and is not git's own.
fn check_path(path: &str) -> Result<(), BadCopyRow> {
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(name) => !name.eq_ignore_ascii_case(".git"),
        _ => false,
    };
    let has_name = !path.is_empty() && !path.ends_with('/') && !path.contains(char::is_control);
    let is_below = has_name && Path::new(path).components().all(is_plain);
    match is_below {
        true => Ok(()),
        false => Err(BadCopyRow(format!(
            "`{path}` is no file below the repository"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_line_is_read_or_told_what_is_wrong() {
        for text in [
            "project=todo; path=fixtures/a b.bin",
            "project=todo; secret=.env",
        ] {
            let row: CopyRow = text.parse().unwrap();
            assert_eq!(row.to_string(), text);
            assert_eq!(row.is_secret, text.contains("secret"));
        }
        for (text, says) in [
            ("path=.env", "no project is named"),
            ("project=; path=.env", "no project is named"),
            ("project=todo", "no file is named"),
            (
                "project=todo; path=a; secret=b",
                "`secret=b` is one too many",
            ),
            (
                "project=todo; project=b; path=a",
                "`project=b` is one too many",
            ),
            ("project=todo; file=a", "there is no field `file`"),
            (".env", "`.env` has no `=`"),
        ] {
            let error = text.parse::<CopyRow>().unwrap_err().to_string();
            assert!(error.starts_with(says), "{text}: {error}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "./a",
            "a/",
            ".git/config",
            "a/.GIT/b",
            "a\tb",
        ] {
            let error = format!("project=todo; secret={path}").parse::<CopyRow>();
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("is no file below the repository"),
                "{path}: {error}"
            );
        }
    }

    #[test]
    fn secrets_are_for_planned_tasks() {
        let row = |text: &str| text.parse::<CopyRow>().unwrap();
        let (plain, secret) = (row("project=a; path=b"), row("project=a; secret=b"));
        for (audience, expected) in [
            (CopyAudience::of_task(true), true),
            (CopyAudience::of_task(false), false),
            (CopyAudience::Check, false),
        ] {
            assert!(audience.is_given(&plain), "{audience:?}");
            assert_eq!(audience.is_given(&secret), expected, "{audience:?}");
        }
    }
}
