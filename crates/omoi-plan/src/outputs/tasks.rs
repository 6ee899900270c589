//! Output of the tasks phase: tickets, tasks and the checks that prove them.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use omoi_domain::check::CheckKind;
use omoi_domain::task::Priority;

/// Tickets and the tasks agents will carry out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TasksOutput {
    /// Name of the feature.
    pub feature_name: String,
    /// One per major component.
    pub tickets: Vec<PlannedTicket>,
    /// Pieces of 1 to 4 hours.
    pub tasks: Vec<PlannedTask>,
    /// Sum over the tasks; recomputed by code.
    pub total_estimated_hours: f64,
    /// Longest chain of task ids; recomputed by code.
    pub critical_path: Vec<String>,
}

omoi_domain::closed_set! {
    /// Size of a ticket or task.
    #[derive(JsonSchema)]
    SizeEstimate {
        /// Tickets only: under a day.
        ExtraSmall = "XS",
        /// Task under 2 h, ticket 1 to 2 days.
        Small = "S",
        /// Task 2 to 4 h, ticket 3 to 5 days.
        Medium = "M",
        /// Task 4 to 8 h, ticket 1 to 2 weeks.
        Large = "L",
        /// Tickets only: more than two weeks; should be split.
        ExtraLarge = "XL",
    }
}

impl SizeEstimate {
    /// The size of a task of `hours`: up to 2 small, up to 4 medium, else large.
    pub fn from_hours(hours: f64) -> Self {
        if hours <= 2.0 {
            Self::Small
        } else if hours <= 4.0 {
            Self::Medium
        } else {
            Self::Large
        }
    }
}

omoi_domain::closed_set! {
    /// What kind of work a task is.
    #[derive(JsonSchema)]
    PlannedTaskType {
        /// New behaviour.
        Implementation = "implementation",
        /// Same behaviour, better shape.
        Refactor = "refactor",
        /// Tests.
        Test = "test",
        /// Text for people.
        Documentation = "documentation",
        /// Settings.
        Configuration = "configuration",
        /// Finding out.
        Research = "research",
        /// Wrong behaviour put right.
        Bugfix = "bugfix",
        /// Build, deployment, tooling.
        Infrastructure = "infrastructure",
    }
}

impl PlannedTaskType {
    /// Whether the task builds something that a requirement asks for.
    pub const fn is_building(self) -> bool {
        matches!(
            self,
            Self::Implementation
                | Self::Refactor
                | Self::Bugfix
                | Self::Configuration
                | Self::Infrastructure
        )
    }

    /// Whether the task must bring checks: all but research and documentation.
    pub const fn needs_checks(self) -> bool {
        !matches!(self, Self::Research | Self::Documentation)
    }
}

/// A group of tasks around one component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedTicket {
    /// `TKT-001` to `TKT-999`, unique.
    pub id: String,
    /// 1 to 200 characters.
    pub title: String,
    /// 150 to 250 words: overview, background, scope in and out, approach, success criteria.
    pub description: String,
    /// How much it matters.
    pub priority: Priority,
    /// Size.
    pub estimate: SizeEstimate,
    /// Ids of the requirements it serves.
    pub requirements: Vec<String>,
    /// Ids of its tasks; at least one, 2 to 5 are ideal.
    pub tasks: Vec<String>,
    /// When it is done.
    pub acceptance_criteria: Vec<String>,
    /// Other tickets.
    #[serde(default, skip_serializing_if = "TicketDependencies::is_empty")]
    pub dependencies: TicketDependencies,
    /// Names of the design components it builds.
    pub design_components: Vec<String>,
}

/// How a ticket depends on others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketDependencies {
    /// Tickets that must be done first.
    #[serde(default)]
    pub blocked_by: Vec<String>,
    /// Tickets that wait for this one.
    #[serde(default)]
    pub blocks: Vec<String>,
    /// Tickets worth reading; no order follows.
    #[serde(default)]
    pub related: Vec<String>,
}

impl TicketDependencies {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.blocked_by.is_empty() && self.blocks.is_empty() && self.related.is_empty()
    }
}

