//! Roles that an organisation makes, and what they inherit.

use std::collections::BTreeMap;

use super::pattern::PermissionPattern;
use super::permission_set::PermissionSet;
use super::role::{MemberRole, RoleRank, SystemRole, rank_of_permissions};
use crate::id::RoleId;

/// Roles in a chain of inheritance, the role itself included.
pub const ROLE_CHAIN_MAX: usize = 8;

/// A role that an organisation made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRole {
    /// What it allows by itself.
    pub permissions: Vec<PermissionPattern>,
    /// The role whose permissions it has too.
    pub inherits_from: Option<RoleId>,
}

/// What a role allows once its chain is followed, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolePower {
    /// What members with the role may do.
    pub permissions: PermissionSet,
    /// Where it stands.
    pub rank: RoleRank,
}

/// A chain of roles that cannot be followed.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RoleChainError {
    /// A role inherits from itself, maybe by way of others.
    #[error("role {0} inherits from itself")]
    Cycle(RoleId),
    /// More than [`ROLE_CHAIN_MAX`] roles follow each other.
    #[error("more than {ROLE_CHAIN_MAX} roles inherit from each other")]
    TooLong,
    /// The organisation has no such role.
    #[error("this organisation has no role {0}")]
    UnknownRole(RoleId),
}

impl RolePower {
    /// The power of whoever may do nothing.
    pub const NONE: Self = Self {
        permissions: PermissionSet::EMPTY,
        rank: SystemRole::AgentExecutor.role_rank(),
    };

    /// The power of a role of every organisation.
    pub const fn of_system(role: SystemRole) -> Self {
        Self {
            permissions: role.permission_set(),
            rank: role.role_rank(),
        }
    }

    /// The power of `role` among the custom roles of its organisation.
    ///
    /// # Errors
    /// Returns [`RoleChainError`] for a cycle, a chain that is too long, and a role that is not there.
    pub fn of_role(
        role: MemberRole,
        custom: &BTreeMap<RoleId, CustomRole>,
    ) -> Result<Self, RoleChainError> {
        let mut seen = Vec::new();
        let mut permissions = PermissionSet::EMPTY;
        let mut next = Some(role);
        while let Some(current) = next {
            if seen.contains(&current) {
                return Err(RoleChainError::Cycle(current.role_id()));
            }
            if seen.len() == ROLE_CHAIN_MAX {
                return Err(RoleChainError::TooLong);
            }
            seen.push(current);
            next = match current {
                MemberRole::System(system) => {
                    permissions = permissions.union_with(system.permission_set());
                    None
                }
                MemberRole::Custom(id) => {
                    let role = custom.get(&id).ok_or(RoleChainError::UnknownRole(id))?;
                    let own = PermissionPattern::matching_any(&role.permissions);
                    permissions = permissions.union_with(own);
                    role.inherits_from.map(MemberRole::of_id)
                }
            };
        }
        let rank = match role {
            MemberRole::System(system) => system.role_rank(),
            MemberRole::Custom(_) => rank_of_permissions(permissions),
        };
        Ok(Self { permissions, rank })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::access::permission::Permission;

    fn role_id(number: usize) -> RoleId {
        RoleId::from_uuid(Uuid::from_u128(number as u128))
    }

    /// Roles 0, 1, 2 …, each inheriting from what it is given.
    fn roles(parents: &[Option<RoleId>]) -> BTreeMap<RoleId, CustomRole> {
        let permissions = Permission::ALL.iter().map(|one| vec![(*one).into()]);
        let roles = parents
            .iter()
            .zip(permissions)
            .map(|(parent, own)| CustomRole {
                permissions: own,
                inherits_from: *parent,
            });
        roles
            .enumerate()
            .map(|(n, role)| (role_id(n), role))
            .collect()
    }

    fn check(parents: &[Option<RoleId>], want: Result<usize, RoleChainError>) {
        let power = RolePower::of_role(MemberRole::Custom(role_id(0)), &roles(parents));
        let got = power.map(|power| power.permissions.list_permissions().count());
        assert_eq!(got, want, "{parents:?}");
    }

    #[test]
    fn a_chain_gives_what_each_role_of_it_allows() {
        let long: Vec<_> = (1..=ROLE_CHAIN_MAX).map(|n| Some(role_id(n))).collect();
        check(&[None], Ok(1));
        check(&[Some(role_id(1)), None], Ok(2));
        // `org:read` of its own is the viewer's too.
        check(&[Some(SystemRole::Viewer.role_id())], Ok(12));
        check(&[Some(role_id(0))], Err(RoleChainError::Cycle(role_id(0))));
        check(
            &[Some(role_id(1)), Some(role_id(2)), Some(role_id(1))],
            Err(RoleChainError::Cycle(role_id(1))),
        );
        check(
            &[Some(role_id(9))],
            Err(RoleChainError::UnknownRole(role_id(9))),
        );
        check(&[&long[..], &[None]].concat(), Err(RoleChainError::TooLong));
        check(
            &[&long[..ROLE_CHAIN_MAX - 1], &[None]].concat(),
            Ok(ROLE_CHAIN_MAX),
        );
    }
}
