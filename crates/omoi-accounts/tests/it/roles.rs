//! Custom roles, grants, ownership and staff: nobody gives, or gets, more than they should.

use std::time::Duration;

use omoi_accounts::commands::grant::{GrantDraft, grant_permission, revoke_grant};
use omoi_accounts::commands::invitation::{
    InvitationWay, accept_invitation, invite_member, revoke_one_invitation,
};
use omoi_accounts::commands::key::{
    NewApiKey, OrganisationKey, create_organisation_key, revoke_organisation_key,
};
use omoi_accounts::commands::member::{MemberAuthority, remove_member, set_member_role};
use omoi_accounts::commands::organisation_changes::{archive_organisation, restore_organisation};
use omoi_accounts::commands::role::{RoleDraft, RoleUpdate, create_role, delete_role, update_role};
use omoi_accounts::commands::staff::{enter_organisation, leave_organisation};
use omoi_accounts::commands::transfer::{accept_ownership, offer_ownership, withdraw_offer};
use omoi_accounts::error::AccountError;
use omoi_accounts::reach::user_reaches;
use omoi_domain::access::grant::KEPT_FROM_KEYS;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, ProjectId, UserId};
use omoi_store::{StoreError, Tx, invitations, memberships, organisations, projects};
use uuid::Uuid;

use crate::desk::Desk;
use crate::invitations::printed_token;
use crate::members::{add, by};

both!(
    a_role_is_of_no_more_than_its_maker_may_do,
    a_grant_is_of_what_its_giver_may_do,
    ownership_moves_when_it_is_accepted,
    staff_enters_for_an_hour_and_with_a_reason,
    what_is_put_away_is_only_read,
);

const ORG: OrgId = OrgId::LOCAL;

pub(crate) fn draft(name: &str, permissions: &[&str]) -> RoleDraft {
    RoleDraft {
        name: name.to_owned(),
        description: None,
        permissions: permissions.iter().map(|one| one.parse().unwrap()).collect(),
        inherits_from: None,
    }
}

const fn update(draft: RoleDraft, versions: Option<&[i64]>) -> RoleUpdate<'_> {
    RoleUpdate { draft, versions }
}

async fn a_role_is_of_no_more_than_its_maker_may_do(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, _) = add(&desk, "ada@example.org", SystemRole::Owner).await;
    let (bob, bob_id) = add(&desk, "bob@example.org", SystemRole::Admin).await;
    let (owner, admin) = (by(ada, SystemRole::Owner), by(bob, SystemRole::Admin));
    let refused = create_role(accounts, admin, draft("Closer", &["org:delete"])).await;
    assert!(matches!(refused, Err(AccountError::Escalation(_))));
    for name in ["", "Owner", "  ", "a\nb", &"x".repeat(101)] {
        let refused = create_role(accounts, owner, draft(name, &["spec:read"])).await;
        assert!(matches!(refused, Err(AccountError::RoleText)), "{name}");
    }
    let reader = create_role(accounts, admin, draft("Reader", &["spec:read"])).await;
    let reader = reader.unwrap();
    let again = create_role(accounts, admin, draft("READER", &[])).await;
    let is_taken = matches!(again, Err(AccountError::Store(StoreError::Exists { .. })));
    assert!(is_taken);
    let closer = create_role(accounts, owner, draft("Closer", &["org:delete"])).await;
    let closer = closer.unwrap();
    // Nobody changes what they could not have made, nor makes of theirs what they could not make.
    let less = update(draft("Closer", &["spec:read"]), None);
    let refused = update_role(accounts, admin, closer.id, less).await;
    assert!(matches!(refused, Err(AccountError::Escalation(_))));
    let mut wider = draft("Reader", &["spec:read"]);
    wider.inherits_from = Some(closer.id);
    let refused = update_role(accounts, admin, reader.id, update(wider.clone(), None)).await;
    assert!(matches!(refused, Err(AccountError::Escalation(_))));
    let linked = update_role(accounts, owner, reader.id, update(wider, Some(&[0]))).await;
    assert_eq!(linked.unwrap().state_version, 1);
    let stale = update(draft("Reader", &[]), Some(&[0]));
    let refused = update_role(accounts, owner, reader.id, stale).await;
    assert!(matches!(refused, Err(AccountError::StaleVersion)));
    // A circle would leave whoever has one of them with nothing.
    let mut circle = draft("Closer", &["org:delete"]);
    circle.inherits_from = Some(reader.id);
    let refused = update_role(accounts, owner, closer.id, update(circle, None)).await;
    assert!(matches!(refused, Err(AccountError::RoleChain(_))));

    let role = MemberRole::Custom(reader.id);
    set_member_role(accounts, owner, bob_id, role, None)
        .await
        .unwrap();
    let stale = set_member_role(accounts, owner, bob_id, role, Some(&[0])).await;
    assert!(matches!(stale, Err(AccountError::StaleVersion)));
    for used in [reader.id, closer.id] {
        let refused = delete_role(accounts, owner, used).await;
        assert!(matches!(refused, Err(AccountError::RoleInUse)));
    }
    remove_member(accounts, owner, bob_id).await.unwrap();
    delete_refused_while_given(&desk, owner, ada, role).await;
    for unused in [reader.id, closer.id] {
        delete_role(accounts, owner, unused).await.unwrap();
    }
}

