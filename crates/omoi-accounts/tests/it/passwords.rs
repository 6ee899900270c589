//! New passwords.

use std::time::Duration;

use omoi_accounts::commands::operator::set_user_password;
use omoi_accounts::commands::password::{
    PasswordChange, ask_password_reset, change_password, reset_password,
};
use omoi_accounts::commands::refresh::refresh_session;
use omoi_accounts::commands::register::register_user;
use omoi_accounts::commands::sign_out::set_user_active;
use omoi_accounts::commands::verify::verify_mail;
use omoi_accounts::error::AccountError;
use omoi_domain::access::password_rules::PasswordFault;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAction, AuditOutcome};
use omoi_domain::id::OrgId;
use secrecy::ExposeSecret as _;

use crate::audit::entries;
use crate::desk::{Desk, PASSWORD, registration, source};

both!(
    a_mailed_link_sets_a_password_once,
    whoever_knows_the_password_changes_it,
    whoever_may_not_sign_in_sets_no_password,
    the_operator_sets_a_password,
);

const ADA: &str = "ada@example.org";
const NEW: &str = "Kettle-Meadow-9";

async fn a_mailed_link_sets_a_password_once(desk: Desk) {
    let (accounts, here) = (&desk.accounts, source("192.0.2.1"));
    register_user(accounts, registration(ADA), &here)
        .await
        .unwrap();
    let verify = desk.mailed_token(ADA).await;
    let signed_in = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    ask_password_reset(accounts, "eve@example.org", &here)
        .await
        .unwrap();
    assert!(desk.mails_to("eve@example.org").await.is_empty());
    let ask = async || {
        ask_password_reset(accounts, ADA, &here).await.unwrap();
        desk.mailed_token(ADA).await
    };
    let token = ask().await;
    let set = async |token: &str, password: &str| {
        reset_password(accounts, token, password.into(), &here).await
    };
    // A token is good for its purpose alone.
    assert!(matches!(
        set(&verify, NEW).await,
        Err(AccountError::InvalidToken)
    ));
    assert!(matches!(
        verify_mail(accounts, &token, &here).await,
        Err(AccountError::InvalidToken)
    ));
    // A weak password leaves it good.
    let Err(AccountError::WeakPassword(faults)) = set(&token, "Password-1").await else {
        panic!("a common password was taken");
    };
    assert_eq!(faults, [PasswordFault::Common]);
    set(&token, NEW).await.unwrap();
    assert!(matches!(
        set(&token, NEW).await,
        Err(AccountError::InvalidToken)
    ));
    assert!(!desk.is_let_in(&signed_in).await);
    let refused = desk.sign_in(ADA, PASSWORD, "192.0.2.2").await;
    assert!(matches!(refused, Err(AccountError::InvalidCredentials)));
    desk.sign_in(ADA, NEW, "192.0.2.2").await.unwrap();
    let late = ask().await;
    desk.advance(Duration::from_mins(61));
    assert!(matches!(
        set(&late, NEW).await,
        Err(AccountError::InvalidToken)
    ));
    // Four mails an hour to one address are too many, whoever asks.
    for n in 0..3 {
        ask_password_reset(accounts, ADA, &source(&format!("198.51.{n}.1")))
            .await
            .unwrap();
    }
    let limited = ask_password_reset(accounts, ADA, &source("203.0.113.1")).await;
    assert!(matches!(limited, Err(AccountError::Limited { .. })));
}

async fn whoever_knows_the_password_changes_it(desk: Desk) {
    desk.make_user(ADA).await;
    let (one, two) = (
        desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap(),
        desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap(),
    );
    let claims = desk
        .accounts
        .access_tokens
        .verify_token(one.access_token.expose_secret(), desk.now());
    let user = claims.unwrap().claims.user;
    let change = async |old: &str, new: &str| {
        let passwords = PasswordChange {
            old: old.into(),
            new: new.into(),
        };
        change_password(&desk.accounts, user, passwords, &source("192.0.2.1")).await
    };
    assert!(matches!(
        change("Wrong-Guess-1", NEW).await,
        Err(AccountError::InvalidCredentials)
    ));
    assert!(matches!(
        change(PASSWORD, "short").await,
        Err(AccountError::WeakPassword(_))
    ));
    let told = entries(&desk, OrgId::PLATFORM).await;
    let guess = told
        .iter()
        .find(|entry| entry.action == AuditAction::PasswordChange);
    let guess = guess.unwrap();
    assert_eq!(
        (guess.outcome, guess.actor),
        (AuditOutcome::Denied, Actor::User(user))
    );
    let after = change(PASSWORD, NEW).await.unwrap();
    assert!(desk.is_let_in(&after).await);
    for ended in [one, two] {
        assert!(!desk.is_let_in(&ended).await);
        assert!(
            refresh_session(&desk.accounts, ended.refresh_token.expose_secret())
                .await
                .is_err()
        );
    }
    // Guesses through a session that was taken over lock like any others.
    for _ in 0..5 {
        assert!(matches!(
            change("Wrong-Guess-1", NEW).await,
            Err(AccountError::InvalidCredentials)
        ));
    }
    assert!(matches!(
        change(NEW, PASSWORD).await,
        Err(AccountError::Locked { .. })
    ));
}

async fn whoever_may_not_sign_in_sets_no_password(desk: Desk) {
    let (accounts, here) = (&desk.accounts, source("192.0.2.1"));
    let ada = desk.add_user(ADA).await;
    ask_password_reset(accounts, ADA, &here).await.unwrap();
    let token = desk.mailed_token(ADA).await;
    set_user_active(accounts, ada, false).await.unwrap();
    let refused = reset_password(accounts, &token, NEW.into(), &here).await;
    assert!(matches!(refused, Err(AccountError::InvalidToken)));
    set_user_active(accounts, ada, true).await.unwrap();
    desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    // The link was not used up.
    reset_password(accounts, &token, NEW.into(), &here)
        .await
        .unwrap();
}

async fn the_operator_sets_a_password(desk: Desk) {
    desk.make_user(ADA).await;
    let before = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    let set = async |email: &str, password: &str| {
        set_user_password(&desk.accounts, &email.parse().unwrap(), password.into()).await
    };
    assert!(matches!(
        set(ADA, "short").await,
        Err(AccountError::WeakPassword(_))
    ));
    assert!(matches!(
        set("eve@example.org", NEW).await,
        Err(AccountError::InvalidCredentials)
    ));
    assert!(desk.is_let_in(&before).await);
    set(ADA, NEW).await.unwrap();
    assert!(!desk.is_let_in(&before).await);
    let old = desk.sign_in(ADA, PASSWORD, "192.0.2.1").await;
    assert!(matches!(old, Err(AccountError::InvalidCredentials)));
    desk.sign_in(ADA, NEW, "192.0.2.1").await.unwrap();
}
