//! `omoi steer`: a word to the agent of a task, now or once it has one.

use std::process::ExitCode;

use omoi_domain::message::MessageType;
use omoi_domain::task::TaskStatus;
use omoi_protocol::control::Steer;

use super::access::{Access, Purpose, reach};
use super::context::{Context, Overrides};
use super::task::told;

const EXAMPLES: &str = "\
Examples:
  omoi steer TSK-003 \"dates are inclusive on both ends\"
  omoi steer TSK-003 \"stop and hand in what you have\" --interrupt";

/// Whom, and what.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Such as TSK-003, or todo/TSK-003 from outside of the repository
    #[arg(value_name = "TASK")]
    task: String,
    /// What to say
    #[arg(value_name = "TEXT")]
    text: String,
    /// Have the agent save its work and stop, and cancel its task
    #[arg(long)]
    interrupt: bool,
}

/// Queues the message.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let access = reach(context, settings, Purpose::Ask).await?;
    let done = steer(context, &access, arguments).await;
    access.close(futures::stream::pending()).await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn steer(context: &Context, access: &Access, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments {
        task,
        text,
        interrupt,
    } = arguments;
    let message_type = if interrupt {
        MessageType::Interrupt
    } else {
        MessageType::UserMessage
    };
    let message = Steer {
        content: text,
        message_type,
    };
    access.client.steer_task(&task, &message).await?;
    let task = access.client.get_task_detail(&task).await?.task;
    let has_agent = !access.is_own()
        && matches!(
            task.status,
            TaskStatus::Claiming | TaskStatus::Assigned | TaskStatus::Running
        );
    told(context, access, &task, what_follows(has_agent, interrupt))
}

/// What becomes of a message, said of its task.
fn what_follows(has_agent: bool, interrupt: bool) -> &'static str {
    match (has_agent, interrupt) {
        (true, false) => "reads it before its next turn",
        (true, true) => "is asked to stop: its agent saves its work, then it is called off",
        (false, false) => "has no agent at work: its next one is told",
        (false, true) => {
            "has no agent at work: its next one is stopped; `omoi task cancel` calls it off now"
        }
    }
}
