//! The budgets that a call is paid from.

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::Principal;
use omoi_domain::work_limits::WorkLimits;
use omoi_store::budgets::{self, BudgetUse};
use omoi_store::{StoreError, Tx, attempts, specs};

use super::GrantError;

/// A budget, and what went from it.
struct CallBudget {
    what: &'static str,
    went: BudgetUse,
    cap: NanoUsd,
}

impl CallBudget {
    /// Why a call that may cost `next` is refused, if it is.
    fn refusal_reason(&self, next: NanoUsd) -> Option<String> {
        let Self { what, went, cap } = *self;
        let BudgetUse { spent, open } = went;
        if spent.saturating_add(open).saturating_add(next) <= cap {
            return None;
        }
        let under_way = match open {
            NanoUsd::ZERO => String::new(),
            _ => format!("calls under way may cost {open:.4}, "),
        };
        Some(format!(
            "the {what} has spent {spent:.4} of its {cap:.2}; {under_way}the next call may cost {next:.4}"
        ))
    }
}

/// Refuses `next` where a budget has no room for it, or whoever asks is over. The caller has the lock of the
/// budgets.
pub(super) async fn expect_room(
    tx: &mut Tx,
    limits: &WorkLimits,
    principal: Principal,
    next: NanoUsd,
) -> Result<(), GrantError> {
    let asking = match principal.purpose.attempt() {
        Some(id) => Some(attempts::get(tx, id).await?),
        None => None,
    };
    // It may have ended since its token was looked at: a large question takes long to come.
    if asking
        .as_ref()
        .is_some_and(|attempt| !attempt.state.is_live())
    {
        return Err(GrantError::Superseded);
    }
    let subject = asking.map(|attempt| attempt.subject);
    let paying = call_budgets(tx, limits, principal, subject).await?;
    let refusal = paying.iter().find_map(|budget| budget.refusal_reason(next));
    refusal.map_or(Ok(()), |reason| Err(GrantError::OverBudget(reason)))
}

/// The budgets that a call is paid from: the spec's, and that of what it is for, which for an attempt is
/// its `subject`.
async fn call_budgets(
    tx: &mut Tx,
    limits: &WorkLimits,
    principal: Principal,
    subject: Option<AttemptSubject>,
) -> Result<[CallBudget; 2], StoreError> {
    let spec = principal.spec;
    let limits = specs::get(tx, spec).await?.work_limits(*limits);
    let (went, what, cap) = match subject {
        Some(subject) => {
            let (what, cap) = match subject.phase() {
                Some(_) => ("phase", limits.phase.budget),
                None => ("task", limits.task.budget),
            };
            (budgets::of_subject(tx, spec, subject).await?, what, cap)
        }
        None => {
            let went = budgets::of_purpose(tx, spec, principal.purpose.kind()).await?;
            (went, "second opinion", limits.task.budget)
        }
    };
    let whole = CallBudget {
        what: "spec",
        went: went.spec,
        cap: limits.spec_budget,
    };
    let part = CallBudget {
        what,
        went: went.part,
        cap,
    };
    Ok([whole, part])
}
