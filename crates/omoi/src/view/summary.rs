//! What stands below a run: what came of it, and what to do next.

use std::path::Path;

use omoi_domain::block::{SpecBlock, TaskBlock};
use omoi_domain::model_kind::ModelKind;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::PurposeKind;
use omoi_protocol::api::TaskView;
use omoi_protocol::shell_word::shell_word;
use omoi_protocol::summary::{CriterionCounts, RunOutcome, RunSummary, SuiteSummary};

use super::progress::{INDENT, labelled_lines};
use super::run_view::plain_reason;
use super::text_layout::{
    OutputPage, clean_line, clean_lines, count_noun, display_width, fit_columns, flow_cells,
    format_clock, format_usd, short_sha, tilde_path, wrap_text,
};

/// A task that stopped a run, with where its work is kept.
pub(crate) struct StoppedTask {
    pub(crate) task: TaskView,
    /// Ref of its last snapshot.
    pub(crate) wip_ref: Option<String>,
}

/// Everything an ending tells.
pub(crate) struct SummaryFacts<'a> {
    pub(crate) summary: &'a RunSummary,
    /// Tasks that failed or are blocked.
    pub(crate) stopped: &'a [StoppedTask],
    /// The person's home folder, shown as `~`.
    pub(crate) home: Option<&'a Path>,
    /// Flags that lead other commands to the same data, with a blank in front.
    pub(crate) again: &'a str,
    /// What can be done with it next, one line each.
    pub(crate) next: &'a [String],
}

/// The end of a run, good or not.
pub(crate) fn render_summary(facts: &SummaryFacts<'_>, page: OutputPage) -> Vec<String> {
    match facts.summary.outcome {
        RunOutcome::Succeeded => success_lines(facts, page),
        RunOutcome::Failed | RunOutcome::Blocked => stopped_lines(facts, page),
    }
}

fn success_lines(facts: &SummaryFacts<'_>, page: OutputPage) -> Vec<String> {
    let summary = facts.summary;
    let repo = Path::new(&summary.repo);
    let criteria = summary.criteria;
    let mut cells = vec![
        count_noun(summary.tasks.completed.into(), "task"),
        proven_text(criteria),
        ablation_text(criteria),
        count_noun(
            (summary.receipts.passed + summary.receipts.failed).into(),
            "receipt",
        ),
        format!(
            "branch {} in {}",
            clean_line(&summary.branch),
            tilde_path(repo, facts.home)
        ),
        format_clock(summary.wall_ms),
        cost_text(summary),
    ];
    cells.retain(|cell| !cell.is_empty());
    let mut lines = flow_cells(&cells, page.width - INDENT);
    if !summary.outside_plan.is_empty() {
        let files = summary.outside_plan.join(", ");
        let outside = format!("outside the plan: {}", clean_line(&files));
        lines.extend(wrap_text(&outside, page.width - INDENT));
    }
    for note in &summary.notes {
        lines.extend(wrap_text(
            &format!("note: {}", clean_line(note)),
            page.width - INDENT,
        ));
    }
    let mut shown = labelled_lines(page, "done", &lines);
    if let Some(first) = shown.first_mut() {
        *first = first.replacen("done", &page.green("done"), 1);
    }
    let trace = format!(
        "omoi trace {}{}",
        shell_word(&summary.spec_name),
        facts.again
    );
    let log = format!(
        "git -C {} log --graph {}",
        shell_word(&tilde_path(repo, facts.home)),
        shell_word(&summary.branch)
    );
    shown.push(String::new());
    let room = (display_width(&trace) + 5).max(29);
    shown.push(format!(
        "  See it    {trace:room$}requirement → task → commit → receipt"
    ));
    shown.push(format!("            {log}"));
    if summary.model_kind == ModelKind::Simulated {
        shown.push(
            "  Your repo omoi run \"what you want\" --repo .   needs a model: see omoi doctor"
                .to_owned(),
        );
    }
    shown
}

/// `7 of 9 criteria proven (2 by their own tests only)`.
fn proven_text(criteria: CriterionCounts) -> String {
    let mut proven = format!("{} of {} criteria proven", criteria.proven, criteria.total);
    if criteria.self_tested > 0 {
        proven.push_str(&format!(
            " ({} by their own tests only)",
            criteria.self_tested
        ));
    }
    proven
}

/// `1 weak, 2 not tried`: the proven criteria whose ablation does not support them.
fn ablation_text(criteria: CriterionCounts) -> String {
    let counts = [
        (criteria.weak, "weak"),
        (criteria.unknown, "unknown"),
        (criteria.not_tried, "not tried"),
    ];
    let counts = counts.iter().filter(|(n, _)| *n > 0);
    let counts: Vec<String> = counts.map(|(n, says)| format!("{n} {says}")).collect();
    counts.join(", ")
}

