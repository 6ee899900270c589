//! Members, their roles, and who may give which.

use futures::future::join_all;
use omoi_accounts::commands::invitation::{accept_invitation, invite_member, revoke_invitation};
use omoi_accounts::commands::member::{
    MemberAuthority, add_member, remove_member, set_member_role,
};
use omoi_accounts::error::AccountError;
use omoi_accounts::reach::user_reaches;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::access::role_chain::RolePower;
use omoi_domain::actor::Actor;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{MembershipId, OrgId, UserId};
use omoi_store::project_grants::ProjectGrantRow;
use omoi_store::roles::RoleRow;
use omoi_store::{Json, StoreError, memberships, project_grants, projects, roles};

use crate::desk::{Desk, token_of};

both!(
    owners_who_remove_each_other_leave_one,
    nobody_gives_more_than_they_have,
    an_invitation_is_followed_once_by_its_address,
    a_custom_role_and_a_grant_reach_as_far_as_they_say,
);

fn by(user: UserId, role: SystemRole) -> MemberAuthority {
    MemberAuthority {
        org: OrgId::LOCAL,
        actor: Actor::User(user),
        power: RolePower::of_system(role),
    }
}

async fn add(desk: &Desk, email: &str, role: SystemRole) -> (UserId, MembershipId) {
    let user = desk.add_user(email).await;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let id = add_member(&desk.accounts, operator, user, MemberRole::System(role)).await;
    (user, id.unwrap())
}

async fn owners_who_remove_each_other_leave_one(desk: Desk) {
    let laptop = desk
        .read(async |tx| memberships::list_of_user(tx, UserId::LOCAL).await)
        .await;
    let laptop = laptop[0].id;
    let (ada, ada_id) = add(&desk, "ada@example.org", SystemRole::Owner).await;
    let another = desk.another().await;
    let owner = |user| by(user, SystemRole::Owner);
    let (one, two) = tokio::join!(
        remove_member(&desk.accounts, owner(ada), laptop),
        remove_member(&another, owner(UserId::LOCAL), ada_id),
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let refused = one.and(two).unwrap_err();
    assert!(matches!(refused, AccountError::LastOwner(_)), "{refused}");
    let left = desk
        .read(async |tx| memberships::list_of_organisation(tx, OrgId::LOCAL).await)
        .await;
    assert_eq!(left.len(), 1);
    let viewer = MemberRole::System(SystemRole::Viewer);
    let refused = set_member_role(&desk.accounts, owner(left[0].user_id), left[0].id, viewer).await;
    assert!(matches!(refused, Err(AccountError::LastOwner(_))));
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
        set_member_role(&desk.accounts, authority, id, MemberRole::System(role)).await
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

async fn an_invitation_is_followed_once_by_its_address(desk: Desk) {
    let (ada, _) = add(&desk, "ada@example.org", SystemRole::Admin).await;
    let (bob, eve) = (
        desk.add_user("bob@example.org").await,
        desk.add_user("eve@example.org").await,
    );
    let admin = by(ada, SystemRole::Admin);
    let invite = async |role| {
        let to = "Bob@example.org".parse().unwrap();
        invite_member(&desk.accounts, admin, to, MemberRole::System(role)).await
    };
    assert!(matches!(
        invite(SystemRole::Owner).await,
        Err(AccountError::Escalation(_))
    ));
    let first = token_of(invite(SystemRole::Viewer).await.unwrap());
    let second = token_of(invite(SystemRole::Member).await.unwrap());
    for (user, token) in [(bob, &first), (eve, &second)] {
        let refused = accept_invitation(&desk.accounts, user, token).await;
        assert!(matches!(refused, Err(AccountError::InvalidToken)));
    }
    let another = desk.another().await;
    let many = (0..10).map(|n| {
        let accounts = if n % 2 == 0 { &desk.accounts } else { &another };
        accept_invitation(accounts, bob, &second)
    });
    let accepted = join_all(many).await.into_iter().flatten().count();
    assert_eq!(accepted, 1);
    let reaches = user_reaches(&desk.accounts.store, bob).await.unwrap();
    assert_eq!(reaches[0].role, SystemRole::Member.permission_set());
    let third = token_of(invite(SystemRole::Admin).await.unwrap());
    let email = "bob@example.org".parse().unwrap();
    assert_eq!(
        revoke_invitation(&desk.accounts, admin, &email)
            .await
            .unwrap(),
        1
    );
    let revoked = accept_invitation(&desk.accounts, bob, &third).await;
    assert!(matches!(revoked, Err(AccountError::InvalidToken)));
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
            permissions: Json(vec!["ticket:*".parse().unwrap()]),
            inherits_from_id: Some(SystemRole::Viewer.role_id()),
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
