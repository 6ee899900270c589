//! `omoi approvals`: what waits for a person's yes.

use std::process::ExitCode;

use omoi_domain::approval::{ApprovalDecision, ApprovalState};
use omoi_domain::merge::ConflictSide;
use omoi_protocol::api::{ApprovalView, DecideApproval, TakenFile};
use uuid::Uuid;

use super::command_context::{CommandContext, ConfigOverrides};
use super::owner_access::{AccessPurpose, reach_owner};
use super::terminal::print_done;
use crate::api_client::ApiClient;
use crate::view::text_layout::{clean_line, fit_columns};

/// What to do with what waits for a person.
#[derive(clap::Args, Debug)]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    command: Option<ApprovalCommand>,
}

/// What a person says.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ApprovalCommand {
    /// Say yes
    Approve {
        /// Id of the question, as `omoi approvals` shows it
        #[arg(value_name = "ID")]
        id: Uuid,
        /// What is said with it
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Say no, and why: a phase of a spec is made again with that
    Reject {
        /// Id of the question, as `omoi approvals` shows it
        #[arg(value_name = "ID")]
        id: Uuid,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Answer what an agent or planning asks; of a conflict, take one side: ours or theirs
    Answer {
        /// Id of the question, as `omoi approvals` shows it
        #[arg(value_name = "ID")]
        id: Uuid,
        /// The answer; of a conflict, the side taken in all files that are not named
        #[arg(value_name = "TEXT", required_unless_present_any = ["ours", "theirs"])]
        answer: Option<String>,
        /// Of a conflict, a file to keep as it landed before
        #[arg(long, value_name = "PATH")]
        ours: Vec<String>,
        /// Of a conflict, a file to take as the task brings it
        #[arg(long, value_name = "PATH")]
        theirs: Vec<String>,
    },
}

/// Prints what waits for a person's yes, newest first, or gives an answer.
pub(crate) async fn run_approvals(
    context: &CommandContext,
    arguments: ApprovalsArgs,
) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::Ask).await?;
    let done = answer_arguments(context, &access.client, arguments).await;
    access.close(futures::stream::pending()).await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn answer_arguments(
    context: &CommandContext,
    client: &ApiClient,
    arguments: ApprovalsArgs,
) -> anyhow::Result<()> {
    let Some(command) = arguments.command else {
        let pending = client.list_approvals(ApprovalState::Pending).await?;
        return print_pending(context, &pending);
    };
    let (id, body) = read_decision(command);
    let decided = client.decide_approval(id, &body).await?;
    if context.is_json() {
        return Ok(context.print_json(&decided)?);
    }
    print_done(&format!(
        "{} of {} is {}",
        decided.kind,
        clean_line(&decided.subject.name),
        decided.state
    ));
    Ok(())
}

/// The question that a person decides, and what they say.
fn read_decision(command: ApprovalCommand) -> (Uuid, DecideApproval) {
    let (id, decision, comment, files) = match command {
        ApprovalCommand::Approve { id, comment } => {
            (id, ApprovalDecision::Approve, comment, Vec::new())
        }
        ApprovalCommand::Reject { id, reason } => {
            (id, ApprovalDecision::Reject, Some(reason), Vec::new())
        }
        ApprovalCommand::Answer {
            id,
            answer,
            ours,
            theirs,
        } => {
            let taken = |side| move |path| TakenFile { path, side };
            let ours = ours.into_iter().map(taken(ConflictSide::Ours));
            let theirs = theirs.into_iter().map(taken(ConflictSide::Theirs));
            let files = ours.chain(theirs).collect();
            (id, ApprovalDecision::Answer, answer, files)
        }
    };
    let body = DecideApproval {
        decision,
        comment,
        files,
    };
    (id, body)
}

fn print_pending(context: &CommandContext, pending: &[ApprovalView]) -> anyhow::Result<()> {
    if context.is_json() {
        return Ok(context.print_json(&pending)?);
    }
    if pending.is_empty() {
        print_done("Nothing waits for a person");
    }
    let width = context.stdout_page().width;
    let lines = pending.iter().flat_map(|approval| {
        let asked = asked_lines(approval).into_iter();
        std::iter::once(approval_line(approval, width)).chain(asked)
    });
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

/// What is asked in words, and what may be answered.
fn asked_lines(approval: &ApprovalView) -> Vec<String> {
    let asked = approval.question.as_deref().unwrap_or_default().lines();
    let asked = asked.map(|line| format!("    {}", clean_line(line)));
    let choices = approval.choices.iter();
    let choices = choices.map(|choice| format!("    - {}", clean_line(choice)));
    asked.chain(choices).collect()
}

fn approval_line(approval: &ApprovalView, width: usize) -> String {
    let subject = &approval.subject;
    let until = approval.deadline_at.map(|at| format!("  until {at}"));
    let line = format!(
        "{}  {}  {}{}  {}",
        approval.id,
        approval.kind,
        clean_line(&subject.name),
        until.unwrap_or_default(),
        clean_line(&subject.title)
    );
    fit_columns(&line, width).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use clap::Parser as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::{Cli, CliCommand};

    const ID: &str = "01930000-0000-7000-8000-00000000000a";

    /// What is sent for `omoi approvals answer` with these words; none where they are not taken.
    fn sent_body(words: &[&str]) -> Option<Value> {
        let all = ["omoi", "approvals", "answer", ID].iter().chain(words);
        let parsed = Cli::try_parse_from(all).ok()?;
        let CliCommand::Approvals(arguments) = parsed.command else {
            panic!("another command")
        };
        let (id, body) = read_decision(arguments.command.unwrap());
        assert_eq!(id.to_string(), ID);
        Some(serde_json::to_value(body).unwrap())
    }

    #[test]
    fn a_conflict_is_answered_by_one_side_or_file_by_file() {
        let file = |path: &str, side: &str| json!({ "path": path, "side": side });
        for (words, expected) in [
            (
                &["ours"][..],
                Some(json!({ "decision": "answer", "comment": "ours" })),
            ),
            (
                &["--ours", "a", "--theirs", "b c", "--ours", "d"],
                Some(json!({
                    "decision": "answer",
                    "files": [file("a", "ours"), file("d", "ours"), file("b c", "theirs")],
                })),
            ),
            (
                &["theirs", "--ours", "a"],
                Some(json!({
                    "decision": "answer", "comment": "theirs", "files": [file("a", "ours")],
                })),
            ),
            (&[], None),
            (&["--ours"], None),
        ] {
            assert_eq!(sent_body(words), expected, "{words:?}");
        }
    }
}
