//! Who makes an account, what an invitation is worth then, and how an account ends.

use std::time::Duration;

use omoi_accounts::commands::account_end::delete_account;
use omoi_accounts::commands::invitation::{InvitationWay, invite_member};
use omoi_accounts::commands::member::{MemberAuthority, add_member};
use omoi_accounts::commands::organisation::{OrganisationDraft, create_organisation};
use omoi_accounts::commands::profile::{ProfileChange, update_profile};
use omoi_accounts::commands::register::{Registration, register_user};
use omoi_accounts::commands::sign_out::set_user_active;
use omoi_accounts::commands::waitlist::{approve_all_waiting, approve_waiting, list_waiting};
use omoi_accounts::context::AccountContext;
use omoi_accounts::error::AccountError;
use omoi_accounts::holder::authenticate_credential;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::audit::AuditAction;
use omoi_domain::id::{OrgId, UserId};
use omoi_store::{StoreError, Tx, organisations, users};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::audit::entries;
use crate::desk::{Desk, PASSWORD, registration, source};
use crate::invitations::printed_token;
use crate::members::add;

both!(
    an_invitation_makes_an_account_where_nothing_else_does,
    who_waits_is_let_in_by_staff,
    an_account_ends_with_all_that_tells_who_it_was,
    tries_at_a_disabled_account_are_told_of_it,
);

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";

fn with_mode(desk: &Desk, registration: RegistrationMode) -> AccountContext {
    AccountContext {
        registration,
        ..desk.accounts.clone()
    }
}

fn invited(email: &str, token: &str) -> Registration {
    Registration {
        invitation: Some(token.to_owned().into()),
        ..registration(email)
    }
}

async fn find(desk: &Desk, email: &str) -> Option<users::User> {
    let address = email.parse().unwrap();
    desk.read(async |tx| users::find_by_email(tx, &address).await)
        .await
}

async fn an_invitation_makes_an_account_where_nothing_else_does(desk: Desk) {
    let accounts = with_mode(&desk, RegistrationMode::Invite);
    let here = source("192.0.2.1");
    let closed = register_user(&accounts, registration(ADA), &here).await;
    assert!(matches!(closed, Err(AccountError::RegistrationClosed(_))));
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let invite = async |email: &str, role| {
        let meant = (&email.parse().unwrap(), MemberRole::System(role));
        let made = invite_member(&accounts, operator, meant, InvitationWay::Printed).await;
        printed_token(made.unwrap())
    };
    let token = invite(ADA, SystemRole::Owner).await;
    for (email, token) in [(BOB, token.as_str()), (ADA, "made up")] {
        let refused = register_user(&accounts, invited(email, token), &here).await;
        assert!(
            matches!(refused, Err(AccountError::InvalidToken)),
            "{email}"
        );
        assert!(find(&desk, email).await.is_none());
    }
    let here = source("192.0.2.2");
    register_user(&accounts, invited(ADA, &token), &here)
        .await
        .unwrap();
    let ada = find(&desk, ADA).await.unwrap();
    assert!(ada.verified_at.is_some() && desk.mails_to(ADA).await.is_empty());
    // The first owner answers for what the laptop's user did.
    let tenant = accounts.store.tenant(OrgId::LOCAL);
    let get = async |tx: &mut Tx| organisations::get(tx).await;
    assert_eq!(tenant.read(get).await.unwrap().owner_id, ada.id);
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.3").await.unwrap();
    let holder = authenticate_credential(&accounts, signed_in.access_token.expose_secret());
    let reaches = holder.await.unwrap().reaches.clone();
    assert_eq!(reaches[0].role, SystemRole::Owner.permission_set());
    // The token is good once. An address that has an account is told so, and keeps its invitation.
    let again = register_user(&accounts, invited(ADA, &token), &here).await;
    assert!(matches!(again, Err(AccountError::InvalidToken)));
    let bob = desk.add_user(BOB).await;
    let token = invite(BOB, SystemRole::Member).await;
    register_user(&accounts, invited(BOB, &token), &here)
        .await
        .unwrap();
    let told = desk.mails_to(BOB).await;
    assert_eq!(told.last().unwrap().subject, "You have an account already");
    let accept = omoi_accounts::commands::invitation::accept_invitation;
    accept(&accounts, bob, &token).await.unwrap();
}

