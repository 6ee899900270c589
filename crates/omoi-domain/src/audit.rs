//! The audit log: which acts it tells of, by whom, and the chain that shows where a row was changed or is missing.
//!
//! Each organisation has a chain of its own, and the acts that belong to none have one. A row's digest covers the digest
//! before it, so that whoever changes a row would have to change every one after it, and the head.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::actor::Actor;
use crate::id::{
    ApiKeyId, CredentialId, InvitationId, MembershipId, MonthBudgetId, OrgId, ProjectId, RoleId,
    SignInSessionId, SpecId, TaskId, TicketId, UserId,
};
use crate::planted_bug::{PlantedBug, is_planted};

crate::closed_set! {
    /// What somebody did.
    AuditAction {
        /// Signed in.
        LoginSuccess = "login_success",
        /// Tried a wrong password, or an address without an account.
        LoginFailed = "login_failed",
        /// Tried an account that too many tries had locked.
        LoginBlockedLockout = "login_blocked_lockout",
        /// Locked an account by trying too often.
        AccountLocked = "account_locked",
        /// Opened a locked account.
        AccountUnlocked = "account_unlocked",
        /// Kept somebody from signing in.
        AccountDisabled = "account_disabled",
        /// Let somebody sign in again.
        AccountEnabled = "account_enabled",
        /// Signed out.
        Logout = "logout",
        /// Ended another session of their own.
        SessionRevoked = "session_revoked",
        /// Renewed the tokens of a session.
        TokenRefresh = "token_refresh",
        /// Used a refresh token that had been used before, which ended its session.
        RefreshTokenReuse = "refresh_token_reuse",
        /// Made an account.
        Register = "register",
        /// Let an account in that had waited.
        WaitlistApproved = "waitlist_approved",
        /// Changed what an account says of its person.
        ProfileUpdated = "profile_updated",
        /// Gave their account up.
        AccountDeleted = "account_deleted",
        /// Made the token that a mail would carry, as the operator.
        AccountLinkMade = "account_link_made",
        /// Showed that a mail address is theirs.
        EmailVerified = "email_verified",
        /// Set a new password by knowing the old one.
        PasswordChange = "password_change",
        /// Set a new password by a link, or as the operator.
        PasswordReset = "password_reset",
        /// Had an account at a provider open their account.
        OauthLinked = "oauth_linked",
        /// Had it open their account no more.
        OauthUnlinked = "oauth_unlinked",
        /// Made a key.
        ApiKeyCreated = "api_key_created",
        /// Revoked a key.
        ApiKeyRevoked = "api_key_revoked",
        /// Asked with a key that is not good any more, or for what its scopes do not hold; one of many such requests is
        /// written down.
        ApiKeyDenied = "api_key_denied",
        /// Invited somebody.
        MemberInvited = "member_invited",
        /// Took an invitation back.
        InvitationRevoked = "invitation_revoked",
        /// Made somebody a member, or became one by an invitation.
        MemberAdded = "member_added",
        /// Gave a member another role.
        MemberRoleChanged = "member_role_changed",
        /// Removed a member.
        MemberRemoved = "member_removed",
        /// Made an organisation.
        OrgCreated = "org_created",
        /// Changed an organisation.
        OrgUpdated = "org_updated",
        /// Put an organisation away.
        OrgArchived = "org_archived",
        /// Took an organisation back.
        OrgRestored = "org_restored",
        /// Offered a member to own the organisation.
        OrgTransferOffered = "org_transfer_offered",
        /// Took that offer back.
        OrgTransferWithdrawn = "org_transfer_withdrawn",
        /// Became the owner of an organisation that was offered to them.
        OrgTransferred = "org_transferred",
        /// Made a role.
        RoleCreated = "role_created",
        /// Changed a role.
        RoleUpdated = "role_updated",
        /// Removed a role.
        RoleDeleted = "role_deleted",
        /// Granted a member a permission in one project.
        GrantAdded = "grant_added",
        /// Took such a permission back.
        GrantRemoved = "grant_removed",
        /// Changed what a project is called, or whether work goes on in it.
        ProjectUpdated = "project_updated",
        /// Put a project away.
        ProjectArchived = "project_archived",
        /// Set what may be spent in a month.
        BudgetCreated = "budget_created",
        /// Changed what may be spent in a month.
        BudgetUpdated = "budget_updated",
        /// Took away what may be spent in a month.
        BudgetDeleted = "budget_deleted",
        /// Entered an organisation as staff of the platform.
        StaffEnteredOrg = "staff_entered_org",
        /// Left it again.
        StaffLeftOrg = "staff_left_org",
        /// Approved a plan, or decided about a ticket.
        ApprovalDecided = "approval_decided",
        /// Moved a ticket past a gate or a limit.
        TicketForced = "ticket_forced",
        /// Let a ticket leave a phase whose gate refused it.
        GateOverridden = "gate_overridden",
        /// Cancelled a spec.
        SpecCancelled = "spec_cancelled",
        /// Put a spec away.
        SpecArchived = "spec_archived",
        /// Took a spec back that was put away.
        SpecUnarchived = "spec_unarchived",
        /// Made a spec public to whoever has a link.
        SpecShared = "spec_shared",
        /// Had that link lead nowhere.
        SpecUnshared = "spec_unshared",
        /// Had a spec delivered as it stands.
        SpecDelivered = "spec_delivered",
        /// Cancelled a task.
        TaskCancelled = "task_cancelled",
        /// Had a task tried again.
        TaskRetried = "task_retried",
        /// Allowed what a repository's file asks for.
        RepositoryTrusted = "repository_trusted",
        /// Let more through the proxy.
        EgressAllowed = "egress_allowed",
        /// Asked for what their permissions do not hold; one of many such requests is written down.
        PermissionDenied = "permission_denied",
        /// Took a copy of an audit log.
        ExportAudit = "export_audit",
        /// Brought a key for a provider of models, or another in its place.
        SecretSet = "secret_set",
        /// Took such a key away.
        SecretRemoved = "secret_removed",
    }
}

