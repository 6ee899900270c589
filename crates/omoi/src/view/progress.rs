//! The part of a run's picture that changes: plan and work. Lines only, no terminal.

use omoi_domain::id::HumanRef;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::time::Timestamp;

use super::run_view::{LineChanges, PhaseLine, RunView, TaskLine};
use super::text_layout::{
    self, OutputPage, align_left, align_right, count_noun, display_width, fit_columns, flow_cells,
    format_clock, wrap_text,
};

/// Columns of the labels in front.
pub(super) const INDENT: usize = 9;
/// From here on there is room for the role.
const WIDE: usize = 100;

/// A label with its lines behind it.
pub(super) fn labelled_lines(page: OutputPage, label: &str, lines: &[String]) -> Vec<String> {
    let front = format!("  {}", align_left(label, INDENT - 2));
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
pub(crate) fn render_progress(
    view: &RunView,
    now: Timestamp,
    page: OutputPage,
    notes_max: usize,
) -> Vec<String> {
    let mut lines = plan_lines(view, now, page);
    if !view.tasks.is_empty() && view.status != Some(SpecStatus::Completed) {
        lines.push(String::new());
        lines.extend(work_lines(view, now, page, notes_max));
    }
    lines
}

/// Phases, and what sync wrote.
pub(crate) fn plan_lines(view: &RunView, now: Timestamp, page: OutputPage) -> Vec<String> {
    let columns = page.width - INDENT;
    let mut cells: Vec<String> = view
        .phases
        .iter()
        .map(|phase| phase_cell(view, phase))
        .collect();
    if let Some(ms) = view.planned_in_ms {
        cells.push(text_layout::format_duration(ms));
    }
    let mut lines = flow_cells(&cells, columns);
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
            n => format!("   {}", count_noun(n.into(), "item")),
        };
        let since = phase.since.map_or(0, |since| ms_between(since, now));
        let tail = format!("{items}   {}", format_clock(since));
        let room = columns.saturating_sub(display_width(&tail));
        lines.push(format!(
            "{}{tail}",
            align_left(&text_layout::clean_line(doing), room)
        ));
    }
    if let Some(sizes) = plan_sizes(view) {
        lines.extend(flow_cells(&sizes, columns));
    }
    labelled_lines(page, "plan", &lines)
}

/// `3 tickets`, `7 tasks`, `12 criteria`, and the shape of the graph when it is known.
pub(super) fn plan_sizes(view: &RunView) -> Option<Vec<String>> {
    let plan = view.plan.as_ref()?;
    let mut cells = vec![
        count_noun(plan.tickets.into(), "ticket"),
        count_noun(plan.tasks.into(), "task"),
        count_noun(plan.criteria.into(), "criterion"),
    ];
    if let Some(estimate) = &view.estimate {
        cells.push(format!("longest chain {}", estimate.longest_chain));
        cells.push(format!("up to {} at once", estimate.width));
    }
    Some(cells)
}

/// `requirements 0.61 → 0.93 (second try)`.
fn phase_cell(view: &RunView, phase: &PhaseLine) -> String {
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
fn work_lines(view: &RunView, now: Timestamp, page: OutputPage, notes_max: usize) -> Vec<String> {
    let columns = page.width - INDENT;
    let (done, all) = view.task_progress();
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
        head.push_str(&format!(
            "   {} at the head",
            count_noun(checks.into(), "check")
        ));
    }
    let spent = format!(
        "{}   {}   {}",
        format_clock(view.elapsed_ms(now)),
        text_layout::format_usd(view.cost_nanousd),
        text_layout::format_tokens(view.tokens),
    );
    let room = columns.saturating_sub(display_width(&spent));
    let mut lines = vec![format!("{}{}", align_left(&head, room), page.dim(&spent))];
    lines.extend(at_work.iter().map(|task| task_row(task, now, page)));
    let hidden = view.notes.len().saturating_sub(notes_max);
    if hidden > 0 {
        lines.push(page.dim(&format!(
            "· {} before these",
            count_noun(hidden as u64, "note")
        )));
    }
    for note in view.notes.iter().skip(hidden) {
        for (index, line) in wrap_text(&note.text, columns - 2).into_iter().enumerate() {
            let front = if index == 0 { "· " } else { "  " };
            lines.push(format!("{front}{line}"));
        }
    }
    labelled_lines(page, "work", &lines)
}

/// One task at work.
fn task_row(task: &TaskLine, now: Timestamp, page: OutputPage) -> String {
    let wide = page.width >= WIDE;
    let title = align_left(&task.title, if wide { 24 } else { 20 });
    let role = if wide {
        format!("  {}", align_left(task.role, 11))
    } else {
        String::new()
    };
    let front = format!("{}  {title}{role}  ", HumanRef::task(task.number));
    let since = task.since.map_or(0, |since| ms_between(since, now));
    let changes = match task.changes {
        LineChanges {
            added: 0,
            removed: 0,
        } => String::new(),
        LineChanges { added, removed } => format!("+{added} −{removed}"),
    };
    let tail = format!(
        "  {}  {}",
        align_right(&changes, 9),
        align_right(&format_clock(since), 5)
    );
    let found = match (task.found_by, task.resolves) {
        (Some(by), _) => format!("found by {}", HumanRef::task(by)),
        (None, Some(of)) => format!("resolves {}", HumanRef::task(of)),
        (None, None) => String::new(),
    };
    let columns = page.width - INDENT;
    let room = columns.saturating_sub(display_width(&front) + display_width(&tail));
    let doing = if wide && !found.is_empty() {
        let room = room.saturating_sub(display_width(&found) + 2);
        format!("{}  {found}", align_left(&task.doing, room))
    } else {
        align_left(&fit_columns(&task.doing, room), room)
    };
    format!("{front}{doing}{}", page.dim(&tail))
}

fn ms_between(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_micros() - from.as_micros()).max(0) / 1000
}
