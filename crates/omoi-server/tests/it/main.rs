//! Both surfaces on a real database, asked without a network: what every route refuses, and how.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

/// Runs every named test of people who sign in on both databases.
macro_rules! both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let database = omoi_testkit::sqlite::database();
                super::$test(crate::sign_in_desk::SignInDesk::on_database(database).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                let database = omoi_testkit::postgres::database();
                super::$test(crate::sign_in_desk::SignInDesk::on_database(database).await).await;
            })+
        }
    };
}

mod access;
mod admin;
mod agents;
mod answer_headers;
mod api;
mod approvals;
mod ask;
mod bad_input;
mod board;
mod browsers;
mod budgets;
mod credential_sweep;
mod credential_traces;
mod credentials;
mod egress;
mod event_pages;
mod event_receiver;
mod event_sockets;
mod files;
mod gateway_refusals;
mod linked_tickets;
mod lists;
mod live_strangers;
mod live_stream;
mod matrix;
mod network_listener;
mod new_tasks;
mod notifications;
mod oauth;
mod openapi;
mod operations;
mod organizations;
mod owasp;
mod parallel_agents;
mod phase_gates;
mod plan_edits;
mod planned_tasks;
mod probes;
mod projects;
mod provider_keys;
mod put_away;
mod registration;
mod report_bench;
mod report_bounds;
mod repository_file;
mod request_keys;
mod results;
mod roles_by_route;
mod search;
mod shutdown;
mod sign_in_desk;
mod signed_in;
mod stream_endings;
mod task_changes;
mod threads;
mod ticket_contexts;
mod ticket_races;
mod tickets;
mod typescript_client;
mod uploads;
mod versions;
mod worker;
mod worker_openapi;
mod worker_socket;
