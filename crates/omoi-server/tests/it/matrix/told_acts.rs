//! What the audit log tells of each operation that its right caller is served: which acts, and that they were the caller's,
//! whatever else a request claims.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use omoi_domain::audit::AuditAction;
use omoi_domain::id::UserId;
use omoi_testkit::audited::ACTS_OF_COMMANDS;
use omoi_testkit::raw_connection::RawConnection;

use super::scenes::RightCaller;
use super::world::{OWNER, STAFF};
use crate::openapi::Described;
use crate::sign_in_desk::SignInDesk;

use AuditAction as A;

/// The acts that an operation is told as; one that is not named here is told as none.
const ACTS_OF_OPERATIONS: &[(&str, &[AuditAction])] = &[
    ("accept_invitation", &[A::MemberAdded]),
    ("accept_ownership", &[A::OrgTransferred]),
    ("add_member", &[A::MemberAdded]),
    ("answer_questions", &[A::ApprovalDecided]),
    ("approve_design", &[A::ApprovalDecided]),
    ("approve_requirements", &[A::ApprovalDecided]),
    ("approve_ticket", &[A::ApprovalDecided]),
    ("approve_waiting", &[A::WaitlistApproved]),
    ("archive_organization", &[A::OrgArchived]),
    (
        "archive_project",
        &[A::ProjectArchived, A::SpecCancelled, A::SpecCancelled],
    ),
    ("archive_spec", &[A::SpecArchived]),
    ("cancel_spec", &[A::SpecCancelled]),
    ("cancel_task", &[A::TaskCancelled]),
    ("change_member", &[A::MemberRoleChanged]),
    ("change_password", &[A::PasswordChange]),
    ("create_api_key", &[A::ApiKeyCreated]),
    ("create_budget", &[A::BudgetCreated]),
    ("create_organization", &[A::OrgCreated, A::MemberAdded]),
    ("create_organization_key", &[A::ApiKeyCreated]),
    ("create_role", &[A::RoleCreated]),
    ("decide_approval", &[A::ApprovalDecided]),
    ("delete_account", &[A::AccountDeleted]),
    ("delete_budget", &[A::BudgetDeleted]),
    ("delete_role", &[A::RoleDeleted]),
    ("deliver_spec", &[A::SpecDelivered]),
    ("end_provider_sign_in", &[A::OauthLinked]),
    ("enter_organization", &[A::StaffEnteredOrg]),
    ("exchange_sign_in_code", &[A::LoginSuccess]),
    ("execute_tasks", &[A::ApprovalDecided]),
    ("export_audit", &[A::ExportAudit]),
    ("follow_local_link", &[A::LoginSuccess]),
    ("grant_permission", &[A::GrantAdded]),
    ("invite_member", &[A::MemberInvited]),
    ("leave_organization", &[A::StaffLeftOrg]),
    ("offer_ownership", &[A::OrgTransferOffered]),
    ("refresh_tokens", &[A::TokenRefresh]),
    ("register_account", &[A::Register]),
    ("reject_design", &[A::ApprovalDecided]),
    ("reject_requirements", &[A::ApprovalDecided]),
    ("reject_ticket", &[A::ApprovalDecided]),
    ("remove_member", &[A::MemberRemoved]),
    ("remove_provider_key", &[A::SecretRemoved]),
    ("reset_password", &[A::PasswordReset]),
    ("restore_organization", &[A::OrgRestored]),
    ("retry_task", &[A::TaskRetried]),
    ("revoke_api_key", &[A::ApiKeyRevoked]),
    ("revoke_grant", &[A::GrantRemoved]),
    ("revoke_invitation", &[A::InvitationRevoked]),
    ("revoke_organization_key", &[A::ApiKeyRevoked]),
    ("revoke_session", &[A::SessionRevoked]),
    ("set_provider_key", &[A::SecretSet]),
    ("share_spec", &[A::SpecShared]),
    ("sign_in", &[A::LoginSuccess]),
    ("sign_out", &[A::Logout]),
    ("sign_out_everywhere", &[A::Logout]),
    ("trust_repository", &[A::RepositoryTrusted]),
    ("unlink_provider", &[A::OauthUnlinked]),
    ("unlock_account", &[A::AccountUnlocked]),
    ("unshare_spec", &[A::SpecUnshared]),
    ("update_account", &[A::ProfileUpdated]),
    ("update_budget", &[A::BudgetUpdated]),
    ("update_organization", &[A::OrgUpdated]),
    ("update_project", &[A::ProjectUpdated]),
    ("update_role", &[A::RoleUpdated]),
    ("verify_email", &[A::EmailVerified]),
    ("withdraw_offer", &[A::OrgTransferWithdrawn]),
];

