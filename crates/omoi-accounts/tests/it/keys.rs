//! Keys reach no further than their owners.

use std::time::Duration;

use omoi_accounts::commands::key::{
    NewApiKey, OrganisationKey, authenticate_key, create_organisation_key, create_person_key,
    revoke_organisation_key, revoke_person_key,
};
use omoi_accounts::commands::member::{MemberAuthority, add_member, remove_member};
use omoi_accounts::commands::sign_out::set_user_active;
use omoi_accounts::error::AccountError;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::access::role_chain::RolePower;
use omoi_domain::actor::Actor;
use omoi_domain::id::OrgId;
use omoi_store::api_keys;
use secrecy::ExposeSecret as _;

use crate::desk::Desk;

both!(
    a_key_shrinks_with_its_owner,
    a_revoked_key_is_none,
    a_key_of_an_organisation_stays_when_its_maker_leaves,
    a_key_is_good_where_its_use_cannot_be_noted,
);

pub(crate) fn new_key(scopes: &[&str], days: Option<u32>) -> NewApiKey {
    NewApiKey {
        name: "ci".to_owned(),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        days,
    }
}

async fn a_key_shrinks_with_its_owner(desk: Desk) {
    let accounts = &desk.accounts;
    let ada = desk.add_user("ada@example.org").await;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let member = MemberRole::System(SystemRole::Member);
    let membership = add_member(accounts, operator, ada, member).await.unwrap();
    let wider = create_person_key(accounts, ada, None, new_key(&["ticket:*"], None)).await;
    assert!(
        matches!(wider, Err(AccountError::Escalation(_))),
        "a member forces no ticket"
    );
    let long = create_person_key(accounts, ada, None, new_key(&[], Some(366))).await;
    assert!(matches!(long, Err(AccountError::KeyLife)));
    let fresh = create_person_key(accounts, ada, None, new_key(&["ticket:write"], Some(1)))
        .await
        .unwrap();
    let text = fresh.key.expose_secret();
    let authenticate = async || authenticate_key(accounts, text).await;
    let caller = authenticate().await.unwrap();
    assert_eq!(caller.actor, Actor::User(ada));
    let permissions: Vec<_> = caller.reaches[0]
        .permissions_in(None)
        .list_permissions()
        .collect();
    assert_eq!(permissions, [Permission::TicketWrite]);
    let stored = desk
        .read(async |tx| api_keys::list_of_user(tx, ada).await)
        .await;
    assert_eq!(
        (stored.len(), stored[0].last_used_at),
        (1, Some(desk.now()))
    );
    assert!(
        !format!("{stored:?}").contains(&text[12..]),
        "only its beginning and a digest are kept"
    );
    // Its use is noted once a minute.
    desk.advance(Duration::from_secs(30));
    authenticate().await.unwrap();
    let noted = desk
        .read(async |tx| api_keys::list_of_user(tx, ada).await)
        .await;
    assert_eq!(noted[0].last_used_at, stored[0].last_used_at);
    remove_member(accounts, operator, membership).await.unwrap();
    assert!(authenticate().await.unwrap().reaches.is_empty());
    set_user_active(accounts, ada, false).await.unwrap();
    assert!(matches!(
        authenticate().await,
        Err(AccountError::InvalidToken)
    ));
    set_user_active(accounts, ada, true).await.unwrap();
    authenticate().await.unwrap();
    desk.advance(Duration::from_hours(24));
    assert!(matches!(
        authenticate().await,
        Err(AccountError::InvalidToken)
    ));
}

async fn a_revoked_key_is_none(desk: Desk) {
    let accounts = &desk.accounts;
    let ada = desk.add_user("ada@example.org").await;
    let other = create_person_key(accounts, ada, None, new_key(&[], None))
        .await
        .unwrap();
    let all = desk
        .read(async |tx| api_keys::list_of_user(tx, ada).await)
        .await;
    let id = all
        .iter()
        .find(|key| key.digest == other.row.digest)
        .unwrap()
        .id;
    assert!(revoke_person_key(accounts, ada, id).await.unwrap());
    assert!(!revoke_person_key(accounts, ada, id).await.unwrap());
    let revoked = authenticate_key(accounts, other.key.expose_secret()).await;
    assert!(matches!(revoked, Err(AccountError::InvalidToken)));
}

