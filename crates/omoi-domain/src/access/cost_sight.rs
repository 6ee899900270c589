//! What a caller is told of costs: the one place that decides.

use std::borrow::Cow;

use super::permission::Permission;
use super::permission_set::PermissionSet;
use crate::planted_bug::{PlantedBug, is_planted};

crate::constant_patterns! {
    /// The refusals of [`WorkBudget`](crate::work_budget::WorkBudget) and
    /// [`MonthRefusal`](crate::month_budget::MonthRefusal) up to where they name no amount any more, also cut short.
    static SPENT = concat!(
        r"the (spec|phase|task|second opinion|organisation|project) has spent [0-9.]+(?: USD)?",
        r"(?: of its [0-9.]+(?: USD)?(?: of this month)?)?",
        r"(?:; calls under way may cost [0-9.]+(?: USD)?)?",
        r"(?:[,;] the next call may cost [0-9.]+(?: USD)?)?",
        r#"(?:; raise it: `[A-Z_]+=[0-9]+[^`"\\]*`?(?:, where `omoi up` works after a new start of that with `[a-z_.]+: [0-9]+`?)?)?"#,
    );
}

/// What a refusal begins with that holds amounts.
const SPENT_MARK: &str = " has spent ";

/// What a caller is told of costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostSight {
    /// All of them.
    Shown,
    /// None: no amount, in a field or in words.
    Hidden,
}

impl CostSight {
    /// What a caller with `permissions` is told.
    pub fn of_permissions(permissions: PermissionSet) -> Self {
        match permissions.contains(Permission::CostRead) || is_planted(PlantedBug::CostSight) {
            true => Self::Shown,
            false => Self::Hidden,
        }
    }

    /// Whether costs are told.
    pub const fn shows_costs(self) -> bool {
        matches!(self, Self::Shown)
    }

    /// The words that are told of `text`: without amounts that a budget's refusal names.
    pub fn told_text(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Hidden if text.contains(SPENT_MARK) => {
                SPENT.replace_all(text, "the budget of the $1 has no room for the next call")
            }
            Self::Shown | Self::Hidden => Cow::Borrowed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::role::SystemRole;
    use crate::money::NanoUsd;
    use crate::month_budget::MonthRefusal;
    use crate::time::Timestamp;
    use crate::work_budget::{BudgetRefusal, WorkBudget};

    /// Every sentence that names amounts, with and without what it may leave out.
    fn refusals() -> Vec<String> {
        let mut all = Vec::new();
        for open in [NanoUsd::ZERO, NanoUsd::from_usd(0.25)] {
            for is_other in [false, true] {
                all.extend(WorkBudget::ALL.map(|budget| {
                    let refusal = BudgetRefusal {
                        budget,
                        cap: NanoUsd::from_dollars(50),
                        spent: NanoUsd::from_usd(49.5),
                        open,
                        next: NanoUsd::from_usd(0.75),
                        is_of_repository: is_other,
                        spec: "todo/SPEC-1",
                    };
                    refusal.to_string()
                }));
                let refusal = MonthRefusal {
                    is_of_project: is_other,
                    limit: NanoUsd::from_dollars(20),
                    spent: NanoUsd::from_usd(19.5),
                    held: open,
                    next: NanoUsd::from_usd(0.5),
                    ends_at: Timestamp::default(),
                };
                all.push(refusal.to_string());
            }
        }
        all
    }

    #[test]
    fn no_amount_of_a_refusal_is_told_without_the_permission() {
        for refusal in refusals() {
            let text = format!("{{\"error\":\"it ends: {refusal}\"}}");
            assert_eq!(CostSight::Shown.told_text(&text), text);
            // However a text was cut, none is left of what stood in it.
            for end in 0..=text.len() {
                let told = CostSight::Hidden.told_text(&text[..end]);
                // When the next month begins is no secret.
                let words = told
                    .split_once(" begins on ")
                    .map_or(&*told, |(words, _)| words);
                assert!(!words.bytes().any(|byte| byte.is_ascii_digit()), "{told}");
            }
            let told = CostSight::Hidden.told_text(&text);
            assert!(told.contains("has no room for the next call"), "{told}");
        }
        let own = "The invoice says 12.50 USD and 3 pieces; it has spent a week there.";
        assert_eq!(CostSight::Hidden.told_text(own), own);
    }

    #[test]
    fn viewers_and_agents_are_told_no_costs() {
        for role in SystemRole::ALL {
            let sight = CostSight::of_permissions(role.permission_set());
            let is_shown = !matches!(role, SystemRole::Viewer | SystemRole::AgentExecutor);
            assert_eq!(sight.shows_costs(), is_shown, "{role:?}");
        }
    }
}
