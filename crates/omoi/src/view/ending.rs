//! What stands below a run: what came of it, and what to do next.

use std::path::Path;

use omoi_domain::block::{SpecBlock, TaskBlock};
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::PurposeKind;
use omoi_protocol::control::TaskView;
use omoi_protocol::summary::{RunOutcome, RunSummary, SuiteSummary};

use super::block::{INDENT, labelled};
use super::state::said;
use super::text::{
    Page, clean, clean_lines, clock, count, fit, flow, shell, short, tilde, usd, width, wrap,
};

/// A task that stopped a run, with where its work is kept.
pub(crate) struct Stopped {
    /// The task.
    pub(crate) task: TaskView,
    /// Its last snapshot.
    pub(crate) wip_ref: Option<String>,
}

/// Everything an ending tells.
pub(crate) struct Ending<'a> {
    /// The figures.
    pub(crate) summary: &'a RunSummary,
    /// Tasks that failed or are blocked.
    pub(crate) stopped: &'a [Stopped],
    /// The person's home.
    pub(crate) home: Option<&'a Path>,
    /// Flags that lead other commands to the same data, with a blank in front.
    pub(crate) again: &'a str,
    /// What can be done with it next, one line each.
    pub(crate) next: &'a [String],
}

/// The end of a run, good or not.
pub(crate) fn render(ending: &Ending<'_>, page: Page) -> Vec<String> {
    match ending.summary.outcome {
        RunOutcome::Succeeded => done(ending, page),
        RunOutcome::Failed | RunOutcome::Blocked => stopped(ending, page),
    }
}

fn done(ending: &Ending<'_>, page: Page) -> Vec<String> {
    let summary = ending.summary;
    let repo = Path::new(&summary.repo);
    let criteria = summary.criteria;
    let mut proven = format!("{} of {} criteria proven", criteria.proven, criteria.total);
    if criteria.self_tested > 0 {
        proven.push_str(&format!(
            " ({} by their own tests only)",
            criteria.self_tested
        ));
    }
    let ablated = [
        (criteria.weak, "weak"),
        (criteria.unknown, "unknown"),
        (criteria.not_tried, "not tried"),
    ];
    let ablated = ablated.iter().filter(|(n, _)| *n > 0);
    let ablated: Vec<String> = ablated.map(|(n, says)| format!("{n} {says}")).collect();
    let mut cells = vec![
        count(summary.tasks.completed.into(), "task"),
        proven,
        ablated.join(", "),
        count(
            (summary.receipts.passed + summary.receipts.failed).into(),
            "receipt",
        ),
        format!(
            "branch {} in {}",
            clean(&summary.branch),
            tilde(repo, ending.home)
        ),
        clock(summary.wall_ms),
        cost(summary),
    ];
    cells.retain(|cell| !cell.is_empty());
    let mut lines = flow(&cells, page.width - INDENT);
    if !summary.outside_plan.is_empty() {
        let files = summary.outside_plan.join(", ");
        let told = format!("outside the plan: {}", clean(&files));
        lines.extend(wrap(&told, page.width - INDENT));
    }
    for note in &summary.notes {
        lines.extend(wrap(&format!("note: {}", clean(note)), page.width - INDENT));
    }
    let mut shown = labelled(page, "done", &lines);
    if let Some(first) = shown.first_mut() {
        *first = first.replacen("done", &page.green("done"), 1);
    }
    let trace = format!("omoi trace {}{}", shell(&summary.spec_name), ending.again);
    let log = format!(
        "git -C {} log --graph {}",
        shell(&tilde(repo, ending.home)),
        shell(&summary.branch)
    );
    shown.push(String::new());
    let room = (width(&trace) + 5).max(29);
    shown.push(format!(
        "  See it    {trace:room$}requirement → task → commit → receipt"
    ));
    shown.push(format!("            {log}"));
    if summary.model == "simulated" {
        shown.push(
            "  Your repo omoi run \"what you want\" --repo .   needs a model: see omoi doctor"
                .to_owned(),
        );
    }
    shown
}

