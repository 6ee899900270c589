//! Budgets that work is paid from, and what a person is told where one has no room for a model call.

use std::fmt;

use crate::money::NanoUsd;

/// The largest budget that can be set, in US dollars.
const DOLLARS_MAX: i64 = 1_000_000;

/// A budget that a model call is paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkBudget {
    /// Of the whole spec.
    Spec,
    /// Of one phase of planning, all attempts together.
    Phase,
    /// Of one task, all attempts together.
    Task,
    /// Of the second opinion on a plan, which may cost as much as a task.
    Opinion,
}

impl WorkBudget {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spec, Self::Phase, Self::Task, Self::Opinion];

    /// The configuration key that sets it.
    pub const fn config_key(self) -> &'static str {
        match self {
            Self::Spec => "spec.total_budget_usd",
            Self::Phase => "spec.phase_budget_usd",
            Self::Task | Self::Opinion => "agent.max_budget_usd",
        }
    }

    /// The environment variable of that key.
    pub const fn variable_name(self) -> &'static str {
        match self {
            Self::Spec => "SPEC_CFG_TOTAL_BUDGET_USD",
            Self::Phase => "SPEC_CFG_PHASE_BUDGET_USD",
            Self::Task | Self::Opinion => "AGENT_MAX_BUDGET_USD",
        }
    }
}

impl fmt::Display for WorkBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spec => "spec",
            Self::Phase => "phase",
            Self::Task => "task",
            Self::Opinion => "second opinion",
        })
    }
}

/// A budget without room for the next call. Its words name the budget, its size, and what raises it.
#[derive(Clone, Copy, Debug)]
pub struct BudgetRefusal<'a> {
    /// Which one.
    pub budget: WorkBudget,
    /// Its size.
    pub cap: NanoUsd,
    /// Price of the calls that are recorded.
    pub spent: NanoUsd,
    /// What calls under way may cost.
    pub open: NanoUsd,
    /// What the next call may cost.
    pub next: NanoUsd,
    /// Whether the repository's file made it as small as it is.
    pub is_of_repository: bool,
    /// How a person names the spec.
    pub spec: &'a str,
}

impl BudgetRefusal<'_> {
    /// Whole dollars that have room for the next call: twice the budget, or more where that is too little.
    fn raised_dollars(&self) -> i64 {
        let needed = self.spent.saturating_add(self.open);
        let needed = needed.saturating_add(self.next);
        let raised = needed.max(self.cap.saturating_add(self.cap));
        let one = NanoUsd::from_dollars(1).as_nanos();
        raised
            .as_nanos()
            .saturating_add(one - 1)
            .div_euclid(one)
            .clamp(1, DOLLARS_MAX)
    }
}

impl fmt::Display for BudgetRefusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            budget, cap, spec, ..
        } = *self;
        let key = budget.config_key();
        write!(
            f,
            "the {budget} has spent {:.4} of its {cap:.2}; ",
            self.spent
        )?;
        if self.open != NanoUsd::ZERO {
            write!(f, "calls under way may cost {:.4}, ", self.open)?;
        }
        write!(f, "the next call may cost {:.4}; ", self.next)?;
        if self.is_of_repository {
            return write!(
                f,
                "`.omoi.yaml` of its base commit lowered `{key}` to that: raise it there, commit, and ask anew with \
                 `omoi run`"
            );
        }
        let (variable, dollars) = (budget.variable_name(), self.raised_dollars());
        write!(
            f,
            "raise it: `{variable}={dollars} omoi spec resume {spec}`, where `omoi up` works after a new start of that \
             with `{key}: {dollars}`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(budget: WorkBudget) -> BudgetRefusal<'static> {
        BudgetRefusal {
            budget,
            cap: NanoUsd::from_dollars(50),
            spent: NanoUsd::from_usd(49.5),
            open: NanoUsd::ZERO,
            next: NanoUsd::from_usd(0.75),
            is_of_repository: false,
            spec: "todo/SPEC-1",
        }
    }

    #[test]
    fn the_budget_its_size_and_what_raises_it_are_named() {
        let told = refusal(WorkBudget::Spec).to_string();
        assert_eq!(
            told,
            "the spec has spent 49.5000 USD of its 50.00 USD; the next call may cost 0.7500 USD; raise it: \
             `SPEC_CFG_TOTAL_BUDGET_USD=100 omoi spec resume todo/SPEC-1`, where `omoi up` works after a new start of \
             that with `spec.total_budget_usd: 100`"
        );
        let under_way = BudgetRefusal {
            open: NanoUsd::from_usd(0.25),
            is_of_repository: true,
            ..refusal(WorkBudget::Task)
        };
        assert_eq!(
            under_way.to_string(),
            "the task has spent 49.5000 USD of its 50.00 USD; calls under way may cost 0.2500 USD, the next call may \
             cost 0.7500 USD; `.omoi.yaml` of its base commit lowered `agent.max_budget_usd` to that: raise it there, \
             commit, and ask anew with `omoi run`"
        );
    }

    #[test]
    fn what_it_is_raised_to_has_room_for_the_call() {
        for (cap, next, dollars) in [
            (0.0, 0.03, 1),
            (0.05, 0.03, 1),
            (20.0, 1.0, 51),
            (50.0, 0.75, 100),
            (1_000_000.0, 1.0, 1_000_000),
        ] {
            let refusal = BudgetRefusal {
                cap: NanoUsd::from_usd(cap),
                next: NanoUsd::from_usd(next),
                ..refusal(WorkBudget::Phase)
            };
            let spent = if cap < 1.0 { 0.0 } else { 49.5 };
            let refusal = BudgetRefusal {
                spent: NanoUsd::from_usd(spent),
                ..refusal
            };
            assert_eq!(refusal.raised_dollars(), dollars, "{cap} {next}");
        }
    }
}
