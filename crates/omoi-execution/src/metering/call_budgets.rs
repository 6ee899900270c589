//! The budgets that a call is paid from.

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::id::HumanRef;
use omoi_domain::money::NanoUsd;
use omoi_domain::month_budget::MonthRefusal;
use omoi_domain::principal::Principal;
use omoi_domain::work_budget::{BudgetRefusal, WorkBudget};
use omoi_domain::work_limits::WorkLimits;
use omoi_store::budgets::{self, BudgetUse};
use omoi_store::{StoreError, Tx, attempts, month_budgets, projects, specs};

use super::GrantError;

/// A budget, and what went from it.
struct CallBudget {
    budget: WorkBudget,
    went: BudgetUse,
    cap: NanoUsd,
    /// Whether the repository's file lowered it.
    is_of_repository: bool,
}

impl CallBudget {
    /// Whether it has room for a call that may cost `next`.
    const fn has_room(&self, next: NanoUsd) -> bool {
        let BudgetUse { spent, open } = self.went;
        let asked = spent.saturating_add(open).saturating_add(next);
        asked.as_nanos() <= self.cap.as_nanos()
    }
}

/// Refuses `next` where a budget has no room for it, or whoever asks is over. Tells whether budgets of a month have to
/// hold it too. The caller has the lock of the budgets.
pub(super) async fn expect_room(
    tx: &mut Tx,
    limits: &WorkLimits,
    principal: Principal,
    next: NanoUsd,
) -> Result<bool, GrantError> {
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
    let (paying, n_month_budgets) = call_budgets(tx, limits, principal, subject).await?;
    match paying.iter().find(|budget| !budget.has_room(next)) {
        Some(spent) => Err(refuse_call(tx, principal, spent, next).await?),
        None => Ok(n_month_budgets > 0),
    }
}

/// Why a call that may cost `next` is refused by `spent`, in words for whoever can raise it.
async fn refuse_call(
    tx: &mut Tx,
    principal: Principal,
    spent: &CallBudget,
    next: NanoUsd,
) -> Result<GrantError, StoreError> {
    let number = specs::get(tx, principal.spec).await?.number;
    let spec = projects::reference(tx, principal.project, HumanRef::spec(number)).await?;
    let refusal = BudgetRefusal {
        budget: spent.budget,
        cap: spent.cap,
        spent: spent.went.spent,
        open: spent.went.open,
        next,
        is_of_repository: spent.is_of_repository,
        spec: &spec,
    };
    Ok(GrantError::OverBudget(refusal.to_string()))
}

/// Why a call that may cost `next` was refused by a budget of the month, asked once the transaction that tried it
/// is taken back.
pub(super) async fn refuse_month(
    tx: &mut Tx,
    principal: Principal,
    next: NanoUsd,
) -> Result<GrantError, StoreError> {
    let month = tx.now().month_start();
    let budgets = month_budgets::of_project(tx, principal.project).await?;
    let hard = budgets.iter().filter(|budget| budget.is_hard);
    let mut refusals = hard.map(|budget| MonthRefusal {
        is_of_project: budget.project_id.is_some(),
        limit: budget.limit_nanousd,
        spent: budget.spent_in(month),
        held: budget.held_nanousd,
        next,
        ends_at: month.next_month_start(),
    });
    let refusal = refusals.clone().find(|refusal| !refusal.has_room());
    // Others may have given back what they held since.
    let told = refusal.or_else(|| refusals.next_back());
    Ok(GrantError::OverBudget(told.map_or_else(
        || "a budget of this month had no room for the call".to_owned(),
        |refusal| refusal.to_string(),
    )))
}

/// The budgets that a call is paid from: the spec's, and that of what it is for, which for an attempt is
/// its `subject`. And how many budgets of a month hold it beside.
async fn call_budgets(
    tx: &mut Tx,
    own: &WorkLimits,
    principal: Principal,
    subject: Option<AttemptSubject>,
) -> Result<([CallBudget; 2], i64), StoreError> {
    let spec = principal.spec;
    let limits = specs::get(tx, spec).await?.work_limits(*own);
    let (went, budget) = match subject {
        Some(subject) => {
            let budget = match subject.phase() {
                Some(_) => WorkBudget::Phase,
                None => WorkBudget::Task,
            };
            (budgets::of_subject(tx, spec, subject).await?, budget)
        }
        None => {
            let went = budgets::of_purpose(tx, spec, principal.purpose.kind()).await?;
            (went, WorkBudget::Opinion)
        }
    };
    let call_budget = |budget: WorkBudget, went| CallBudget {
        budget,
        went,
        cap: limits.budget_cap(budget),
        is_of_repository: limits.budget_cap(budget) < own.budget_cap(budget),
    };
    let paying = [
        call_budget(WorkBudget::Spec, went.spec),
        call_budget(budget, went.part),
    ];
    Ok((paying, went.n_month_budgets))
}
