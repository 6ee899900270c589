//! `omoi task`: the unit one agent works on.

use std::process::ExitCode;

use omoi_domain::attempt::AttemptStopReason;
use omoi_domain::sandbox::{SandboxRung, StartStep};
use omoi_protocol::api::{
    AttemptView, FallbackView, ModelUsageView, PackageListView, ReceiptView, TaskDetail, TaskView,
};
use omoi_protocol::shell_word::shell_word;

use super::command_context::CommandContext;
use super::logs::render_log_lines;
use super::owner_access::OwnerAccess;
use super::owner_question::ask_owner;
use super::spec::task_line;
use super::terminal::print_done;
use crate::api_client::LogPosition;
use crate::view::text_layout::{
    OutputPage, clean_line, clean_lines, count_noun, fit_columns, format_duration, short_sha,
    wrap_text,
};

/// What to do with tasks.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum TaskCommand {
    /// List the tasks of a spec
    #[command(
        after_help = "Examples:\n  omoi task list                 of the newest spec here\n  omoi task list --spec SPEC-1"
    )]
    List(ListTasksArgs),
    /// Show a task with its attempts and receipts
    #[command(after_help = "Examples:\n  omoi task show TSK-003\n  omoi task show TSK-003 --logs")]
    Show(ShowTaskArgs),
    /// Give a failed task another try
    #[command(after_help = "Examples:\n  omoi task retry TSK-003")]
    Retry(TaskArgs),
    /// Call a task off
    #[command(after_help = "Examples:\n  omoi task cancel TSK-003")]
    Cancel(TaskArgs),
}

/// Tasks of which spec.
#[derive(clap::Args, Debug)]
pub(crate) struct ListTasksArgs {
    /// Such as SPEC-1; the newest of the repository when absent
    #[arg(long, value_name = "SPEC")]
    spec: Option<String>,
}

/// The task that a command is about.
#[derive(clap::Args, Debug)]
pub(crate) struct TaskArgs {
    /// Such as TSK-003, or todo/TSK-003 from outside of the repository
    #[arg(value_name = "TASK")]
    task: String,
}

/// One task, with or without its log.
#[derive(clap::Args, Debug)]
pub(crate) struct ShowTaskArgs {
    #[command(flatten)]
    named: TaskArgs,
    /// What its agent did, and what its checks printed
    #[arg(long)]
    logs: bool,
}

/// Runs one `omoi task` command.
pub(crate) async fn run_task_command(
    context: &CommandContext,
    command: TaskCommand,
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
    command: TaskCommand,
) -> anyhow::Result<()> {
    let page = context.stdout_page();
    match command {
        TaskCommand::List(ListTasksArgs { spec }) => {
            let tasks = access.client.list_tasks(spec.as_deref()).await?;
            if context.is_json() {
                return Ok(context.print_json(&tasks)?);
            }
            if tasks.is_empty() {
                print_done("No task yet: a spec has tasks once it is planned");
            }
            let lines: Vec<String> = tasks
                .iter()
                .map(|task| task_line(task, page.width))
                .collect();
            Ok(context.print_lines(&lines)?)
        }
        TaskCommand::Show(ShowTaskArgs {
            named: TaskArgs { task },
            logs,
        }) => {
            let detail = access.client.get_task_detail(&task).await?;
            if context.is_json() {
                return Ok(context.print_json(&detail)?);
            }
            let mut lines = task_lines(&detail, logs, page);
            if logs {
                let log = access
                    .client
                    .log_task(&detail.task.id.to_string(), LogPosition::default())
                    .await?;
                lines.push(String::new());
                lines.extend(render_log_lines(&log.lines, page));
            }
            Ok(context.print_lines(&lines)?)
        }
        TaskCommand::Retry(TaskArgs { task }) => {
            let task = access.client.retry_task(&task).await?;
            print_outcome(context, access, &task, "is tried again")
        }
        TaskCommand::Cancel(TaskArgs { task }) => {
            let task = access.client.cancel_task(&task).await?;
            print_outcome(context, access, &task, "is cancelled")
        }
    }
}

/// Says what became of a task, or prints it for scripts.
pub(super) fn print_outcome(
    context: &CommandContext,
    access: &OwnerAccess,
    task: &TaskView,
    what: &str,
) -> anyhow::Result<()> {
    if context.is_json() {
        return Ok(context.print_json(task)?);
    }
    print_done(&format!("{} {what}", task.task_ref));
    if access.is_own() {
        print_done(&format!(
            "hint: nobody works now: omoi spec resume {}{}",
            shell_word(&task.spec_name),
            context.data_flags()
        ));
    }
    Ok(())
}

