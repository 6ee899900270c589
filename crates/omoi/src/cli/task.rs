//! `omoi task`: the unit one agent works on.

use std::process::ExitCode;

use omoi_domain::attempt::AttemptStopReason;
use omoi_domain::sandbox::SandboxRung;
use omoi_protocol::control::{AttemptView, ReceiptView, TaskDetail, TaskView};

use super::access::{Access, Purpose, reach};
use super::context::{Context, Overrides};
use super::follow::tell_done;
use super::logs::log_lines;
use super::spec::task_line;
use crate::view::text::{Page, clean, clean_lines, fit, shell, short, took, wrap};

/// What to do with tasks.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// List the tasks of a spec
    #[command(
        after_help = "Examples:\n  omoi task list                 of the newest spec here\n  omoi task list --spec SPEC-1"
    )]
    List(List),
    /// Show a task with its attempts and receipts
    #[command(after_help = "Examples:\n  omoi task show TSK-003\n  omoi task show TSK-003 --logs")]
    Show(Show),
    /// Give a failed task another try
    #[command(after_help = "Examples:\n  omoi task retry TSK-003")]
    Retry(Named),
    /// Call a task off
    #[command(after_help = "Examples:\n  omoi task cancel TSK-003")]
    Cancel(Named),
}

/// Tasks of which spec.
#[derive(clap::Args, Debug)]
pub(crate) struct List {
    /// Such as SPEC-1; the newest of the repository when absent
    #[arg(long, value_name = "SPEC")]
    spec: Option<String>,
}

/// One task.
#[derive(clap::Args, Debug)]
pub(crate) struct Named {
    /// Such as TSK-003, or todo/TSK-003 from outside of the repository
    #[arg(value_name = "TASK")]
    task: String,
}

/// One task, with or without its log.
#[derive(clap::Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    named: Named,
    /// What its agent did, and what its checks printed
    #[arg(long)]
    logs: bool,
}

/// Does it.
pub(crate) async fn run(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let access = reach(context, settings, Purpose::Ask).await?;
    let done = ask(context, &access, command).await;
    access.close(futures::stream::pending()).await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(context: &Context, access: &Access, command: Command) -> anyhow::Result<()> {
    let page = context.page();
    match command {
        Command::List(List { spec }) => {
            let tasks = access.client.list_tasks(spec.as_deref()).await?;
            if context.json() {
                return Ok(context.print_json(&tasks)?);
            }
            if tasks.is_empty() {
                tell_done("No task yet: a spec has tasks once it is planned");
            }
            let lines: Vec<String> = tasks
                .iter()
                .map(|task| task_line(task, page.width))
                .collect();
            Ok(context.print(&lines)?)
        }
        Command::Show(Show {
            named: Named { task },
            logs,
        }) => {
            let detail = access.client.get_task_detail(&task).await?;
            if context.json() {
                return Ok(context.print_json(&detail)?);
            }
            let mut lines = shown(&detail, logs, page);
            if logs {
                let log = access
                    .client
                    .log_task(&detail.task.id.to_string(), (0, 0))
                    .await?;
                lines.push(String::new());
                lines.extend(log_lines(&log.lines, page));
            }
            Ok(context.print(&lines)?)
        }
        Command::Retry(Named { task }) => {
            let task = access.client.retry_task(&task).await?;
            told(context, access, &task, "is tried again")
        }
        Command::Cancel(Named { task }) => {
            let task = access.client.cancel_task(&task).await?;
            told(context, access, &task, "is cancelled")
        }
    }
}

/// Says what became of a task, or prints it for scripts.
pub(super) fn told(
    context: &Context,
    access: &Access,
    task: &TaskView,
    what: &str,
) -> anyhow::Result<()> {
    if context.json() {
        return Ok(context.print_json(task)?);
    }
    tell_done(&format!("{} {what}", task.task_ref));
    if access.is_own() {
        tell_done(&format!(
            "hint: nobody works now: omoi spec resume {}{}",
            shell(&task.spec_name),
            context.again()
        ));
    }
    Ok(())
}

fn shown(detail: &TaskDetail, output: bool, page: Page) -> Vec<String> {
    let task = &detail.task;
    let mut lines = wrap(
        &format!("{}  {}", task.task_ref, clean(&task.title)),
        page.width,
    );
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    let mut facts = vec![
        ("spec", format!("{}  {}", task.spec_ref, task.ticket_ref)),
        (
            "status",
            format!("{}  integration {}", task.status, task.integration_state),
        ),
        ("phase", task.phase.to_string()),
        ("branch", clean(&task.branch)),
        ("serves", task.requirements.join(", ")),
        ("after", task.depends_on.join(", ")),
    ];
    facts.extend(task.found_by.iter().map(|by| ("found by", by.clone())));
    facts.extend(
        task.problem
            .iter()
            .map(|problem| ("problem", clean(problem))),
    );
    facts.extend(task.summary.iter().map(|summary| ("says", clean(summary))));
    facts.extend(detail.wip_ref.iter().map(|name| ("kept at", clean(name))));
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        for (index, line) in wrap(value, page.width - 12).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("  {name:8}  {line}"));
        }
    }
    if !detail.attempts.is_empty() {
        lines.push(String::new());
    }
    lines.extend(detail.attempts.iter().flat_map(|one| attempt(one, page)));
    if !detail.receipts.is_empty() {
        lines.push(String::new());
    }
    for receipt in &detail.receipts {
        lines.extend(check(receipt, output, page));
    }
    lines
}

