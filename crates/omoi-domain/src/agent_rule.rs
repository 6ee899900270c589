//! Which agent takes the turns of an attempt, as a person's configuration says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::agent_program::AgentProgram;
use crate::attempt::AgentRole;
use crate::phase::Phase;
use crate::task::TaskType;

/// A line of `agents.rules`: agents in order of preference, and what they are for.
///
/// `use=claude-code native` holds for everything. Conditions narrow it, and each is separated by `;`:
/// `role=planner; use=native`, `project=todo; task=fix_bug; use=codex claude-code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRule {
    project: Option<String>,
    role: Option<AgentRole>,
    phase: Option<Phase>,
    task: Option<TaskType>,
    /// In order of preference, one at least.
    agents: Vec<AgentProgram>,
}

/// What an agent is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentPurpose<'a> {
    /// The project's short name.
    pub project: &'a str,
    /// Who makes the attempt.
    pub role: AgentRole,
    /// The phase of a spec, where one is planned.
    pub phase: Option<Phase>,
    /// The kind of task, where one is worked on.
    pub task: Option<TaskType>,
}

impl<'a> AgentPurpose<'a> {
    /// Planning of `phase`.
    pub const fn of_phase(project: &'a str, phase: Phase) -> Self {
        Self {
            project,
            role: AgentRole::Planner,
            phase: Some(phase),
            task: None,
        }
    }

    /// Work on a task.
    pub const fn of_task(project: &'a str, task: TaskType) -> Self {
        Self {
            project,
            role: match task {
                TaskType::ResolveConflict => AgentRole::Resolver,
                _ => AgentRole::Implementer,
            },
            phase: None,
            task: Some(task),
        }
    }
}

/// The text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a rule is {shape}", shape = AgentRule::SHAPE)]
pub struct BadAgentRule(String);

/// What is used where no rule says anything.
const USUAL: &[AgentProgram] = &[AgentProgram::Native];

impl AgentRule {
    /// How a rule is written.
    pub const SHAPE: &str = "use=AGENT [AGENT…]; before it, each with `;` behind: project=NAME, role=planner|implementer|resolver, \
         phase=PHASE, task=TYPE";

    /// Whether it may hold for work of `project`.
    fn is_about(&self, project: &str) -> bool {
        self.project.as_deref().is_none_or(|named| named == project)
    }

    fn holds_for(&self, purpose: AgentPurpose<'_>) -> bool {
        self.is_about(purpose.project)
            && self.role.is_none_or(|role| role == purpose.role)
            && (self.phase.is_none() || self.phase == purpose.phase)
            && (self.task.is_none() || self.task == purpose.task)
    }

    /// The more of them, the more particular a rule is.
    fn n_conditions(&self) -> usize {
        let conditions = [
            self.project.is_some(),
            self.role.is_some(),
            self.phase.is_some(),
            self.task.is_some(),
        ];
        conditions.into_iter().filter(|is_set| *is_set).count()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadAgentRule> {
        let unknown = || BadAgentRule(format!("`{value}` is no {name}"));
        let is_new = match name {
            "project" => self.project.replace(value.to_owned()).is_none(),
            "role" => {
                let role = AgentRole::parse(value).filter(|role| has_agent(*role));
                self.role.replace(role.ok_or_else(unknown)?).is_none()
            }
            "phase" => {
                let phase = Phase::parse(value).ok_or_else(unknown)?;
                self.phase.replace(phase).is_none()
            }
            "task" => {
                let task = TaskType::parse(value).ok_or_else(unknown)?;
                self.task.replace(task).is_none()
            }
            "use" => {
                let is_new = self.agents.is_empty();
                for word in value.split_whitespace() {
                    let agent = AgentProgram::parse(word);
                    let agent =
                        agent.ok_or_else(|| BadAgentRule(format!("`{word}` is no agent")))?;
                    self.agents.push(agent);
                }
                is_new
            }
            name => return Err(BadAgentRule(format!("`{name}` is no condition"))),
        };
        match is_new {
            true => Ok(()),
            false => Err(BadAgentRule(format!("`{name}` is there twice"))),
        }
    }
}

/// Whether attempts of that role are made by an agent that can be chosen.
const fn has_agent(role: AgentRole) -> bool {
    match role {
        AgentRole::Planner | AgentRole::Implementer | AgentRole::Resolver => true,
        AgentRole::Judge | AgentRole::Platform => false,
    }
}

impl FromStr for AgentRule {
    type Err = BadAgentRule;

