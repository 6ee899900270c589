//! The part of a run's picture that changes: plan and work. Lines only, no terminal.

use omoi_domain::id::HumanRef;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::time::Timestamp;

use super::state::{Changes, PhaseLine, RunView, TaskLine};
use super::text::{self, Page, clock, count, fit, flow, left, right, width, wrap};

/// Columns of the labels in front.
pub(super) const INDENT: usize = 9;
/// From here on there is room for the role.
const WIDE: usize = 100;

/// A label with its lines behind it.
pub(super) fn labelled(page: Page, label: &str, lines: &[String]) -> Vec<String> {
    let front = format!("  {}", left(label, INDENT - 2));
    let mut shown = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let front = match index {
            0 => page.bold(&front),
            _ => " ".repeat(INDENT),
        };
        shown.push(format!("{front}{line}").trim_end().to_owned());
    }
    shown
}

/// Plan and work at `now`, with at most the newest `notes_max` notes.
pub(crate) fn render(view: &RunView, now: Timestamp, page: Page, notes_max: usize) -> Vec<String> {
    let mut lines = plan(view, now, page);
    if !view.tasks.is_empty() && view.status != Some(SpecStatus::Completed) {
        lines.push(String::new());
        lines.extend(work(view, now, page, notes_max));
    }
    lines
}

/// Phases, and what sync wrote.
pub(crate) fn plan(view: &RunView, now: Timestamp, page: Page) -> Vec<String> {
    let columns = page.width - INDENT;
    let mut cells: Vec<String> = view.phases.iter().map(|phase| told(view, phase)).collect();
    if let Some(ms) = view.planned_in_ms {
        cells.push(text::took(ms));
    }
    let mut lines = flow(&cells, columns);
    if lines.is_empty() {
        lines.push("starting".to_owned());
    }
    let running = view
        .phases
        .iter()
        .find(|phase| phase.state == Some(PhaseState::Running));
    if let Some(phase) = running {
        let doing = if phase.doing.is_empty() {
            "thinking"
        } else {
            &phase.doing
        };
        let items = match phase.items {
            0 => String::new(),
            n => format!("   {}", count(n.into(), "item")),
        };
        let since = phase.since.map_or(0, |since| ms_between(since, now));
        let tail = format!("{items}   {}", clock(since));
        let room = columns.saturating_sub(width(&tail));
        lines.push(format!("{}{tail}", left(&text::clean(doing), room)));
    }
    if let Some(sizes) = sizes(view) {
        lines.extend(flow(&sizes, columns));
    }
    labelled(page, "plan", &lines)
}

/// `3 tickets`, `7 tasks`, `12 criteria`, and the shape of the graph when it is known.
pub(super) fn sizes(view: &RunView) -> Option<Vec<String>> {
    let plan = view.plan.as_ref()?;
    let mut cells = vec![
        count(plan.tickets.into(), "ticket"),
        count(plan.tasks.into(), "task"),
        count(plan.criteria.into(), "criterion"),
    ];
    if let Some(estimate) = &view.estimate {
        cells.push(format!("longest chain {}", estimate.longest_chain));
        cells.push(format!("up to {} at once", estimate.width));
    }
    Some(cells)
}

/// `requirements 0.61 → 0.93 (second try)`.
fn told(view: &RunView, phase: &PhaseLine) -> String {
    if phase.name == "sync"
        && let Some(plan) = &view.plan
    {
        let covered = f64::from(plan.requirements) * plan.coverage_percent / 100.0;
        return format!("sync {}/{} covered", covered.round(), plan.requirements);
    }
    let scores: Vec<String> = phase
        .scores
        .iter()
        .map(|score| format!("{score:.2}"))
        .collect();
    let mut cell = phase.name.clone();
    if !scores.is_empty() {
        cell.push(' ');
        cell.push_str(&scores.join(" → "));
    }
    cell.push_str(match (phase.state, phase.attempts) {
        (Some(PhaseState::Failed), _) => " refused",
        (Some(PhaseState::Passed), 2) => " (second try)",
        (Some(PhaseState::Passed), 3) => " (third try)",
        (Some(PhaseState::Backoff | PhaseState::Running), 1..) if !scores.is_empty() => {
            " → trying again"
        }
        (Some(PhaseState::Running), _) => " …",
        _ => "",
    });
    cell
}

/// Tasks at work and what is worth remembering.
fn work(view: &RunView, now: Timestamp, page: Page, notes_max: usize) -> Vec<String> {
    let columns = page.width - INDENT;
    let (done, all) = view.progress();
    let at_work: Vec<&TaskLine> = view
        .tasks
        .values()
        .filter(|task| task.is_at_work())
        .collect();
    let mut head = format!("{done} of {all} done");
    if !at_work.is_empty() {
        head.push_str(&format!("   {} running", at_work.len()));
    }
    let checks = view.head_checks.passed + view.head_checks.failed;
    if checks > 0 {
        head.push_str(&format!("   {} at the head", count(checks.into(), "check")));
    }
    let spent = format!(
        "{}   {}   {}",
        clock(view.elapsed_ms(now)),
        text::usd(view.cost_nanousd),
        text::tokens(view.tokens),
    );
    let room = columns.saturating_sub(width(&spent));
    let mut lines = vec![format!("{}{}", left(&head, room), page.dim(&spent))];
    lines.extend(at_work.iter().map(|task| row(task, now, page)));
    let hidden = view.notes.len().saturating_sub(notes_max);
    if hidden > 0 {
        lines.push(page.dim(&format!("· {} before these", count(hidden as u64, "note"))));
    }
    for note in view.notes.iter().skip(hidden) {
        for (index, line) in wrap(&note.text, columns - 2).into_iter().enumerate() {
            let front = if index == 0 { "· " } else { "  " };
            lines.push(format!("{front}{line}"));
        }
    }
    labelled(page, "work", &lines)
}

/// One task at work.
fn row(task: &TaskLine, now: Timestamp, page: Page) -> String {
    let wide = page.width >= WIDE;
    let title = left(&task.title, if wide { 24 } else { 20 });
    let role = if wide {
        format!("  {}", left(task.role, 11))
    } else {
        String::new()
    };
    let front = format!("{}  {title}{role}  ", HumanRef::task(task.number));
    let since = task.since.map_or(0, |since| ms_between(since, now));
    let changes = match task.changes {
        Changes {
            added: 0,
            removed: 0,
        } => String::new(),
        Changes { added, removed } => format!("+{added} −{removed}"),
    };
    let tail = format!("  {}  {}", right(&changes, 9), right(&clock(since), 5));
    let found = match (task.found_by, task.resolves) {
        (Some(by), _) => format!("found by {}", HumanRef::task(by)),
        (None, Some(of)) => format!("resolves {}", HumanRef::task(of)),
        (None, None) => String::new(),
    };
    let columns = page.width - INDENT;
    let room = columns.saturating_sub(width(&front) + width(&tail));
    let doing = if wide && !found.is_empty() {
        let room = room.saturating_sub(width(&found) + 2);
        format!("{}  {found}", left(&task.doing, room))
    } else {
        left(&fit(&task.doing, room), room)
    };
    format!("{front}{doing}{}", page.dim(&tail))
}

fn ms_between(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_micros() - from.as_micros()).max(0) / 1000
}
