//! The roles that every organisation has.

use uuid::Uuid;

use super::permission::Permission as P;
use super::permission_set::PermissionSet;
use crate::id::RoleId;

crate::closed_set! {
    /// A role that every organisation has and nobody can change.
    SystemRole {
        /// Everything, the organisation itself included.
        Owner = "owner",
        /// Everything but the organisation's existence, owner and limits.
        Admin = "admin",
        /// Works on projects; approves only where granted.
        Member = "member",
        /// Sees, without costs.
        Viewer = "viewer",
        /// An agent at work on one project.
        AgentExecutor = "agent_executor",
    }
}

crate::closed_set! {
    /// How a column tells the role of a member: a custom one by its id beside it.
    RoleColumn {
        /// [`SystemRole::Owner`].
        Owner = "owner",
        /// [`SystemRole::Admin`].
        Admin = "admin",
        /// [`SystemRole::Member`].
        Member = "member",
        /// [`SystemRole::Viewer`].
        Viewer = "viewer",
        /// [`SystemRole::AgentExecutor`].
        AgentExecutor = "agent_executor",
        /// [`MemberRole::Custom`].
        Custom = "custom",
    }
}

/// What the role of a member is called: one of the system's, or one that the organisation made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberRole {
    /// A role of every organisation.
    System(SystemRole),
    /// A role of this organisation alone.
    Custom(RoleId),
}

/// How high a role stands: nobody gives, takes or removes one above their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleRank(u8);

/// What a viewer may do.
const VIEWER: PermissionSet = PermissionSet::of_permissions(&[
    P::OrgRead,
    P::OrgMembersRead,
    P::ProjectRead,
    P::SpecRead,
    P::TicketRead,
    P::TaskRead,
    P::AgentRead,
    P::SandboxRead,
    P::MemoryRead,
    P::MonitorRead,
    P::McpRead,
    P::DocumentRead,
]);

/// What a member may do beyond a viewer.
const BEYOND_VIEWER: PermissionSet = PermissionSet::of_permissions(&[
    P::BillingSummaryRead,
    P::ProjectWrite,
    P::ProjectGitWrite,
    P::SpecWrite,
    P::SpecExecute,
    P::SpecShare,
    P::TicketWrite,
    P::TaskWrite,
    P::TaskCancel,
    P::AgentMessage,
    P::SandboxWrite,
    P::MemoryWrite,
    P::AlertAck,
    P::CostRead,
    P::DocumentWrite,
]);

/// What an owner alone may do.
const OWNER_ALONE: PermissionSet = PermissionSet::of_permissions(&[
    P::OrgDelete,
    P::OrgTransfer,
    P::OrgLimitsWrite,
    P::BillingLifetime,
]);

/// What an agent may do, within its project.
const AGENT_EXECUTOR: PermissionSet = PermissionSet::of_permissions(&[
    P::ProjectRead,
    P::ProjectGitWrite,
    P::SpecRead,
    P::SpecWrite,
    P::TicketRead,
    P::TicketWrite,
    P::TaskRead,
    P::TaskWrite,
    P::TaskCompleteExecute,
    P::AgentMessage,
    P::SandboxRead,
    P::MemoryRead,
    P::MemoryWrite,
    P::McpInvoke,
    P::DocumentRead,
    P::DocumentWrite,
]);

impl SystemRole {
    /// What the role allows.
    pub const fn permission_set(self) -> PermissionSet {
        match self {
            Self::Owner => PermissionSet::FULL,
            Self::Admin => PermissionSet::FULL.without_set(OWNER_ALONE),
            Self::Member => VIEWER.union_with(BEYOND_VIEWER),
            Self::Viewer => VIEWER,
            Self::AgentExecutor => AGENT_EXECUTOR,
        }
    }

    /// Where the role stands among the others. An agent's stands below all of people.
    pub const fn role_rank(self) -> RoleRank {
        RoleRank(match self {
            Self::Owner => 40,
            Self::Admin => 30,
            Self::Member => 20,
            Self::Viewer => 10,
            Self::AgentExecutor => 0,
        })
    }

    /// The id by which requests and `inherits_from` name the role; no row has it.
    pub const fn role_id(self) -> RoleId {
        const FIRST: u128 = 0x0193_0000_0000_7000_8000_0000_0000_0100;
        RoleId::from_uuid(Uuid::from_u128(FIRST + self as u128))
    }

    /// The role that `id` names, unless it is a custom one.
    pub fn of_id(id: RoleId) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.role_id() == id)
    }
}

impl MemberRole {
    /// The role that `id` names.
    pub fn of_id(id: RoleId) -> Self {
        SystemRole::of_id(id).map_or(Self::Custom(id), Self::System)
    }

    /// The id by which requests name the role.
    pub const fn role_id(self) -> RoleId {
        match self {
            Self::System(role) => role.role_id(),
            Self::Custom(id) => id,
        }
    }

