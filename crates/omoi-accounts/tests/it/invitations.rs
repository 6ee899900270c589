//! Invitations: followed once, by whom they are for, and worth what their inviter may give.

use futures::future::join_all;
use omoi_accounts::commands::invitation::{
    InvitationWay, MadeInvitation, accept_invitation, invite_member, revoke_invitation,
};
use omoi_accounts::commands::member::{
    MemberAuthority, add_member, remove_member, set_member_role,
};
use omoi_accounts::commands::sign_out::set_user_active;
use omoi_accounts::error::AccountError;
use omoi_accounts::reach::user_reaches;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::id::{ApiKeyId, OrgId};
use secrecy::ExposeSecret as _;

use crate::desk::Desk;
use crate::members::{add, by};

both!(
    an_invitation_is_followed_once_by_its_address,
    an_invitation_is_worth_what_its_inviter_may_give,
    invitations_are_made_and_followed_at_once,
);

async fn an_invitation_is_followed_once_by_its_address(desk: Desk) {
    let (ada, _) = add(&desk, "ada@example.org", SystemRole::Admin).await;
    let (bob, eve) = (
        desk.add_user("bob@example.org").await,
        desk.add_user("eve@example.org").await,
    );
    let admin = by(ada, SystemRole::Admin);
    let invite = async |role| {
        let to = "Bob@example.org".parse().unwrap();
        let meant = (&to, MemberRole::System(role));
        let made = invite_member(&desk.accounts, admin, meant, InvitationWay::Printed).await;
        made.map(printed_token)
    };
    assert!(matches!(
        invite(SystemRole::Owner).await,
        Err(AccountError::Escalation(_))
    ));
    let first = invite(SystemRole::Viewer).await.unwrap();
    let second = invite(SystemRole::Member).await.unwrap();
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
    let third = invite(SystemRole::Admin).await.unwrap();
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

/// The token that the operator is shown.
pub(crate) fn printed_token(made: MadeInvitation) -> String {
    made.token.unwrap().expose_secret().to_owned()
}

async fn invite(desk: &Desk, authority: MemberAuthority, email: &str, role: SystemRole) -> String {
    let to = email.parse().unwrap();
    let meant = (&to, MemberRole::System(role));
    let made = invite_member(&desk.accounts, authority, meant, InvitationWay::Printed).await;
    printed_token(made.unwrap())
}

async fn an_invitation_is_worth_what_its_inviter_may_give(desk: Desk) {
    let accounts = &desk.accounts;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let (ada, ada_id) = add(&desk, "ada@example.org", SystemRole::Admin).await;
    let (bob, eve) = (
        desk.add_user("bob@example.org").await,
        desk.add_user("eve@example.org").await,
    );
    let admin = by(ada, SystemRole::Admin);
    let to_bob = invite(&desk, admin, "bob@example.org", SystemRole::Viewer).await;
    let to_eve = invite(&desk, admin, "eve@example.org", SystemRole::Admin).await;
    let is_refused = async |user, token: &str| {
        let accepted = accept_invitation(accounts, user, token).await;
        matches!(accepted, Err(AccountError::InvalidToken))
    };
    let demote = async |role| {
        set_member_role(accounts, operator, ada_id, MemberRole::System(role), None)
            .await
            .unwrap();
    };
    demote(SystemRole::Member).await;
    assert!(is_refused(eve, &to_eve).await, "more than a member has");
    assert!(is_refused(bob, &to_bob).await, "a member invites nobody");
    demote(SystemRole::Admin).await;
    set_user_active(accounts, ada, false).await.unwrap();
    assert!(is_refused(bob, &to_bob).await);
    set_user_active(accounts, ada, true).await.unwrap();
    accept_invitation(accounts, bob, &to_bob).await.unwrap();
    remove_member(accounts, operator, ada_id).await.unwrap();
    // Who comes back later finds the invitations of earlier taken back.
    let admin_role = MemberRole::System(SystemRole::Admin);
    add_member(accounts, operator, ada, admin_role)
        .await
        .unwrap();
    assert!(is_refused(eve, &to_eve).await);
    let key = MemberAuthority {
        actor: Actor::Key(ApiKeyId::from_uuid(ada.as_uuid())),
        ..admin
    };
    let to = "eve@example.org".parse().unwrap();
    let by_key = invite_member(accounts, key, (&to, admin_role), InvitationWay::Mailed).await;
    assert!(matches!(by_key, Err(AccountError::Escalation(_))));
    let to_eve = invite(&desk, operator, "eve@example.org", SystemRole::Owner).await;
    accept_invitation(accounts, eve, &to_eve).await.unwrap();
}

async fn invitations_are_made_and_followed_at_once(desk: Desk) {
    let (ada, _) = add(&desk, "ada@example.org", SystemRole::Admin).await;
    let bob = desk.add_user("bob@example.org").await;
    let admin = by(ada, SystemRole::Admin);
    let token = invite(&desk, admin, "bob@example.org", SystemRole::Viewer).await;
    let another = desk.another().await;
    let many = (0..20).map(|n| {
        let accounts = if n % 4 < 2 { &desk.accounts } else { &another };
        let token = &token;
        async move {
            if n % 2 == 0 {
                let role = MemberRole::System(SystemRole::Viewer);
                let to = "bob@example.org".parse().unwrap();
                let way = InvitationWay::Mailed;
                invite_member(accounts, admin, (&to, role), way)
                    .await
                    .map(drop)
            } else {
                accept_invitation(accounts, bob, token).await.map(drop)
            }
        }
    });
    for done in join_all(many).await {
        assert!(
            // The address is sent no more mails than it may be.
            matches!(
                done,
                Ok(()) | Err(AccountError::InvalidToken | AccountError::Limited { .. })
            ),
            "{done:?}"
        );
    }
}
