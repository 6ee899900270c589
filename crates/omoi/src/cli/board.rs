//! `omoi board`: the tickets of a project, column by column.

use std::process::ExitCode;

use omoi_protocol::api::{BoardColumnView, BoardView};

use super::command_context::CommandContext;
use super::owner_access::OwnerAccess;
use super::owner_question::ask_owner;
use super::ticket::ticket_line;
use crate::view::text_layout::{OutputPage, clean_line, count_noun};

/// Prints the board of the project here.
pub(crate) async fn print_board(context: &CommandContext) -> anyhow::Result<ExitCode> {
    let view = async |access: &OwnerAccess| Ok(access.client.view_board().await?);
    let board = ask_owner(context, view).await?;
    match context.is_json() {
        true => context.print_json(&board)?,
        false => context.print_lines(&board_lines(&board, context.stdout_page()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn board_lines(board: &BoardView, page: OutputPage) -> Vec<String> {
    let columns = board.columns.iter();
    columns
        .flat_map(|column| column_lines(column, page))
        .collect()
}

fn column_lines(column: &BoardColumnView, page: OutputPage) -> Vec<String> {
    let room = column
        .wip_limit
        .map_or_else(String::new, |limit| format!(" of {limit}"));
    let count = format!("{}{room}", column.current_count);
    let count = match column.wip_exceeded {
        true => page.red(&count),
        false => count,
    };
    let mut lines = vec![format!("{}  {count}", page.bold(&clean_line(&column.name)))];
    let tickets = column.tickets.iter();
    lines.extend(tickets.map(|ticket| format!("  {}", ticket_line(ticket, page.width - 2))));
    let hidden = u64::from(column.current_count).saturating_sub(column.tickets.len() as u64);
    if column.more {
        lines.push(format!("  and {} more", count_noun(hidden, "ticket")));
    }
    lines
}