    fn from_str(text: &str) -> Result<Self, BadAgentRule> {
        let mut rule = Self {
            project: None,
            role: None,
            phase: None,
            task: None,
            agents: Vec::new(),
        };
        for part in text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| BadAgentRule(format!("`{part}` has no `=`")))?;
            rule.set(name.trim(), value.trim())?;
        }
        match rule.agents.is_empty() {
            true => Err(BadAgentRule("no agent is named".to_owned())),
            false => Ok(rule),
        }
    }
}

impl fmt::Display for AgentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = [
            ("project", self.project.as_deref()),
            ("role", self.role.map(AgentRole::as_str)),
            ("phase", self.phase.map(Phase::as_str)),
            ("task", self.task.map(TaskType::as_str)),
        ];
        for (name, value) in conditions {
            if let Some(value) = value {
                write!(f, "{name}={value}; ")?;
            }
        }
        let agents: Vec<&str> = self.agents.iter().map(AgentProgram::as_str).collect();
        write!(f, "use={}", agents.join(" "))
    }
}

/// The agents for a purpose, in order of preference.
///
/// Of the rules that hold the one with the most conditions wins, and of several such the last. Without any
/// it is our own loop.
pub fn choose_agents<'a>(rules: &'a [AgentRule], purpose: AgentPurpose<'_>) -> &'a [AgentProgram] {
    let holding = rules.iter().filter(|rule| rule.holds_for(purpose));
    // Of equal ones `max_by_key` gives the last.
    let best = holding.max_by_key(|rule| rule.n_conditions());
    best.map_or(USUAL, |rule| &rule.agents)
}

/// The agent of every phase and every kind of task of one spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentAssignment {
    phases: BTreeMap<Phase, AgentProgram>,
    tasks: BTreeMap<TaskType, AgentProgram>,
}

impl AgentAssignment {
    /// One agent for everything.
    pub fn of_one(agent: AgentProgram) -> Self {
        let all = Self::of_rules(&[], "", |_| true).unwrap_or_default();
        Self {
            phases: all.phases.into_keys().map(|phase| (phase, agent)).collect(),
            tasks: all.tasks.into_keys().map(|task| (task, agent)).collect(),
        }
    }

    /// The first usable agent of each choice that a spec of `project` meets.
    ///
    /// # Errors
    /// The preferred agent of the first choice of which none can be used.
    pub fn of_rules(
        rules: &[AgentRule],
        project: &str,
        is_usable: impl Fn(AgentProgram) -> bool,
    ) -> Result<Self, AgentProgram> {
        let first_usable = |purpose: AgentPurpose<'_>| {
            let chosen = choose_agents(rules, purpose);
            let usable = chosen.iter().copied().find(|agent| is_usable(*agent));
            usable.ok_or_else(|| chosen.first().copied().unwrap_or(AgentProgram::Native))
        };
        let mut assigned = Self::default();
        for phase in Phase::ALL_WORKING {
            let purpose = AgentPurpose::of_phase(project, phase);
            assigned.phases.insert(phase, first_usable(purpose)?);
        }
        for task in TaskType::ALL {
            let purpose = AgentPurpose::of_task(project, *task);
            assigned.tasks.insert(*task, first_usable(purpose)?);
        }
        Ok(assigned)
    }

    /// Who plans `phase`.
    pub fn phase_agent(&self, phase: Phase) -> AgentProgram {
        let agent = self.phases.get(&phase.agent_phase()).copied();
        agent.unwrap_or(AgentProgram::Native)
    }

    /// Who works on tasks of that kind.
    pub fn task_agent(&self, task: TaskType) -> AgentProgram {
        let agent = self.tasks.get(&task).copied();
        agent.unwrap_or(AgentProgram::Native)
    }

    /// Every agent in it, once.
    pub fn distinct_agents(&self) -> Vec<AgentProgram> {
        let all: BTreeSet<_> = self.phases.values().chain(self.tasks.values()).collect();
        all.into_iter().copied().collect()
    }
}

