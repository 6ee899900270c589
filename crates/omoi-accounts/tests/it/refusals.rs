//! Whoever would give more than they have, and an owner who would leave none, are refused, and the audit log tells of it.

use std::time::Duration;

use omoi_accounts::audit::verify_chain;
use omoi_accounts::commands::account_end::delete_account;
use omoi_accounts::commands::grant::{GrantDraft, grant_permission, revoke_grant};
use omoi_accounts::commands::invitation::{InvitationWay, invite_member};
use omoi_accounts::commands::key::{
    OrganisationKey, create_organisation_key, create_person_key, revoke_organisation_key,
};
use omoi_accounts::commands::member::{
    MemberAuthority, add_member, remove_member, set_member_role,
};
use omoi_accounts::commands::role::{RoleUpdate, create_role, delete_role, update_role};
use omoi_accounts::commands::sign_out::set_user_active;
use omoi_accounts::error::AccountError;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAction, AuditOutcome, AuditTarget};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{MembershipId, OrgId, ProjectId, UserId};
use omoi_store::roles::RoleRow;
use omoi_store::{Tx, projects};

use crate::audit::entries;
use crate::desk::Desk;
use crate::keys::new_key;
use crate::members::{add, by};
use crate::roles::draft;

both!(
    a_refused_escalation_is_told_with_what_was_asked_for,
    a_refused_change_of_roles_and_keys_is_told,
    the_last_owner_who_would_leave_is_told,
    one_in_ten_of_the_same_refusals_is_told,
);

const ORG: OrgId = OrgId::LOCAL;
const OWNER: MemberRole = MemberRole::System(SystemRole::Owner);
const VIEWER: MemberRole = MemberRole::System(SystemRole::Viewer);

/// An admin, and an owner above them.
struct Ranks {
    desk: Desk,
    admin: UserId,
    admin_id: MembershipId,
    owner: UserId,
    owner_id: MembershipId,
}

impl Ranks {
    async fn on(desk: Desk) -> Self {
        let (admin, admin_id) = add(&desk, "ada@example.org", SystemRole::Admin).await;
        let (owner, owner_id) = add(&desk, "bob@example.org", SystemRole::Owner).await;
        Self {
            desk,
            admin,
            admin_id,
            owner,
            owner_id,
        }
    }

    fn of_admin(&self) -> MemberAuthority {
        by(self.admin, SystemRole::Admin)
    }

    fn of_owner(&self) -> MemberAuthority {
        by(self.owner, SystemRole::Owner)
    }

    async fn n_told(&self) -> usize {
        entries(&self.desk, ORG).await.len()
    }

    /// Expects that `act` is refused, and told as the newest of the log of `org`.
    async fn expect_told<T: std::fmt::Debug>(
        &self,
        org: OrgId,
        act: impl Future<Output = Result<T, AccountError>>,
        expected: ToldRefusal,
    ) {
        let n_before = entries(&self.desk, org).await.len();
        let error = act.await.unwrap_err();
        let mut all = entries(&self.desk, org).await;
        assert_eq!(all.len(), n_before + 1, "{error}: {expected:?}");
        let told = all.pop().unwrap();
        let seen = ToldRefusal {
            actor: told.actor,
            action: told.action,
            target: told.target,
        };
        assert_eq!(seen, expected);
        assert_eq!(told.outcome, AuditOutcome::Denied);
        let after: serde_json::Value = serde_json::from_str(&told.value_after.unwrap()).unwrap();
        assert_eq!(after["refused"], error.to_string());
    }
}

#[derive(Debug, PartialEq)]
struct ToldRefusal {
    actor: Actor,
    action: AuditAction,
    target: AuditTarget,
}

fn told(actor: UserId, action: AuditAction, target: impl Into<AuditTarget>) -> ToldRefusal {
    ToldRefusal {
        actor: Actor::User(actor),
        action,
        target: target.into(),
    }
}

async fn project(desk: &Desk) -> ProjectId {
    let make = async |tx: &mut Tx| projects::ensure(tx, "todo", "/todo").await;
    let tenant = desk.accounts.store.tenant(ORG);
    let project = tenant.write(CrashPoint::ProjectCreated, make).await;
    project.unwrap().id
}

async fn a_refused_escalation_is_told_with_what_was_asked_for(desk: Desk) {
    let ranks = Ranks::on(desk).await;
    let (accounts, ada) = (&ranks.desk.accounts, ranks.admin);
    let (admin, above) = (ranks.of_admin(), ranks.owner_id);
    let cy = ranks.desk.add_user("cy@example.org").await;
    let act = add_member(accounts, admin, cy, OWNER);
    let row = told(ada, AuditAction::MemberAdded, cy);
    ranks.expect_told(ORG, act, row).await;
    let act = set_member_role(accounts, admin, ranks.admin_id, OWNER, None);
    let row = told(ada, AuditAction::MemberRoleChanged, ranks.admin_id);
    ranks.expect_told(ORG, act, row).await;
    let asked = entries(&ranks.desk, ORG).await.pop().unwrap().value_after;
    assert!(asked.unwrap().contains(&OWNER.role_id().to_string()));
    let act = remove_member(accounts, admin, above);
    let row = told(ada, AuditAction::MemberRemoved, above);
    ranks.expect_told(ORG, act, row).await;
    let to = "eve@example.org".parse().unwrap();
    let act = invite_member(accounts, admin, (&to, OWNER), InvitationWay::Printed);
    let row = told(ada, AuditAction::MemberInvited, ORG);
    ranks.expect_told(ORG, act, row).await;
    let grant = GrantDraft {
        member: above,
        project: project(&ranks.desk).await,
        permission: Permission::SpecApprove,
    };
    let row = told(ada, AuditAction::GrantAdded, above);
    let act = grant_permission(accounts, admin, grant);
    ranks.expect_told(ORG, act, row).await;
    let row = told(ada, AuditAction::GrantRemoved, above);
    let act = revoke_grant(accounts, admin, grant);
    ranks.expect_told(ORG, act, row).await;
    // Who asks in vain for what they might have is no such news.
    let n_before = ranks.n_told().await;
    let stale = set_member_role(accounts, ranks.of_owner(), above, OWNER, Some(&[7])).await;
    assert!(matches!(stale, Err(AccountError::StaleVersion)));
    assert_eq!(ranks.n_told().await, n_before);
    let whole = verify_chain(&accounts.store, ORG).await.unwrap();
    assert_eq!(whole, Ok(n_before as i64));
}

