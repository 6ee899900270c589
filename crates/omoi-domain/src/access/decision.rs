//! Whether a caller reaches a row.
//!
//! The order is fixed: a row of an organisation that the caller does not belong to is not there at all, and only
//! whoever may know of it is told what they lack.

use super::grant::{GRANTED_PER_PROJECT, KEPT_FROM_KEYS};
use super::permission::Permission;
use super::permission_set::PermissionSet;
use super::role::SystemRole;
use crate::id::{OrgId, ProjectId};
use crate::planted_bug::{PlantedBug, is_planted};

/// What a caller may do in one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganisationReach {
    /// Where.
    pub org: OrgId,
    /// What the caller's role allows there.
    pub role: PermissionSet,
    /// What the caller is granted for single projects beyond the role.
    pub grants: Vec<ProjectGrant>,
    /// What the credential narrows this to; a sign-in narrows nothing.
    pub key: Option<KeyReach>,
}

/// One permission more, in one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectGrant {
    /// Where.
    pub project: ProjectId,
    /// What.
    pub permission: Permission,
}

/// What a key narrows its owner's permissions to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyReach {
    /// What its scopes allow.
    pub scopes: PermissionSet,
    /// The one project of an agent's key.
    pub project: Option<ProjectId>,
}

/// Where a row lies. It comes from the row itself, never from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// The organisation of the row.
    pub org: OrgId,
    /// The project of the row, unless it belongs to the organisation as a whole.
    pub project: Option<ProjectId>,
}

/// The answer to a caller who asks for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessDecision {
    /// The caller may.
    Allowed,
    /// For this caller the row does not exist.
    Hidden,
    /// The caller's role lacks the permission.
    Denied(Permission),
    /// The role has it, the key's scopes do not.
    OutOfScope(Permission),
}

impl OrganisationReach {
    /// What a member of platform staff may do in an organisation that they entered: as much as its admins, but for what
    /// would outlast the stay, such as a membership or a key of their own.
    pub const fn of_staff(org: OrgId) -> Self {
        Self {
            org,
            role: SystemRole::Admin
                .permission_set()
                .without_set(KEPT_FROM_KEYS),
            grants: Vec::new(),
            key: None,
        }
    }

    /// Everything the caller may do with rows of `project`, or with the organisation's own.
    pub fn permissions_in(&self, project: Option<ProjectId>) -> PermissionSet {
        let role = self.role_permissions_in(project);
        match self.key {
            Some(_) if !self.sees_place(project) => PermissionSet::EMPTY,
            Some(key) => role.common_with(key.scopes).without_set(KEPT_FROM_KEYS),
            None => role,
        }
    }

    /// Whether the caller knows of rows of `project`, or of the organisation's own: a key of one project knows of that
    /// project alone.
    pub fn sees_place(&self, project: Option<ProjectId>) -> bool {
        let only = self.key.and_then(|key| key.project);
        only.is_none() || only == project
    }

    fn role_permissions_in(&self, project: Option<ProjectId>) -> PermissionSet {
        let granted = self
            .grants
            .iter()
            .filter(|grant| Some(grant.project) == project)
            .map(|grant| grant.permission)
            .collect::<PermissionSet>()
            .common_with(GRANTED_PER_PROJECT);
        self.role.union_with(granted)
    }
}

/// What a caller may do in `org`; none where they do not belong to it.
pub fn reach_in(reaches: &[OrganisationReach], org: OrgId) -> Option<&OrganisationReach> {
    let is_anywhere = is_planted(PlantedBug::ObjectScope);
    reaches.iter().find(|reach| reach.org == org || is_anywhere)
}

/// Decides whether a caller who reaches `reaches` may do `needed` with a row at `place`.
pub fn decide_access(
    reaches: &[OrganisationReach],
    place: RowPlace,
    needed: Permission,
) -> AccessDecision {
    let Some(reach) = reach_in(reaches, place.org) else {
        return AccessDecision::Hidden;
    };
    if !reach.sees_place(place.project) {
        return AccessDecision::Hidden;
    }
    let is_any_role = is_planted(PlantedBug::RoleCheck);
    if reach.permissions_in(place.project).contains(needed) || is_any_role {
        AccessDecision::Allowed
    } else if reach.role_permissions_in(place.project).contains(needed) {
        AccessDecision::OutOfScope(needed)
    } else {
        AccessDecision::Denied(needed)
    }
}