/// An invitation and a key hold a role as long as they are good, and no longer.
async fn delete_refused_while_given(
    desk: &Desk,
    owner: MemberAuthority,
    ada: UserId,
    role: MemberRole,
) {
    let accounts = &desk.accounts;
    let to = "eve@example.org".parse().unwrap();
    let invited = invite_member(accounts, owner, (&to, role), InvitationWay::Mailed).await;
    let new = NewApiKey {
        name: "ci".to_owned(),
        scopes: Vec::new(),
        days: None,
    };
    let owned = OrganisationKey::Role(role);
    let key = create_organisation_key(accounts, owner, ada, owned, new).await;
    let (invited, key) = (invited.unwrap().invitation, key.unwrap().row);
    let refused = delete_role(accounts, owner, role.custom_role().unwrap()).await;
    assert!(matches!(refused, Err(AccountError::RoleInUse)));
    revoke_one_invitation(accounts, owner, invited.id)
        .await
        .unwrap();
    revoke_organisation_key(accounts, owner, key.id)
        .await
        .unwrap();
}

async fn a_grant_is_of_what_its_giver_may_do(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, _) = add(&desk, "ada@example.org", SystemRole::Admin).await;
    let (bob, bob_id) = add(&desk, "bob@example.org", SystemRole::Member).await;
    let tenant = accounts.store.tenant(ORG);
    let make = async |tx: &mut Tx| projects::ensure(tx, "todo", "/todo").await;
    let project = tenant.write(CrashPoint::ProjectCreated, make).await;
    let project = project.unwrap().id;
    let draft = GrantDraft {
        member: bob_id,
        project,
        permission: Permission::SpecApprove,
    };
    let refused = grant_permission(accounts, by(bob, SystemRole::Member), draft).await;
    assert!(matches!(refused, Err(AccountError::Escalation(_))));
    let admin = by(ada, SystemRole::Admin);
    let other = GrantDraft {
        permission: Permission::OrgDelete,
        ..draft
    };
    let refused = grant_permission(accounts, admin, other).await;
    assert!(matches!(refused, Err(AccountError::NotGranted)));
    let nowhere = GrantDraft {
        project: ProjectId::from_uuid(Uuid::from_u128(9)),
        ..draft
    };
    let refused = grant_permission(accounts, admin, nowhere).await;
    let is_missing = matches!(
        refused,
        Err(AccountError::Store(StoreError::NotFound { .. }))
    );
    assert!(is_missing);
    for _ in 0..2 {
        grant_permission(accounts, admin, draft).await.unwrap();
    }
    let may = async || {
        let reaches = user_reaches(&accounts.store, bob).await.unwrap();
        let reach = reaches.iter().find(|reach| reach.org == ORG).unwrap();
        reach
            .permissions_in(Some(project))
            .contains(Permission::SpecApprove)
    };
    assert!(may().await);
    // Of an organisation that was put away, grants give nothing.
    let owner = by(ada, SystemRole::Owner);
    archive_organisation(accounts, owner).await.unwrap();
    assert!(!may().await);
    restore_organisation(accounts, owner).await.unwrap();
    assert!(may().await);
    assert!(revoke_grant(accounts, admin, draft).await.unwrap());
    assert!(!revoke_grant(accounts, admin, draft).await.unwrap());
    assert!(!may().await);
}

async fn ownership_moves_when_it_is_accepted(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, ada_id) = add(&desk, "ada@example.org", SystemRole::Owner).await;
    let (bob, _) = add(&desk, "bob@example.org", SystemRole::Member).await;
    let owner = by(ada, SystemRole::Owner);
    let refused = offer_ownership(accounts, by(bob, SystemRole::Owner), bob).await;
    assert!(matches!(refused, Err(AccountError::NotOwner)));
    let stranger = desk.add_user("eve@example.org").await;
    let refused = offer_ownership(accounts, owner, stranger).await;
    assert!(matches!(
        refused,
        Err(AccountError::Store(StoreError::NotFound { .. }))
    ));
    let refused = accept_ownership(accounts, ORG, bob).await;
    assert!(matches!(refused, Err(AccountError::InvalidToken)));
    offer_ownership(accounts, owner, bob).await.unwrap();
    let refused = accept_ownership(accounts, ORG, stranger).await;
    assert!(matches!(refused, Err(AccountError::InvalidToken)));
    assert!(withdraw_offer(accounts, owner).await.unwrap());
    assert!(!withdraw_offer(accounts, owner).await.unwrap());
    offer_ownership(accounts, owner, bob).await.unwrap();
    desk.advance(Duration::from_hours(72));
    let late = accept_ownership(accounts, ORG, bob).await;
    assert!(matches!(late, Err(AccountError::InvalidToken)));
    offer_ownership(accounts, owner, bob).await.unwrap();
    accept_ownership(accounts, ORG, bob).await.unwrap();
    let who_owns = async || {
        let tenant = accounts.store.tenant(ORG);
        let found = tenant.read(async |tx: &mut Tx| organisations::get(tx).await);
        found.await.unwrap().owner_id
    };
    assert_eq!(who_owns().await, bob);
    // Bob may leave now: another owner answers for it then.
    let bobs = desk
        .read(async |tx| memberships::find_of_user(tx, ORG, bob).await)
        .await;
    remove_member(accounts, owner, bobs.unwrap().id)
        .await
        .unwrap();
    assert_ne!(who_owns().await, bob);
    let last = remove_member(accounts, owner, ada_id).await;
    assert!(matches!(last, Err(AccountError::LastOwner(_))));
}

