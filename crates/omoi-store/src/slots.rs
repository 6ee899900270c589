//! Slots: how many tasks are at work at once, kept as counters of each project and of the organisation.
//!
//! Every move of a task into work or out of it tells its transaction ([`crate::tasks`] keeps that in one
//! place). The transaction writes the sums right before it commits: others wait for these rows as short
//! as can be, and rows are always locked in the same order: tasks, projects by id, the organisation.

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

    /// By how much the organisation's counter moves.
    pub(crate) fn in_all(&self) -> i64 {
        self.by_project.values().sum()
    }

    /// The most that a project's counter may be after it moved by `change`. One that falls is under no
    /// limit: limits may have been lowered since.
    pub(crate) fn most_of_project(&self, change: i64) -> i64 {
        let limits = self.limits.filter(|_| change > 0);
        limits.map_or(i64::MAX, |limits| limits.per_project)
    }

    /// The same for the organisation's counter.
    pub(crate) fn most_in_all(&self) -> i64 {
        let limits = self.limits.filter(|_| self.in_all() > 0);
        limits.map_or(i64::MAX, |limits| limits.in_all)
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

/// Slots that tasks hold at this instant. Nothing is locked: a transaction that goes on to take some
/// says so with [`Tx::limit_slots`].
///
/// # Errors
/// When the database cannot be read.
pub async fn in_use(tx: &mut Tx) -> Result<SlotsInUse, StoreError> {
    let rows = tx
        .rows(
            "select id, slots_used from projects where org_id = $1 and slots_used > 0
             union all select null, slots_used from organisations where id = $1",
            args![],
        )
        .await?;
    let mut slots = SlotsInUse::default();
    for row in &rows {
        let n_slots = i64::read(row, "slots_used")?;
        match Column::read(row, "id")? {
            Some(project) => drop(slots.by_project.insert(project, n_slots)),
            None => slots.in_all = n_slots,
        }
    }
    Ok(slots)
}
