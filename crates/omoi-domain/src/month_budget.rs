//! What an organisation or a project may spend on models in a calendar month.

use std::fmt;

use crate::money::NanoUsd;
use crate::time::Timestamp;

crate::closed_set! {
    /// How much of a month's budget is spent.
    BudgetLevel {
        /// Less than 80 %.
        Normal = "normal",
        /// 80 % or more.
        Warning = "warning",
        /// 95 % or more.
        Critical = "critical",
        /// All of it.
        Exceeded = "exceeded",
    }
}

/// The most that a budget may be.
pub const LIMIT_MAX: NanoUsd = NanoUsd::from_dollars(1_000_000);

impl BudgetLevel {
    /// The level at which `spent` of `limit` is.
    pub const fn of_spent(spent: NanoUsd, limit: NanoUsd) -> Self {
        let (spent, limit) = (spent.as_nanos() as i128, limit.as_nanos() as i128);
        match limit {
            limit if spent >= limit => Self::Exceeded,
            limit if spent * 100 >= limit * 95 => Self::Critical,
            limit if spent * 100 >= limit * 80 => Self::Warning,
            _ => Self::Normal,
        }
    }

    /// The level that has to be told once `before` was told already; none when nothing new is reached.
    pub fn newly_reached(self, before: Self) -> Option<Self> {
        (self > before).then_some(self)
    }
}

/// A month's budget without room for the next call, in words for whoever can raise it.
#[derive(Clone, Copy, Debug)]
pub struct MonthRefusal {
    /// Whether it is the project's; else the organisation's.
    pub is_of_project: bool,
    /// Its size.
    pub limit: NanoUsd,
    /// What is recorded in this month.
    pub spent: NanoUsd,
    /// What calls under way may cost.
    pub held: NanoUsd,
    /// What the next call may cost.
    pub next: NanoUsd,
    /// When the next month begins.
    pub ends_at: Timestamp,
}

impl MonthRefusal {
    /// Whether there is room by now.
    pub const fn has_room(&self) -> bool {
        let asked = self
            .spent
            .saturating_add(self.held)
            .saturating_add(self.next);
        asked.as_nanos() <= self.limit.as_nanos()
    }
}

impl fmt::Display for MonthRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit, spent, next, ..
        } = *self;
        let owner = match self.is_of_project {
            true => "project",
            false => "organisation",
        };
        write!(
            f,
            "the {owner} has spent {spent:.4} of its {limit:.2} of this month; "
        )?;
        if self.held != NanoUsd::ZERO {
            write!(f, "calls under way may cost {:.4}, ", self.held)?;
        }
        write!(
            f,
            "the next call may cost {next:.4}; an owner of the organisation can raise the {owner}'s budget, and the \
             next month begins on {}",
            self.ends_at.calendar_date()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_told_once_and_each_by_itself() {
        let check = |spent: i64, limit: i64, level| {
            let at = BudgetLevel::of_spent(NanoUsd::from_nanos(spent), NanoUsd::from_nanos(limit));
            assert_eq!(at, level, "{spent} of {limit}");
        };
        check(0, 100, BudgetLevel::Normal);
        check(79, 100, BudgetLevel::Normal);
        check(80, 100, BudgetLevel::Warning);
        check(94, 100, BudgetLevel::Warning);
        check(95, 100, BudgetLevel::Critical);
        check(99, 100, BudgetLevel::Critical);
        check(100, 100, BudgetLevel::Exceeded);
        check(0, 0, BudgetLevel::Exceeded);
        check(i64::MAX - 1, i64::MAX, BudgetLevel::Critical);
        let (warning, exceeded) = (BudgetLevel::Warning, BudgetLevel::Exceeded);
        assert_eq!(warning.newly_reached(BudgetLevel::Normal), Some(warning));
        assert_eq!(exceeded.newly_reached(warning), Some(exceeded));
        assert_eq!(warning.newly_reached(warning), None);
        assert_eq!(warning.newly_reached(exceeded), None);
    }

    #[test]
    fn the_budget_its_size_and_its_end_are_named() {
        let refusal = MonthRefusal {
            is_of_project: false,
            limit: NanoUsd::from_dollars(20),
            spent: NanoUsd::from_usd(19.5),
            held: NanoUsd::from_usd(0.25),
            next: NanoUsd::from_usd(0.5),
            ends_at: Timestamp::of_date("2026-12-01").unwrap(),
        };
        assert_eq!(
            refusal.to_string(),
            "the organisation has spent 19.5000 USD of its 20.00 USD of this month; calls under way may cost 0.2500 \
             USD, the next call may cost 0.5000 USD; an owner of the organisation can raise the organisation's \
             budget, and the next month begins on 2026-12-01"
        );
    }
}
