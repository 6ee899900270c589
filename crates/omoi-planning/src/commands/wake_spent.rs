//! Has work go on that waits for a budget, once the budgets of its month have room.

use tracing::info;

use omoi_domain::block::{SpecBlock, TaskBlock};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ProjectId, SpecId};
use omoi_domain::lifecycle::spec::{ResumeRoute, resume_planning, resume_route, resume_work};
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_execution::specs::apply_to_spec;
use omoi_store::month_budgets::{self, MonthBudget};
use omoi_store::specs::{self, Spec};
use omoi_store::{Tenant, Tx, tasks};

use super::SpecCommandError;
use super::spec_changes::{explain_refusal, read_phase_states, read_spec_facts, read_spec_tasks};

/// Why work is looked for that a budget stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// A person made, changed or removed a budget.
    BudgetChanged,
    /// A month began, or this process did: where there is no budget of a month, that gives room to nothing.
    NewMonth,
}

/// Takes up the tasks and phases that wait for a budget, where the budgets of their project and organisation have room
/// for the month of now; tells how many specs go on. Whatever waits for a budget of its own is refused again, which is
/// none of its rounds.
///
/// # Errors
/// When the rows cannot be read or written.
pub async fn wake_spent_work(
    tenant: &Tenant,
    reason: WakeReason,
) -> Result<usize, SpecCommandError> {
    let look = async |tx: &mut Tx| {
        let budgets = month_budgets::list_all(tx).await?;
        let stopped = month_budgets::stopped_specs(tx).await?;
        let month = tx.now().month_start();
        let has_room = |(_, project): &(SpecId, ProjectId)| {
            (reason == WakeReason::BudgetChanged || is_held(&budgets, *project))
                && has_room(&budgets, *project, month)
        };
        let woken: Vec<SpecId> = stopped
            .into_iter()
            .filter(has_room)
            .map(|(spec, _)| spec)
            .collect();
        Ok::<_, SpecCommandError>(woken)
    };
    let stopped = tenant.read(look).await?;
    let mut n_woken = 0;
    for spec in stopped {
        if wake_spec(tenant, spec).await? {
            info!(spec.id = %spec, "Work goes on that waited for a budget");
            n_woken += 1;
        }
    }
    Ok(n_woken)
}

/// Whether calls of `project` are held by a budget at all.
fn is_held(budgets: &[MonthBudget], project: ProjectId) -> bool {
    budgets
        .iter()
        .any(|budget| budget.project_id.is_none_or(|own| own == project))
}

/// Whether every budget that a call of `project` is held by has something left.
fn has_room(budgets: &[MonthBudget], project: ProjectId, month: Timestamp) -> bool {
    let of_call = |budget: &&MonthBudget| budget.project_id.is_none_or(|own| own == project);
    budgets.iter().filter(of_call).all(|budget| {
        let taken = budget.spent_in(month).saturating_add(budget.held_nanousd);
        !budget.is_hard || taken < budget.limit_nanousd
    })
}

/// Takes up what waits in one spec; false where somebody was first.
async fn wake_spec(tenant: &Tenant, id: SpecId) -> Result<bool, SpecCommandError> {
    let wake = async |tx: &mut Tx| {
        let mut spec = specs::get(tx, id).await?;
        tasks::hold_of_spec(tx, id).await?;
        let standing = tasks::standing_of_spec(tx, id).await?;
        let waits = standing
            .iter()
            .filter(|task| task.blocked_by == Some(TaskBlock::Budget));
        let waiting: Vec<_> = waits.map(|task| task.id).collect();
        for task in &waiting {
            let mut task = tasks::get(tx, *task).await?;
            omoi_execution::tasks::retry_by_person(tx, &mut task).await?;
        }
        let is_stopped = spec.status == SpecStatus::Blocked;
        if is_stopped && (spec.blocked_by == Some(SpecBlock::Budget) || !waiting.is_empty()) {
            go_on(tx, &mut spec).await?;
            return Ok(true);
        }
        Ok::<_, SpecCommandError>(!waiting.is_empty())
    };
    tenant.write(CrashPoint::SpecMoved, wake).await
}

/// Has a blocked spec go on where it stopped.
async fn go_on(tx: &mut Tx, spec: &mut Spec) -> Result<(), SpecCommandError> {
    let facts = read_spec_facts(tx, spec).await?;
    let actions = match resume_route(facts) {
        ResumeRoute::Planning => {
            let phases = read_phase_states(tx, spec.id).await?;
            resume_planning(spec.current_phase, &phases)
        }
        ResumeRoute::Work => {
            let tasks = read_spec_tasks(tx, spec.id).await?;
            match resume_work(&tasks, None) {
                Ok(actions) => actions,
                Err(refusal) => return Err(explain_refusal(tx, spec, refusal).await),
            }
        }
        ResumeRoute::Delivered | ResumeRoute::UnderWay | ResumeRoute::WaitsForApproval => {
            return Ok(());
        }
    };
    Ok(apply_to_spec(tx, spec, actions, true).await?)
}
