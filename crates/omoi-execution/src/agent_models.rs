//! What is known of the models of agents before any of them is asked.

use std::collections::BTreeMap;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_rule::AgentAssignment;
use omoi_domain::model_route::RouteName;
use omoi_domain::phase::Phase;
use omoi_domain::prompt_family::PromptFamily;
use omoi_domain::provider_row::are_calls_of;
use omoi_domain::task::TaskType;

use crate::agent_programs::ProgramUnusable;

/// What is known of the models that agents work with.
#[derive(Clone, Copy, Debug)]
pub struct AgentModelFacts {
    /// Tokens that all of them read, where that is known.
    pub window_tokens: Option<u64>,
    /// Whether all of them are known to see pictures.
    pub takes_images: bool,
    /// Most tokens of one answer.
    pub answer_tokens: u32,
    /// Which prompts of our own loop fit all of them.
    pub prompts: PromptFamily,
    /// The program whose calls alone all of them are for.
    pub only_program: Option<AgentProgram>,
}

/// What is known of the models of agents, by what they work on.
#[derive(Clone, Debug)]
pub struct AgentModels {
    usual: AgentModelFacts,
    by_route: BTreeMap<RouteName, AgentModelFacts>,
}

impl AgentModels {
    /// Of work that `by_route` does not name, `usual` is known.
    pub const fn new(
        usual: AgentModelFacts,
        by_route: BTreeMap<RouteName, AgentModelFacts>,
    ) -> Self {
        Self { usual, by_route }
    }

    /// What is known of the models of `route`.
    pub fn route_facts(&self, route: RouteName) -> AgentModelFacts {
        self.by_route.get(&route).copied().unwrap_or(self.usual)
    }

    /// Refuses an assignment in which an agent may ask none of the models of its work.
    ///
    /// # Errors
    /// [`ProgramUnusable`], with what to do instead.
    pub fn expect_usable(&self, assignment: &AgentAssignment) -> Result<(), ProgramUnusable> {
        let phases = Phase::ALL_WORKING.into_iter();
        let phases = phases.map(|phase| (RouteName::Planner, assignment.phase_agent(phase)));
        let tasks = TaskType::ALL.iter().copied();
        let tasks = tasks.map(|task| (RouteName::of_task(task), assignment.task_agent(task)));
        for (route, agent) in phases.chain(tasks) {
            if let Some(only) = self.route_facts(route).only_program
                && !are_calls_of(agent, only)
            {
                let reason = format!(
                    "the key of its models is for calls of {only} alone; choose it with --agent {only}, or name another model under `models:`, in `agent` or `{route}`"
                );
                return Err(ProgramUnusable { agent, reason });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_may_ask_none_of_its_models_is_refused() {
        let facts = |only_program| AgentModelFacts {
            window_tokens: None,
            takes_images: false,
            answer_tokens: 1,
            prompts: PromptFamily::Open,
            only_program,
        };
        let (all, subscribed) = (facts(None), facts(Some(AgentProgram::ClaudeCode)));
        let fixes = |facts| BTreeMap::from([(RouteName::FixBug, facts)]);
        for (usual, own, agent, is_usable) in [
            (all, all, AgentProgram::Native, true),
            (subscribed, subscribed, AgentProgram::ClaudeCode, true),
            (subscribed, subscribed, AgentProgram::AcpClaude, true),
            (subscribed, subscribed, AgentProgram::Native, false),
            (all, subscribed, AgentProgram::Codex, false),
            (subscribed, all, AgentProgram::Codex, false),
        ] {
            let models = AgentModels::new(usual, fixes(own));
            let checked = models.expect_usable(&AgentAssignment::of_one(agent));
            assert_eq!(checked.is_ok(), is_usable, "{agent}");
            if let Err(refused) = checked {
                let says = refused.to_string();
                assert!(says.contains("--agent claude-code"), "{says}");
            }
        }
    }
}