fn task_lines(detail: &TaskDetail, output: bool, page: OutputPage) -> Vec<String> {
    let task = &detail.task;
    let mut lines = wrap_text(
        &format!("{}  {}", task.task_ref, clean_line(&task.title)),
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
        ("branch", clean_line(&task.branch)),
        ("serves", task.requirements.join(", ")),
        ("after", task.depends_on.join(", ")),
    ];
    facts.extend(task.found_by.iter().map(|by| ("found by", by.clone())));
    facts.extend(
        task.problem
            .iter()
            .map(|problem| ("problem", clean_line(problem))),
    );
    facts.extend(
        task.summary
            .iter()
            .map(|summary| ("says", clean_line(summary))),
    );
    facts.extend(
        detail
            .wip_ref
            .iter()
            .map(|name| ("kept at", clean_line(name))),
    );
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        for (index, line) in wrap_text(value, page.width - 12).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("  {name:8}  {line}"));
        }
    }
    if !detail.attempts.is_empty() {
        lines.push(String::new());
    }
    lines.extend(
        detail
            .attempts
            .iter()
            .flat_map(|one| attempt_lines(one, page)),
    );
    if !detail.receipts.is_empty() {
        lines.push(String::new());
    }
    for receipt in &detail.receipts {
        lines.extend(receipt_lines(receipt, output, page));
    }
    lines
}

fn attempt_lines(attempt: &AttemptView, page: OutputPage) -> Vec<String> {
    let took = attempt.ended_at.map_or("now".to_owned(), |end| {
        format_duration(
            end.to_timestamp()
                .since(attempt.created_at.to_timestamp())
                .as_millis() as i64,
        )
    });
    let rung = attempt.rung.map_or("no sandbox", SandboxRung::as_str);
    let mounts = match attempt.mounts.as_slice() {
        [] => String::new(),
        mounts => clean_line(&format!("reads {}", mounts.join(", "))),
    };
    let why = attempt
        .error
        .as_deref()
        .or(attempt.stop_reason.map(AttemptStopReason::as_str))
        .unwrap_or("");
    let listed = |what: &str, items: &[String]| match items {
        [] => String::new(),
        items => clean_line(&format!("{what} {}", items.join(", "))),
    };
    let reached = Vec::from_iter(attempt.egress.as_ref().map(ToString::to_string));
    let came = listed("came in:", &attempt.packages);
    let refused = listed("refused outside:", &attempt.refused_outside);
    let waits = attempt.waits_for.as_deref().unwrap_or("");
    let late = match attempt.late_reports {
        0 => String::new(),
        n => format!(
            "{} came after its end, and changed nothing",
            count_noun(u64::from(n), "report")
        ),
    };
    let line = format!(
        "attempt {}  {}  {}  {} turns  {took}  {rung}",
        attempt.attempt_no, attempt.role, attempt.state, attempt.turns,
    );
    let mut lines = vec![format!("  {line}")];
    lines.extend(start_lines(&attempt.start_steps, page));
    let told = [
        agent_line(attempt),
        mounts,
        listed("packages:", &reached),
        came,
        refused,
        clean_line(why),
        clean_line(waits),
        late,
    ];
    let models = attempt.usage.iter().map(usage_line);
    let fallbacks = attempt.fallbacks.iter().map(fallback_line);
    for text in told.into_iter().chain(models).chain(fallbacks) {
        let shown = wrap_text(&text, page.width - 6);
        lines.extend(shown.iter().map(|line| format!("      {line}")));
    }
    lines
}

/// What an attempt used of one model, and how much of it came from the prompt cache.
fn usage_line(usage: &ModelUsageView) -> String {
    let calls = count_noun(u64::try_from(usage.calls).unwrap_or(0), "call");
    let misses = usage.cache_misses.iter();
    let misses: Vec<String> = misses.map(|(why, n)| format!("{why} {n}")).collect();
    let missed = match misses.as_slice() {
        [] => String::new(),
        misses => format!(", missed: {}", misses.join(", ")),
    };
    let (about, untold) = match usage.estimated_calls {
        0 => ("", String::new()),
        n => {
            let untold = count_noun(u64::try_from(n).unwrap_or(0), "call");
            (
                "~",
                format!("; the provider did not tell the tokens of {untold}"),
            )
        }
    };
    clean_line(&format!(
        "{}: {calls}, {about}{} tokens in ({:.0} % from the cache{missed}), {about}{} out{untold}",
        usage.model,
        usage.tokens_read,
        usage.cache_share * 100.0,
        usage.tokens_answered,
    ))
}