async fn a_key_of_an_organisation_stays_when_its_maker_leaves(desk: Desk) {
    let accounts = &desk.accounts;
    let ada = desk.add_user("ada@example.org").await;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let admin = MemberRole::System(SystemRole::Admin);
    let membership = add_member(accounts, operator, ada, admin).await.unwrap();
    let by = MemberAuthority {
        org: OrgId::LOCAL,
        actor: Actor::User(ada),
        power: RolePower::of_system(SystemRole::Admin),
    };
    let create = async |role, new| {
        let owner = OrganisationKey::Role(MemberRole::System(role));
        create_organisation_key(accounts, by, ada, owner, new).await
    };
    let above = create(SystemRole::Owner, new_key(&[], None)).await;
    assert!(matches!(above, Err(AccountError::Escalation(_))));
    let wider = create(SystemRole::Member, new_key(&["ticket:force"], None)).await;
    assert!(matches!(wider, Err(AccountError::Escalation(_))));
    let fresh = create(SystemRole::Admin, new_key(&["*:*"], None))
        .await
        .unwrap();
    remove_member(accounts, operator, membership).await.unwrap();
    let caller = authenticate_key(accounts, fresh.key.expose_secret())
        .await
        .unwrap();
    let Actor::Key(id) = caller.actor else {
        panic!("{:?}", caller.actor)
    };
    let permissions = caller.reaches[0].permissions_in(None);
    assert!(permissions.contains(Permission::SpecApprove));
    for kept in [
        Permission::OrgMembersWrite,
        Permission::OrgMembersDelete,
        Permission::OrgDelete,
        Permission::OrgLimitsWrite,
    ] {
        assert!(!permissions.contains(kept), "{kept}");
    }
    for n in 1..50 {
        create(SystemRole::Viewer, new_key(&[], None))
            .await
            .unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    let create_more = async |days| create(SystemRole::Viewer, new_key(&[], days)).await;
    let is_full = |made: Result<_, AccountError>| matches!(made, Err(AccountError::TooManyKeys));
    assert!(is_full(create_more(None).await));
    let revoke = async |by| revoke_organisation_key(accounts, by, id).await;
    let elsewhere = MemberAuthority::of_operator(OrgId::from_uuid(ada.as_uuid()));
    assert!(!revoke(elsewhere).await.unwrap());
    let below = MemberAuthority {
        power: RolePower::of_system(SystemRole::Member),
        ..by
    };
    assert!(matches!(
        revoke(below).await,
        Err(AccountError::Escalation(_))
    ));
    assert!(!revoke_person_key(accounts, ada, id).await.unwrap());
    assert!(revoke(by).await.unwrap());
    assert!(!revoke(by).await.unwrap());
    let revoked = authenticate_key(accounts, fresh.key.expose_secret()).await;
    assert!(matches!(revoked, Err(AccountError::InvalidToken)));
    // Its place is free, and so is that of one whose time is over.
    create_more(Some(1)).await.unwrap();
    assert!(is_full(create_more(None).await));
    desk.advance(Duration::from_hours(24));
    create_more(None).await.unwrap();
}

async fn a_key_is_good_where_its_use_cannot_be_noted(desk: Desk) {
    let ada = desk.add_user("ada@example.org").await;
    let fresh = create_person_key(&desk.accounts, ada, None, new_key(&[], None)).await;
    let fresh = fresh.unwrap();
    desk.raw(match desk.accounts.store.backend().as_str() {
        "sqlite" => {
            "create trigger kept before update on api_keys begin select raise(abort, 'kept'); end"
        }
        _ => "revoke update on api_keys from omoi_app",
    })
    .await;
    authenticate_key(&desk.accounts, fresh.key.expose_secret())
        .await
        .unwrap();
    let all = desk
        .read(async |tx| api_keys::list_of_user(tx, ada).await)
        .await;
    assert_eq!(all[0].last_used_at, None);
}
