//! Sign-ins and their tokens.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use omoi_accounts::access_token::AccessTokens;
use omoi_accounts::commands::refresh::refresh_session;
use omoi_accounts::commands::register::register_user;
use omoi_accounts::commands::sign_in::sign_in;
use omoi_accounts::commands::sign_out::{set_user_active, sign_out, sign_out_everywhere};
use omoi_accounts::commands::verify::{resend_verification, verify_mail};
use omoi_accounts::context::AccountContext;
use omoi_accounts::error::AccountError;
use omoi_accounts::key_ring::KeyRing;
use omoi_accounts::refresh_token::{NamedGeneration, refresh_token};
use omoi_domain::id::UserId;
use omoi_runtime::rng::Rng;
use omoi_store::{Tx, sessions, users};
use secrecy::ExposeSecret as _;

use crate::desk::{Desk, PASSWORD, registration, source};

both!(
    an_account_is_made_verified_and_signed_in_to,
    a_verification_link_is_good_for_a_day,
    fifty_refreshes_of_one_token_give_one_successor,
    what_ends_a_session_ends_its_tokens,
    a_key_that_signs_no_more_makes_no_newer_token,
);

const ADA: &str = "ada@example.org";

async fn an_account_is_made_verified_and_signed_in_to(desk: Desk) {
    let accounts = &desk.accounts;
    let here = source("192.0.2.1");
    register_user(accounts, registration(" Ada@Example.org"), &here)
        .await
        .unwrap();
    let first = desk.mailed_token(ADA).await;
    // The newest link voids the one before.
    resend_verification(accounts, ADA, &here).await.unwrap();
    let second = desk.mailed_token(ADA).await;
    let verified = verify_mail(accounts, &first, &here).await;
    assert!(matches!(verified, Err(AccountError::InvalidToken)));
    // Before it is followed, one may sign in; the row says that the address is not verified.
    let unverified = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    assert!(desk.is_let_in(&unverified).await);
    verify_mail(accounts, &second, &here).await.unwrap();
    let verified = verify_mail(accounts, &second, &here).await;
    assert!(matches!(verified, Err(AccountError::InvalidToken)));
    register_user(accounts, registration(ADA), &here)
        .await
        .unwrap();
    let told = desk.mails_to(ADA).await;
    assert_eq!(told.last().unwrap().subject, "You have an account already");
    resend_verification(accounts, "eve@example.org", &source("192.0.2.9"))
        .await
        .unwrap();
    assert!(desk.mails_to("eve@example.org").await.is_empty());
    let all = desk.read(async |tx| users::list_all(tx).await).await;
    assert_eq!(all.len(), 2, "the laptop's user and Ada");
    let ada = all
        .iter()
        .find(|user| user.email.as_deref() == Some(ADA))
        .unwrap();
    assert_eq!(
        (ada.name.as_str(), ada.last_sign_in_at),
        ("ada", Some(desk.now()))
    );
    assert!(ada.verified_at.is_some());
    for (email, password) in [
        (ADA, "Opal-Harbour-8"),
        ("eve@example.org", PASSWORD),
        ("no address", PASSWORD),
    ] {
        let refused = desk.sign_in(email, password, "192.0.2.2").await;
        assert!(
            matches!(refused, Err(AccountError::InvalidCredentials)),
            "{email}"
        );
    }
}

async fn a_verification_link_is_good_for_a_day(desk: Desk) {
    let (accounts, here) = (&desk.accounts, source("192.0.2.1"));
    register_user(accounts, registration(ADA), &here)
        .await
        .unwrap();
    let late = desk.mailed_token(ADA).await;
    desk.advance(Duration::from_mins(24 * 60 + 1));
    let refused = verify_mail(accounts, &late, &here).await;
    assert!(matches!(refused, Err(AccountError::InvalidToken)));
    let is_verified = async || {
        let find = async |tx: &mut Tx| users::find_by_email(tx, &ADA.parse().unwrap()).await;
        desk.read(find).await.unwrap().verified_at.is_some()
    };
    assert!(!is_verified().await);
    resend_verification(accounts, ADA, &here).await.unwrap();
    let next = desk.mailed_token(ADA).await;
    desk.advance(Duration::from_mins(24 * 60 - 1));
    verify_mail(accounts, &next, &here).await.unwrap();
    assert!(is_verified().await);
}

