//! `omoi approvals`: what waits for a person's yes.

use std::process::ExitCode;

use omoi_domain::approval::ApprovalState;
use omoi_protocol::api::ApprovalView;

use super::command_context::{CommandContext, ConfigOverrides};
use super::owner_access::{AccessPurpose, reach_owner};
use super::terminal::print_done;
use crate::view::text_layout::{clean_line, fit_columns};

/// Prints what waits for a person's yes, newest first.
pub(crate) async fn print_approvals(context: &CommandContext) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::Ask).await?;
    let pending = access.client.list_approvals(ApprovalState::Pending).await;
    access.close(futures::stream::pending()).await?;
    let pending = pending?;
    if context.is_json() {
        context.print_json(&pending)?;
        return Ok(ExitCode::SUCCESS);
    }
    if pending.is_empty() {
        print_done("Nothing waits for a person");
    }
    let width = context.stdout_page().width;
    let lines = pending
        .iter()
        .map(|approval| approval_line(approval, width));
    context.print_lines(&lines.collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

fn approval_line(approval: &ApprovalView, width: usize) -> String {
    let subject = &approval.subject;
    let line = format!(
        "{}  {}  until {}  {}",
        approval.kind,
        clean_line(&subject.name),
        approval.deadline_at,
        clean_line(&subject.title)
    );
    fit_columns(&line, width).into_owned()
}
