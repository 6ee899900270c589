//! Where the agent programs are that workers drive. How they are installed is not known here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::future::BoxFuture;
use omoi_domain::acp_agent_row::AcpAgentRow;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_rule::{AgentAssignment, AgentRule, named_agents};
use omoi_protocol::worker::DeclaredProgram;
use omoi_sandbox::ReadOnlyMount;

/// How a worker starts an agent program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramLaunch {
    /// The executable and what comes before the arguments of its driver, as paths inside.
    pub command: Vec<PathBuf>,
    /// The version that is installed.
    pub version: String,
    /// What the sandbox must be shown.
    pub mounts: Vec<ReadOnlyMount>,
    /// What a person has declared of it, where it is none that is built in.
    pub declared: Option<DeclaredLaunch>,
}

/// A declared agent and where its sandboxes see its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredLaunch {
    /// The declaration.
    pub row: AcpAgentRow,
    /// The folder, as a path inside.
    pub folder: PathBuf,
}

/// Where an agent sees its folder, in the arguments and variables of its declaration.
const FOLDER_MARK: &str = "{folder}";

impl DeclaredLaunch {
    /// What its worker is told, which sees its folder at `folder`.
    pub fn for_worker(self, folder: &str) -> DeclaredProgram {
        let filled = |text: &String| text.replace(FOLDER_MARK, folder);
        let variables = self.row.variables.iter();
        DeclaredProgram {
            arguments: self.row.arguments.iter().map(filled).collect(),
            variables: variables
                .map(|(name, value)| (name.clone(), filled(value)))
                .collect(),
            dialect: self.row.dialect,
        }
    }
}

/// An agent program that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the agent `{agent}` cannot be used: {reason}")]
pub struct ProgramUnusable {
    /// What was asked for.
    pub agent: AgentProgram,
    /// What is missing, with the next step.
    pub reason: String,
}

/// Finds the agent programs of this machine, and knows which are preferred.
pub trait FindProgram: Send + Sync {
    /// The person's rules for what each agent is for.
    fn agent_rules(&self) -> &[AgentRule];

    /// How `agent` is started.
    fn find_program(
        &self,
        agent: AgentProgram,
    ) -> BoxFuture<'_, Result<ProgramLaunch, ProgramUnusable>>;
}

/// How `agent` is started; none for our own loop, which is part of the worker.
///
/// # Errors
/// [`ProgramUnusable`] where it is not installed, or not whole.
pub async fn launch_of(
    programs: &dyn FindProgram,
    agent: AgentProgram,
) -> Result<Option<ProgramLaunch>, ProgramUnusable> {
    if agent.is_native() {
        return Ok(None);
    }
    programs.find_program(agent).await.map(Some)
}

/// Who does what in a new spec, and what the person should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPlan {
    /// The agent of every phase and kind of task.
    pub assignment: AgentAssignment,
    /// Agents that are preferred and cannot be used, with the reason.
    pub notes: Vec<String>,
}

/// Refuses an agent that cannot be started, or not in a repository with the `settings` of agents.
async fn expect_usable(
    programs: &dyn FindProgram,
    agent: AgentProgram,
    settings: &[String],
) -> Result<(), ProgramUnusable> {
    let present = settings.iter().map(String::as_str);
    if let Some(reason) = agent.settings_refusal(present) {
        return Err(ProgramUnusable { agent, reason });
    }
    launch_of(programs, agent).await?;
    Ok(())
}

/// What the agents of a new spec are chosen for.
#[derive(Clone, Copy, Debug)]
pub struct AgentPlace<'a> {
    /// The project's short name.
    pub project: &'a str,
    /// Settings of agents at the root of its repository.
    pub settings: &'a [String],
}

