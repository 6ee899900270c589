//! Guesses are counted, exactly, over all processes.

use std::time::Duration;

use futures::future::join_all;
use omoi_accounts::commands::operator::make_operator_token;
use omoi_accounts::commands::password::{PasswordChange, ask_password_reset, change_password};
use omoi_accounts::commands::register::register_user;
use omoi_accounts::commands::sign_in::sign_in;
use omoi_accounts::commands::sign_out::set_user_active;
use omoi_accounts::commands::unlock::unlock_account;
use omoi_accounts::context::AccountContext;
use omoi_accounts::error::AccountError;
use omoi_accounts::password_pool::PasswordPool;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_runtime::rng::Rng;
use secrecy::ExposeSecret as _;

use crate::desk::{Desk, PASSWORD, registration, source};

both!(
    of_many_guesses_at_once_five_are_looked_at,
    a_locked_account_is_opened_by_a_mail,
    addresses_of_one_network_count_as_one,
    what_fails_by_our_fault_is_not_counted,
    nobody_is_refused_without_the_work_of_a_hash,
    of_many_tokens_made_at_once_one_is_good,
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
        .map(Result::unwrap_err)
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
        elsewhere.unwrap_err(),
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
    let is_locked_out =
        async || matches!(try_here().await, Err(AccountError::Locked { until: None }));
    assert!(is_locked_out().await);
    let before = desk.mails_to(ADA).await;
    assert_eq!(before.last().unwrap().subject, "Your account is locked");
    let old = desk.mailed_token(ADA).await;
    // One mail is under way already.
    assert!(is_locked_out().await);
    assert_eq!(desk.mails_to(ADA).await.len(), before.len());
    desk.advance(Duration::from_hours(24));
    assert!(is_locked_out().await);
    let token = desk.mailed_token(ADA).await;
    let void = unlock_account(&desk.accounts, &old).await;
    assert!(matches!(void, Err(AccountError::InvalidToken)));
    unlock_account(&desk.accounts, &token).await.unwrap();
    try_here().await.unwrap();
}

async fn addresses_of_one_network_count_as_one(desk: Desk) {
    let mut n_asked = 0;
    let mut ask = async |ip: &str| {
        n_asked += 1;
        let email = format!("eve{n_asked}@example.org");
        ask_password_reset(&desk.accounts, &email, &source(ip)).await
    };
    for (ips, other) in [
        (
            [
                "2001:db8::1",
                "2001:db8::2",
                "2001:db8::9:0:0:1",
                "2001:db8::3",
            ],
            "2001:db8:0:1::1",
        ),
        (
            [
                "192.0.2.1",
                "::ffff:192.0.2.1",
                "192.0.2.1",
                "::ffff:192.0.2.1",
            ],
            "192.0.2.2",
        ),
    ] {
        let [one, two, three, four] = ips;
        for ip in [one, two, three] {
            ask(ip).await.unwrap();
        }
        let limited = ask(four).await;
        assert!(
            matches!(limited, Err(AccountError::Limited { .. })),
            "{four}"
        );
        ask(other).await.unwrap();
    }
}

async fn what_fails_by_our_fault_is_not_counted(desk: Desk) {
    desk.make_user(ADA).await;
    let overloaded = AccountContext {
        passwords: PasswordPool::with_threads(Rng::seeded(2), 0),
        ..desk.accounts.clone()
    };
    for n in 0..6 {
        let here = source("192.0.2.1");
        let refused = sign_in(&overloaded, ADA, PASSWORD.into(), &here).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, AccountError::Passwords(_)), "{n}");
        let refused = register_user(&overloaded, registration("bob@example.org"), &here).await;
        assert!(matches!(refused, Err(AccountError::Passwords(_))), "{n}");
    }
    desk.sign_in(ADA, PASSWORD, "192.0.2.1").await.unwrap();
    for n in 0..5 {
        let refused = desk.sign_in(ADA, "Wrong-Guess-1", "192.0.2.2").await;
        assert!(
            matches!(refused, Err(AccountError::InvalidCredentials)),
            "{n}"
        );
    }
    let sixth = desk.sign_in(ADA, PASSWORD, "192.0.2.3").await;
    assert!(matches!(sixth, Err(AccountError::Locked { .. })));
}

/// Without a thread that hashes nobody is told that a sign-in failed: whether there is an account or not, its password is
/// looked at first. That both looks are one hash of the same cost, a test of the pool holds.
async fn nobody_is_refused_without_the_work_of_a_hash(desk: Desk) {
    let ada = desk.add_user(ADA).await;
    let off = desk.add_user("off@example.org").await;
    set_user_active(&desk.accounts, off, false).await.unwrap();
    desk.add_user("provider@example.org").await;
    desk.raw("update users set password_hash = null where email = 'provider@example.org'")
        .await;
    let idle = AccountContext {
        passwords: PasswordPool::with_threads(Rng::seeded(2), 0),
        ..desk.accounts.clone()
    };
    let cases = [
        ADA,
        "nobody@example.org",
        "off@example.org",
        "provider@example.org",
        "no address",
    ];
    for (n, email) in cases.into_iter().enumerate() {
        let here = source(&format!("192.0.{n}.1"));
        let unanswered = sign_in(&idle, email, "Wrong-Guess-1".into(), &here).await;
        assert!(
            matches!(unanswered, Err(AccountError::Passwords(_))),
            "{email}"
        );
        let refused = sign_in(&desk.accounts, email, "Wrong-Guess-1".into(), &here).await;
        assert!(
            matches!(refused, Err(AccountError::InvalidCredentials)),
            "{email}"
        );
    }
    // Whoever is signed in and gives a wrong password waits as long.
    let wrong = PasswordChange {
        old: "Wrong-Guess-1".into(),
        new: "Basalt-Meadow-4".into(),
    };
    let unanswered = change_password(&idle, ada, wrong, &source("192.0.9.1")).await;
    assert!(matches!(unanswered, Err(AccountError::Passwords(_))));
}

async fn of_many_tokens_made_at_once_one_is_good(desk: Desk) {
    let ada = desk.add_user(ADA).await;
    let another = desk.another().await;
    let made = (0..10).map(|n| {
        let accounts = if n % 2 == 0 { &desk.accounts } else { &another };
        make_operator_token(accounts, ada, TokenPurpose::Unlock)
    });
    let mut n_good = 0;
    for made in join_all(made).await {
        let token = made.unwrap().token;
        n_good += u32::from(
            unlock_account(&desk.accounts, token.expose_secret())
                .await
                .is_ok(),
        );
    }
    assert_eq!(n_good, 1);
}
