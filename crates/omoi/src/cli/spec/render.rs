//! Specs, their plans and what the gates refused, as lines for people.

use std::path::Path;

use omoi_domain::model_kind::ModelKind;
use omoi_protocol::api::{PhaseView, SpecDetail, SpecView, TaskView};

use crate::cli::CommandContext;
use crate::view::text_layout::{
    OutputPage, align_left, clean_line, clean_lines, display_width, fit_columns, format_duration,
    short_sha, tilde_path, wrap_text,
};
use crate::view::{header, plan_opinion};

/// Columns of a spec's name in a list.
const NAME_COLUMNS_MAX: usize = 32;

/// One line per spec: name, status, title, repository.
pub(super) fn spec_table(specs: &[SpecView], home: Option<&Path>, page: OutputPage) -> Vec<String> {
    let names = specs.iter().map(|spec| display_width(&spec.name)).max();
    let names = names.unwrap_or(0).clamp(8, NAME_COLUMNS_MAX) + 2;
    let room = page.width.saturating_sub(names + 18);
    let line = |spec: &SpecView| {
        let repo = tilde_path(Path::new(&spec.repo), home);
        let repo = fit_columns(&repo, room / 2);
        let model = if spec.model_kind == ModelKind::Simulated {
            "  (simulated)"
        } else {
            ""
        };
        let title = room.saturating_sub(display_width(&repo) + display_width(model) + 2);
        format!(
            "{}{}{}  {repo}{model}",
            align_left(&fit_columns(&clean_line(&spec.name), names - 2), names),
            align_left(spec.status.to_string().as_str(), 18),
            fit_columns(&clean_line(&spec.title), title)
        )
    };
    specs.iter().map(line).collect()
}

/// A spec with its phases and its plan.
pub(super) fn spec_lines(context: &CommandContext, detail: &SpecDetail) -> Vec<String> {
    let page = context.stdout_page();
    let spec = &detail.spec;
    let home = context.home_folder();
    let mut lines = wrap_text(
        &format!("{}  {}", spec.spec_ref, clean_line(&spec.title)),
        page.width,
    );
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    let repo = tilde_path(Path::new(&spec.repo), home.as_deref());
    lines.push(format!(
        "  status  {}   model: {}",
        spec.status,
        header::model_label(spec.model_kind, &spec.model)
    ));
    lines.push(format!(
        "  repo    {repo}   base {}",
        short_sha(&spec.base_sha)
    ));
    lines.push(format!("  branch  {}", clean_line(&spec.branch)));
    if let Some(why) = &spec.last_error {
        lines.extend(
            wrap_text(&clean_line(why), page.width - 10)
                .iter()
                .map(|line| format!("  reason  {line}")),
        );
    }
    for note in &spec.notes {
        lines.push(format!("  note    {}", clean_line(note)));
    }
    lines.push(String::new());
    lines.extend(detail.phases.iter().map(phase_row));
    if !detail.tickets.is_empty() {
        lines.push(String::new());
        lines.extend(plan_lines(detail, page));
    }
    lines
}

/// What the gates refused, phase by phase.
pub(super) fn refused_outputs(detail: &SpecDetail, page: OutputPage) -> Vec<String> {
    let mut lines = Vec::new();
    for phase in &detail.phases {
        let (feedback, output) = (phase.feedback.as_deref(), &phase.rejected_output);
        if feedback.is_none() && output.is_none() {
            continue;
        }
        let score = phase.rejected_score.or(phase.score);
        let score = score.map_or(String::new(), |score| format!(" {score:.2}"));
        lines.push(page.bold(&format!("  {} refused{score}", phase.phase)));
        for line in clean_lines(feedback.unwrap_or_default()) {
            let shown = wrap_text(&line, page.width - 4);
            lines.extend(shown.iter().map(|line| format!("    {line}")));
        }
        if let Some(output) = output {
            let text = serde_json::to_string_pretty(output).unwrap_or_default();
            let front = page.dim("|");
            let shown = clean_lines(&text).into_iter();
            lines.extend(shown.map(|line| format!("    {front} {line}")));
        }
    }
    if lines.is_empty() {
        lines.push("  nothing was refused".to_owned());
    }
    lines
}