/// Decides who does what in a new spec: the agent that was asked for, else what the rules say, with the next one in
/// place of one that cannot be used.
///
/// # Errors
/// [`ProgramUnusable`] where nothing is left for some of the work.
pub async fn assign_agents(
    programs: &dyn FindProgram,
    place: AgentPlace<'_>,
    asked: Option<AgentProgram>,
) -> Result<AgentPlan, ProgramUnusable> {
    let AgentPlace { project, settings } = place;
    if let Some(agent) = asked {
        expect_usable(programs, agent, settings).await?;
        return Ok(AgentPlan {
            assignment: AgentAssignment::of_one(agent),
            notes: Vec::new(),
        });
    }
    let rules = programs.agent_rules();
    let mut unusable = BTreeMap::new();
    for agent in named_agents(rules) {
        if let Err(refused) = expect_usable(programs, agent, settings).await {
            unusable.insert(agent, refused);
        }
    }
    // What is assigned where everything can be used.
    let wanted = AgentAssignment::of_rules(rules, project, |_| true).unwrap_or_default();
    let assigned =
        AgentAssignment::of_rules(rules, project, |agent| !unusable.contains_key(&agent));
    let assignment = assigned.map_err(|agent| {
        let unknown = || ProgramUnusable {
            agent,
            reason: "nothing is known of it".to_owned(),
        };
        unusable.remove(&agent).unwrap_or_else(unknown)
    })?;
    let wanted = wanted.distinct_agents();
    let missed = unusable
        .values()
        .filter(|refused| wanted.contains(&refused.agent));
    Ok(AgentPlan {
        assignment,
        notes: missed
            .map(|refused| format!("{refused}; the next agent of its rule works instead"))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use futures::FutureExt as _;
    use omoi_domain::phase::Phase;
    use omoi_domain::task::TaskType;

    use super::*;

    /// Has Claude Code, and these rules.
    struct OneProgram(Vec<AgentRule>);

    impl FindProgram for OneProgram {
        fn agent_rules(&self) -> &[AgentRule] {
            &self.0
        }

        fn find_program(
            &self,
            agent: AgentProgram,
        ) -> BoxFuture<'_, Result<ProgramLaunch, ProgramUnusable>> {
            let found = match agent {
                AgentProgram::ClaudeCode => Ok(ProgramLaunch {
                    command: Vec::new(),
                    version: "1".to_owned(),
                    mounts: Vec::new(),
                    declared: None,
                }),
                agent => Err(ProgramUnusable {
                    agent,
                    reason: "omoi agents install x".to_owned(),
                }),
            };
            async move { found }.boxed()
        }
    }

    async fn assign(
        rules: &[&str],
        asked: Option<AgentProgram>,
    ) -> Result<AgentPlan, ProgramUnusable> {
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        assign_agents(&OneProgram(rules), place(&[]), asked).await
    }

    const fn place(settings: &[String]) -> AgentPlace<'_> {
        AgentPlace {
            project: "todo",
            settings,
        }
    }

    #[tokio::test]
    async fn who_was_asked_for_does_everything_or_is_refused() {
        let plan = assign(&["use=native"], Some(AgentProgram::ClaudeCode))
            .await
            .unwrap();
        assert_eq!(
            plan.assignment,
            AgentAssignment::of_one(AgentProgram::ClaudeCode)
        );
        let refused = assign(&[], Some(AgentProgram::AcpQwen)).await.unwrap_err();
        assert_eq!(refused.agent, AgentProgram::AcpQwen);
    }

    /// What a program would run of a repository is known before anything starts.
    #[tokio::test]
    async fn a_program_is_not_assigned_where_it_would_follow_settings_of_the_repository() {
        let settings = [".opencode".to_owned()];
        let programs = OneProgram(vec!["use=acp:opencode claude-code".parse().unwrap()]);
        let asked = Some(AgentProgram::AcpOpenCode);
        let refused = assign_agents(&programs, place(&settings), asked).await;
        let says = refused.unwrap_err().to_string();
        assert!(
            says.contains("what `.opencode` of this repository says"),
            "{says}"
        );
        let plan = assign_agents(&programs, place(&settings), None)
            .await
            .unwrap();
        let worker = plan.assignment.task_agent(TaskType::FixBug);
        assert_eq!(worker, AgentProgram::ClaudeCode);
        assert!(plan.notes[0].contains("`.opencode`"), "{:?}", plan.notes);
    }

    #[test]
    fn a_declared_agent_is_told_where_it_sees_its_folder() {
        let row = "name=tool; folder=/opt/tool; command=node {folder}/a.js {model}; version=1; dialect=messages; \
                   env=TOOL_HOME={folder}";
        let launch = DeclaredLaunch {
            row: row.parse().unwrap(),
            folder: PathBuf::new(),
        };
        let told = launch.for_worker("/opt/agents/acp-tool");
        assert_eq!(told.arguments, ["/opt/agents/acp-tool/a.js", "{model}"]);
        let home = ("TOOL_HOME".to_owned(), "/opt/agents/acp-tool".to_owned());
        assert_eq!(told.variables.last(), Some(&home));
    }

    #[tokio::test]
    async fn rules_fall_back_and_say_so_and_refuse_where_nothing_is_left() {
        let plan = assign(
            &["role=planner; use=claude-code", "use=acp:qwen native"],
            None,
        )
        .await;
        let plan = plan.unwrap();
        assert_eq!(
            plan.assignment.phase_agent(Phase::Design),
            AgentProgram::ClaudeCode
        );
        assert_eq!(
            plan.assignment.task_agent(TaskType::FixBug),
            AgentProgram::Native
        );
        assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);
        assert!(plan.notes[0].contains("acp:qwen"), "{:?}", plan.notes);
        // A rule for another project is nothing to tell.
        let other = assign(&["project=other; use=acp:qwen native"], None)
            .await
            .unwrap();
        assert!(other.notes.is_empty());
        let refused = assign(&["task=fix_bug; use=acp:qwen"], None)
            .await
            .unwrap_err();
        assert_eq!(refused.agent, AgentProgram::AcpQwen);
    }
}