/// A role that only an owner gives.
async fn closer(ranks: &Ranks) -> RoleRow {
    let draft = draft("Closer", &["org:delete"]);
    let made = create_role(&ranks.desk.accounts, ranks.of_owner(), draft).await;
    made.unwrap()
}

async fn a_refused_change_of_roles_and_keys_is_told(desk: Desk) {
    let ranks = Ranks::on(desk).await;
    let (accounts, ada, admin) = (&ranks.desk.accounts, ranks.admin, ranks.of_admin());
    let closer = closer(&ranks).await;
    let update = |draft| RoleUpdate {
        draft,
        versions: None,
    };
    let act = create_role(accounts, admin, draft("Ender", &["org:delete"]));
    let row = told(ada, AuditAction::RoleCreated, ORG);
    ranks.expect_told(ORG, act, row).await;
    let less = update(draft("Closer", &["spec:read"]));
    let act = update_role(accounts, admin, closer.id, less);
    let row = told(ada, AuditAction::RoleUpdated, closer.id);
    ranks.expect_told(ORG, act, row).await;
    let act = delete_role(accounts, admin, closer.id);
    let row = told(ada, AuditAction::RoleDeleted, closer.id);
    ranks.expect_told(ORG, act, row).await;
    let mut circle = draft("Closer", &["org:delete"]);
    circle.inherits_from = Some(closer.id);
    let act = update_role(accounts, ranks.of_owner(), closer.id, update(circle));
    let row = told(ranks.owner, AuditAction::RoleUpdated, closer.id);
    ranks.expect_told(ORG, act, row).await;

    let (owned, new) = (OrganisationKey::Role(OWNER), || new_key(&[], None));
    let act = create_organisation_key(accounts, admin, ada, owned, new());
    let row = told(ada, AuditAction::ApiKeyCreated, ORG);
    ranks.expect_told(ORG, act, row).await;
    let owner = ranks.of_owner();
    let key = create_organisation_key(accounts, owner, ranks.owner, owned, new()).await;
    let key = key.unwrap().row.id;
    let act = revoke_organisation_key(accounts, admin, key);
    let row = told(ada, AuditAction::ApiKeyRevoked, key);
    ranks.expect_told(ORG, act, row).await;
    let (cy, _) = add(&ranks.desk, "cy@example.org", SystemRole::Viewer).await;
    let act = create_person_key(accounts, cy, None, new_key(&["ticket:write"], None));
    let row = told(cy, AuditAction::ApiKeyCreated, cy);
    ranks.expect_told(OrgId::PLATFORM, act, row).await;
}

async fn the_last_owner_who_would_leave_is_told(desk: Desk) {
    let ranks = Ranks::on(desk).await;
    let (accounts, bob, id) = (&ranks.desk.accounts, ranks.owner, ranks.owner_id);
    let owner = ranks.of_owner();
    let act = set_member_role(accounts, owner, id, VIEWER, None);
    let row = told(bob, AuditAction::MemberRoleChanged, id);
    ranks.expect_told(ORG, act, row).await;
    let act = remove_member(accounts, owner, id);
    let row = told(bob, AuditAction::MemberRemoved, id);
    ranks.expect_told(ORG, act, row).await;
    let act = delete_account(accounts, bob);
    let row = told(bob, AuditAction::AccountDeleted, bob);
    ranks.expect_told(OrgId::PLATFORM, act, row).await;
    let act = set_user_active(accounts, bob, false);
    let row = ToldRefusal {
        actor: Actor::System,
        ..told(bob, AuditAction::AccountDisabled, bob)
    };
    ranks.expect_told(OrgId::PLATFORM, act, row).await;
}

async fn one_in_ten_of_the_same_refusals_is_told(desk: Desk) {
    let ranks = Ranks::on(desk).await;
    let accounts = &ranks.desk.accounts;
    let n_before = ranks.n_told().await;
    let ask = async || {
        let asked = set_member_role(accounts, ranks.of_admin(), ranks.admin_id, OWNER, None);
        assert!(matches!(asked.await, Err(AccountError::Escalation(_))));
    };
    for _ in 0..20 {
        ask().await;
    }
    assert_eq!(ranks.n_told().await, n_before + 2);
    // They hide nothing else of the same caller, and the next minute begins anew.
    let row = told(ranks.admin, AuditAction::MemberRemoved, ranks.owner_id);
    let act = remove_member(accounts, ranks.of_admin(), ranks.owner_id);
    ranks.expect_told(ORG, act, row).await;
    ranks.desk.advance(Duration::from_secs(60));
    ask().await;
    assert_eq!(ranks.n_told().await, n_before + 4);
    // Where the log takes no row, the refusal stands.
    ranks.desk.advance(Duration::from_secs(60));
    ranks.desk.raw("drop table audit_heads").await;
    ask().await;
}
