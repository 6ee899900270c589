//! `omoi trace`: requirement → criterion → task → commit → receipt.

use std::process::ExitCode;

use super::access::{Purpose, reach};
use super::context::{Context, Overrides};
use crate::view::tree;

const EXAMPLES: &str = "\
Examples:
  omoi trace SPEC-1
  omoi trace SPEC-1 --output     with what every check printed
  omoi trace SPEC-1 --json";

/// Of which spec.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
    /// Show what each check printed
    #[arg(long)]
    output: bool,
}

/// Prints the trace.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let access = reach(context, settings, Purpose::Ask).await?;
    let trace = access.client.trace_spec(&arguments.spec).await;
    access.close(futures::stream::pending()).await?;
    let trace = trace?;
    if context.json() {
        context.print_json(&trace)?;
    } else {
        context.print(&tree::render(&trace, arguments.output, context.page()))?;
    }
    Ok(ExitCode::SUCCESS)
}