async fn fifty_refreshes_of_one_token_give_one_successor(desk: Desk) {
    desk.make_user(ADA).await;
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    let other = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    desk.advance(Duration::from_secs(60));
    let first = signed_in.refresh_token.expose_secret().to_owned();
    let another = desk.another().await;
    let many = (0..50).map(|n| {
        let accounts = if n % 2 == 0 { &desk.accounts } else { &another };
        refresh_session(accounts, &first)
    });
    let many: Vec<_> = join_all(many)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let second = many[0].refresh_token.expose_secret();
    assert!(
        many.iter()
            .all(|next| next.refresh_token.expose_secret() == second)
    );
    assert_ne!(second, first);
    let session = signed_in.session;
    let row = desk
        .read(async |tx| sessions::find(tx, session).await)
        .await;
    assert_eq!(row.unwrap().generation, 1);
    assert!(desk.is_let_in(&many[49]).await);
    // Ten seconds later it is a copy, and the family ends with all its tokens; another one lives on.
    desk.advance(Duration::from_secs(10));
    let reused = refresh_session(&desk.accounts, &first).await.unwrap_err();
    assert!(matches!(reused, AccountError::TokenReused));
    let told = desk.mails_to(ADA).await;
    assert_eq!(told.last().unwrap().subject, "A session was ended");
    let ended = refresh_session(&desk.accounts, second).await.unwrap_err();
    assert!(matches!(ended, AccountError::InvalidToken));
    assert!(!desk.is_let_in(&many[0]).await);
    let other = refresh_session(&desk.accounts, other.refresh_token.expose_secret())
        .await
        .unwrap();
    assert!(desk.is_let_in(&other).await);
}

async fn what_ends_a_session_ends_its_tokens(desk: Desk) {
    desk.make_user(ADA).await;
    let accounts = &desk.accounts;
    let user = desk
        .read(async |tx| users::find_by_email(tx, &ADA.parse().unwrap()).await)
        .await;
    let user: UserId = user.unwrap().id;
    let sign_in = async || desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    let (one, two) = (sign_in().await, sign_in().await);
    let live = desk
        .read(async |tx| sessions::list_live(tx, user).await)
        .await;
    assert_eq!(live.len(), 2);
    assert_eq!(
        (live[0].user_agent.as_str(), live[0].ip.as_str()),
        ("test", "192.0.2.1")
    );
    // A session is nobody else's to end.
    assert!(
        !sign_out(accounts, UserId::LOCAL, one.session)
            .await
            .unwrap()
    );
    assert!(sign_out(accounts, user, one.session).await.unwrap());
    assert!(!desk.is_let_in(&one).await && desk.is_let_in(&two).await);
    assert_eq!(sign_out_everywhere(accounts, user).await.unwrap(), 1);
    assert!(!desk.is_let_in(&two).await);
    let three = sign_in().await;
    set_user_active(accounts, user, false).await.unwrap();
    assert!(!desk.is_let_in(&three).await);
    let refused = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await;
    assert!(matches!(refused, Err(AccountError::InvalidCredentials)));
    set_user_active(accounts, user, true).await.unwrap();
    // What was ended stays so, also much later.
    desk.advance(Duration::from_hours(25));
    for ended in [one, two, three] {
        assert!(!desk.is_let_in(&ended).await);
        let refused = refresh_session(accounts, ended.refresh_token.expose_secret()).await;
        assert!(matches!(refused.unwrap_err(), AccountError::InvalidToken));
    }
    let four = sign_in().await;
    desk.advance(Duration::from_hours(7 * 24));
    let idle = refresh_session(accounts, four.refresh_token.expose_secret()).await;
    assert!(matches!(idle.unwrap_err(), AccountError::InvalidToken));
}

/// The accounts of a process whose ring is `text`.
fn with_ring(desk: &Desk, text: &str) -> AccountContext {
    let ring = KeyRing::parse(&text.to_owned().into()).unwrap();
    AccountContext {
        access_tokens: Arc::new(AccessTokens::new(&ring, "omoi").unwrap()),
        ring: Arc::new(ring),
        ..desk.accounts.clone()
    }
}

async fn a_key_that_signs_no_more_makes_no_newer_token(desk: Desk) {
    desk.make_user(ADA).await;
    let rng = Rng::seeded(3);
    let [old, new] = [(); 2].map(|()| KeyRing::draw_text(&rng).expose_secret().to_owned());
    let before = with_ring(&desk, &old);
    let after = with_ring(&desk, &format!("{new},{old}"));
    let here = source("192.0.2.1");
    let signed_in = sign_in(&before, ADA, PASSWORD.into(), &here).await.unwrap();
    let session = signed_in.session;
    let refresh = async |token: &str| refresh_session(&after, token).await;
    // Whoever learnt the old key knows every session's id.
    let forged = |generation| {
        let named = NamedGeneration {
            session,
            generation,
        };
        let token = refresh_token(before.ring.signing_key(), named);
        token.expose_secret().to_owned()
    };
    let zeroth = signed_in.refresh_token.expose_secret();
    assert_eq!(forged(0), zeroth);
    let first = refresh(zeroth).await.unwrap();
    let first = first.refresh_token.expose_secret();
    let is_invalid = |refused| matches!(refused, Err(AccountError::InvalidToken));
    assert!(is_invalid(refresh(&forged(1)).await), "the newest");
    // The one before is really the old key's.
    let again = refresh(zeroth).await.unwrap();
    assert_eq!(again.refresh_token.expose_secret(), first);
    let second = refresh(first).await.unwrap();
    assert!(is_invalid(refresh(&forged(1)).await), "the one before");
    assert!(is_invalid(refresh(&forged(2)).await));
    let again = refresh(first).await.unwrap();
    assert_eq!(
        again.refresh_token.expose_secret(),
        second.refresh_token.expose_secret()
    );
    assert!(matches!(
        refresh(&forged(0)).await,
        Err(AccountError::TokenReused)
    ));
}
