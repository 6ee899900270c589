//! What work may take: turns, time, money and discoveries.

use std::time::Duration;

use crate::discovery::DiscoveryCaps;
use crate::money::NanoUsd;
use crate::repository_settings::RepositorySettings;
use crate::work_budget::WorkBudget;

/// What the work on one spec may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkLimits {
    /// Most that the whole spec may cost.
    pub spec_budget: NanoUsd,
    /// Limits of each phase.
    pub phase: PhaseLimits,
    /// Limits of each task.
    pub task: TaskLimits,
    /// Longest wall time of one check.
    pub check_timeout: Duration,
    /// Work that discoveries may add.
    pub discovery: DiscoveryCaps,
}

/// What one phase of planning may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseLimits {
    /// Model turns of one attempt.
    pub turns_max: u32,
    /// Wall time of one attempt.
    pub timeout: Duration,
    /// Attempts at the phase.
    pub attempts_max: u32,
    /// Most that it may cost, all attempts together.
    pub budget: NanoUsd,
}

/// What one task may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskLimits {
    /// Model turns of one attempt.
    pub turns_max: u32,
    /// Longest wall time of one attempt; a plan may ask for less.
    pub timeout: Duration,
    /// Most that it may cost, all attempts together.
    pub budget: NanoUsd,
    /// Wall time of one command of its agent.
    pub command_timeout: Duration,
}

impl WorkLimits {
    /// How much may go from `budget`.
    pub const fn budget_cap(&self, budget: WorkBudget) -> NanoUsd {
        match budget {
            WorkBudget::Spec => self.spec_budget,
            WorkBudget::Phase => self.phase.budget,
            WorkBudget::Task | WorkBudget::Opinion => self.task.budget,
        }
    }

    /// The limits for a spec whose repository said `told` at its base commit. How slow its builds and
    /// checks are, a repository knows best; every other limit only becomes lower.
    #[must_use]
    pub fn for_repository(self, told: &RepositorySettings) -> Self {
        let (phase, task, discovery) = (self.phase, self.task, self.discovery);
        let seconds = |told: Option<u64>| told.map(Duration::from_secs);
        Self {
            spec_budget: lower_of(self.spec_budget, told.spec_budget),
            phase: PhaseLimits {
                turns_max: lower_of(phase.turns_max, told.phase_turns_max),
                timeout: lower_of(phase.timeout, seconds(told.phase_timeout_s)),
                attempts_max: lower_of(phase.attempts_max, told.phase_attempts_max),
                budget: lower_of(phase.budget, told.phase_budget),
            },
            task: TaskLimits {
                turns_max: lower_of(task.turns_max, told.task_turns_max),
                timeout: lower_of(task.timeout, seconds(told.task_timeout_s)),
                budget: lower_of(task.budget, told.task_budget),
                command_timeout: seconds(told.command_timeout_s).unwrap_or(task.command_timeout),
            },
            check_timeout: seconds(told.check_timeout_s).unwrap_or(self.check_timeout),
            discovery: DiscoveryCaps {
                depth: lower_of(discovery.depth, told.discovery_depth_max),
                per_task: lower_of(discovery.per_task, told.discoveries_per_task),
                per_spec: lower_of(discovery.per_spec, told.discoveries_per_spec),
            },
        }
    }
}

fn lower_of<T: Ord>(own: T, told: Option<T>) -> T {
    match told {
        Some(told) => own.min(told),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository_settings::RepositorySandboxLimits;

    const OWN: WorkLimits = WorkLimits {
        spec_budget: NanoUsd::from_dollars(50),
        phase: PhaseLimits {
            turns_max: 60,
            timeout: Duration::from_secs(900),
            attempts_max: 3,
            budget: NanoUsd::from_dollars(10),
        },
        task: TaskLimits {
            turns_max: 50,
            timeout: Duration::from_secs(5_400),
            budget: NanoUsd::from_dollars(20),
            command_timeout: Duration::from_secs(60),
        },
        check_timeout: Duration::from_secs(600),
        discovery: DiscoveryCaps {
            depth: 3,
            per_task: 5,
            per_spec: 20,
        },
    };

    /// A repository that sets every limit to `number`.
    fn every_limit(number: u32) -> RepositorySettings {
        let seconds = Some(u64::from(number));
        let usd = Some(NanoUsd::from_dollars(number.into()));
        RepositorySettings {
            file_digest: None,
            phase_turns_max: Some(number),
            phase_timeout_s: seconds,
            phase_attempts_max: Some(number),
            phase_budget: usd,
            spec_budget: usd,
            task_timeout_s: seconds,
            task_turns_max: Some(number),
            task_budget: usd,
            command_timeout_s: seconds,
            suite: None,
            check_timeout_s: seconds,
            read_only: Vec::new(),
            setup: Vec::new(),
            sandbox: RepositorySandboxLimits::default(),
            discovery_depth_max: Some(number),
            discoveries_per_task: Some(number),
            discoveries_per_spec: Some(number),
        }
    }

    #[test]
    fn a_repository_lowers_limits_and_knows_its_own_tools() {
        let (second, dollar) = (Duration::from_secs(1), NanoUsd::from_dollars(1));
        let lowest = WorkLimits {
            spec_budget: dollar,
            phase: PhaseLimits {
                turns_max: 1,
                timeout: second,
                attempts_max: 1,
                budget: dollar,
            },
            task: TaskLimits {
                turns_max: 1,
                timeout: second,
                budget: dollar,
                command_timeout: second,
            },
            check_timeout: second,
            discovery: DiscoveryCaps {
                depth: 1,
                per_task: 1,
                per_spec: 1,
            },
        };
        let slow_tools = WorkLimits {
            task: TaskLimits {
                command_timeout: Duration::from_secs(9_000),
                ..OWN.task
            },
            check_timeout: Duration::from_secs(9_000),
            ..OWN
        };
        for (told, expected) in [
            (RepositorySettings::default(), OWN),
            (every_limit(1), lowest),
            (every_limit(9_000), slow_tools),
        ] {
            assert_eq!(OWN.for_repository(&told), expected, "{told:?}");
        }
    }
}