/// `$0.42 ($0.02 for the second opinion, $0.10 estimated)`.
fn cost(summary: &RunSummary) -> String {
    let mut parts = Vec::new();
    let mut estimated = NanoUsd::ZERO;
    for (purpose, cost) in &summary.cost_by_purpose {
        estimated = estimated.saturating_add(cost.estimated_nanousd);
        let what = match purpose {
            // What agents cost is the rest.
            PurposeKind::Attempt => continue,
            PurposeKind::Judge => "for the second opinion",
        };
        if cost.cost_nanousd > NanoUsd::ZERO {
            parts.push(format!("{} {what}", usd(cost.cost_nanousd)));
        }
    }
    if estimated > NanoUsd::ZERO {
        parts.push(format!("{} estimated", usd(estimated)));
    }
    let all = usd(summary.cost_nanousd);
    match parts.as_slice() {
        [] => all,
        parts => format!("{all} ({})", parts.join(", ")),
    }
}

/// Lines of a suite's output that are shown.
const OUTPUT_LINES: usize = 15;

/// How the suite failed on the base commit, for people.
pub(crate) fn red_suite_lines(suite: &SuiteSummary) -> Vec<String> {
    let mut lines = vec![format!("  $ {}", clean(&suite.command))];
    let output = suite.base_output.as_deref().unwrap_or_default();
    let all = clean_lines(output.trim_end());
    let from = all.len().saturating_sub(OUTPUT_LINES);
    lines.extend(all[from..].iter().map(|line| format!("  | {line}")));
    lines
}

fn stopped(ending: &Ending<'_>, page: Page) -> Vec<String> {
    let Ending { summary, again, .. } = ending;
    let columns = page.width - 12;
    let mut lines = Vec::new();
    for Stopped { task, .. } in ending.stopped {
        let why = said(&clean(
            task.problem.as_deref().unwrap_or("no reason was given"),
        ));
        let times = match task.round {
            0 => String::new(),
            1 => " once".to_owned(),
            n => format!(" {n} times"),
        };
        let what = format!("{} {}{times}: {why}", task.task_ref, task.status);
        lines.extend(wrap(&what, columns));
        let mut commands = vec![format!(
            "omoi task show {} --logs{again}",
            shell(&task.name)
        )];
        // What waits for a lost task cannot be tried again before that one.
        let waits_for = task.blocked_by.and_then(TaskBlock::prerequisite);
        if waits_for.is_none() {
            commands.push(format!("omoi task retry {}{again}", shell(&task.name)));
        }
        lines.extend(flow(&commands, columns).iter().map(|line| page.bold(line)));
    }
    if lines.is_empty() {
        let why = summary.reason.as_deref().map(clean);
        let why = why.filter(|why| !why.is_empty());
        lines.extend(wrap(
            why.as_deref().unwrap_or("no reason was given"),
            columns,
        ));
        let is_red = |suite: &&SuiteSummary| {
            suite.base_passed == Some(false) && summary.blocked_by == Some(SpecBlock::SuiteRed)
        };
        if let Some(suite) = summary.suite.as_ref().filter(is_red) {
            let shown = red_suite_lines(suite);
            lines.extend(shown.iter().map(|line| fit(line, columns).into_owned()));
        }
        lines.push(page.bold(&format!(
            "omoi spec show {}{again}",
            shell(&summary.spec_name)
        )));
    }
    let mut refs = ending
        .stopped
        .iter()
        .filter_map(|stopped| stopped.wip_ref.as_deref());
    let kept = refs
        .next()
        .map_or_else(|| "everything done is kept".to_owned(), clean);
    let merged = match summary.head.as_deref() {
        Some(head) => format!("{} is at {}", clean(&summary.branch), short(head)),
        None => "your repository was not touched".to_owned(),
    };
    lines.extend(wrap(&format!("Work is safe: {kept}, {merged}."), columns));
    lines.extend(ending.next.iter().cloned());
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
