//! Files of a person's checkout that sandboxes get beside the commit, as `sandbox.copy` lists them.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use crate::egress::EgressMode;
use crate::task::TaskType;

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
/// planned tasks alone, and `project=todo; secret=.env; tasks=write_tests` to those whose work is tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRow {
    /// The project, by an end of its path that means no other.
    pub project: String,
    /// Where the file is, from the top of the repository.
    pub path: String,
    /// Whether its content must not be seen outside of the sandboxes that it is granted to.
    pub is_secret: bool,
    /// The kinds of tasks that a secret is granted to; none named is all.
    pub tasks: Vec<TaskType>,
    /// Whether a secret is granted to a task that reaches registries, too: what a package runs there may ask for
    /// names that tell it.
    pub with_registries: bool,
    /// Whether a secret is granted to a task of a project with listed hosts, too: nobody looks into a tunnel.
    pub with_hosts: bool,
}

/// The text is no such line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a line is {shape}", shape = CopyRow::SHAPE)]
pub struct BadCopyRow(String);

/// Who works in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyAudience {
    /// The agent of a task that the plan has.
    PlannedTask {
        /// The kind of the task.
        task_type: TaskType,
        /// How far it reaches.
        egress: EgressMode,
        /// Whether it reaches hosts that a person listed.
        reaches_hosts: bool,
    },
    /// Any other agent: one that plans, or one at a task that an agent proposed, whose text is not to be trusted.
    OtherAgent,
    /// A command of the platform.
    Check,
}

impl CopyAudience {
    /// Whether it is given the file of `row`. Secrets are for those whose orders people agreed to, as far as the row
    /// grants them.
    pub fn is_given(self, row: &CopyRow) -> bool {
        match self {
            Self::PlannedTask {
                task_type,
                egress,
                reaches_hosts,
            } => {
                let is_kind = row.tasks.is_empty() || row.tasks.contains(&task_type);
                let is_near = egress != EgressMode::Registries || row.with_registries;
                let is_kept_in = !reaches_hosts || row.with_hosts;
                !row.is_secret || (is_kind && is_near && is_kept_in)
            }
            Self::OtherAgent | Self::Check => !row.is_secret,
        }
    }
}

impl CopyRow {
    /// How a line is written.
    pub const SHAPE: &str = "project=NAME; path=PATH, or secret=PATH in place of it for a file with secrets, \
                             granted to planned tasks: tasks=KIND KIND names their kinds, registries=yes \
                             grants it to those that reach registries, too, and hosts=yes to those that reach \
                             listed hosts";

    /// The row of a file without secrets, at `path` of `project`.
    pub fn of_plain_file(project: &str, path: String) -> Self {
        Self {
            project: project.to_owned(),
            path,
            is_secret: false,
            tasks: Vec::new(),
            with_registries: false,
            with_hosts: false,
        }
    }

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
        let (mut project, mut file, mut tasks) = (None, None, None);
        let (mut with_registries, mut with_hosts) = (None, None);
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
                "tasks" => tasks.replace(parse_kinds(value)?).is_none(),
                "registries" if value == "yes" => with_registries.replace(()).is_none(),
                "hosts" if value == "yes" => with_hosts.replace(()).is_none(),
                "registries" | "hosts" => {
                    return Err(bad(format!("`{name}={value}` is not `yes`")));
                }
                name => return Err(bad(format!("there is no field `{name}`"))),
            };
            if !is_new {
                return Err(bad(format!("`{part}` is one too many")));
            }
        }
        let (path, is_secret) = file.ok_or_else(|| bad("no file is named".to_owned()))?;
        let is_granted = tasks.is_some() || with_registries.is_some() || with_hosts.is_some();
        if !is_secret && is_granted {
            let says = "`tasks`, `registries` and `hosts` are for secrets; a plain file is for all";
            return Err(bad(says.to_owned()));
        }
        Ok(Self {
            project: project.ok_or_else(|| bad("no project is named".to_owned()))?,
            path,
            is_secret,
            tasks: tasks.unwrap_or_default(),
            with_registries: with_registries.is_some(),
            with_hosts: with_hosts.is_some(),
        })
    }
}

impl fmt::Display for CopyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.is_secret { "secret" } else { "path" };
        write!(f, "project={}; {field}={}", self.project, self.path)?;
        if !self.tasks.is_empty() {
            let kinds: Vec<_> = self.tasks.iter().map(|kind| kind.as_str()).collect();
            write!(f, "; tasks={}", kinds.join(" "))?;
        }
        if self.with_registries {
            f.write_str("; registries=yes")?;
        }
        if self.with_hosts {
            f.write_str("; hosts=yes")?;
        }
        Ok(())
    }
}

/// The kinds of tasks that `text` names, one at least.
fn parse_kinds(text: &str) -> Result<Vec<TaskType>, BadCopyRow> {
    let parsed = text.split_whitespace().map(|word| {
        TaskType::parse(word).ok_or_else(|| {
            let known: Vec<_> = TaskType::ALL.iter().map(|kind| kind.as_str()).collect();
            BadCopyRow(format!(
                "`{word}` is no kind of task ({})",
                known.join(", ")
            ))
        })
    });
    let kinds = parsed.collect::<Result<Vec<_>, _>>()?;
    match kinds.is_empty() {
        true => Err(BadCopyRow("`tasks` names no kind".to_owned())),
        false => Ok(kinds),
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
            "project=todo; secret=.env; tasks=write_tests fix_bug; registries=yes; hosts=yes",
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
            (
                "project=todo; secret=a; tasks=sing",
                "`sing` is no kind of task (implement_feature, write_tests",
            ),
            ("project=todo; secret=a; tasks=", "`tasks` names no kind"),
            (
                "project=todo; path=a; tasks=fix_bug",
                "`tasks`, `registries` and `hosts` are for secrets",
            ),
            (
                "project=todo; path=a; hosts=yes",
                "`tasks`, `registries` and `hosts` are for secrets",
            ),
            (
                "project=todo; secret=a; hosts=all",
                "`hosts=all` is not `yes`",
            ),
            (
                "project=todo; secret=a; registries=no",
                "`registries=no` is not `yes`",
            ),
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
    fn secrets_are_for_planned_tasks_as_far_as_they_are_granted() {
        let row = |text: &str| text.parse::<CopyRow>().unwrap();
        let rows = [
            row("project=a; path=b"),
            row("project=a; secret=b"),
            row("project=a; secret=b; tasks=write_tests"),
            row("project=a; secret=b; registries=yes"),
            row("project=a; secret=b; hosts=yes"),
        ];
        let task = |task_type, egress, reaches_hosts| CopyAudience::PlannedTask {
            task_type,
            egress,
            reaches_hosts,
        };
        for (audience, expected) in [
            (
                task(TaskType::WriteTests, EgressMode::Cached, false),
                [true, true, true, true, true],
            ),
            (
                task(TaskType::FixBug, EgressMode::Cached, false),
                [true, true, false, true, true],
            ),
            (
                task(TaskType::WriteTests, EgressMode::Registries, false),
                [true, false, false, true, false],
            ),
            (
                task(TaskType::WriteTests, EgressMode::Cached, true),
                [true, false, false, false, true],
            ),
            (
                task(TaskType::WriteTests, EgressMode::Registries, true),
                [true, false, false, false, false],
            ),
            (CopyAudience::OtherAgent, [true, false, false, false, false]),
            (CopyAudience::Check, [true, false, false, false, false]),
        ] {
            let given: Vec<_> = rows.iter().map(|row| audience.is_given(row)).collect();
            assert_eq!(given, expected, "{audience:?}");
        }
    }
}
