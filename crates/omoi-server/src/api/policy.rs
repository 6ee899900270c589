//! Who may call an operation, as part of its handler's signature.
//!
//! **Invariant:** every handler of the API says in its first argument who may call it; one that does not has no
//! [`GuardedArguments`] and does not compile into an [`ApiRouter`](super::router::ApiRouter).

use omoi_domain::access::permission::Permission;

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoutePolicy {
    /// Everybody, without a credential.
    Public,
    /// Whoever has a credential.
    SignedIn,
    /// Whoever has this permission where the row lies.
    Needs(Permission),
    /// Staff of the platform; on a laptop the person whose it is.
    Staff,
    /// A person, by any credential of theirs, also before their mail address is verified.
    Account,
    /// A person by a sign-in or their data folder; no key.
    Person,
    /// The worker of an attempt that may act, by the attempt's token.
    Attempt,
}

impl RoutePolicy {
    /// The word that the API's description has for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::SignedIn => "signed-in",
            Self::Needs(permission) => permission.as_str(),
            Self::Staff => "staff",
            Self::Account => "own-account",
            Self::Person => "person",
            Self::Attempt => "attempt",
        }
    }

    /// Whether a request may name itself by `Idempotency-Key`: strangers have no rows to keep its answer in, and reports
    /// of workers are idempotent by what they hold.
    pub(crate) const fn takes_request_keys(self) -> bool {
        !matches!(self, Self::Public | Self::Attempt)
    }
}

/// A policy as a type, for the signature of a handler.
pub(crate) trait NamedPolicy: Send + Sync + 'static {
    const POLICY: RoutePolicy;
}

macro_rules! named_policies {
    ($($(#[doc = $doc:literal])+ $name:ident = $policy:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) enum $name {}

        impl NamedPolicy for $name {
            const POLICY: RoutePolicy = $policy;
        }
    )+};
}

/// The policies that handlers name.
pub(crate) mod needs {
    use super::{NamedPolicy, Permission, RoutePolicy};

    named_policies! {
        /// Any credential.
        Credential = RoutePolicy::SignedIn;
        /// Staff of the platform.
        PlatformStaff = RoutePolicy::Staff;
        /// A person, by any credential of theirs.
        OwnAccount = RoutePolicy::Account;
        /// A person who signed in.
        PersonSignedIn = RoutePolicy::Person;
        /// To see an organisation.
        OrgRead = RoutePolicy::Needs(Permission::OrgRead);
        /// To change an organisation.
        OrgWrite = RoutePolicy::Needs(Permission::OrgWrite);
        /// To put an organisation away.
        OrgDelete = RoutePolicy::Needs(Permission::OrgDelete);
        /// To hand an organisation over.
        OrgTransfer = RoutePolicy::Needs(Permission::OrgTransfer);
        /// To see the members of an organisation.
        OrgMembersRead = RoutePolicy::Needs(Permission::OrgMembersRead);
        /// To give memberships.
        OrgMembersWrite = RoutePolicy::Needs(Permission::OrgMembersWrite);
        /// To remove members.
        OrgMembersDelete = RoutePolicy::Needs(Permission::OrgMembersDelete);
        /// To make and revoke keys of an organisation.
        OrgKeysWrite = RoutePolicy::Needs(Permission::OrgKeysWrite);
        /// To change roles.
        OrgRolesWrite = RoutePolicy::Needs(Permission::OrgRolesWrite);
        /// To read the audit log of an organisation.
        OrgAuditRead = RoutePolicy::Needs(Permission::OrgAuditRead);
        /// To see specs.
        SpecRead = RoutePolicy::Needs(Permission::SpecRead);
        /// To show specs to strangers.
        SpecShare = RoutePolicy::Needs(Permission::SpecShare);
        /// To edit specs.
        SpecWrite = RoutePolicy::Needs(Permission::SpecWrite);
        /// To have a spec planned and worked on.
        SpecExecute = RoutePolicy::Needs(Permission::SpecExecute);
        /// To approve the plan of a spec.
        SpecApprove = RoutePolicy::Needs(Permission::SpecApprove);
        /// To see tickets, and the board that shows them.
        TicketRead = RoutePolicy::Needs(Permission::TicketRead);
        /// To write, change and move tickets.
        TicketWrite = RoutePolicy::Needs(Permission::TicketWrite);
        /// To say yes or no to tickets.
        TicketApprove = RoutePolicy::Needs(Permission::TicketApprove);
        /// To see tasks.
        TaskRead = RoutePolicy::Needs(Permission::TaskRead);
        /// To change tasks.
        TaskWrite = RoutePolicy::Needs(Permission::TaskWrite);
        /// To cancel tasks.
        TaskCancel = RoutePolicy::Needs(Permission::TaskCancel);
        /// To see agents.
        AgentRead = RoutePolicy::Needs(Permission::AgentRead);
        /// To change what is said of agents.
        AgentWrite = RoutePolicy::Needs(Permission::AgentWrite);
        /// To see sandboxes.
        SandboxRead = RoutePolicy::Needs(Permission::SandboxRead);
        /// To write to a running agent.
        AgentMessage = RoutePolicy::Needs(Permission::AgentMessage);
        /// To see what work cost.
        CostRead = RoutePolicy::Needs(Permission::CostRead);
        /// To change budgets.
        CostWrite = RoutePolicy::Needs(Permission::CostWrite);
        /// To see projects.
        ProjectRead = RoutePolicy::Needs(Permission::ProjectRead);
        /// To change projects.
        ProjectWrite = RoutePolicy::Needs(Permission::ProjectWrite);
        /// To make branches.
        ProjectGitWrite = RoutePolicy::Needs(Permission::ProjectGitWrite);
        /// To put projects away.
        ProjectArchive = RoutePolicy::Needs(Permission::ProjectArchive);
        /// To change how a project works.
        ProjectSettingsWrite = RoutePolicy::Needs(Permission::ProjectSettingsWrite);
    }
}

/// The first argument of a handler.
pub(crate) trait RouteGuard {
    const POLICY: RoutePolicy;
    /// Whether a request may name itself by a key.
    const TAKES_KEYS: bool = Self::POLICY.takes_request_keys();
}

/// The arguments of a handler whose first one says who may call it.
pub(crate) trait GuardedArguments {
    const POLICY: RoutePolicy;
    const TAKES_KEYS: bool;
}

macro_rules! guarded_arguments {
    ($($rest:ident)*) => {
        impl<M, G: RouteGuard, $($rest),*> GuardedArguments for (M, G, $($rest,)*) {
            const POLICY: RoutePolicy = G::POLICY;
            const TAKES_KEYS: bool = G::TAKES_KEYS;
        }
    };
}

guarded_arguments!();
guarded_arguments!(A);
guarded_arguments!(A B);
guarded_arguments!(A B C);
guarded_arguments!(A B C D);
guarded_arguments!(A B C D E);