/// Every agent that some rule names, once.
pub fn named_agents(rules: &[AgentRule]) -> BTreeSet<AgentProgram> {
    rules
        .iter()
        .flat_map(|rule| rule.agents.iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn rules(texts: &[&str]) -> Vec<AgentRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const PLAN: AgentPurpose<'_> = AgentPurpose {
        project: "todo",
        role: AgentRole::Planner,
        phase: Some(Phase::Design),
        task: None,
    };
    const BUG: AgentPurpose<'_> = AgentPurpose {
        project: "todo",
        role: AgentRole::Implementer,
        phase: None,
        task: Some(TaskType::FixBug),
    };

    #[test]
    fn the_most_particular_rule_wins_and_of_equals_the_last() {
        let check = |texts: &[&str], purpose: AgentPurpose<'_>, expected: &str| {
            let rules = rules(texts);
            let chosen = choose_agents(&rules, purpose).iter();
            let names: Vec<&str> = chosen.map(AgentProgram::as_str).collect();
            assert_eq!(names.join(" "), expected, "{texts:?}");
        };
        check(&[], BUG, "native");
        check(&["use=claude-code native"], BUG, "claude-code native");
        check(&["use=codex", "use=claude-code"], PLAN, "claude-code");
        let by_role = ["role=planner; use=native", "use=codex"];
        check(&by_role, PLAN, "native");
        check(&by_role, BUG, "codex");
        let by_task = [
            "task=fix_bug; role=implementer; use=acp:opencode codex",
            "task=fix_bug; use=codex",
            "role=implementer; use=claude-code",
        ];
        check(&by_task, BUG, "acp:opencode codex");
        check(&by_task, PLAN, "native");
        let by_phase = ["phase=design; use=codex", "phase=prd; use=claude-code"];
        check(&by_phase, PLAN, "codex");
        check(&by_phase, BUG, "native");
        let by_project = [
            "project=todo; use=codex",
            "project=other; role=planner; use=acp:qwen",
        ];
        check(&by_project, PLAN, "codex");
        check(
            &["role=planner; use=codex", "project=todo; use=native"],
            PLAN,
            "native",
        );
        check(&["role=resolver; use=codex"], BUG, "native");
    }

    #[test]
    fn a_spec_gets_the_first_usable_agent_of_each_choice() {
        let rules = rules(&[
            "use=codex claude-code",
            "role=planner; use=claude-code native",
            "task=fix_bug; use=acp:opencode codex native",
            "project=other; use=acp:qwen",
        ]);
        let only = |usable: &'static [AgentProgram]| {
            AgentAssignment::of_rules(&rules, "todo", |agent| usable.contains(&agent))
        };
        let all = only(AgentProgram::BUILT_IN).unwrap();
        assert_eq!(all.phase_agent(Phase::Prd), AgentProgram::ClaudeCode);
        assert_eq!(all.task_agent(TaskType::WriteTests), AgentProgram::Codex);
        assert_eq!(
            all.task_agent(TaskType::ResolveConflict),
            AgentProgram::Codex
        );
        assert_eq!(all.task_agent(TaskType::FixBug), AgentProgram::AcpOpenCode);
        assert_eq!(all.distinct_agents().len(), 3);

        let fewer = only(&[AgentProgram::Native, AgentProgram::ClaudeCode]).unwrap();
        assert_eq!(
            fewer.task_agent(TaskType::WriteTests),
            AgentProgram::ClaudeCode
        );
        assert_eq!(fewer.task_agent(TaskType::FixBug), AgentProgram::Native);
        // Nothing is left for most tasks: the one that was wanted is named.
        assert_eq!(only(&[AgentProgram::Native]), Err(AgentProgram::Codex));
        assert!(named_agents(&rules).contains(&AgentProgram::AcpQwen));

        let one = AgentAssignment::of_one(AgentProgram::Codex);
        assert_eq!(one.distinct_agents(), [AgentProgram::Codex]);
        assert_eq!(one.phase_agent(Phase::Explore), AgentProgram::Codex);
        let usual = AgentAssignment::of_rules(&[], "todo", |_| true).unwrap();
        assert_eq!(usual.distinct_agents(), [AgentProgram::Native]);
    }

    #[test]
    fn rules_are_read_and_written_alike_and_bad_ones_say_why() {
        let text =
            "project=todo; role=implementer; phase=tasks; task=write_tests; use=codex native";
        assert_eq!(text.parse::<AgentRule>().unwrap().to_string(), text);
        let loose: AgentRule = " use = codex  native ;role=planner ;; ".parse().unwrap();
        assert_eq!(loose.to_string(), "role=planner; use=codex native");
        for (bad, why) in [
            ("", "no agent is named"),
            ("role=planner", "no agent is named"),
            ("use=", "no agent is named"),
            ("use=clyde", "`clyde` is no agent"),
            ("use=codex; use=native", "`use` is there twice"),
            ("role=judge; use=native", "`judge` is no role"),
            ("phase=lunch; use=native", "`lunch` is no phase"),
            ("task=nap; use=native", "`nap` is no task"),
            ("weather=fine; use=native", "`weather` is no condition"),
            ("claude-code", "`claude-code` has no `=`"),
        ] {
            let refused = bad.parse::<AgentRule>().unwrap_err().to_string();
            assert!(refused.starts_with(why), "{bad}: {refused}");
        }
    }
}