/// A piece of work for one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedTask {
    /// `TSK-001` to `TSK-999`, numbered across all tickets.
    pub id: String,
    /// 1 to 200 characters.
    pub title: String,
    /// 200 to 400 words: objective, context, current state, approach, considerations, files,
    /// tests, acceptance, definition of done.
    pub description: String,
    /// Id of the ticket it belongs to.
    pub parent_ticket: String,
    /// Kind of work.
    #[serde(rename = "type")]
    pub kind: PlannedTaskType,
    /// How much it matters.
    pub priority: Priority,
    /// Size; S under 2 h, M 2 to 4 h, L 4 to 8 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<SizeEstimate>,
    /// More than 0, at most 4.
    pub estimated_hours: f64,
    /// Paths that will be new; with `files_to_modify` at least one path.
    pub files_to_create: Vec<String>,
    /// Paths that exist or are created by a task before this one.
    pub files_to_modify: Vec<String>,
    /// When it is done.
    pub acceptance_criteria: Vec<String>,
    /// Ids of the requirements it serves.
    pub requirements_addressed: Vec<String>,
    /// Commands that prove it; needed for all but research and documentation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<PlannedCheck>,
    /// Other tasks.
    pub dependencies: TaskDependencies,
}

/// How a task depends on others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskDependencies {
    /// Tasks that must be done first.
    pub depends_on: Vec<String>,
    /// Tasks that wait for this one.
    #[serde(default)]
    pub blocks: Vec<String>,
}

/// A command the platform runs itself in a clean checkout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedCheck {
    /// What it shows.
    pub kind: CheckKind,
    /// Shell command, run at the repository root; exit code 0 means passed.
    pub command: String,
    /// Files laid over the checkout before the command runs: path to full text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Ids of the criteria it proves, such as `REQ-TAGS-FUNC-001#1`; of a `proof` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<String>,
    /// Seconds after which the command counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

impl PlannedCheck {
    /// Whether it names criteria although it is no proof: what passes before the work as well says
    /// nothing about what the work adds.
    pub fn has_criteria_without_proof(&self) -> bool {
        self.kind != CheckKind::Proof && !self.criteria.is_empty()
    }

    /// Why the platform could not use it as written, by field; none when it could.
    /// `timeout_max_s` is the longest time any check is given.
    pub fn find_fault(&self, timeout_max_s: u32) -> Option<(&'static str, String)> {
        if let Some(given) = self.timeout_s.filter(|s| !(1..=timeout_max_s).contains(s)) {
            let says = format!("{given} is not within 1 to {timeout_max_s} seconds");
            return Some(("timeout_s", says));
        }
        if self.has_criteria_without_proof() {
            let says = format!(
                "a `{}` check names {}; only a check of kind `proof` can prove a criterion: make \
                 it one that fails before the work, or name no criteria",
                self.kind,
                self.criteria.join(", ")
            );
            return Some(("criteria", says));
        }
        let bad = self.files.keys().find(|path| !stays_inside(path))?;
        let says = format!(
            "`{bad}` is no path of a file below the repository's root; `..`, `.git` and absolute \
             paths are refused"
        );
        Some(("files", says))
    }
}

fn stays_inside(path: &str) -> bool {
    let plain = |c: Component<'_>| matches!(c, Component::Normal(part) if part != ".git");
    !path.is_empty()
        && !path.ends_with('/')
        && !path.contains('\0')
        && Path::new(path).components().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_cannot_run_names_the_field() {
        for (timeout_s, file, fault) in [
            (None, "tests/a.py", None),
            (Some(1), "tests/..a.py", None),
            (Some(600), "a", None),
            (Some(0), "a", Some("timeout_s")),
            (Some(601), "a", Some("timeout_s")),
            (Some(u32::MAX), "a", Some("timeout_s")),
            (None, "../a", Some("files")),
            (None, "/etc/a", Some("files")),
            (None, "a/../../b", Some("files")),
            (None, ".git/hooks/x", Some("files")),
            (None, "", Some("files")),
            (None, "tests/", Some("files")),
        ] {
            let check = PlannedCheck {
                kind: CheckKind::Proof,
                command: "true".to_owned(),
                files: BTreeMap::from([(file.to_owned(), String::new())]),
                criteria: Vec::new(),
                timeout_s,
            };
            let found = check.find_fault(600).map(|(field, _)| field);
            assert_eq!(found, fault, "{timeout_s:?} {file}");
        }
    }

    #[test]
    fn criteria_are_refused_on_any_check_but_a_proof() {
        for kind in CheckKind::ALL {
            let check = PlannedCheck {
                kind: *kind,
                command: "make test".to_owned(),
                files: BTreeMap::new(),
                criteria: vec!["REQ-TAGS-FUNC-001#1".to_owned()],
                timeout_s: None,
            };
            let Some((field, says)) = check.find_fault(600) else {
                assert_eq!(*kind, CheckKind::Proof);
                continue;
            };
            assert_eq!(field, "criteria");
            for named in [kind.as_str(), "proof", "REQ-TAGS-FUNC-001#1"] {
                assert!(says.contains(named), "{says}");
            }
        }
    }
}