/// Acts that no documented example comes to, and the test that expects each.
const ACTS_OF_OTHER_TESTS: &[(AuditAction, &str)] = &[
    (
        A::EgressAllowed,
        "egress::a_host_that_a_person_allows_is_let_through_without_a_new_start",
    ),
    (
        A::SpecUnarchived,
        "put_away::a_spec_is_put_away_and_comes_back_when_it_is_worked_on",
    ),
    (
        A::PermissionDenied,
        "organizations::what_was_done_is_told_to_those_who_may_know",
    ),
    (
        A::TicketForced,
        "board::a_column_takes_no_more_than_its_limit",
    ),
    (
        A::GateOverridden,
        "phase_gates::a_gate_is_given_looked_at_and_passed_by_who_may",
    ),
];

/// The act and where it is expected, for whoever reads why a table is wrong.
fn places_of_acts() -> BTreeMap<AuditAction, &'static str> {
    let of_commands =
        ACTS_OF_COMMANDS.map(|act| (act, "audit::acts_that_no_operation_comes_to_are_told"));
    ACTS_OF_OTHER_TESTS
        .iter()
        .copied()
        .chain(of_commands)
        .collect()
}

fn expected_acts(operation: &str) -> &'static [AuditAction] {
    let mut known = ACTS_OF_OPERATIONS.iter();
    let found = known.find(|(id, _)| *id == operation);
    found.map_or(&[], |(_, acts)| acts)
}

/// A row of the audit log, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ToldRow {
    org: String,
    seq: i64,
    action: String,
    actor: String,
    outcome: String,
}

async fn read_log(desk: &SignInDesk) -> BTreeSet<ToldRow> {
    let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
    let sql = "select org_id, seq, action, actor_kind, actor_id, outcome from audit_log";
    let rows = conn.rows(sql).await.unwrap();
    conn.close().await.unwrap();
    let told = rows.into_iter().map(|row| {
        let mut texts = row.into_iter().map(Option::unwrap_or_default);
        let mut text = || texts.next().unwrap();
        ToldRow {
            org: text(),
            seq: text().parse().unwrap(),
            action: text(),
            actor: format!("{} {}", text(), text()),
            outcome: text(),
        }
    });
    told.collect()
}

/// The audit log before an operation is asked for.
pub(super) struct LogBefore {
    rows: BTreeSet<ToldRow>,
    /// Whose acts the operation's are; of any person where it is open to everybody.
    actor: Option<UserId>,
}

impl LogBefore {
    /// None of an operation that only reads, and is told as nothing.
    pub(super) async fn read(
        desk: &SignInDesk,
        operation: &Described,
        right: &RightCaller,
    ) -> Option<Self> {
        let is_told = !expected_acts(operation.id()).is_empty();
        if operation.method == Method::GET && !is_told {
            return None;
        }
        let actor = match (right, operation.permission()) {
            (RightCaller::FolderOwner, _) => Some(UserId::LOCAL),
            (RightCaller::Account(email), _) => Some(desk.user_of(email).await),
            (RightCaller::AsDescribed, "public") => None,
            (RightCaller::AsDescribed, "staff") => Some(desk.user_of(STAFF).await),
            (RightCaller::AsDescribed, _) => Some(desk.user_of(OWNER).await),
        };
        let rows = read_log(desk).await;
        Some(Self { rows, actor })
    }

    /// Compares what was told since with what is expected of `operation`; gives the acts that were told, and what is wrong.
    pub(super) async fn compare(
        self,
        desk: &SignInDesk,
        operation: &Described,
    ) -> (BTreeSet<AuditAction>, Vec<String>) {
        let after = read_log(desk).await;
        let new: Vec<&ToldRow> = after.difference(&self.rows).collect();
        let name = operation.name();
        let mut wrong = Vec::new();
        let told: Vec<AuditAction> = new
            .iter()
            .map(|row| AuditAction::parse(&row.action).unwrap())
            .collect();
        let expected = expected_acts(operation.id());
        if told != expected {
            wrong.push(format!(
                "{name}: the audit log tells {told:?}, not {expected:?}"
            ));
        }
        for row in new {
            let is_theirs = match self.actor {
                Some(user) => row.actor == format!("user {user}"),
                None => row.actor.starts_with("user "),
            };
            if !is_theirs || row.outcome != "ok" {
                let actor = self.actor;
                wrong.push(format!("{name}: {row:?} is no act of {actor:?}"));
            }
        }
        (told.into_iter().collect(), wrong)
    }
}

/// What is wrong with the tables: an act of the log that no test expects, or two do.
pub(super) fn unexpected_acts(seen: &BTreeSet<AuditAction>) -> Vec<String> {
    let beside = places_of_acts();
    let mut wrong = Vec::new();
    for act in AuditAction::ALL {
        match (seen.contains(act), beside.get(act)) {
            (false, None) => wrong.push(format!("no test expects the act `{act}`")),
            (true, Some(test)) => {
                wrong.push(format!("`{act}` is told here, not by `{test}` alone"));
            }
            _ => {}
        }
    }
    wrong
}
