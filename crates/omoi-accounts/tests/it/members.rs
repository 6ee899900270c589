//! Members, their roles, and who may give which.

use omoi_accounts::commands::member::{
    MemberAuthority, add_member, remove_member, set_member_role,
};
use omoi_accounts::commands::sign_out::set_user_active;
use omoi_accounts::error::AccountError;
use omoi_accounts::reach::user_reaches;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::permission_set::PermissionSet;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::access::role_chain::RolePower;
use omoi_domain::actor::Actor;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{MembershipId, OrgId, RoleId, UserId};
use omoi_store::project_grants::ProjectGrantRow;
use omoi_store::roles::RoleRow;
use omoi_store::{Json, StoreError, memberships, project_grants, projects, roles};

use crate::desk::Desk;

both!(
    owners_who_leave_at_once_leave_one_who_can_sign_in,
    nobody_gives_more_than_they_have,
    a_role_that_cannot_be_followed_gives_nothing,
    a_custom_role_and_a_grant_reach_as_far_as_they_say,
);

pub(crate) fn by(user: UserId, role: SystemRole) -> MemberAuthority {
    MemberAuthority {
        org: OrgId::LOCAL,
        actor: Actor::User(user),
        power: RolePower::of_system(role),
    }
}

pub(crate) async fn add(desk: &Desk, email: &str, role: SystemRole) -> (UserId, MembershipId) {
    let user = desk.add_user(email).await;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let id = add_member(&desk.accounts, operator, user, MemberRole::System(role)).await;
    (user, id.unwrap())
}

/// One of two acts on the only two owners comes through.
fn expect_one_of(one: Result<(), AccountError>, two: Result<(), AccountError>) {
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let refused = one.and(two).unwrap_err();
    assert!(matches!(refused, AccountError::LastOwner(_)), "{refused}");
}

async fn owners_who_leave_at_once_leave_one_who_can_sign_in(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, ada_id) = add(&desk, "ada@example.org", SystemRole::Owner).await;
    let (bob, bob_id) = add(&desk, "bob@example.org", SystemRole::Owner).await;
    let another = desk.another().await;
    let owner = |user| by(user, SystemRole::Owner);
    let (one, two) = tokio::join!(
        remove_member(accounts, owner(ada), bob_id),
        remove_member(&another, owner(bob), ada_id),
    );
    let (last, last_id) = if one.is_ok() {
        (ada, ada_id)
    } else {
        (bob, bob_id)
    };
    expect_one_of(one, two);
    // The laptop's user owns it, too, and cannot sign in.
    let left = desk
        .read(async |tx| memberships::list_of_organisation(tx, OrgId::LOCAL).await)
        .await;
    assert!(left.iter().any(|member| member.user_id == UserId::LOCAL));
    let viewer = MemberRole::System(SystemRole::Viewer);
    for refused in [
        set_member_role(accounts, owner(last), last_id, viewer, None).await,
        remove_member(accounts, owner(last), last_id).await,
        set_user_active(accounts, last, false).await,
    ] {
        assert!(matches!(refused, Err(AccountError::LastOwner(_))));
    }
    let (cy, _) = add(&desk, "cy@example.org", SystemRole::Owner).await;
    let (one, two) = tokio::join!(
        set_user_active(accounts, last, false),
        set_user_active(&another, cy, false),
    );
    expect_one_of(one, two);
}

