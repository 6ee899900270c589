//! `omoi trace`: requirement → criterion → task → commit → receipt.

use std::process::ExitCode;

use super::command_context::CommandContext;
use super::owner_access::OwnerAccess;
use super::owner_question::ask_owner;
use crate::view::trace_tree;

const EXAMPLES: &str = "\
Examples:
  omoi trace SPEC-1
  omoi trace SPEC-1 --output     with what every check printed
  omoi trace SPEC-1 --json";

/// The spec whose trace is printed.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArgs {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
    /// Show what each check printed
    #[arg(long)]
    output: bool,
}

/// Prints what proves each criterion of a spec.
pub(crate) async fn print_trace(
    context: &CommandContext,
    arguments: TraceArgs,
) -> anyhow::Result<ExitCode> {
    let find = async |access: &OwnerAccess| Ok(access.client.trace_spec(&arguments.spec).await?);
    let trace = ask_owner(context, find).await?;
    if context.is_json() {
        context.print_json(&trace)?;
    } else {
        context.print_lines(&trace_tree::render_trace(
            &trace,
            arguments.output,
            context.stdout_page(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