fn attempt(attempt: &AttemptView, page: Page) -> Vec<String> {
    let took = attempt.ended_at.map_or("now".to_owned(), |end| {
        took((end.as_micros() - attempt.created_at.as_micros()) / 1000)
    });
    let rung = attempt.rung.map_or("no sandbox", SandboxRung::as_str);
    let mounts = match attempt.mounts.as_slice() {
        [] => String::new(),
        mounts => clean(&format!("reads {}", mounts.join(", "))),
    };
    let why = attempt
        .error
        .as_deref()
        .or(attempt.stop_reason.map(AttemptStopReason::as_str))
        .unwrap_or("");
    let line = format!(
        "attempt {}  {}  {}  {} turns  {took}  {rung}",
        attempt.attempt_no, attempt.role, attempt.state, attempt.turns,
    );
    let mut lines = vec![format!("  {line}")];
    for text in [mounts, clean(why)] {
        let shown = wrap(&text, page.width - 6);
        lines.extend(shown.iter().map(|line| format!("      {line}")));
    }
    lines
}

fn check(receipt: &ReceiptView, output: bool, page: Page) -> Vec<String> {
    let result = match (receipt.passed, receipt.exit_code) {
        (true, _) => page.green("passed"),
        (false, Some(code)) => page.red(&format!("failed (exit {code})")),
        (false, None) => page.red("stopped"),
    };
    let facts = format!(
        "at {} ({}, {})",
        short(&receipt.commit),
        receipt.stage,
        receipt.kind
    );
    let mut lines = vec![
        format!(
            "  {}",
            fit(&format!("$ {}", clean(&receipt.command)), page.width - 2)
        ),
        format!(
            "    {result} {facts}  {}  {}",
            receipt.rung,
            took(receipt.took_ms)
        ),
    ];
    if output {
        let printed = clean_lines(&receipt.output);
        lines.extend(
            printed
                .into_iter()
                .map(|line| format!("    {} {line}", page.dim("|"))),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;
    use crate::view::text::width;

    #[test]
    fn an_attempt_fits_the_page_whatever_it_reads_and_says() {
        let attempt: AttemptView = serde_json::from_value(json!({
            "id": "01930000-0000-7000-8000-000000000004", "attempt_no": 12, "round": 2,
            "role": "implementer", "state": "failed", "rung": "bubblewrap",
            "mounts": ["/opt/a-toolchain/with-a-long-name/bin", "/opt/another/with-a-long-name/lib"],
            "stop_reason": "error", "error": "a long story without an end ".repeat(9),
            "turns": 48, "created_at": 0, "ended_at": 61_000_000,
        }))
        .unwrap();
        let lines = super::attempt(&attempt, Page::new(80, false));
        assert!(lines.len() > 4, "{lines:#?}");
        for line in &lines {
            assert!(width(line) <= 80, "{line}");
        }
        let told = lines.join(" ");
        assert!(told.contains("/opt/another/with-a-long-name/lib"), "{told}");
    }
}
