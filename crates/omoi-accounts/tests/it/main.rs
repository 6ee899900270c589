//! Accounts on SQLite and on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

/// Runs every named test on both backends.
macro_rules! both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::desk::Desk::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::desk::Desk::postgres().await).await;
            })+
        }
    };
}

mod audit;
mod desk;
mod holders;
mod invitations;
mod keys;
mod limits;
mod mails;
mod members;
mod organisations;
mod passwords;
mod provider_keys;
mod refusals;
mod registration;
mod roles;
mod sessions;