/// A model that was passed over.
fn fallback_line(fallback: &FallbackView) -> String {
    let FallbackView {
        from_model,
        to_model,
        class,
        message,
        n,
    } = fallback;
    let times = count_noun(u64::try_from(*n).unwrap_or(0), "question");
    let why = class.reason_words();
    clean_line(&format!(
        "{times} went on from {from_model} to {to_model}: {why} ({message})"
    ))
}

/// The agent program of an attempt; our own loop goes without saying.
fn agent_line(attempt: &AttemptView) -> String {
    let Some(agent) = attempt.agent.filter(|agent| !agent.is_native()) else {
        return String::new();
    };
    let version = attempt.agent_version.as_deref().unwrap_or_default();
    let session = attempt.agent_session.as_deref();
    let session = session.map_or(String::new(), |id| format!("  session {id}"));
    clean_line(&format!("{agent} {version}{session}"))
}

/// How a start went, step by step.
fn start_lines(steps: &[StartStep], page: OutputPage) -> Vec<String> {
    if steps.is_empty() {
        return Vec::new();
    }
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let line = clean_line(&format!("start: {}", steps.join(", ")));
    let shown = wrap_text(&line, page.width - 6);
    shown.iter().map(|line| format!("      {line}")).collect()
}

fn receipt_lines(receipt: &ReceiptView, output: bool, page: OutputPage) -> Vec<String> {
    let result = match (receipt.passed, receipt.exit_code) {
        (true, _) => page.green("passed"),
        (false, Some(code)) => page.red(&format!("failed (exit {code})")),
        (false, None) => page.red("stopped"),
    };
    let facts = format!(
        "at {} ({}, {})",
        short_sha(&receipt.commit),
        receipt.stage,
        receipt.kind
    );
    let mut lines = vec![
        format!(
            "  {}",
            fit_columns(
                &format!("$ {}", clean_line(&receipt.command)),
                page.width - 2
            )
        ),
        format!(
            "    {result} {facts}  {}  {}",
            receipt.rung,
            format_duration(receipt.took_ms)
        ),
    ];
    lines.extend(start_lines(&receipt.start_steps, page));
    if receipt.models.len() > 1 || !receipt.estimated_models.is_empty() {
        let name = |model: &String| match receipt.estimated_models.contains(model) {
            true => format!("{model} (~ tokens)"),
            false => model.clone(),
        };
        let models: Vec<String> = receipt.models.iter().map(name).collect();
        lines.push(format!("    answers of {}", clean_line(&models.join(", "))));
    }
    if let Some(PackageListView { n_files, digest }) = &receipt.packages {
        let files = count_noun(*n_files, "file");
        lines.push(format!(
            "    {files} of packages, list sha256:{}",
            clean_line(digest)
        ));
    }
    for passed in &receipt.fallbacks {
        let times = count_noun(u64::try_from(passed.n).unwrap_or(0), "turn");
        let (from, to) = (&passed.from_model, &passed.to_model);
        let why = passed.class.reason_words();
        let told = clean_line(&format!("{times} of {to} in the place of {from}: {why}"));
        lines.push(format!("    {told}"));
    }
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
    use crate::view::text_layout::display_width;

    #[test]
    fn an_attempt_fits_the_page_whatever_it_reads_and_says() {
        let attempt: AttemptView = serde_json::from_value(json!({
            "id": "01930000-0000-7000-8000-000000000004", "attempt_no": 12, "round": 2,
            "role": "implementer", "state": "failed", "rung": "bubblewrap",
            "mounts": ["/opt/a-toolchain/with-a-long-name/bin", "/opt/another/with-a-long-name/lib"],
            "start_steps": [
                { "step": "packages", "outcome": "installed", "took_ms": 12_004 },
                { "step": "workspace", "outcome": "clone: only root may lay a workspace over a prepared checkout", "took_ms": 0 } ],
            "stop_reason": "error", "error": "a long story without an end ".repeat(9),
            "turns": 48, "created_at": "1970-01-01T00:00:00.000Z", "ended_at": "1970-01-01T00:01:01.000Z",
            "egress": {"mode": "registries", "lock_file": "web/package-lock.json"},
        }))
        .unwrap();
        let lines = super::attempt_lines(&attempt, OutputPage::new(80, false));
        assert!(lines.len() > 4, "{lines:#?}");
        for line in &lines {
            assert!(display_width(line) <= 80, "{line}");
        }
        let told = lines.join(" ");
        assert!(told.contains("/opt/another/with-a-long-name/lib"), "{told}");
        let start = "start: packages installed 12.004 s, workspace clone: only root may";
        assert!(told.contains(start), "{told}");
        let reached = "the plan names `web/package-lock.json`";
        assert!(told.contains(reached), "{told}");
    }
}
