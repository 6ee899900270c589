//! `omoi serve`: single roles, for deployments of several processes.

use std::process::ExitCode;

use clap::ValueEnum;
use omoi_runtime::config::keys;

use super::ModelArgs;
use super::context::{Context, Overrides};
use super::fail::Usage;
use super::up::work;
use crate::Hint;
use crate::root::Roles;

const EXAMPLES: &str = "\
Examples:
  omoi serve --roles api --database postgres://… --redis redis://…
  omoi serve --roles orchestrator --database postgres://… --redis redis://…
  omoi serve --roles api,orchestrator";

/// What this process does.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Roles to play: `api` answers people, `orchestrator` does the work
    #[arg(
        long,
        value_enum,
        value_name = "ROLES",
        value_delimiter = ',',
        required = true
    )]
    roles: Vec<Role>,
    #[command(flatten)]
    model: ModelArgs,
    /// Port of the `api` role; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// One role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    // Answers people.
    Api,
    // Plans, dispatches, validates and merges, and runs sandboxes.
    Orchestrator,
}

/// Plays the roles.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { roles, model, port } = arguments;
    let roles = Roles {
        api: roles.contains(&Role::Api),
        orchestrator: roles.contains(&Role::Orchestrator),
    };
    let settings = context.settings(&Overrides { model, port })?;
    let is_shared = settings
        .config
        .get(&keys::DATABASE_URL)
        .starts_with("postgres");
    if roles != Roles::ALL && !is_shared {
        let what = Usage(
            "processes with single roles share a database, which SQLite cannot be".to_owned(),
        );
        let hint = "name one with --database postgres://…, or play all roles: omoi up";
        return Err(anyhow::Error::new(what).context(Hint(hint.to_owned())));
    }
    work(context, settings, roles).await
}