async fn staff_enters_for_an_hour_and_with_a_reason(desk: Desk) {
    let accounts = &desk.accounts;
    let eve = desk.add_user("eve@example.org").await;
    let refused = enter_organisation(accounts, eve, ORG, "because").await;
    assert!(matches!(refused, Err(AccountError::NotStaff)));
    desk.raw(&format!(
        "update users set is_staff = true where id = '{eve}'"
    ))
    .await;
    for reason in ["", "  ", &"x".repeat(501)] {
        let refused = enter_organisation(accounts, eve, ORG, reason).await;
        assert!(matches!(refused, Err(AccountError::StaffReason)));
    }
    let nowhere = OrgId::from_uuid(Uuid::from_u128(9));
    enter_organisation(accounts, eve, nowhere, "because")
        .await
        .unwrap_err();
    let n_reached = async || user_reaches(&accounts.store, eve).await.unwrap().len();
    assert_eq!(n_reached().await, 0);
    enter_organisation(accounts, eve, ORG, "because")
        .await
        .unwrap();
    let reaches = user_reaches(&accounts.store, eve).await.unwrap();
    // A membership or a key of their own would outlast the hour.
    let admin = SystemRole::Admin.permission_set();
    assert_eq!(reaches[0].role, admin.without_set(KEPT_FROM_KEYS));
    desk.advance(Duration::from_mins(60));
    assert_eq!(n_reached().await, 0);
    enter_organisation(accounts, eve, ORG, "again")
        .await
        .unwrap();
    assert!(leave_organisation(accounts, eve, ORG).await.unwrap());
    assert!(!leave_organisation(accounts, eve, ORG).await.unwrap());
    assert_eq!(n_reached().await, 0);
}

async fn what_is_put_away_is_only_read(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, _) = add(&desk, "ada@example.org", SystemRole::Owner).await;
    let owner = by(ada, SystemRole::Owner);
    let member = MemberRole::System(SystemRole::Member);
    desk.make_user("bob@example.org").await;
    let to = || "bob@example.org".parse().unwrap();
    let way = InvitationWay::Printed;
    let made = invite_member(accounts, owner, (&to(), member), way)
        .await
        .unwrap();
    let open = desk
        .read(async |tx| invitations::list_open(tx, ORG).await)
        .await;
    let [one] = &open[..] else { panic!("{open:?}") };
    assert!(
        revoke_one_invitation(accounts, owner, one.id)
            .await
            .unwrap()
    );
    assert!(
        !revoke_one_invitation(accounts, owner, one.id)
            .await
            .unwrap()
    );
    let bob = desk
        .read(async |tx| omoi_store::users::find_by_email(tx, &to()).await)
        .await;
    let bob: UserId = bob.unwrap().id;
    let refused = accept_invitation(accounts, bob, &printed_token(made)).await;
    assert!(matches!(refused, Err(AccountError::InvalidToken)));

    let may = async |permission| {
        let reaches = user_reaches(&accounts.store, ada).await.unwrap();
        reaches[0].permissions_in(None).contains(permission)
    };
    assert!(may(Permission::SpecWrite).await);
    for _ in 0..2 {
        archive_organisation(accounts, owner).await.unwrap();
    }
    assert!(!may(Permission::SpecWrite).await);
    assert!(may(Permission::SpecRead).await && may(Permission::OrgDelete).await);
    restore_organisation(accounts, owner).await.unwrap();
    assert!(may(Permission::SpecWrite).await);
    let again = restore_organisation(accounts, owner).await;
    assert!(matches!(again, Err(AccountError::NotArchived)));
    archive_organisation(accounts, owner).await.unwrap();
    desk.advance(Duration::from_hours(30 * 24));
    let late = restore_organisation(accounts, owner).await;
    assert!(matches!(late, Err(AccountError::NotArchived)));
}
