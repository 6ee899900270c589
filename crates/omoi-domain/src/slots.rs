//! Slots: how many tasks may be at work at once, in one project, in its organisation and in the deployment.

use std::collections::BTreeMap;

use crate::id::ProjectId;

/// Most tasks at work at once, as the deployment sets it. What an organisation may have beside is a figure of its own
/// ([`SlotsInUse::organisation_max`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLimits {
    /// Most tasks of one project.
    pub per_project: i64,
    /// Most tasks of all organisations together.
    pub in_deployment: i64,
}

/// A limit that keeps another task from work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotLimit {
    /// The limit of the task's own project.
    Project,
    /// The limit of its organisation.
    Organisation,
    /// The limit of all organisations together.
    Deployment,
}

/// Slots that tasks hold, as one organisation sees it. A project that holds none need not be named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotsInUse {
    /// Slots of all organisations together.
    pub in_deployment: i64,
    /// Slots of all projects of the organisation.
    pub in_organisation: i64,
    /// Most slots of the organisation; without one it is kept by the deployment's limit alone.
    pub organisation_max: Option<i64>,
    /// Slots of each project that holds any.
    pub by_project: BTreeMap<ProjectId, i64>,
}

impl SlotsInUse {
    /// Slots that tasks of `project` hold.
    pub fn of_project(&self, project: ProjectId) -> i64 {
        self.by_project.get(&project).copied().unwrap_or(0)
    }

    /// The limit that keeps another task of `project` from work, if any. The widest one is named first:
    /// it keeps more than this project from work.
    pub fn limit_reached(&self, limits: SlotLimits, project: ProjectId) -> Option<SlotLimit> {
        let is_full = |most: i64| self.in_organisation >= most;
        if self.in_deployment >= limits.in_deployment {
            Some(SlotLimit::Deployment)
        } else if self.organisation_max.is_some_and(is_full) {
            Some(SlotLimit::Organisation)
        } else if self.of_project(project) >= limits.per_project {
            Some(SlotLimit::Project)
        } else {
            None
        }
    }

    /// Counts one more task of `project`.
    pub fn take_slot(&mut self, project: ProjectId) {
        self.in_deployment += 1;
        self.in_organisation += 1;
        *self.by_project.entry(project).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SlotLimits = SlotLimits {
        per_project: 2,
        in_deployment: 7,
    };

    fn project(n: u128) -> ProjectId {
        ProjectId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_slot_is_free_below_every_limit() {
        let (one, two) = (project(1), project(2));
        let (organisation, deployment) =
            (Some(SlotLimit::Organisation), Some(SlotLimit::Deployment));
        // Most of the organisation, slots that others hold, and which limit each of the two projects meets.
        for (organisation_max, of_others, taken, own, other) in [
            (Some(3), 0, &[][..], None, None),
            (Some(3), 0, &[one], None, None),
            (Some(3), 0, &[one, one], Some(SlotLimit::Project), None),
            (Some(3), 0, &[one, one, two], organisation, organisation),
            (None, 0, &[one, one, two], Some(SlotLimit::Project), None),
            // Others leave two: the widest limit is named.
            (Some(3), 5, &[one], None, None),
            (Some(2), 5, &[one, two], deployment, deployment),
            (None, 7, &[], deployment, deployment),
            // A limit that was lowered below what is held.
            (Some(1), 0, &[one, two], organisation, organisation),
        ] {
            let mut slots = SlotsInUse {
                in_deployment: of_others,
                organisation_max,
                ..SlotsInUse::default()
            };
            for project in taken {
                slots.take_slot(*project);
            }
            assert_eq!(slots.limit_reached(LIMITS, one), own, "{slots:?}");
            assert_eq!(slots.limit_reached(LIMITS, two), other, "{slots:?}");
            assert_eq!(slots.in_organisation, taken.len() as i64);
        }
    }
}