async fn who_waits_is_let_in_by_staff(desk: Desk) {
    let accounts = with_mode(&desk, RegistrationMode::Waitlist);
    for (n, email) in [ADA, BOB, "eve@example.org"].into_iter().enumerate() {
        let here = source(&format!("192.0.2.{n}"));
        register_user(&accounts, registration(email), &here)
            .await
            .unwrap();
    }
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    let is_waiting = async || {
        let token = signed_in.access_token.expose_secret();
        authenticate_credential(&accounts, token)
            .await
            .unwrap()
            .is_waiting
    };
    assert!(is_waiting().await);
    let waiting = list_waiting(&accounts).await.unwrap();
    let ada = find(&desk, ADA).await.unwrap().id;
    assert_eq!(waiting.len(), 3);
    assert!(approve_waiting(&accounts, ada).await.unwrap());
    assert!(!approve_waiting(&accounts, ada).await.unwrap());
    assert!(!is_waiting().await);
    assert_eq!(approve_all_waiting(&accounts).await.unwrap(), 2);
    assert!(list_waiting(&accounts).await.unwrap().is_empty());
    let told = entries(&desk, OrgId::PLATFORM).await;
    let let_in = told
        .iter()
        .filter(|act| act.action == AuditAction::WaitlistApproved);
    assert_eq!(let_in.count(), 3);
}

async fn make_engines(desk: &Desk, owner: UserId) -> Result<OrgId, AccountError> {
    let draft = OrganisationDraft {
        name: "Engines".to_owned(),
        slug: "engines".parse().unwrap(),
        description: None,
        billing_email: None,
    };
    let made = create_organisation(&desk.accounts, Actor::System, owner, draft).await;
    made.map(|organisation| organisation.id)
}

async fn an_account_ends_with_all_that_tells_who_it_was(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, _) = add(&desk, ADA, SystemRole::Owner).await;
    let change = ProfileChange {
        full_name: Some("Ada\r\nBcc: eve@example.org".to_owned()),
        department: Some(Some("Engines".to_owned())),
        attributes: Some([("ui.theme".to_owned(), json!("dark"))].into()),
    };
    let changed = update_profile(accounts, ada, change).await.unwrap();
    assert_eq!(changed.name, "Ada Bcc: eve@example.org");
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    // The only owner who can sign in stays, whoever else is one.
    let engines = make_engines(&desk, ada).await.unwrap();
    let bob = desk.add_user(BOB).await;
    let (operator, owner) = (
        MemberAuthority::of_operator(engines),
        MemberRole::System(SystemRole::Owner),
    );
    let eve = desk.add_user("eve@example.org").await;
    for other in [eve, bob] {
        desk.advance(Duration::from_secs(1));
        add_member(accounts, operator, other, owner).await.unwrap();
        set_user_active(accounts, other, false).await.unwrap();
    }
    let refused = delete_account(accounts, ada).await;
    assert!(matches!(refused, Err(AccountError::LastOwner(_))));
    assert!(desk.is_let_in(&signed_in).await);
    let refused = make_engines(&desk, bob).await;
    let is_unknown = matches!(
        refused,
        Err(AccountError::Store(StoreError::NotFound { .. }))
    );
    assert!(is_unknown, "nobody could open it");
    set_user_active(accounts, bob, true).await.unwrap();
    add_member(
        accounts,
        MemberAuthority::of_operator(OrgId::LOCAL),
        bob,
        owner,
    )
    .await
    .unwrap();
    delete_account(accounts, ada).await.unwrap();
    assert!(!desk.is_let_in(&signed_in).await);
    let get = async |tx: &mut Tx| organisations::get(tx).await;
    let left = accounts.store.tenant(engines).read(get).await.unwrap();
    assert_eq!(left.owner_id, bob, "who can sign in, not who was first");
    let row = desk.read(async |tx| users::get(tx, ada).await).await;
    assert_eq!(
        (row.email, row.department, row.attributes),
        (None, None, None)
    );
    assert_eq!(
        (row.name.as_str(), row.is_active),
        ("deleted account", false)
    );
    // The address is free.
    desk.make_user(ADA).await;
    assert!(desk.sign_in(ADA, PASSWORD, "192.0.2.2").await.is_ok());
}

async fn tries_at_a_disabled_account_are_told_of_it(desk: Desk) {
    let ada = desk.add_user(ADA).await;
    set_user_active(&desk.accounts, ada, false).await.unwrap();
    for email in [ADA, BOB] {
        let refused = desk.sign_in(email, PASSWORD, "192.0.2.1").await;
        assert!(matches!(refused, Err(AccountError::InvalidCredentials)));
    }
    let told = entries(&desk, OrgId::PLATFORM).await;
    let failed: Vec<_> = told
        .iter()
        .filter(|act| act.action == AuditAction::LoginFailed)
        .collect();
    let at = |id: Option<UserId>| {
        let id = id.map(UserId::as_uuid);
        failed
            .iter()
            .find(|act| act.target.target_id == id)
            .unwrap()
    };
    assert!(at(Some(ada)).value_after.is_none());
    let digest = at(None).value_after.clone().unwrap();
    assert!(digest.contains("address_digest") && !digest.contains(BOB));
}
