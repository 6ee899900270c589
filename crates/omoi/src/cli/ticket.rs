//! `omoi ticket`: what people want done, and the groups of tasks of a plan.

use std::process::ExitCode;

use omoi_domain::spec::WorkEvidence;
use omoi_domain::task::Priority;
use omoi_domain::ticket::{TicketBlockReason, TicketStatus, WorkflowMode};
use omoi_protocol::api::{
    BlockTicket, CommentView, CreateTicket, TicketView, TransitionTicket, UpdateTicket,
};

use super::command_context::CommandContext;
use super::owner_access::OwnerAccess;
use super::owner_question::{ask_owner, print_rows, unknown_word};
use super::terminal::print_done;
use crate::view::text_layout::{OutputPage, clean_line, clean_lines, fit_columns, wrap_text};

/// What to do with tickets.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum TicketCommand {
    /// Write down what is wanted
    #[command(
        after_help = "Examples:\n  omoi ticket create \"Export todos as CSV\"\n  omoi ticket create \"Export todos\" --description \"As CSV.\" --priority HIGH --label export\n  omoi ticket create \"Export todos\" --quick --check \"pytest tests/test_export.py\""
    )]
    Create(CreateTicketArgs),
    /// List the tickets of a project, newest first
    #[command(after_help = "Examples:\n  omoi ticket list\n  omoi ticket list --status building")]
    List(ListTicketsArgs),
    /// Show a ticket with its comments
    #[command(after_help = "Examples:\n  omoi ticket show TKT-003")]
    Show(TicketArgs),
    /// Move a ticket to another status
    #[command(
        after_help = "Examples:\n  omoi ticket move TKT-003 analyzing\n  omoi ticket move TKT-003 building-done --force --reason \"done by hand\""
    )]
    Move(MoveTicketArgs),
    /// Say by which commands a ticket is judged that is done by one task
    #[command(
        after_help = "Examples:\n  omoi ticket checks TKT-003 \"pytest tests/test_export.py\""
    )]
    Checks(TicketChecksArgs),
    /// Hold a ticket up: none of its tasks starts
    #[command(
        after_help = "Examples:\n  omoi ticket block TKT-003 waiting_on_clarification --detail \"Whose todos?\""
    )]
    Block(BlockTicketArgs),
    /// Let a ticket go on
    #[command(after_help = "Examples:\n  omoi ticket unblock TKT-003")]
    Unblock(TicketArgs),
    /// Say that a ticket may be worked on, where that is waited for
    #[command(after_help = "Examples:\n  omoi ticket approve TKT-003")]
    Approve(TicketArgs),
    /// Say that a ticket is not worked on, and why
    #[command(
        after_help = "Examples:\n  omoi ticket reject TKT-003 --reason \"we have that already\""
    )]
    Reject(RejectTicketArgs),
    /// Comment on a ticket
    #[command(after_help = "Examples:\n  omoi ticket comment TKT-003 \"Which separator?\"")]
    Comment(CommentTicketArgs),
}

/// A ticket to write.
#[derive(clap::Args, Debug)]
pub(crate) struct CreateTicketArgs {
    /// What is wanted, in one line
    #[arg(value_name = "TITLE")]
    title: String,
    /// The same in more words
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// How much it matters: LOW, MEDIUM, HIGH or CRITICAL
    #[arg(long, value_name = "PRIORITY", default_value = "MEDIUM", value_parser = parse_priority)]
    priority: Priority,
    /// A word that people find it by; may be repeated
    #[arg(long = "label", value_name = "WORD")]
    labels: Vec<String>,
    /// A ticket that it waits for, such as TKT-002; may be repeated
    #[arg(long = "after", value_name = "TICKET")]
    dependencies: Vec<String>,
    /// Have it done by one task, once nothing stands against it
    #[arg(long, conflicts_with = "spec", group = "one_task")]
    quick: bool,
    /// Have it planned as a spec and done, once nothing stands against it
    #[arg(long)]
    spec: bool,
    /// Have what is wanted and its design written down first, then as --quick
    #[arg(long, conflicts_with = "spec", group = "one_task")]
    phased: bool,
    /// A command that shows that it is done, and fails before; may be repeated
    #[arg(long = "check", value_name = "CMD", requires = "one_task")]
    check_commands: Vec<String>,
    /// Write it although an open ticket says the same
    #[arg(long)]
    force: bool,
}