crate::closed_set! {
    /// What an act was done to.
    AuditTargetKind {
        /// The account of a person.
        User = "user",
        /// A sign-in.
        Session = "session",
        /// A key.
        ApiKey = "api_key",
        /// An organisation.
        Organization = "organization",
        /// A member.
        Membership = "membership",
        /// An invitation.
        Invitation = "invitation",
        /// A role of an organisation.
        Role = "role",
        /// A project.
        Project = "project",
        /// A spec.
        Spec = "spec",
        /// A ticket.
        Ticket = "ticket",
        /// A task.
        Task = "task",
        /// A budget of a month.
        MonthBudget = "month_budget",
        /// The whole deployment.
        Deployment = "deployment",
    }
}

crate::closed_set! {
    /// How an act ended.
    AuditOutcome {
        /// It was done.
        Ok = "ok",
        /// It was refused.
        Denied = "denied",
    }
}

/// What an act was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditTarget {
    /// Its kind.
    pub target_kind: AuditTargetKind,
    /// Its row; none of what has no row, such as an account that nobody has.
    pub target_id: Option<Uuid>,
}

impl AuditTarget {
    /// An account that nobody has.
    pub const UNKNOWN_USER: Self = Self::without_row(AuditTargetKind::User);
    /// The whole deployment.
    pub const DEPLOYMENT: Self = Self::without_row(AuditTargetKind::Deployment);

    const fn without_row(target_kind: AuditTargetKind) -> Self {
        Self {
            target_kind,
            target_id: None,
        }
    }
}

macro_rules! audit_targets {
    ($($id:ident => $kind:ident,)+) => {$(
        impl From<$id> for AuditTarget {
            fn from(id: $id) -> Self {
                let target_id = Some(id.as_uuid());
                Self { target_kind: AuditTargetKind::$kind, target_id }
            }
        }
    )+};
}

