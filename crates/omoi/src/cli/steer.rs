//! `omoi steer`: a word to the agent of a task, now or once it has one.

use std::process::ExitCode;

use omoi_domain::message::SteerType;
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::SteerTask;

use super::command_context::CommandContext;
use super::owner_access::OwnerAccess;
use super::owner_question::ask_owner;
use super::task::print_outcome;

const EXAMPLES: &str = "\
Examples:
  omoi steer TSK-003 \"dates are inclusive on both ends\"
  omoi steer TSK-003 \"stop and hand in what you have\" --interrupt";

/// The task, and the message to its agent.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SteerArgs {
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

/// Queues the message and says when the agent reads it.
pub(crate) async fn run_steer(
    context: &CommandContext,
    arguments: SteerArgs,
) -> anyhow::Result<ExitCode> {
    ask_owner(context, async |access| {
        send_message(context, access, arguments).await
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn send_message(
    context: &CommandContext,
    access: &OwnerAccess,
    arguments: SteerArgs,
) -> anyhow::Result<()> {
    let SteerArgs {
        task,
        text,
        interrupt,
    } = arguments;
    let message_type = if interrupt {
        SteerType::Interrupt
    } else {
        SteerType::UserMessage
    };
    let message = SteerTask {
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
    print_outcome(context, access, &task, what_follows(has_agent, interrupt))
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