    /// How a column tells it.
    pub const fn role_column(self) -> RoleColumn {
        match self {
            Self::System(SystemRole::Owner) => RoleColumn::Owner,
            Self::System(SystemRole::Admin) => RoleColumn::Admin,
            Self::System(SystemRole::Member) => RoleColumn::Member,
            Self::System(SystemRole::Viewer) => RoleColumn::Viewer,
            Self::System(SystemRole::AgentExecutor) => RoleColumn::AgentExecutor,
            Self::Custom(_) => RoleColumn::Custom,
        }
    }

    /// The custom role that it is.
    pub const fn custom_role(self) -> Option<RoleId> {
        match self {
            Self::System(_) => None,
            Self::Custom(id) => Some(id),
        }
    }

    /// Whether it is the owner's.
    pub fn is_owner(self) -> bool {
        self == Self::System(SystemRole::Owner)
    }
}

/// Where a role of `permissions` stands: as high as the lowest role of people that allows as much.
///
/// A custom role cannot stand below what it lets its members do.
pub fn rank_of_permissions(permissions: PermissionSet) -> RoleRank {
    [SystemRole::Viewer, SystemRole::Member, SystemRole::Admin]
        .into_iter()
        .find(|role| permissions.is_within(role.permission_set()))
        .unwrap_or(SystemRole::Owner)
        .role_rank()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::permission::Permission;

    /// Permissions, and for owner, admin, member, viewer and agent whether each has them.
    const MATRIX: &str = "
        org:read                                                        ++++-
        org:write org:members:write org:members:delete                  ++---
        org:roles:write org:keys:write org:audit:read                   ++---
        org:members:read                                                ++++-
        org:delete org:transfer org:limits:write                        +----
        billing:summary:read                                            +++--
        billing:read billing:write                                      ++---
        billing:lifetime                                                +----
        project:read                                                    +++++
        project:write                                                   +++--
        project:settings:write project:archive                          ++---
        project:git:write                                               +++-+
        spec:read ticket:read task:read                                 +++++
        spec:write ticket:write task:write                              +++-+
        spec:execute spec:share                                         +++--
        spec:approve ticket:approve                                     ++---
        ticket:force ticket:delete                                      ++---
        task:cancel                                                     +++--
        task:complete:execute                                           ++--+
        agent:read                                                      ++++-
        agent:message                                                   +++-+
        agent:write                                                     ++---
        sandbox:read                                                    +++++
        sandbox:write                                                   +++--
        sandbox:terminate                                               ++---
        memory:read                                                     +++++
        memory:write                                                    +++-+
        memory:curate                                                   ++---
        monitor:read                                                    ++++-
        monitor:intervene monitor:configure                             ++---
        alert:ack                                                       +++--
        cost:read                                                       +++--
        cost:write                                                      ++---
        mcp:read                                                        ++++-
        mcp:invoke                                                      ++--+
        mcp:admin                                                       ++---
        document:read                                                   +++++
        document:write                                                  +++-+";

    #[test]
    fn every_role_has_what_the_matrix_says() {
        let mut n_checked = 0;
        for row in MATRIX.lines().filter(|row| !row.trim().is_empty()) {
            let (names, marks) = row.trim().rsplit_once(' ').unwrap();
            for name in names.split_whitespace() {
                let permission = Permission::parse(name).unwrap();
                for (role, mark) in SystemRole::ALL.iter().zip(marks.chars()) {
                    let has = role.permission_set().contains(permission);
                    assert_eq!(has, mark == '+', "{role} {name}");
                    n_checked += 1;
                }
            }
        }
        assert_eq!(n_checked, 5 * Permission::ALL.len());
    }

    #[test]
    fn roles_of_people_stand_in_one_line() {
        let people = &SystemRole::ALL[..4];
        for pair in people.windows(2) {
            assert!(pair[0].role_rank() > pair[1].role_rank());
            assert!(pair[1].permission_set().is_within(pair[0].permission_set()));
        }
        for role in people {
            assert_eq!(rank_of_permissions(role.permission_set()), role.role_rank());
        }
        let over_member = SystemRole::AgentExecutor.permission_set();
        assert_eq!(
            rank_of_permissions(over_member),
            SystemRole::Admin.role_rank()
        );
    }

    #[test]
    fn a_role_is_found_by_its_id() {
        for role in SystemRole::ALL.iter().copied() {
            let member = MemberRole::of_id(role.role_id());
            assert_eq!(member, MemberRole::System(role));
            assert_eq!(member.is_owner(), role == SystemRole::Owner);
        }
        let id = RoleId::from_uuid(Uuid::from_u128(7));
        assert_eq!(MemberRole::of_id(id), MemberRole::Custom(id));
        assert_eq!(MemberRole::of_id(id).role_id(), id);
    }
}