audit_targets! {
    UserId => User,
    SignInSessionId => Session,
    ApiKeyId => ApiKey,
    OrgId => Organization,
    MembershipId => Membership,
    InvitationId => Invitation,
    RoleId => Role,
    ProjectId => Project,
    SpecId => Spec,
    TicketId => Ticket,
    TaskId => Task,
    MonthBudgetId => MonthBudget,
}

/// An act, as the command tells of it that carries it out. It never holds a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditAct {
    /// What was done.
    pub action: AuditAction,
    /// To what.
    pub target: AuditTarget,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Who did it, where the act itself shows it, as a sign-in does; else it is whoever the transaction is for.
    pub actor: Option<Actor>,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
    /// What was there before.
    pub before: Option<Value>,
    /// What is there since.
    pub after: Option<Value>,
}

impl AuditAct {
    /// An act that was done.
    pub fn done_to(action: AuditAction, target: impl Into<AuditTarget>) -> Self {
        Self {
            action,
            target: target.into(),
            outcome: AuditOutcome::Ok,
            actor: None,
            reason: None,
            before: None,
            after: None,
        }
    }

    /// An act that was refused.
    pub fn denied_to(action: AuditAction, target: impl Into<AuditTarget>) -> Self {
        Self {
            outcome: AuditOutcome::Denied,
            ..Self::done_to(action, target)
        }
    }

    /// The same, done by `actor`.
    #[must_use]
    pub fn done_by(self, actor: Actor) -> Self {
        Self {
            actor: Some(actor),
            ..self
        }
    }

    /// The same, with why.
    #[must_use]
    pub fn with_reason(self, reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..self
        }
    }

    /// The same, with what was there before.
    #[must_use]
    pub fn with_before(self, before: Value) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    /// The same, with what is there since.
    #[must_use]
    pub fn with_after(self, after: Value) -> Self {
        Self {
            after: Some(after),
            ..self
        }
    }
}

/// Who a request comes from, and from where: what a transaction knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOrigin {
    /// Whose its acts are, unless an act shows another one.
    pub actor: Actor,
    /// The key or the sign-in that it came with.
    pub credential: Option<CredentialId>,
    /// The address that it came from.
    pub ip: Option<String>,
    /// What the program calls itself.
    pub user_agent: Option<String>,
    /// What the access log calls it.
    pub request_id: Option<String>,
}

/// The newest row of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// Its number: how many rows the chain has.
    pub seq: i64,
    /// Its digest; empty where there is none.
    pub digest: String,
}

/// Where a chain is broken.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChainFault {
    /// A row was changed, or one before it together with its digest.
    #[error("row {seq} was changed")]
    ChangedRow {
        /// Its number.
        seq: i64,
    },
    /// A row is not there.
    #[error("row {seq} is missing")]
    MissingRow {
        /// Its number.
        seq: i64,
    },
    /// The last row is another one than the head says.
    #[error("the head of the chain was changed: it does not go with row {seq}")]
    ChangedHead {
        /// The last row.
        seq: i64,
    },
}

/// Looks through the rows of a chain, one after the other.
#[derive(Debug, Default)]
pub struct ChainCheck {
    last: ChainHead,
}

impl ChainCheck {
    /// Looks at the next row: its number, its text, and the digest that is stored with it.
    ///
    /// # Errors
    /// [`ChainFault`] names the first row that is not as it was written.
    pub fn accept_row(&mut self, seq: i64, row_text: &str, digest: &str) -> Result<(), ChainFault> {
        let expected = self.next_seq();
        if seq != expected {
            return Err(ChainFault::MissingRow { seq: expected });
        }
        let is_as_written = chain_digest(&self.last.digest, row_text) == digest;
        if !is_as_written && !is_planted(PlantedBug::AuditChain) {
            return Err(ChainFault::ChangedRow { seq });
        }
        self.last = ChainHead {
            seq,
            digest: digest.to_owned(),
        };
        Ok(())
    }

