//! `omoi config`: what is in force and where each value comes from.

use std::process::ExitCode;

use omoi_runtime::config::{keys, page};

use super::Context;
use super::context::Overrides;

const EXAMPLES: &str = "\
Examples:
  omoi config show                 every key, its value, the place it was set
  omoi config show --json

Later places win: default, your file, the repository's .omoi.yaml, secret files, the environment,
the command line. Secrets are masked.";

/// What to do with the configuration.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Print every key with its value and its place
    #[command(after_help = EXAMPLES)]
    Show,
    /// Print the page about every key, as Markdown
    #[command(after_help = "Examples:\n  omoi config reference")]
    Reference,
}

/// Prints the configuration.
pub(crate) fn run(context: &Context, command: &Command) -> anyhow::Result<ExitCode> {
    if matches!(command, Command::Reference) {
        context.print(&[page(&keys::TABLE).trim_end().to_owned()])?;
        return Ok(ExitCode::SUCCESS);
    }
    let here = std::env::current_dir()?;
    let overrides = Overrides {
        repository: Some(&here),
        ..Overrides::default()
    };
    let config = context.settings(&overrides)?.config;
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    if context.json() {
        context.print_json(&config.to_json())?;
    } else {
        context.print(&[config.to_string().trim_end().to_owned()])?;
    }
    Ok(ExitCode::SUCCESS)
}