/// Which tickets.
#[derive(clap::Args, Debug)]
pub(crate) struct ListTicketsArgs {
    /// Such as backlog or building; all when absent
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Option<TicketStatus>,
}

/// The ticket that a command is about.
#[derive(clap::Args, Debug)]
pub(crate) struct TicketArgs {
    /// Such as TKT-003, or todo/TKT-003 from outside of the repository
    #[arg(value_name = "TICKET")]
    ticket: String,
}

/// Where a ticket goes.
#[derive(clap::Args, Debug)]
pub(crate) struct MoveTicketArgs {
    #[command(flatten)]
    named: TicketArgs,
    /// Such as analyzing, building or testing
    #[arg(value_name = "STATUS", value_parser = parse_status)]
    status: TicketStatus,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Pass the gate of its phase by; needs a reason
    #[arg(long, requires = "reason")]
    force: bool,
}

/// What shows that a ticket is done.
#[derive(clap::Args, Debug)]
pub(crate) struct TicketChecksArgs {
    #[command(flatten)]
    named: TicketArgs,
    /// Commands that pass once it is done, and fail before
    #[arg(value_name = "CMD")]
    commands: Vec<String>,
}

/// What holds a ticket up.
#[derive(clap::Args, Debug)]
pub(crate) struct BlockTicketArgs {
    #[command(flatten)]
    named: TicketArgs,
    /// dependency, waiting_on_clarification, failing_checks or environment
    #[arg(value_name = "WHAT", value_parser = parse_block)]
    what: TicketBlockReason,
    /// What would help
    #[arg(long, value_name = "TEXT")]
    detail: Option<String>,
}