    /// The number of the row that comes next.
    pub const fn next_seq(&self) -> i64 {
        self.last.seq.saturating_add(1)
    }

    /// Compares the last row with `head`, which was read before the rows; gives how many rows there are.
    ///
    /// # Errors
    /// [`ChainFault`] where rows are missing at the end, or the head was changed.
    pub fn expect_head(&self, head: &ChainHead) -> Result<i64, ChainFault> {
        let last = &self.last;
        if last.seq < head.seq {
            let seq = self.next_seq();
            return Err(ChainFault::MissingRow { seq });
        }
        match last == head {
            true => Ok(last.seq),
            false => Err(ChainFault::ChangedHead { seq: last.seq }),
        }
    }
}

/// The digest of a row with the text `row_text` that follows the one with the digest `previous`, as 64 hexadecimal
/// digits of SHA-256.
pub fn chain_digest(previous: &str, row_text: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(row_text);
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of three rows, and its head.
    fn chain() -> (Vec<(i64, String, String)>, ChainHead) {
        let mut head = ChainHead::default();
        let mut rows = Vec::new();
        for seq in 1..=3 {
            let text = format!("[{seq},\"login_success\"]");
            let digest = chain_digest(&head.digest, &text);
            head = ChainHead {
                seq,
                digest: digest.clone(),
            };
            rows.push((seq, text, digest));
        }
        (rows, head)
    }

    fn check(rows: &[(i64, String, String)], head: &ChainHead) -> Result<i64, ChainFault> {
        let mut check = ChainCheck::default();
        for (seq, text, digest) in rows {
            check.accept_row(*seq, text, digest)?;
        }
        check.expect_head(head)
    }

    #[test]
    fn what_was_written_is_whole() {
        let (rows, head) = chain();
        assert_eq!(check(&rows, &head), Ok(3));
        assert_eq!(check(&[], &ChainHead::default()), Ok(0));
    }

    #[test]
    fn any_change_of_a_row_names_it() {
        let (rows, head) = chain();
        for at in 0..rows.len() {
            let seq = rows[at].0;
            for place in 0..rows[at].1.len() {
                let mut changed = rows.clone();
                let mut bytes = changed[at].1.clone().into_bytes();
                bytes[place] ^= 1;
                changed[at].1 = String::from_utf8_lossy(&bytes).into_owned();
                let fault = Err(ChainFault::ChangedRow { seq });
                assert_eq!(check(&changed, &head), fault, "{at} {place}");
            }
            let mut changed = rows.clone();
            changed[at].2 = chain_digest("", "another");
            assert_eq!(check(&changed, &head), Err(ChainFault::ChangedRow { seq }));
            let mut fewer = rows.clone();
            fewer.remove(at);
            assert_eq!(check(&fewer, &head), Err(ChainFault::MissingRow { seq }));
        }
    }

    #[test]
    fn a_head_that_was_changed_is_told() {
        let (rows, head) = chain();
        let mut other = head.clone();
        other.digest = chain_digest("", "another");
        let fault = Err(ChainFault::ChangedHead { seq: 3 });
        assert_eq!(check(&rows, &other), fault);
        let shorter = ChainHead { seq: 2, ..head };
        assert_eq!(check(&rows, &shorter), fault);
    }

    #[test]
    fn an_act_says_what_was_done_to_what() {
        let user = UserId::LOCAL;
        let act = AuditAct::denied_to(AuditAction::LoginFailed, user)
            .done_by(Actor::User(user))
            .with_reason("why");
        assert_eq!(act.outcome, AuditOutcome::Denied);
        assert_eq!(act.target.target_kind, AuditTargetKind::User);
        assert_eq!(act.target.target_id, Some(user.as_uuid()));
        assert_eq!(act.actor, Some(Actor::User(user)));
        assert_eq!(AuditTarget::UNKNOWN_USER.target_id, None);
    }
}