async fn nobody_gives_more_than_they_have(desk: Desk) {
    let (ada, ada_id) = add(&desk, "ada@example.org", SystemRole::Admin).await;
    let (_, bob_id) = add(&desk, "bob@example.org", SystemRole::Owner).await;
    let (cy, cy_id) = add(&desk, "cy@example.org", SystemRole::Viewer).await;
    let signed_in = desk
        .sign_in("cy@example.org", crate::desk::PASSWORD, "192.0.2.1")
        .await
        .unwrap();
    let set = async |authority, id, role| {
        set_member_role(
            &desk.accounts,
            authority,
            id,
            MemberRole::System(role),
            None,
        )
        .await
    };
    let is_escalation =
        |done: Result<(), AccountError>| matches!(done, Err(AccountError::Escalation(_)));
    let admin = by(ada, SystemRole::Admin);
    assert!(is_escalation(set(admin, ada_id, SystemRole::Owner).await));
    assert!(is_escalation(set(admin, bob_id, SystemRole::Viewer).await));
    assert!(is_escalation(
        remove_member(&desk.accounts, admin, bob_id).await
    ));
    assert!(is_escalation(
        set(by(cy, SystemRole::Member), cy_id, SystemRole::Admin).await
    ));
    assert!(desk.is_let_in(&signed_in).await);
    set(admin, cy_id, SystemRole::Member).await.unwrap();
    assert!(
        !desk.is_let_in(&signed_in).await,
        "the old role's token has ended"
    );
    let reaches = user_reaches(&desk.accounts.store, cy).await.unwrap();
    assert_eq!(
        reaches[0].permissions_in(None),
        SystemRole::Member.permission_set()
    );
    // A membership of another organisation is not there.
    let elsewhere = MemberAuthority {
        org: OrgId::from_uuid(cy.as_uuid()),
        ..admin
    };
    let unknown = remove_member(&desk.accounts, elsewhere, cy_id).await;
    assert!(matches!(
        unknown,
        Err(AccountError::Store(StoreError::NotFound { .. }))
    ));
    remove_member(&desk.accounts, admin, cy_id).await.unwrap();
    assert!(
        user_reaches(&desk.accounts.store, cy)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_role_that_cannot_be_followed_gives_nothing(desk: Desk) {
    let accounts = &desk.accounts;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let bob = desk.add_user("bob@example.org").await;
    let tenant = accounts.store.tenant(OrgId::LOCAL);
    let make = async |parent: Option<RoleId>| {
        tenant
            .write(CrashPoint::AccountChanged, async |tx| {
                let role = RoleRow {
                    id: tx.new_id(),
                    org_id: OrgId::LOCAL,
                    name: "Loop".to_owned(),
                    name_key: "loop".to_owned(),
                    description: None,
                    permissions: Json(vec!["ticket:*".parse().unwrap()]),
                    inherits_from_id: parent,
                    state_version: 0,
                };
                roles::insert(tx, &role).await?;
                Ok::<_, StoreError>(role.id)
            })
            .await
    };
    let unknown = make(Some(RoleId::from_uuid(bob.as_uuid()))).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    let role = make(None).await.unwrap();
    let id = add_member(accounts, operator, bob, MemberRole::Custom(role)).await;
    let id = id.unwrap();
    desk.raw("update roles set inherits_from_id = id").await;
    let reaches = user_reaches(&accounts.store, bob).await.unwrap();
    assert_eq!((reaches.len(), reaches[0].org), (1, OrgId::LOCAL));
    assert_eq!(reaches[0].role, PermissionSet::EMPTY);
    let again = set_member_role(accounts, operator, id, MemberRole::Custom(role), None).await;
    assert!(matches!(again, Err(AccountError::RoleChain(_))));
    let viewer = MemberRole::System(SystemRole::Viewer);
    set_member_role(accounts, operator, id, viewer, None)
        .await
        .unwrap();
    let reaches = user_reaches(&accounts.store, bob).await.unwrap();
    assert_eq!(reaches[0].role, SystemRole::Viewer.permission_set());
}

async fn a_custom_role_and_a_grant_reach_as_far_as_they_say(desk: Desk) {
    let user = desk.add_user("ada@example.org").await;
    let tenant = desk.accounts.store.tenant(OrgId::LOCAL);
    let role = tenant.write(CrashPoint::AccountChanged, async |tx| {
        let role = RoleRow {
            id: tx.new_id(),
            org_id: OrgId::LOCAL,
            name: "Release".to_owned(),
            name_key: "release".to_owned(),
            description: None,
            permissions: Json(vec!["ticket:*".parse().unwrap()]),
            inherits_from_id: Some(SystemRole::Viewer.role_id()),
            state_version: 0,
        };
        roles::insert(tx, &role).await?;
        Ok::<_, StoreError>(role.id)
    });
    let role = role.await.unwrap();
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let id = add_member(&desk.accounts, operator, user, MemberRole::Custom(role))
        .await
        .unwrap();
    let project = tenant.write(CrashPoint::AccountChanged, async |tx| {
        let project = projects::ensure(tx, "todo", "/todo").await?;
        let grant = ProjectGrantRow {
            org_id: OrgId::LOCAL,
            project_id: project.id,
            membership_id: id,
            permission: Permission::SpecApprove,
        };
        project_grants::add(tx, &grant).await?;
        Ok::<_, StoreError>(project.id)
    });
    let project = project.await.unwrap();
    let reaches = user_reaches(&desk.accounts.store, user).await.unwrap();
    let reach = &reaches[0];
    let viewer = SystemRole::Viewer.permission_set();
    assert!(viewer.is_within(reach.role) && reach.role.contains(Permission::TicketForce));
    assert!(!reach.permissions_in(None).contains(Permission::SpecApprove));
    assert!(
        reach
            .permissions_in(Some(project))
            .contains(Permission::SpecApprove)
    );
    // A role that allows less ends what was granted beside it.
    let n_granted = async |role| {
        set_member_role(&desk.accounts, operator, id, role, None)
            .await
            .unwrap();
        let granted = tenant
            .read(async |tx| project_grants::list_of_member(tx, id).await)
            .await;
        granted.unwrap().len()
    };
    assert_eq!(n_granted(MemberRole::System(SystemRole::Admin)).await, 1);
    assert_eq!(n_granted(MemberRole::Custom(role)).await, 0);
    // A role stays while somebody has it; what a member was granted goes with them.
    let delete = async || {
        let delete = tenant.write(CrashPoint::AccountChanged, async |tx| {
            roles::delete_unused(tx, role).await
        });
        delete.await.unwrap()
    };
    assert!(!delete().await);
    remove_member(&desk.accounts, operator, id).await.unwrap();
    assert!(delete().await);
}
