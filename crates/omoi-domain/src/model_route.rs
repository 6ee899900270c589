//! Model routes: what a model is asked for, which decides the model, and how long it may take.

use std::str::FromStr;
use std::time::Duration;

use crate::attempt::AgentRole;
use crate::task::TaskType;

crate::closed_set! {
    /// What a question to a model is for. The agents of a run use [`RouteName::Agent`].
    RouteName {
        /// Short names for things.
        Title = "title",
        /// Verdicts on the work of another model.
        Judge = "judge",
        /// Turns of agents at work.
        Agent = "agent",
        /// Turns of agents that plan.
        Planner = "planner",
        /// Turns of agents that build a feature.
        ImplementFeature = "implement_feature",
        /// Turns of agents that write tests.
        WriteTests = "write_tests",
        /// Turns of agents that repair a fault.
        FixBug = "fix_bug",
        /// Turns of agents that resolve a conflict.
        ResolveConflict = "resolve_conflict",
    }
}

impl RouteName {
    /// The routes of agents by what they work on. One without models of its own is [`RouteName::Agent`].
    pub const OF_WORK: [Self; 5] = [
        Self::Planner,
        Self::ImplementFeature,
        Self::WriteTests,
        Self::FixBug,
        Self::ResolveConflict,
    ];

    /// Whether turns of agents at work go by it: others are questions beside.
    pub fn is_of_work(self) -> bool {
        self == Self::Agent || Self::OF_WORK.contains(&self)
    }

    /// The route of agents that work on a task of `task_type`.
    pub const fn of_task(task_type: TaskType) -> Self {
        match task_type {
            TaskType::ImplementFeature => Self::ImplementFeature,
            TaskType::WriteTests => Self::WriteTests,
            TaskType::FixBug => Self::FixBug,
            TaskType::ResolveConflict => Self::ResolveConflict,
        }
    }

    /// The route of the turns of an agent with `role`, on a task of `task_type` where it has one.
    pub const fn of_agent(role: AgentRole, task_type: Option<TaskType>) -> Self {
        match (task_type, role) {
            (Some(task_type), _) => Self::of_task(task_type),
            (None, AgentRole::Planner) => Self::Planner,
            (None, _) => Self::Agent,
        }
    }
}

/// How long an answer of one route may take, as a person says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTimes {
    /// The route it is said of.
    pub route: RouteName,
    /// Until the answer shows its first content.
    pub first_content: Duration,
    /// Between two pieces of it, from then on.
    pub silence: Duration,
    /// From its first content to its last.
    pub total: Duration,
}

impl AnswerTimes {
    /// How a row is written.
    pub const SHAPE: &str = "ROUTE=FIRST/SILENCE/TOTAL in seconds, 1 to 86400 each";
}

/// The text does not say how long answers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be {}", AnswerTimes::SHAPE)]
pub struct BadAnswerTimes;

impl FromStr for AnswerTimes {
    type Err = BadAnswerTimes;

    fn from_str(text: &str) -> Result<Self, BadAnswerTimes> {
        let (route, times) = text.split_once('=').ok_or(BadAnswerTimes)?;
        let times: Vec<Duration> = times
            .split('/')
            .map(|text| match text.trim().parse::<u64>() {
                Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
                _ => Err(BadAnswerTimes),
            })
            .collect::<Result<_, _>>()?;
        let [first_content, silence, total] = times.try_into().map_err(|_| BadAnswerTimes)?;
        Ok(Self {
            route: RouteName::parse(route.trim()).ok_or(BadAnswerTimes)?,
            first_content,
            silence,
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_route_are_read() {
        let times = AnswerTimes {
            route: RouteName::Agent,
            first_content: Duration::from_secs(900),
            silence: Duration::from_secs(60),
            total: Duration::from_secs(3_600),
        };
        assert_eq!(" agent = 900/60 /3600".parse(), Ok(times));
        for bad in [
            "",
            "agent",
            "agent=1/2",
            "agent=1/2/3/4",
            "nobody=1/2/3",
            "agent=0/2/3",
            "agent=1/2/86401",
            "agent=1/x/3",
        ] {
            assert_eq!(bad.parse::<AnswerTimes>(), Err(BadAnswerTimes), "{bad}");
        }
    }
}
