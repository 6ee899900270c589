//! Both surfaces on a real database, asked without a network: what every route refuses, and how.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

mod access;
mod api;
mod ask;
mod egress;
mod gateway_refusals;
mod live_stream;
mod openapi;
mod parallel_agents;
mod probes;
mod report_bench;
mod report_bounds;
mod repository_file;
mod shutdown;
mod typescript_client;
mod worker;
mod worker_socket;
