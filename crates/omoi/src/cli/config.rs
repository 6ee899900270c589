//! `omoi config`: what is in force and where each value comes from.

use std::process::ExitCode;

use omoi_runtime::config::config_page;

use super::CommandContext;
use super::command_context::ConfigOverrides;
use crate::config_table::CONFIG_TABLE;
use crate::view::text_layout::{OutputPage, display_width, wrap_text};

const EXAMPLES: &str = "\
Examples:
  omoi config show                 every key, its value, the place it was set
  omoi config show --json

Later places win: default, your file, secret files, the environment, the command line. Secrets are masked.";

/// What to do with the configuration.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Print every key with its value and its place
    #[command(after_help = EXAMPLES)]
    Show,
    /// Print the page about every key, as Markdown
    #[command(after_help = "Examples:\n  omoi config reference")]
    Reference,
}

/// Prints the configuration in force, or the page about its keys.
pub(crate) fn run_config_command(
    context: &CommandContext,
    command: &ConfigCommand,
) -> anyhow::Result<ExitCode> {
    if matches!(command, ConfigCommand::Reference) {
        context.print_lines(&[config_page(&CONFIG_TABLE).trim_end().to_owned()])?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = context.load_settings(&ConfigOverrides::default())?.config;
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    if context.is_json() {
        context.print_json(&config.to_json())?;
    } else {
        let page = context.stdout_page();
        for line in config.to_string().lines() {
            context.print_lines(&wrap_key(line.trim_end(), page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One key on as many lines as the page is wide: what is behind its name goes below it.
fn wrap_key(line: &str, page: OutputPage) -> Vec<String> {
    if display_width(line) <= page.width {
        return vec![line.to_owned()];
    }
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut lines = vec![name.to_owned()];
    let below = wrap_text(rest, page.width - 4);
    lines.extend(below.iter().map(|line| format!("    {line}")));
    lines
}
