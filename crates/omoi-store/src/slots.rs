//! Slots: how many tasks are at work at once, kept as counters of each project, of its organisation and of the
//! deployment.
//!
//! Every move of a task into work or out of it tells its transaction ([`crate::tasks`] keeps that in one
//! place). The transaction writes the sums right before it commits: others wait for these rows as short
//! as can be, and rows are always locked in the same order: tasks, projects by id, the organisation, the deployment.

use std::collections::BTreeMap;

use omoi_domain::id::ProjectId;
use omoi_domain::slots::{SlotLimits, SlotsInUse};

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::events;
use crate::tx::Tx;

/// What one transaction does to the slots.
#[derive(Default)]
pub(crate) struct SlotMoves {
    by_project: BTreeMap<ProjectId, i64>,
    limits: Option<SlotLimits>,
}

impl SlotMoves {
    /// Counts tasks of `project` that came to work, or with a negative number left it.
    pub(crate) fn count(&mut self, project: ProjectId, change: i64) {
        *self.by_project.entry(project).or_default() += change;
    }

    pub(crate) fn set_limits(&mut self, limits: SlotLimits) {
        self.limits = Some(limits);
    }

    /// By how much each project's counter moves, in the order in which the rows are locked.
    pub(crate) fn moved_projects(&self) -> impl Iterator<Item = (ProjectId, i64)> {
        let moved = self.by_project.iter().filter(|(_, change)| **change != 0);
        moved.map(|(project, change)| (*project, *change))
    }

    /// By how much the counters of the organisation and of the deployment move.
    pub(crate) fn in_organisation(&self) -> i64 {
        self.by_project.values().sum()
    }

    /// Whether the organisation's counter must stay within its limit. One that falls is under none, as below.
    pub(crate) fn is_limited(&self) -> bool {
        self.limits.is_some() && self.in_organisation() > 0
    }

    /// The most that a project's counter may be after it moved by `change`. One that falls is under no
    /// limit: limits may have been lowered since.
    pub(crate) fn most_of_project(&self, change: i64) -> i64 {
        let limits = self.limits.filter(|_| change > 0);
        limits.map_or(i64::MAX, |limits| limits.per_project)
    }

    /// The same for the deployment's counter.
    pub(crate) fn most_in_deployment(&self) -> i64 {
        let limits = self.limits.filter(|_| self.in_organisation() > 0);
        limits.map_or(i64::MAX, |limits| limits.in_deployment)
    }
}

/// Writes how the projects' counters moved; the organisation's moves with its event numbers.
pub(crate) async fn write_projects(tx: &mut Tx, moves: &SlotMoves) -> Result<(), StoreError> {
    for (project, change) in moves.moved_projects() {
        let moved = tx
            .execute(
                "update projects set slots_used = slots_used + $3
                 where org_id = $1 and id = $2 and slots_used + $3 <= $4",
                args![project, change, moves.most_of_project(change)],
            )
            .await?;
        if moved == 0 {
            // Whose time is over learns that before all else.
            return Err(events::counter_refusal(tx).await?);
        }
    }
    Ok(())
}

/// Writes how the deployment's counter moved. It comes last: the organisations share it.
pub(crate) async fn write_deployment(tx: &mut Tx, moves: &SlotMoves) -> Result<(), StoreError> {
    let moved = tx
        .execute_global(
            "update deployment set slots_used = slots_used + $1
             where id = 1 and slots_used + $1 <= $2",
            args![moves.in_organisation(), moves.most_in_deployment()],
        )
        .await?;
    if moved == 0 {
        return Err(StoreError::SlotsTaken);
    }
    Ok(())
}

/// Slots that tasks hold at this instant. Nothing is locked: a transaction that goes on to take some
/// says so with [`Tx::limit_slots`].
///
/// # Errors
/// When the database cannot be read.
pub async fn in_use(tx: &mut Tx) -> Result<SlotsInUse, StoreError> {
    let rows = tx
        .rows(
            "select id, slots_used, cast(null as bigint) as most, cast(0 as bigint) as in_deployment
             from projects where org_id = $1 and slots_used > 0
             union all
             select null, o.slots_used,
                 case when o.archived_at is null then o.max_concurrent_agents else 0 end, d.slots_used
             from organisations o, deployment d where o.id = $1",
            args![],
        )
        .await?;
    let mut slots = SlotsInUse::default();
    for row in &rows {
        let n_slots = i64::read(row, "slots_used")?;
        match Column::read(row, "id")? {
            Some(project) => drop(slots.by_project.insert(project, n_slots)),
            None => {
                slots.in_organisation = n_slots;
                slots.organisation_max = Column::read(row, "most")?;
                slots.in_deployment = Column::read(row, "in_deployment")?;
            }
        }
    }
    Ok(slots)
}