/// Why a caller may do `needed` with no row there is, wherever it lies; none where there may be one, or where the caller
/// belongs nowhere.
///
/// Whoever may do it nowhere is refused alike for a row that is there and for one that is not.
pub fn decide_everywhere(
    reaches: &[OrganisationReach],
    needed: Permission,
) -> Option<AccessDecision> {
    let mut best = None;
    for reach in reaches {
        let own = reach.key.and_then(|key| key.project);
        let granted = reach.grants.iter().map(|grant| Some(grant.project));
        for project in granted.chain([None, own]) {
            let place = RowPlace {
                org: reach.org,
                project,
            };
            match decide_access(std::slice::from_ref(reach), place, needed) {
                AccessDecision::Allowed => return None,
                AccessDecision::Hidden => {}
                decision @ AccessDecision::OutOfScope(_) => best = Some(decision),
                decision @ AccessDecision::Denied(_) => best = best.or(Some(decision)),
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::access::grant::key_permissions;

    const HERE: OrgId = OrgId::from_uuid(Uuid::from_u128(1));
    const ELSEWHERE: OrgId = OrgId::from_uuid(Uuid::from_u128(2));
    const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(3));
    const OTHER_PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(4));

    fn reach(role: SystemRole) -> OrganisationReach {
        OrganisationReach {
            org: HERE,
            role: role.permission_set(),
            grants: Vec::new(),
            key: None,
        }
    }

    #[test]
    fn who_may_do_it_nowhere_is_told_so_whatever_row_they_name() {
        let viewer = reach(SystemRole::Viewer);
        let granted = OrganisationReach {
            grants: vec![ProjectGrant {
                project: PROJECT,
                permission: Permission::TicketApprove,
            }],
            ..viewer.clone()
        };
        let key = OrganisationReach {
            key: Some(KeyReach {
                scopes: PermissionSet::of_permissions(&[Permission::TicketRead]),
                project: Some(PROJECT),
            }),
            ..reach(SystemRole::Member)
        };
        let approve = Permission::TicketApprove;
        let denied = Some(AccessDecision::Denied(approve));
        for (reaches, needed, expected) in [
            (vec![], approve, None),
            (vec![viewer.clone()], Permission::TicketRead, None),
            (vec![viewer.clone()], approve, denied),
            (vec![viewer.clone(), viewer], approve, denied),
            (vec![granted], approve, None),
            (vec![key.clone()], Permission::TicketRead, None),
            (
                vec![key],
                Permission::TicketWrite,
                Some(AccessDecision::OutOfScope(Permission::TicketWrite)),
            ),
        ] {
            assert_eq!(decide_everywhere(&reaches, needed), expected, "{reaches:?}");
        }
    }

    fn check(reach: &OrganisationReach, place: RowPlace, needed: Permission, want: AccessDecision) {
        let got = decide_access(std::slice::from_ref(reach), place, needed);
        assert_eq!(got, want, "{place:?} {needed}");
    }

    fn place(org: OrgId, project: ProjectId) -> RowPlace {
        let project = Some(project);
        RowPlace { org, project }
    }

    #[test]
    fn a_row_of_another_organisation_is_hidden_before_anything_is_asked() {
        use AccessDecision::{Allowed, Denied, Hidden};
        let viewer = reach(SystemRole::Viewer);
        check(&viewer, place(HERE, PROJECT), Permission::TaskRead, Allowed);
        let write = Permission::TaskWrite;
        check(&viewer, place(HERE, PROJECT), write, Denied(write));
        let owner = reach(SystemRole::Owner);
        for needed in Permission::ALL {
            check(&owner, place(ELSEWHERE, PROJECT), *needed, Hidden);
            check(&owner, place(HERE, PROJECT), *needed, Allowed);
        }
    }

    #[test]
    fn a_grant_holds_in_its_project_and_only_for_approval() {
        use AccessDecision::{Allowed, Denied};
        let mut member = reach(SystemRole::Member);
        for permission in [Permission::SpecApprove, Permission::OrgDelete] {
            let project = PROJECT;
            member.grants.push(ProjectGrant {
                project,
                permission,
            });
        }
        let approve = Permission::SpecApprove;
        check(&member, place(HERE, PROJECT), approve, Allowed);
        check(
            &member,
            place(HERE, OTHER_PROJECT),
            approve,
            Denied(approve),
        );
        let delete = Permission::OrgDelete;
        check(&member, place(HERE, PROJECT), delete, Denied(delete));
    }

    #[test]
    fn a_key_reaches_no_further_than_its_owner_and_its_scopes() {
        use AccessDecision::{Allowed, Denied, Hidden, OutOfScope};
        let mut owner = reach(SystemRole::Owner);
        let scopes = key_permissions(&["spec:*".parse().unwrap()]);
        let project = Some(PROJECT);
        owner.key = Some(KeyReach { scopes, project });
        let (write, task) = (Permission::SpecWrite, Permission::TaskRead);
        check(&owner, place(HERE, PROJECT), write, Allowed);
        check(&owner, place(HERE, PROJECT), task, OutOfScope(task));
        check(&owner, place(HERE, OTHER_PROJECT), write, Hidden);
        // What belongs to the organisation as a whole tells of its other projects.
        let whole = RowPlace {
            org: HERE,
            project: None,
        };
        check(&owner, whole, write, Hidden);
        assert_eq!(owner.permissions_in(None), PermissionSet::EMPTY);
        let mut viewer = reach(SystemRole::Viewer);
        let project = None;
        viewer.key = Some(KeyReach { scopes, project });
        check(&viewer, place(HERE, PROJECT), write, Denied(write));
        viewer.role = PermissionSet::FULL;
        let scopes = PermissionSet::FULL;
        viewer.key = Some(KeyReach { scopes, project });
        let keys = Permission::OrgKeysWrite;
        check(&viewer, place(HERE, PROJECT), keys, OutOfScope(keys));
    }

    #[test]
    fn staff_do_what_admins_do_but_for_what_outlasts_their_stay() {
        let staff = OrganisationReach::of_staff(HERE).permissions_in(None);
        let admin = SystemRole::Admin.permission_set();
        assert_eq!(staff, admin.without_set(KEPT_FROM_KEYS));
        assert!(admin.contains(Permission::OrgMembersWrite));
        assert!(
            !staff.contains(Permission::OrgMembersWrite) && staff.contains(Permission::SpecWrite)
        );
    }
}
