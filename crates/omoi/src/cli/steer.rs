//! `omoi steer`: a word to the agent of a task, read before its next turn.

use std::process::ExitCode;

use omoi_protocol::control::Steer;

use super::access::{Purpose, reach};
use super::context::{Context, Overrides};
use super::follow::tell_done;

const EXAMPLES: &str = "\
Examples:
  omoi steer TSK-003 \"dates are inclusive on both ends\"
  omoi steer TSK-003 \"stop and hand in what you have\" --interrupt";

/// Whom, and what.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Such as TSK-003
    #[arg(value_name = "TASK")]
    task: String,
    /// What to say
    #[arg(value_name = "TEXT")]
    text: String,
    /// Have the agent save its work and stop; its task is called off
    #[arg(long)]
    interrupt: bool,
}

/// Queues the message.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let access = reach(context, settings, Purpose::Ask).await?;
    let kind = if arguments.interrupt {
        "interrupt"
    } else {
        "user_message"
    };
    let message = Steer {
        content: arguments.text,
        message_type: kind.to_owned(),
    };
    let done = access.client.steer_task(&arguments.task, &message).await;
    access.close(futures::stream::pending()).await?;
    done?;
    tell_done(&format!("{} reads it before its next turn", arguments.task));
    Ok(ExitCode::SUCCESS)
}