/// `~$0.42 ($0.02 for the second opinion, $0.10 estimated)`.
fn cost_text(summary: &RunSummary) -> String {
    let Some(cost_nanousd) = summary.cost_nanousd else {
        return "not told: it needs the permission `cost:read`".to_owned();
    };
    let mut parts = Vec::new();
    let mut estimated = NanoUsd::ZERO;
    for (purpose, cost) in &summary.cost_by_purpose {
        estimated = estimated.saturating_add(cost.estimated_nanousd);
        let purpose_text = match purpose {
            // What agents cost is the rest.
            PurposeKind::Attempt => continue,
            PurposeKind::Judge => "for the second opinion",
        };
        if cost.cost_nanousd > NanoUsd::ZERO {
            parts.push(format!("{} {purpose_text}", format_usd(cost.cost_nanousd)));
        }
    }
    let mut all = format_usd(cost_nanousd);
    if estimated > NanoUsd::ZERO {
        parts.push(format!("{} estimated", format_usd(estimated)));
        all.insert(0, '~');
    }
    match parts.as_slice() {
        [] => all,
        parts => format!("{all} ({})", parts.join(", ")),
    }
}

/// Lines of a suite's output that are shown.
const OUTPUT_LINES: usize = 15;

/// How the suite failed on the base commit, for people.
pub(crate) fn red_suite_lines(suite: &SuiteSummary) -> Vec<String> {
    let mut lines = vec![format!("  $ {}", clean_line(&suite.command))];
    let output = suite.base_output.as_deref().unwrap_or_default();
    let all = clean_lines(output.trim_end());
    let from = all.len().saturating_sub(OUTPUT_LINES);
    lines.extend(all[from..].iter().map(|line| format!("  | {line}")));
    lines
}

fn stopped_lines(facts: &SummaryFacts<'_>, page: OutputPage) -> Vec<String> {
    let SummaryFacts { summary, again, .. } = facts;
    let columns = page.width - 12;
    let mut lines = Vec::new();
    for StoppedTask { task, .. } in facts.stopped {
        lines.extend(stopped_task_lines(task, columns));
        let commands = stopped_task_commands(task, facts.again);
        let commands = flow_cells(&commands, columns);
        lines.extend(commands.iter().map(|line| page.bold(line)));
    }
    if lines.is_empty() {
        lines.extend(reason_lines(summary, columns));
        let command = format!("omoi spec show {}{again}", shell_word(&summary.spec_name));
        lines.push(page.bold(&command));
    }
    let mut refs = facts
        .stopped
        .iter()
        .filter_map(|stopped| stopped.wip_ref.as_deref());
    let kept = refs
        .next()
        .map_or_else(|| "everything done is kept".to_owned(), clean_line);
    let merged = match summary.head.as_deref() {
        Some(head) => format!("{} is at {}", clean_line(&summary.branch), short_sha(head)),
        None => "your repository was not touched".to_owned(),
    };
    lines.extend(wrap_text(
        &format!("Work is safe: {kept}, {merged}."),
        columns,
    ));
    lines.extend(facts.next.iter().cloned());
    let mut shown = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        let front = match index {
            0 => format!("  {}   ", page.red("stopped")),
            _ => " ".repeat(12),
        };
        shown.push(format!("{front}{line}"));
    }
    shown
}

/// Why one task stopped the run.
fn stopped_task_lines(task: &TaskView, columns: usize) -> Vec<String> {
    let problem = task.problem.as_deref().unwrap_or("no reason was given");
    let why = plain_reason(&clean_line(problem));
    let times = match task.round {
        0 => String::new(),
        1 => " once".to_owned(),
        n => format!(" {n} times"),
    };
    let text = format!("{} {}{times}: {why}", task.task_ref, task.status);
    wrap_text(&text, columns)
}

/// What a person can type about a task that stopped the run.
fn stopped_task_commands(task: &TaskView, again: &str) -> Vec<String> {
    let name = shell_word(&task.name);
    let mut commands = vec![format!("omoi task show {name} --logs{again}")];
    // What waits for a lost task cannot be tried again before that one.
    let waits_for = task.blocked_by.and_then(TaskBlock::prerequisite_task);
    if waits_for.is_none() {
        commands.push(format!("omoi task retry {name}{again}"));
    }
    commands
}

/// Why a run stopped that no task stopped, with the output of a red suite.
fn reason_lines(summary: &RunSummary, columns: usize) -> Vec<String> {
    let why = summary.reason.as_deref().map(clean_line);
    let why = why.filter(|why| !why.is_empty());
    let mut lines = wrap_text(why.as_deref().unwrap_or("no reason was given"), columns);
    let is_red = |suite: &&SuiteSummary| {
        suite.base_passed == Some(false) && summary.blocked_by == Some(SpecBlock::SuiteRed)
    };
    if let Some(suite) = summary.suite.as_ref().filter(is_red) {
        let output = red_suite_lines(suite);
        let output = output.iter();
        lines.extend(output.map(|line| fit_columns(line, columns).into_owned()));
    }
    lines
}
