//! `omoi profile`: the servers that this person signed in to.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CommandContext;
use super::terminal::print_done;
use crate::ErrorHint;
use crate::server_profiles::{LOCAL_PROFILE, ServerProfiles};
use crate::view::text_layout::clean_line;

const LIST_EXAMPLES: &str = "\
Examples:
  omoi profile list
  omoi profile list --json";
const USE_EXAMPLES: &str = "\
Examples:
  omoi profile use omoi.example.org
  omoi profile use local";

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Show the servers, and which one commands ask
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Ask another server from now on, or `local`: the data folder of this machine
    Use(UseArgs),
}

/// Which profile.
#[derive(Args, Debug)]
#[command(after_help = USE_EXAMPLES)]
pub(crate) struct UseArgs {
    /// Its name, or `local`
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) fn run_profile_command(
    context: &CommandContext,
    command: ProfileCommand,
) -> anyhow::Result<ExitCode> {
    let folder = context.profiles_folder()?;
    match command {
        ProfileCommand::List => list_profiles(context, &ServerProfiles::load_from(&folder)?)?,
        ProfileCommand::Use(UseArgs { name }) => {
            ServerProfiles::use_profile(&folder, &name).map_err(|error| {
                let hint = "which there are: omoi profile list; a new one: omoi login URL";
                anyhow::Error::new(error).context(ErrorHint(hint.to_owned()))
            })?;
            print_done(&format!("Commands ask `{name}` from now on"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list_profiles(context: &CommandContext, all: &ServerProfiles) -> anyhow::Result<()> {
    let current = all.current_name().unwrap_or(LOCAL_PROFILE);
    if context.is_json() {
        let servers = all.list_profiles().map(|(name, profile)| {
            json!({ "name": name, "url": profile.url, "account": profile.account })
        });
        let local = json!({ "name": LOCAL_PROFILE, "url": null, "account": null });
        let profiles: Vec<_> = std::iter::once(local).chain(servers).collect();
        return Ok(context.print_json(&json!({ "current": current, "profiles": profiles }))?);
    }
    let line = |name: &str, about: &str| {
        let mark = if name == current { "*" } else { " " };
        format!("{mark} {name}  {about}")
    };
    let mut lines = vec![line(LOCAL_PROFILE, "the data folder of this machine")];
    lines.extend(all.list_profiles().map(|(name, profile)| {
        line(
            name,
            &format!("{}  {}", profile.url, clean_line(&profile.account)),
        )
    }));
    Ok(context.print_lines(&lines)?)
}
