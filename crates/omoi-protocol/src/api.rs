//! The types of the one HTTP API, base path `/api/v1`: what the command line, the dashboard and other programs send
//! and read.
//!
//! Instants are RFC 3339 texts ([`ApiTime`]), amounts of money decimal texts ([`UsdText`]), ids UUIDs.

mod account;
mod agent;
mod approval;
mod audit;
mod board;
mod budget;
mod commit;
mod cost;
mod egress;
mod example;
mod execution;
mod graph;
mod money;
mod oauth;
mod operation;
mod organization;
mod page;
mod plan_edit;
mod process;
mod project;
mod reference;
mod search;
mod share;
mod spec;
mod task;
mod task_change;
mod ticket;
mod time;
mod trace;
mod upload;
mod validation;

pub use self::account::*;
pub use self::agent::*;
pub use self::approval::*;
pub use self::audit::*;
pub use self::board::*;
pub use self::budget::*;
pub use self::commit::*;
pub use self::cost::*;
pub use self::egress::*;
pub use self::example::*;
pub use self::execution::*;
pub use self::graph::*;
pub use self::money::*;
pub use self::oauth::*;
pub use self::operation::*;
pub use self::organization::*;
pub use self::page::*;
pub use self::plan_edit::*;
pub use self::process::*;
pub use self::project::*;
pub use self::reference::*;
pub use self::search::*;
pub use self::share::*;
pub use self::spec::*;
pub use self::task::*;
pub use self::task_change::*;
pub use self::ticket::*;
pub use self::time::*;
pub use self::trace::*;
pub use self::upload::*;
pub use self::validation::*;
