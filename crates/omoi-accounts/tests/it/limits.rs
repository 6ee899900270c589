//! Guesses are counted, exactly, over all processes.

use std::time::Duration;

use futures::future::join_all;
use omoi_accounts::commands::AccountMailKind;
use omoi_accounts::commands::sign_in::sign_in;
use omoi_accounts::commands::unlock::unlock_account;
use omoi_accounts::error::AccountError;

use crate::desk::{Desk, PASSWORD, source, token_of};

both!(
    of_many_guesses_at_once_five_are_looked_at,
    a_locked_account_is_opened_by_a_mail,
);

const ADA: &str = "ada@example.org";
const QUARTER: Duration = Duration::from_mins(15);

async fn of_many_guesses_at_once_five_are_looked_at(desk: Desk) {
    desk.make_user(ADA).await;
    let another = desk.another().await;
    // Each from an address of its own in one network, and half of them in another process.
    let guesses = (0..20).map(|n| {
        let accounts = if n % 2 == 0 { &desk.accounts } else { &another };
        async move {
            sign_in(
                accounts,
                ADA,
                "Wrong-Guess-1".into(),
                &source(&format!("192.0.2.{n}")),
            )
            .await
        }
    });
    let refusals: Vec<_> = join_all(guesses)
        .await
        .into_iter()
        .map(|guess| guess.unwrap_err().error)
        .collect();
    let n_looked = refusals
        .iter()
        .filter(|error| matches!(error, AccountError::InvalidCredentials))
        .count();
    let free_at = desk.now() + QUARTER;
    let is_locked = |error: &AccountError| matches!(error, AccountError::Locked { until: Some(at) } if *at == free_at);
    assert_eq!(n_looked, 5, "{refusals:?}");
    assert_eq!(refusals.iter().filter(|error| is_locked(error)).count(), 15);
    // The right password does not help there; from another network it does, and elsewhere nothing is cleared.
    let there = desk.sign_in(ADA, PASSWORD, "192.0.2.77").await.unwrap_err();
    assert!(is_locked(&there));
    desk.sign_in(ADA, PASSWORD, "198.51.100.1").await.unwrap();
    assert!(is_locked(
        &desk.sign_in(ADA, PASSWORD, "192.0.2.77").await.unwrap_err()
    ));
    desk.advance(QUARTER);
    desk.sign_in(ADA, PASSWORD, "192.0.2.77").await.unwrap();
    // Five right ones in a row clear the failures, not the address.
    for _ in 0..4 {
        desk.sign_in(ADA, PASSWORD, "192.0.2.77").await.unwrap();
    }
    let sixth = desk.sign_in(ADA, PASSWORD, "192.0.2.77").await.unwrap_err();
    let until = desk.now() + Duration::from_secs(60);
    assert!(matches!(sixth, AccountError::Limited { until: at } if at == until));
    let elsewhere = sign_in(
        &another,
        "x@example.org",
        PASSWORD.into(),
        &source("192.0.2.77"),
    )
    .await;
    assert!(matches!(
        elsewhere.unwrap_err().error,
        AccountError::Limited { .. }
    ));
}

async fn a_locked_account_is_opened_by_a_mail(desk: Desk) {
    desk.make_user(ADA).await;
    for n in 0..50 {
        let refused = desk
            .sign_in(ADA, "Wrong-Guess-1", &format!("198.51.{n}.1"))
            .await;
        assert!(
            matches!(refused, Err(AccountError::InvalidCredentials)),
            "{n}"
        );
    }
    let try_here =
        async || sign_in(&desk.accounts, ADA, PASSWORD.into(), &source("192.0.2.1")).await;
    let locked = try_here().await.unwrap_err();
    assert!(matches!(locked.error, AccountError::Locked { until: None }));
    let mail = locked.mail.unwrap();
    assert!(matches!(mail.kind, AccountMailKind::Unlock(_)));
    // One mail is under way already.
    assert!(try_here().await.unwrap_err().mail.is_none());
    desk.advance(Duration::from_hours(24));
    let again = try_here().await.unwrap_err();
    assert!(matches!(again.error, AccountError::Locked { until: None }));
    let old = unlock_account(&desk.accounts, &token_of(mail)).await;
    assert!(matches!(old, Err(AccountError::InvalidToken)));
    let token = token_of(again.mail.unwrap());
    unlock_account(&desk.accounts, &token).await.unwrap();
    try_here().await.unwrap();
}
