//! `omoi config`: what is in force and where each value comes from.

use std::process::ExitCode;

use omoi_runtime::config::{config_page, keys};

use super::Context;
use super::context::Overrides;
use crate::view::text::{Page, width, wrap};

const EXAMPLES: &str = "\
Examples:
  omoi config show                 every key, its value, the place it was set
  omoi config show --json

Later places win: default, your file, secret files, the environment, the command line. Secrets are masked.";

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
        context.print(&[config_page(&keys::TABLE).trim_end().to_owned()])?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = context.settings(&Overrides::default())?.config;
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    if context.json() {
        context.print_json(&config.to_json())?;
    } else {
        let page = context.page();
        for line in config.to_string().lines() {
            context.print(&within(line.trim_end(), page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One key on as many lines as the page is wide: what is behind its name goes below it.
fn within(line: &str, page: Page) -> Vec<String> {
    if width(line) <= page.width {
        return vec![line.to_owned()];
    }
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut lines = vec![name.to_owned()];
    let below = wrap(rest, page.width - 4);
    lines.extend(below.iter().map(|line| format!("    {line}")));
    lines
}
