//! What the store promises, on SQLite and on PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

/// Runs every named contract on both backends.
macro_rules! both {
    ($($contract:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $contract() {
                super::$contract(crate::bench::Bench::sqlite().await).await.unwrap();
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $contract() {
                super::$contract(crate::bench::Bench::postgres().await).await.unwrap();
            })+
        }
    };
}

mod agent_work;
mod attempts;
mod bench;
mod catalogue;
mod claims;
mod columns;
mod constraints;
mod costs;
mod counters;
mod deployment;
mod egress_entries;
mod events;
mod expired;
mod lists;
mod locks;
mod machines;
mod merge_conflicts;
mod month_budgets;
mod opening;
mod organisations;
mod phase_gates;
mod projects;
mod provider_keys;
mod queue;
mod receipts;
mod repository;
mod request_keys;
mod results;
mod rows;
mod samples;
mod schema;
mod search;
mod slots;
mod standing;
mod talk_rows;
mod tenancy;
mod threads;
mod tickets;
mod transactions;
mod upgrade;
mod verdicts;
