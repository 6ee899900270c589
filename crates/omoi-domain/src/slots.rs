//! Slots: how many tasks may be at work at once, in one project and in all of them.

use std::collections::BTreeMap;

use crate::id::ProjectId;

/// Most tasks at work at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLimits {
    /// Most tasks of one project.
    pub per_project: i64,
    /// Most tasks of all projects together.
    pub in_all: i64,
}

/// A limit that keeps another task from work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotLimit {
    /// The limit of the task's own project.
    Project,
    /// The limit of all projects together.
    Everywhere,
}

/// Slots that tasks hold. A project that holds none need not be named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotsInUse {
    /// Slots of all projects together.
    pub in_all: i64,
    /// Slots of each project that holds any.
    pub by_project: BTreeMap<ProjectId, i64>,
}

impl SlotsInUse {
    /// Slots that tasks of `project` hold.
    pub fn of_project(&self, project: ProjectId) -> i64 {
        self.by_project.get(&project).copied().unwrap_or(0)
    }

    /// The limit that keeps another task of `project` from work, if any. The wider one is named first:
    /// it keeps every other project from work too.
    pub fn limit_reached(&self, limits: SlotLimits, project: ProjectId) -> Option<SlotLimit> {
        if self.in_all >= limits.in_all {
            Some(SlotLimit::Everywhere)
        } else if self.of_project(project) >= limits.per_project {
            Some(SlotLimit::Project)
        } else {
            None
        }
    }

    /// Counts one more task of `project`.
    pub fn take_slot(&mut self, project: ProjectId) {
        self.in_all += 1;
        *self.by_project.entry(project).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SlotLimits = SlotLimits {
        per_project: 2,
        in_all: 3,
    };

    fn project(n: u128) -> ProjectId {
        ProjectId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_slot_is_free_below_both_limits() {
        let (one, two) = (project(1), project(2));
        let mut slots = SlotsInUse::default();
        for (taken, own, other) in [
            (None, None, None),
            (Some(one), None, None),
            (Some(one), Some(SlotLimit::Project), None),
            (
                Some(two),
                Some(SlotLimit::Everywhere),
                Some(SlotLimit::Everywhere),
            ),
        ] {
            if let Some(taken) = taken {
                slots.take_slot(taken);
            }
            assert_eq!(slots.limit_reached(LIMITS, one), own, "{slots:?}");
            assert_eq!(slots.limit_reached(LIMITS, two), other, "{slots:?}");
        }
        assert_eq!((slots.of_project(one), slots.of_project(two)), (2, 1));
    }
}