/// Score, state, duration and attempts of one phase.
fn phase_row(phase: &PhaseView) -> String {
    let score = phase
        .score
        .map_or("    ".to_owned(), |score| format!("{score:.2}"));
    let tries = if phase.attempts > 1 {
        format!("{} attempts", phase.attempts)
    } else {
        String::new()
    };
    let took = phase.took_ms.map_or(String::new(), format_duration);
    let line = format!(
        "  {}  {}  {score}  {}  {tries}",
        align_left(phase.phase.as_str(), 14),
        align_left(&phase.state.to_string(), 9),
        align_left(&took, 7)
    );
    line.trim_end().to_owned()
}

/// Tickets with their tasks.
pub(crate) fn plan_lines(detail: &SpecDetail, page: OutputPage) -> Vec<String> {
    let mut lines = Vec::new();
    for ticket in &detail.tickets {
        let title = format!("  {}  {}", ticket.ticket_ref, clean_line(&ticket.title));
        lines.push(page.bold(&fit_columns(&title, page.width)));
        let own = detail
            .tasks
            .iter()
            .filter(|task| task.ticket_ref == ticket.ticket_ref);
        lines.extend(own.map(|task| format!("    {}", task_line(task, page.width - 4))));
    }
    if !detail.spec.mounts.is_empty() {
        let line = format!(
            "sandboxes read: {}",
            clean_line(&detail.spec.mounts.join(", "))
        );
        let line = wrap_text(&line, page.width - 2);
        lines.extend(line.into_iter().map(|line| format!("  {line}")));
    }
    for overlap in &detail.overlaps {
        let tasks = overlap.task_refs.join(" and ");
        let files = clean_line(&overlap.files.join(", "));
        let line = format!("  {tasks} may conflict: both change {files}");
        lines.push(fit_columns(&line, page.width).into_owned());
    }
    if let Some(view) = &detail.opinion {
        let narrow = OutputPage {
            width: page.width - 2,
            ..page
        };
        let said = plan_opinion::opinion_lines(view, narrow);
        lines.extend(said.iter().map(|line| format!("  {line}")));
    }
    lines
}

/// One task on one line.
pub(crate) fn task_line(task: &TaskView, columns: usize) -> String {
    let mut tail = String::new();
    if !task.depends_on.is_empty() {
        tail = format!("  after {}", task.depends_on.join(", "));
    }
    if let Some(by) = &task.found_by {
        tail.push_str(&format!("  found by {by}"));
    }
    let status = match task.integration_state.to_string().as_str() {
        "merged" => "merged".to_owned(),
        _ => task.status.to_string(),
    };
    let front = format!("{}  {}  ", task.task_ref, align_left(&status, 18));
    let rest = format!("{}{tail}", clean_line(&task.title));
    let line = format!(
        "{front}{}",
        fit_columns(&rest, columns.saturating_sub(front.len()))
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_gates_refused_is_shown_with_the_reason() {
        let phase = |name: &str, feedback: Option<&str>, output: Option<serde_json::Value>| {
            json!({
                "phase": name, "state": "passed", "attempts": 2, "score": 0.9,
                "feedback": feedback, "rejected_output": output, "rejected_score": 0.61,
                "took_ms": null,
            })
        };
        let detail = json!({
            "spec": {
                "id": "01930000-0000-7000-8000-000000000003", "spec_ref": "SPEC-1",
                "name": "todo/SPEC-1", "title": "Tags", "status": "failed", "waits": null,
                "current_phase": "prd", "model": "simulated", "model_kind": "simulated", "scenario": null, "repo": "/todo", "agents": [],
                "base_sha": "9a9a9a9", "base_branch": null, "branch": "omoi/tags",
                "last_error": null, "created_at": "1970-01-01T00:00:00.000Z", "ended_at": null, "notes": [], "mounts": [], "survey": {},
            },
            "original_request": "Tags", "tickets": [], "tasks": [], "estimate": null,
            "overlaps": [],
            "phases": [
                phase("explore", None, None),
                phase("requirements", Some("- vague: \u{1b}[2Jsay when"), Some(json!({"a": 1}))),
            ],
        });
        let detail: SpecDetail = serde_json::from_value(detail).unwrap();
        let lines = refused_outputs(&detail, OutputPage::new(80, false));
        assert_eq!(
            lines,
            [
                "  requirements refused 0.61",
                "    - vague: \\u{1b}[2Jsay when",
                "    | {",
                "    |   \"a\": 1",
                "    | }",
            ]
        );
    }
}
