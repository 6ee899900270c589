#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod column;
pub mod commit_links;
mod commit_sync;
mod edges;
mod error;
mod kept_clock;
mod open;
mod row;
mod tx;

pub mod dialect;
pub mod options;

pub mod ablations;
pub mod api_keys;
pub mod approvals;
pub mod attempt_tokens;
pub mod attempts;
pub mod audit_log;
pub mod board_columns;
pub mod board_positions;
pub mod budgets;
pub mod checks;
pub mod closed_credentials;
pub mod comments;
pub mod costs;
pub mod deliveries;
pub mod deployment;
pub mod discoveries;
pub mod egress_entries;
pub mod events;
pub mod expired_rows;
pub mod graph_rows;
pub mod invitations;
pub mod list_order;
pub mod mail_intents;
pub mod memberships;
pub mod merges;
pub mod messages;
pub mod model_fallbacks;
pub mod month_budgets;
pub mod notifications;
pub mod one_time_tokens;
pub mod open_calls;
pub mod operations;
pub mod opinions;
pub mod organisations;
pub mod ownership_offers;
pub mod phase_definitions;
pub mod phases;
pub mod project_grants;
pub mod projects;
pub mod provider_flows;
pub mod repository_trusts;
pub mod request_keys;
pub mod requirements;
pub mod roles;
pub mod row_page;
pub mod sandboxes;
pub mod search_documents;
pub mod sessions;
pub mod sign_in_limits;
pub mod slots;
pub mod spec_shares;
pub mod spec_versions;
pub mod specs;
pub mod staff_entries;
pub mod state_transitions;
pub mod stored_files;
pub mod tasks;
pub mod tickets;
pub mod user_identities;
pub mod users;

pub use column::{Args, Column, Json};
pub use commit_sync::CommitSync;
pub use dialect::DatabaseRow;
pub use error::StoreError;
pub use open::{
    CommittedEvents, StalledDisk, Store, StoreOptions, SystemStore, Tenant, TenantScope,
};
pub use options::{DatabaseOptions, ServerOptions};
pub use row::Row;
pub use tx::Tx;
