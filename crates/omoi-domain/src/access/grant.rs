//! Who may give what to whom.

use super::pattern::PermissionPattern;
use super::permission::Permission;
use super::permission_set::PermissionSet;
use super::role_chain::RolePower;

/// What a person may be granted for one project beyond their role.
pub const GRANTED_PER_PROJECT: PermissionSet =
    PermissionSet::of_permissions(&[Permission::SpecApprove, Permission::TicketApprove]);

/// What no key may do, whatever its scopes: make keys, give or take memberships, end or move the organisation, change
/// what it may use or pay.
pub const KEPT_FROM_KEYS: PermissionSet = PermissionSet::of_permissions(&[
    Permission::OrgKeysWrite,
    Permission::OrgRolesWrite,
    Permission::OrgMembersWrite,
    Permission::OrgMembersDelete,
    Permission::OrgDelete,
    Permission::OrgTransfer,
    Permission::OrgLimitsWrite,
    Permission::BillingWrite,
    Permission::BillingLifetime,
]);

/// A caller would give more than they have.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PrivilegeEscalation {
    /// The role stands above the caller's own.
    #[error("that role stands above yours")]
    RankAbove,
    /// The caller lacks one of its permissions.
    #[error("you lack `{0}` yourself")]
    Lacks(Permission),
}

/// Why somebody who owns an organisation stays.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("an organisation has at least one owner who can sign in")]
pub struct LastOwner;

/// Decides whether a caller of power `own` may give somebody power `wanted`: by a role, an invitation or a key.
///
/// The same rule holds for whoever has the role already: nobody changes or removes a member above them.
///
/// # Errors
/// Returns [`PrivilegeEscalation`] that says what is too much.
pub fn may_give(own: RolePower, wanted: RolePower) -> Result<(), PrivilegeEscalation> {
    if wanted.rank > own.rank {
        return Err(PrivilegeEscalation::RankAbove);
    }
    let lacking = wanted.permissions.without_set(own.permissions);
    match lacking.list_permissions().next() {
        Some(permission) => Err(PrivilegeEscalation::Lacks(permission)),
        None => Ok(()),
    }
}

/// What a key with `scopes` may use of its owner's permissions; without a scope, what reads.
pub fn key_permissions(scopes: &[PermissionPattern]) -> PermissionSet {
    let scoped = match scopes {
        [] => PermissionSet::of_reads(),
        scopes => PermissionPattern::matching_any(scopes),
    };
    scoped.without_set(KEPT_FROM_KEYS)
}

/// Decides whether an owner may cease to be one, or to sign in, where `n_others` owners who can sign in stay.
///
/// The others are counted under the organisation's lock, else two owners may remove each other.
///
/// # Errors
/// Returns [`LastOwner`] where none stays.
pub const fn may_drop_owner(n_others: u64) -> Result<(), LastOwner> {
    match n_others {
        0 => Err(LastOwner),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::access::role::{MemberRole, SystemRole};
    use crate::access::role_chain::CustomRole;
    use crate::id::RoleId;

    #[test]
    fn nobody_gives_a_role_above_their_own() {
        let roles = SystemRole::ALL;
        for own in roles {
            for wanted in roles {
                let given = may_give(RolePower::of_system(*own), RolePower::of_system(*wanted));
                // A member lacks what an agent needs to report its task.
                let lacks = matches!(own, SystemRole::Member | SystemRole::Viewer)
                    && *wanted == SystemRole::AgentExecutor;
                let want = wanted.role_rank() <= own.role_rank() && !lacks;
                assert_eq!(given.is_ok(), want, "{own} gives {wanted}");
            }
        }
    }

    #[test]
    fn a_key_reads_unless_it_is_scoped_and_never_gives_rights() {
        assert!(key_permissions(&[]).is_within(PermissionSet::of_reads()));
        let everything = key_permissions(&["*:*".parse().unwrap()]);
        assert!(everything.contains(Permission::SpecExecute));
        for kept in [
            Permission::OrgKeysWrite,
            Permission::OrgRolesWrite,
            Permission::OrgMembersWrite,
            Permission::OrgMembersDelete,
            Permission::OrgDelete,
            Permission::OrgTransfer,
            Permission::OrgLimitsWrite,
            Permission::BillingWrite,
            Permission::BillingLifetime,
        ] {
            assert!(!everything.contains(kept), "{kept}");
        }
    }

    #[test]
    fn an_owner_leaves_only_where_another_stays() {
        assert_eq!(may_drop_owner(0), Err(LastOwner));
        assert_eq!(may_drop_owner(1), Ok(()));
    }

    fn any_patterns() -> impl Strategy<Value = Vec<PermissionPattern>> {
        let mut texts: Vec<String> = vec!["*:*".into()];
        for permission in Permission::ALL {
            let name = permission.as_str();
            texts.push(name.into());
            texts.push(format!(
                "{}:*",
                name.split_once(':').map_or("", |(head, _)| head)
            ));
        }
        let pattern = proptest::sample::select(texts);
        proptest::collection::vec(pattern.prop_map(|text| text.parse().unwrap()), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn a_given_role_never_exceeds_its_giver(
            own in any_patterns(),
            wanted in any_patterns(),
            parent in proptest::option::of(0..SystemRole::ALL.len()),
        ) {
            let id = RoleId::from_uuid(Uuid::from_u128(1));
            let giver = RoleId::from_uuid(Uuid::from_u128(2));
            let inherits_from = parent.map(|at| SystemRole::ALL[at].role_id());
            let roles = BTreeMap::from([
                (id, CustomRole { permissions: wanted, inherits_from }),
                (giver, CustomRole { permissions: own, inherits_from: None }),
            ]);
            let own = RolePower::of_role(MemberRole::Custom(giver), &roles).unwrap();
            let wanted = RolePower::of_role(MemberRole::Custom(id), &roles).unwrap();
            let is_within = wanted.permissions.is_within(own.permissions);
            prop_assert_eq!(may_give(own, wanted).is_ok(), is_within);
            if is_within {
                prop_assert!(wanted.rank <= own.rank);
            }
        }
    }
}