/// A ticket that is not worked on.
#[derive(clap::Args, Debug)]
pub(crate) struct RejectTicketArgs {
    #[command(flatten)]
    named: TicketArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// A comment to write.
#[derive(clap::Args, Debug)]
pub(crate) struct CommentTicketArgs {
    #[command(flatten)]
    named: TicketArgs,
    /// The comment, in Markdown
    #[arg(value_name = "TEXT")]
    text: String,
}

fn parse_priority(text: &str) -> Result<Priority, String> {
    let known = Priority::ALL.iter().map(|value| value.as_str());
    Priority::parse(&text.to_ascii_uppercase()).ok_or_else(|| unknown_word(known))
}

fn parse_status(text: &str) -> Result<TicketStatus, String> {
    let known = TicketStatus::ALL.iter().map(|value| value.as_str());
    TicketStatus::parse(text).ok_or_else(|| unknown_word(known))
}

fn parse_block(text: &str) -> Result<TicketBlockReason, String> {
    let known = TicketBlockReason::ALL.iter().map(|value| value.as_str());
    TicketBlockReason::parse(text).ok_or_else(|| unknown_word(known))
}

/// Runs one `omoi ticket` command.
pub(crate) async fn run_ticket_command(
    context: &CommandContext,
    command: TicketCommand,
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
    command: TicketCommand,
) -> anyhow::Result<()> {
    let (client, page) = (&access.client, context.stdout_page());
    match command {
        TicketCommand::Create(arguments) => {
            let ticket = client.create_ticket(&new_ticket(arguments)).await?;
            tell_ticket(context, &ticket, "is written")
        }
        TicketCommand::List(ListTicketsArgs { status }) => {
            let status = status.map(TicketStatus::as_str);
            print_tickets(context, &client.list_tickets(status).await?)
        }
        TicketCommand::Show(TicketArgs { ticket }) => {
            let ticket = client.get_ticket(&ticket).await?;
            if context.is_json() {
                return Ok(context.print_json(&ticket)?);
            }
            let comments = client.list_comments(ticket.id.as_uuid()).await?;
            Ok(context.print_lines(&ticket_lines(&ticket, &comments, page))?)
        }
        TicketCommand::Move(arguments) => {
            let body = TransitionTicket {
                to_status: arguments.status,
                reason: arguments.reason,
                force: arguments.force,
            };
            let ticket = client
                .transition_ticket(&arguments.named.ticket, &body)
                .await?;
            tell_ticket(context, &ticket, &format!("is {}", ticket.status))
        }
        TicketCommand::Checks(TicketChecksArgs { named, commands }) => {
            let body = UpdateTicket {
                check_commands: Some(commands),
                ..UpdateTicket::default()
            };
            let ticket = client.update_ticket(&named.ticket, &body).await?;
            tell_ticket(context, &ticket, "is judged by these commands")
        }
        TicketCommand::Block(arguments) => {
            let body = BlockTicket {
                blocker_type: arguments.what,
                suggested_remediation: arguments.detail,
            };
            let ticket = client.block_ticket(&arguments.named.ticket, &body).await?;
            tell_ticket(context, &ticket, "is held up")
        }
        TicketCommand::Unblock(TicketArgs { ticket }) => {
            let ticket = client.unblock_ticket(&ticket).await?;
            tell_ticket(context, &ticket, "goes on")
        }
        TicketCommand::Approve(TicketArgs { ticket }) => {
            let ticket = client.approve_ticket(&ticket).await?;
            tell_ticket(context, &ticket, "may be worked on")
        }
        TicketCommand::Reject(RejectTicketArgs { named, reason }) => {
            let ticket = client.reject_ticket(&named.ticket, &reason).await?;
            tell_ticket(context, &ticket, "is not worked on")
        }
        TicketCommand::Comment(CommentTicketArgs { named, text }) => {
            let comment = client.comment_on_ticket(&named.ticket, &text).await?;
            if context.is_json() {
                return Ok(context.print_json(&comment)?);
            }
            print_done("The comment is written");
            Ok(())
        }
    }
}

fn print_tickets(context: &CommandContext, tickets: &[TicketView]) -> anyhow::Result<()> {
    let none = "No ticket yet: omoi ticket create TITLE";
    print_rows(context, tickets, none, ticket_line)
}

fn new_ticket(arguments: CreateTicketArgs) -> CreateTicket {
    CreateTicket {
        project_id: None,
        title: arguments.title,
        description: arguments.description,
        priority: arguments.priority,
        phase_id: None,
        labels: arguments.labels,
        assignee_id: None,
        workflow_mode: match (arguments.quick, arguments.spec, arguments.phased) {
            (true, _, _) => Some(WorkflowMode::Quick),
            (_, true, _) => Some(WorkflowMode::SpecDriven),
            (_, _, true) => Some(WorkflowMode::Phased),
            (false, false, false) => None,
        },
        check_commands: arguments.check_commands,
        dependencies: arguments.dependencies,
        check_duplicates: true,
        force_create: arguments.force,
    }
}

/// Says what became of a ticket, or prints it for scripts.
fn tell_ticket(context: &CommandContext, ticket: &TicketView, what: &str) -> anyhow::Result<()> {
    if context.is_json() {
        return Ok(context.print_json(ticket)?);
    }
    print_done(&format!("{} {what}", ticket.ticket_ref));
    Ok(())
}

/// A ticket in one line.
pub(super) fn ticket_line(ticket: &TicketView, width: usize) -> String {
    let held = if ticket.is_blocked { "  held up" } else { "" };
    let line = format!(
        "{}  {:13}  {:8}  {}{held}",
        ticket.ticket_ref,
        ticket.status.as_str(),
        ticket.priority.as_str(),
        clean_line(&ticket.title)
    );
    fit_columns(&line, width).into_owned()
}

fn ticket_lines(ticket: &TicketView, comments: &[CommentView], page: OutputPage) -> Vec<String> {
    let title = format!("{}  {}", ticket.ticket_ref, clean_line(&ticket.title));
    let mut lines = wrap_text(&title, page.width);
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    let tasks = ticket.task_counts;
    let held = ticket.blocked_reason.map(|reason| {
        let detail = ticket.blocked_detail.as_deref().unwrap_or_default();
        clean_line(&format!("{reason}  {detail}"))
    });
    let facts = [
        ("spec", ticket.spec_ref.clone().unwrap_or_default()),
        (
            "run",
            ticket.run_ref.clone().map_or_else(String::new, |run| {
                format!("{run}{}", evidence_words(ticket.evidence))
            }),
        ),
        ("checks", clean_line(&ticket.check_commands.join("; "))),
        ("status", format!("{}  {}", ticket.status, ticket.phase_id)),
        ("priority", ticket.priority.to_string()),
        ("held up", held.unwrap_or_default()),
        ("labels", clean_line(&ticket.labels.join(", "))),
        ("after", ticket.dependencies.blocked_by.join(", ")),
        ("before", ticket.dependencies.blocks.join(", ")),
        (
            "tasks",
            format!("{} of {} completed", tasks.completed, tasks.total),
        ),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        for (index, line) in wrap_text(value, page.width - 12).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("  {name:8}  {line}"));
        }
    }
    let texts = comments
        .iter()
        .filter_map(|comment| Some((comment.created_at, comment.content.as_deref()?)));
    let described = (!ticket.description.is_empty()).then_some(ticket.description.as_str());
    lines.extend(
        described
            .into_iter()
            .flat_map(|text| text_block(text, page)),
    );
    for (written, text) in texts {
        lines.push(String::new());
        lines.push(format!("  {}", page.dim(&written.to_string())));
        lines.extend(text_block(text, page).into_iter().skip(1));
    }
    lines
}

