//! Test-only: servers, databases, temporary repositories, sample rows.
//!
//! Every function here either gives what was asked for or panics with the package to install: a
//! test that needs a server fails without it and never skips itself. Under `cargo xtask test` one
//! PostgreSQL, one Redis, one mail server and one OpenID provider serve the whole run; a test started alone starts its own.
//!
//! What needs more of the workspace than the store is behind a feature, so that a crate's own tests
//! compile no more than they use: `attempts` (an attempt as a worker gets it), `deployment` (`TestDeployment`), `plans` (honest outputs
//! of every planning phase), `planning-corpus` (the cases the gates are measured with), `github-server` (GitHub's sign-in) and `agent-programs` (the
//! pinned programs that `cargo xtask setup` installs).

#[cfg(feature = "agent-programs")]
pub mod agent_programs;
pub mod agent_tasks;
pub mod audited;
pub mod blocking;
pub mod browser;
pub mod crash_points;
pub mod database;
#[cfg(feature = "deployment")]
pub mod deployment;
pub mod earlier_release;
pub mod fuzz;
#[cfg(feature = "github-server")]
pub mod github_server;
pub mod injections;
pub mod invariant;
#[cfg(feature = "deployment")]
pub mod kept_log;
pub mod mail_sink;
mod migrated;
pub mod openid_provider;
pub mod organisations;
pub mod package_clients;
#[cfg(feature = "planning-corpus")]
pub mod planning_corpus;
#[cfg(feature = "plans")]
pub mod plans;
pub mod podman;
pub mod postgres;
pub mod raw_connection;
pub mod redis;
#[cfg(feature = "agent-programs")]
pub mod registry_tools;
pub mod repo;
#[cfg(feature = "attempts")]
pub mod sample_attempt;
pub mod sample_rows;
mod server;
pub mod sqlite;
pub mod stub_registry;
#[cfg(feature = "deployment")]
pub mod watched_git;
pub mod web_client;
