//! `omoi serve`: single roles, for deployments of several processes.

use std::process::ExitCode;

use clap::ValueEnum;

use omoi_store::DatabaseOptions;

use super::ModelArgs;
use super::command_context::{CommandContext, ConfigOverrides};
use super::error_report::UsageError;
use super::up::run_roles;
use crate::ErrorHint;
use crate::composition::ProcessRoles;

const EXAMPLES: &str = "\
Examples:
  omoi serve --roles api --database postgres://… --redis redis://…
  omoi serve --roles orchestrator --database postgres://… --redis redis://…
  omoi serve --roles api,orchestrator";

/// What this process does.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Roles to play: `api` answers people, `orchestrator` does the work
    #[arg(
        long,
        value_enum,
        value_name = "ROLES",
        value_delimiter = ',',
        required = true
    )]
    roles: Vec<RoleArg>,
    #[command(flatten)]
    model: ModelArgs,
    /// Port of the `api` role; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// One role as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    // Answers people.
    Api,
    // Plans, dispatches, validates and merges, and runs sandboxes.
    Orchestrator,
}

/// Starts a process with the named roles and runs it until stopped.
pub(crate) async fn serve_roles(
    context: &CommandContext,
    arguments: ServeArgs,
) -> anyhow::Result<ExitCode> {
    let ServeArgs { roles, model, port } = arguments;
    let roles = ProcessRoles {
        api: roles.contains(&RoleArg::Api),
        orchestrator: roles.contains(&RoleArg::Orchestrator),
    };
    let settings = context.load_settings(&ConfigOverrides { model, port })?;
    let is_shared = DatabaseOptions::from_config(&settings.config).is_shared();
    if roles != ProcessRoles::ALL && !is_shared {
        let error = UsageError(
            "processes with single roles share a database, which SQLite cannot be".to_owned(),
        );
        let hint = "name one with --database postgres://…, or play all roles: omoi up";
        return Err(anyhow::Error::new(error).context(ErrorHint(hint.to_owned())));
    }
    run_roles(context, settings, roles).await
}