/// What is said of the work on a ticket that is its own plan.
fn evidence_words(evidence: Option<WorkEvidence>) -> &'static str {
    match evidence {
        Some(WorkEvidence::Checked) => "  checked by the suite, not proven",
        Some(WorkEvidence::Proven) => "  proven by its own checks",
        None => "",
    }
}

/// An empty line, and the lines of a text that somebody wrote.
fn text_block(text: &str, page: OutputPage) -> Vec<String> {
    let lines = clean_lines(text);
    let wrapped = lines.iter().flat_map(|line| match line.trim() {
        "" => vec![String::new()],
        line => wrap_text(line, page.width - 2),
    });
    let shown = wrapped.map(|line| format!("  {line}").trim_end().to_owned());
    std::iter::once(String::new()).chain(shown).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;
    use crate::view::text_layout::display_width;

    #[test]
    fn a_ticket_fits_the_page_whatever_it_says() {
        let id = "01930000-0000-7000-8000-000000000006";
        let at = "1970-01-01T00:00:00.000Z";
        let ticket: TicketView = serde_json::from_value(json!({
            "id": id, "ticket_ref": "TKT-001", "name": "todo/TKT-001", "project_id": id,
            "title": "A title without an end ".repeat(9), "description": "one\u{1b}[2J\n\nlong ".repeat(30),
            "priority": "CRITICAL", "status": "building-done", "phase_id": "PHASE_IMPLEMENTATION",
            "approval_status": "approved", "is_blocked": true, "blocked_reason": "waiting_on_clarification",
            "blocked_detail": "why ".repeat(40), "labels": ["a", "b"],
            "dependencies": { "blocked_by": ["TKT-002"], "blocks": [] },
            "task_counts": { "total": 3, "completed": 1 }, "n_comments": 1, "version": 4,
            "created_at": at, "updated_at": at,
        }))
        .unwrap();
        let comment: CommentView = serde_json::from_value(json!({
            "id": id, "ticket_id": id, "author": { "kind": "user", "id": id }, "content": "words ".repeat(50),
            "mentions": [], "version": 0, "created_at": at, "updated_at": at,
        }))
        .unwrap();
        let page = OutputPage::new(80, false);
        let mut lines = ticket_lines(&ticket, &[comment], page);
        lines.push(ticket_line(&ticket, page.width));
        assert!(lines.len() > 12, "{lines:#?}");
        for line in &lines {
            assert!(display_width(line) <= 80, "{line}");
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
    }
}
