//! Who a credential belongs to, and how long that is believed.

use std::sync::Arc;
use std::time::Duration;

use omoi_accounts::commands::key::{
    NewApiKey, OrganisationKey, create_organisation_key, create_person_key, revoke_person_key,
};
use omoi_accounts::commands::live_ticket::{make_live_ticket, redeem_live_ticket};
use omoi_accounts::commands::member::{MemberAuthority, add_member, remove_member};
use omoi_accounts::commands::sign_out::sign_out;
use omoi_accounts::context::AccountContext;
use omoi_accounts::error::AccountError;
use omoi_accounts::holder::{
    CredentialHolder, CredentialKind, authenticate_credential, reload_holder,
};
use omoi_accounts::holder_cache::{KEPT_FOR, follow_revocations};
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::id::OrgId;
use omoi_runtime::bus::{Bus, LocalBus};
use omoi_runtime::clock::ManualClock;
use omoi_runtime::lifecycle::Lifecycle;
use secrecy::{ExposeSecret as _, SecretString};

use crate::desk::{Desk, PASSWORD, is_let_in};

both!(
    a_revocation_holds_here_at_once_and_elsewhere_within_five_seconds,
    a_hint_makes_another_process_forget_at_once,
    a_key_is_held_by_whoever_it_acts_for,
    a_ticket_opens_one_stream_for_whoever_asked,
);

const ADA: &str = "ada@example.org";

async fn a_revocation_holds_here_at_once_and_elsewhere_within_five_seconds(desk: Desk) {
    let ada = desk.add_user(ADA).await;
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    let another = desk.another().await;
    assert!(desk.is_let_in(&signed_in).await && is_let_in(&another, &signed_in).await);
    assert!(
        sign_out(&desk.accounts, ada, signed_in.session)
            .await
            .unwrap()
    );
    assert!(!desk.is_let_in(&signed_in).await);
    // Nothing tells the other process, which believes what it read.
    assert!(is_let_in(&another, &signed_in).await);
    desk.advance(KEPT_FOR);
    assert!(!is_let_in(&another, &signed_in).await);
}

async fn a_hint_makes_another_process_forget_at_once(desk: Desk) {
    let ada = desk.add_user(ADA).await;
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    let another = desk.another().await;
    let lifecycle = Lifecycle::new(Arc::new(ManualClock::new(desk.now())));
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
    for accounts in [&desk.accounts, &another] {
        follow_revocations(&accounts.holders, &lifecycle.handle(), &bus);
    }
    assert!(is_let_in(&another, &signed_in).await);
    assert!(
        sign_out(&desk.accounts, ada, signed_in.session)
            .await
            .unwrap()
    );
    // The clock stands still: nothing but the hint can end it.
    while is_let_in(&another, &signed_in).await {
        tokio::task::yield_now().await;
    }
    lifecycle.handle().stop();
}

async fn holder(accounts: &AccountContext, text: &str) -> Result<CredentialHolder, AccountError> {
    let held = authenticate_credential(accounts, text).await?;
    Ok(CredentialHolder::clone(&held))
}

async fn a_key_is_held_by_whoever_it_acts_for(desk: Desk) {
    let accounts = &desk.accounts;
    let ada = desk.add_user(ADA).await;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let member = MemberRole::System(SystemRole::Member);
    let membership = add_member(accounts, operator, ada, member).await.unwrap();
    let new = NewApiKey {
        name: "ci".to_owned(),
        scopes: Vec::new(),
        days: Some(1),
    };
    let own = create_person_key(accounts, ada, None, new.clone());
    let own = own.await.unwrap();
    let text = own.key.expose_secret();
    let held = holder(accounts, text).await.unwrap();
    assert_eq!(held.actor, Actor::User(ada));
    assert_eq!(held.credential, CredentialKind::Key(own.row.id));
    assert!(held.is_verified && !held.is_staff && held.reaches.len() == 1);
    remove_member(accounts, operator, membership).await.unwrap();
    assert!(holder(accounts, text).await.unwrap().reaches.is_empty());
    let role = OrganisationKey::Role(MemberRole::System(SystemRole::Viewer));
    let made = create_organisation_key(accounts, operator, ada, role, new);
    let made = made.await.unwrap();
    let held = holder(accounts, made.key.expose_secret()).await.unwrap();
    assert_eq!(
        (held.actor, held.user_id()),
        (Actor::Key(made.row.id), None)
    );
    assert!(revoke_person_key(accounts, ada, own.row.id).await.unwrap());
    assert!(matches!(
        holder(accounts, text).await,
        Err(AccountError::InvalidToken)
    ));
    desk.advance(Duration::from_hours(24));
    let expired = holder(accounts, made.key.expose_secret()).await;
    assert!(matches!(expired, Err(AccountError::InvalidToken)));
    for text in ["", "sk_live_x", "a.b.c", "made up"] {
        let refused = holder(accounts, text).await;
        assert!(matches!(refused, Err(AccountError::InvalidToken)), "{text}");
    }
}

async fn a_ticket_opens_one_stream_for_whoever_asked(desk: Desk) {
    let accounts = &desk.accounts;
    let ada = desk.add_user(ADA).await;
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    let held = holder(accounts, signed_in.access_token.expose_secret());
    let held = held.await.unwrap();
    let redeem =
        async |ticket: &SecretString| redeem_live_ticket(accounts, ticket.expose_secret()).await;
    let first = make_live_ticket(accounts, &held).await.unwrap();
    let redeemed = redeem(&first).await.unwrap();
    assert_eq!(redeemed.session_id(), Some(signed_in.session));
    assert_eq!(redeemed.user_id(), Some(ada));
    let is_refused = |done: Result<Arc<CredentialHolder>, AccountError>| {
        matches!(done, Err(AccountError::InvalidToken))
    };
    assert!(is_refused(redeem(&first).await), "once");
    assert!(reload_holder(accounts, &redeemed).await.is_ok());
    let late = make_live_ticket(accounts, &held).await.unwrap();
    desk.advance(Duration::from_secs(60));
    assert!(is_refused(redeem(&late).await), "within a minute");
    let ended = make_live_ticket(accounts, &held).await.unwrap();
    let counted = accounts.revocations_counted().await.unwrap();
    sign_out(accounts, ada, signed_in.session).await.unwrap();
    assert!(is_refused(redeem(&ended).await), "while the sign-in lasts");
    assert!(is_refused(reload_holder(accounts, &redeemed).await));
    // The count is believed for half a second.
    assert_eq!(accounts.revocations_counted().await.unwrap(), counted);
    desk.advance(Duration::from_millis(500));
    assert_eq!(accounts.revocations_counted().await.unwrap(), counted + 1);
    let folder = CredentialHolder::folder_owner();
    let of_folder = make_live_ticket(accounts, &folder).await.unwrap();
    let redeemed = redeem(&of_folder).await.unwrap();
    assert_eq!(redeemed.credential, CredentialKind::Folder);
    let new = NewApiKey {
        name: "ci".to_owned(),
        scopes: Vec::new(),
        days: None,
    };
    let made = create_person_key(accounts, ada, None, new).await.unwrap();
    let by_key = holder(accounts, made.key.expose_secret()).await.unwrap();
    let of_key = make_live_ticket(accounts, &by_key).await.unwrap();
    let redeemed = redeem(&of_key).await.unwrap();
    assert_eq!(redeemed.credential, CredentialKind::Key(made.row.id));
    revoke_person_key(accounts, ada, made.row.id).await.unwrap();
    assert!(is_refused(reload_holder(accounts, &redeemed).await));
}
