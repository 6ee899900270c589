//! `omoi thread`: what agents and people say to each other.

use std::process::ExitCode;

use omoi_domain::id::ThreadId;
use omoi_domain::thread::{ThreadMessageType, ThreadStatus};
use omoi_protocol::api::{
    DeliveryView, ParticipantView, SendThreadMessage, ThreadMessageView, ThreadView,
};

use super::command_context::CommandContext;
use super::owner_access::OwnerAccess;
use super::owner_question::{ask_owner, print_rows, unknown_word};
use super::terminal::print_done;
use crate::view::text_layout::{OutputPage, clean_line, clean_lines, fit_columns, wrap_text};

/// What to do with threads.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ThreadCommand {
    /// List the threads of a project, those in which something was said last first
    #[command(
        after_help = "Examples:\n  omoi thread list\n  omoi thread list --status active --json"
    )]
    List(ListThreadsArgs),
    /// Show who takes part in a thread, and what was said
    #[command(after_help = "Examples:\n  omoi thread show 01930000-0000-7000-8000-00000000000e")]
    Show(ThreadArgs),
    /// Say something in a thread, or to the agent of a task; its agent reads it as information
    #[command(
        after_help = "Examples:\n  omoi thread send TSK-003 \"Which port does the server use?\" --type question\n  omoi thread send 01930000-0000-7000-8000-00000000000e \"4317\" --type answer --to TSK-002\n\nFor orders there is `omoi steer`."
    )]
    Send(SendMessageArgs),
    /// Close a thread: nothing is said in it any more
    #[command(after_help = "Examples:\n  omoi thread close 01930000-0000-7000-8000-00000000000e")]
    Close(ThreadArgs),
}

/// Which threads.
#[derive(clap::Args, Debug)]
pub(crate) struct ListThreadsArgs {
    /// active, resolved or expired; all when absent
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Option<ThreadStatus>,
}

/// The thread that a command is about.
#[derive(clap::Args, Debug)]
pub(crate) struct ThreadArgs {
    /// Id of the thread, as `omoi thread list` shows it
    #[arg(value_name = "THREAD")]
    thread: ThreadId,
}

/// Something to say.
#[derive(clap::Args, Debug)]
pub(crate) struct SendMessageArgs {
    /// Id of a thread, or a task such as TSK-003
    #[arg(value_name = "THREAD|TASK")]
    place: String,
    /// What to say
    #[arg(value_name = "TEXT")]
    text: String,
    /// info, question, answer, warning or discovery
    #[arg(long = "type", value_name = "TYPE", default_value = "info", value_parser = parse_message_type)]
    message_type: ThreadMessageType,
    /// The task whose agent alone it is for; everybody when absent
    #[arg(long, value_name = "TASK")]
    to: Option<String>,
}

fn parse_status(text: &str) -> Result<ThreadStatus, String> {
    let known = ThreadStatus::ALL.iter().map(|value| value.as_str());
    ThreadStatus::parse(text).ok_or_else(|| unknown_word(known))
}

fn parse_message_type(text: &str) -> Result<ThreadMessageType, String> {
    let known = ThreadMessageType::ALL.iter().map(|value| value.as_str());
    ThreadMessageType::parse(text).ok_or_else(|| unknown_word(known))
}

/// Runs one `omoi thread` command.
pub(crate) async fn run_thread_command(
    context: &CommandContext,
    command: ThreadCommand,
) -> anyhow::Result<ExitCode> {
    ask_owner(context, async |access| {
        answer_command(context, access, command).await
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer_command(
    context: &CommandContext,
    access: &OwnerAccess,
    command: ThreadCommand,
) -> anyhow::Result<()> {
    let (client, page) = (&access.client, context.stdout_page());
    match command {
        ThreadCommand::List(ListThreadsArgs { status }) => {
            let found = client.list_threads(status).await?;
            print_rows(
                context,
                &found,
                "No thread yet: omoi thread send TASK TEXT",
                thread_line,
            )
        }
        ThreadCommand::Show(ThreadArgs { thread }) => {
            let thread = client.get_thread(thread).await?;
            let messages = client.list_thread_messages(thread.id).await?;
            if context.is_json() {
                let shown = serde_json::json!({ "thread": thread, "messages": messages });
                return Ok(context.print_json(&shown)?);
            }
            Ok(context.print_lines(&thread_lines(&thread, &messages, page))?)
        }
        ThreadCommand::Send(arguments) => {
            let thread_id = match arguments.place.parse::<ThreadId>() {
                Ok(id) => id,
                Err(_) => client.open_thread_with(&arguments.place).await?.id,
            };
            let body = SendThreadMessage {
                thread_id,
                message_type: arguments.message_type,
                content: arguments.text,
                to_agent: arguments.to,
                to_user: None,
            };
            let message = client.send_thread_message(&body).await?;
            if context.is_json() {
                return Ok(context.print_json(&message)?);
            }
            let told: Vec<String> = message.deliveries.iter().map(recipient_name).collect();
            print_done(&format!(
                "Said to {} in thread {thread_id}",
                told.join(", ")
            ));
            Ok(())
        }
        ThreadCommand::Close(ThreadArgs { thread }) => {
            let thread = client.close_thread(thread).await?;
            if context.is_json() {
                return Ok(context.print_json(&thread)?);
            }
            print_done(&format!("Thread {} is {}", thread.id, thread.status));
            Ok(())
        }
    }
}

/// A thread in one line.
fn thread_line(thread: &ThreadView, width: usize) -> String {
    let names: Vec<String> = thread.participants.iter().map(participant_name).collect();
    let line = format!(
        "{}  {:8}  {:12}  {}",
        thread.id,
        thread.status.as_str(),
        thread.thread_type.as_str(),
        names.join(", ")
    );
    fit_columns(&line, width).into_owned()
}

fn recipient_name(delivery: &DeliveryView) -> String {
    participant_name(&delivery.to)
}

/// `TSK-003` of an agent, the kind and the end of the id of everybody else.
fn participant_name(participant: &ParticipantView) -> String {
    match &participant.task_ref {
        Some(task) => clean_line(task),
        None => {
            let id = clean_line(&participant.id);
            let end = id.chars().count().saturating_sub(8);
            let short: String = id.chars().skip(end).collect();
            format!("{} {short}", participant.kind)
        }
    }
}

fn thread_lines(
    thread: &ThreadView,
    messages: &[ThreadMessageView],
    page: OutputPage,
) -> Vec<String> {
    let head = thread_line(thread, page.width);
    let mut lines = vec![page.bold(&head)];
    for message in messages {
        let from = participant_name(&message.from);
        let to = message.deliveries.iter().map(delivery_words);
        let to = to.collect::<Vec<_>>().join(", ");
        let line = format!("{from} → {to}  {}", message.message_type);
        lines.push(String::new());
        lines.extend(wrap_text(&line, page.width));
        let said = clean_lines(&message.content);
        let said = said.iter().flat_map(|line| wrap_text(line, page.width - 2));
        lines.extend(said.map(|line| format!("  {line}")));
        lines.push(format!("  {}", page.dim(&message.created_at.to_string())));
    }
    lines
}

/// Who is to read a message, and what became of that.
fn delivery_words(delivery: &DeliveryView) -> String {
    let name = recipient_name(delivery);
    match (delivery.delivered_at, delivery.expired_at) {
        (_, Some(_)) => format!("{name} (not read in time)"),
        (None, None) => format!("{name} (waits)"),
        (Some(_), None) => name,
    }
}
