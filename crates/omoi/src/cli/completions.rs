//! `omoi completions`: what a shell needs to complete commands.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  omoi completions bash > ~/.local/share/bash-completion/completions/omoi
  omoi completions fish > ~/.config/fish/completions/omoi.fish";

/// Which shell the script is for.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completion script of a shell.
pub(crate) fn print_completions(
    arguments: &CompletionsArgs,
    command: &mut clap::Command,
) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "omoi", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script).context("could not write")?;
    Ok(ExitCode::SUCCESS)
}
