//! A trace as a tree a reviewer can trust.

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::spec::WorkEvidence;
use omoi_protocol::api::{AblationView, ReceiptView, SpecTrace, TraceCriterion};

use super::header::model_label;
use super::plan_opinion;
use super::text_layout::{
    OutputPage, clean_line, clean_lines, count_noun, display_width, fit_columns, flow_cells,
    format_duration, short_sha, wrap_text,
};

/// Columns before a requirement's text, and before what hangs below a criterion.
const HANG: usize = 4;

/// How much of it is proven.
fn proof_cell(trace: &SpecTrace, open: &str) -> String {
    let all = trace.requirements.iter().flat_map(|r| &r.criteria);
    let proven = all.clone().filter(|criterion| criterion.proven).count();
    match trace.evidence {
        Some(WorkEvidence::Checked) => "checked by the suite, not proven".to_owned(),
        Some(WorkEvidence::Proven) | None => {
            format!("{proven} of {} criteria proven{open}", all.count())
        }
    }
}

/// The tree; with `output` every receipt shows what its command printed.
pub(crate) fn render_trace(trace: &SpecTrace, output: bool, page: OutputPage) -> Vec<String> {
    let head = trace.head.as_deref().map_or("no commit yet", short_sha);
    let mut lines = wrap_text(
        &format!("{}  {}", trace.spec_ref, clean_line(&trace.title)),
        page.width,
    );
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    let open = open_verdicts(trace);
    let cells = [
        format!("head {head}"),
        proof_cell(trace, &open),
        format!("model: {}", model_label(trace.model_kind, &trace.model)),
    ];
    lines.extend(flow_cells(&cells, page.width));
    if !trace.agents.is_empty() {
        let agents = format!("agents: {}", clean_line(&trace.agents.join(", ")));
        lines.extend(wrap_text(&agents, page.width));
    }
    if let Some(opinion) = &trace.opinion {
        lines.extend(plan_opinion::opinion_lines(opinion, page));
    }
    if !trace.outside_plan.is_empty() {
        let files = format!(
            "outside the plan: {}",
            clean_line(&trace.outside_plan.join(", "))
        );
        lines.extend(wrap_text(&files, page.width));
    }
    for change in &trace.dependencies_changed {
        let line = format!("dependencies changed: {}", clean_line(change));
        lines.extend(wrap_text(&line, page.width));
    }
    for package in &trace.packages {
        let line = format!("came in: {}", clean_line(package));
        lines.extend(wrap_text(&line, page.width));
    }
    for failed in &trace.failed_calls {
        let line = format!("model call failed: {}", clean_line(failed));
        lines.extend(wrap_text(&line, page.width));
    }
    for requirement in &trace.requirements {
        lines.push(String::new());
        let title = format!(
            "{}  {}",
            clean_line(&requirement.id),
            clean_line(&requirement.title)
        );
        lines.push(page.bold(&fit_columns(&title, page.width)));
        for line in wrap_text(&clean_line(&requirement.text), page.width - HANG) {
            lines.push(format!("{}{line}", " ".repeat(HANG)));
        }
        let last = requirement.criteria.len().saturating_sub(1);
        for (index, criterion) in requirement.criteria.iter().enumerate() {
            let (branch, below) = if index == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let front = BranchPrefix {
                branch,
                below,
                page,
            };
            lines.extend(front.criterion_lines(criterion, output));
        }
    }
    lines
}

/// `, 1 weak, 2 not tried`: the criteria whose ablation does not support them.
fn open_verdicts(trace: &SpecTrace) -> String {
    let criteria = trace.requirements.iter().flat_map(|r| &r.criteria);
    let verdicts: Vec<AblationVerdict> = criteria
        .filter_map(|criterion| Some(criterion.ablation.as_ref()?.verdict))
        .collect();
    let mut open = String::new();
    for (verdict, says) in [
        (AblationVerdict::Weak, "weak"),
        (AblationVerdict::Unknown, "unknown"),
        (AblationVerdict::NotTried, "not tried"),
    ] {
        match verdicts.iter().filter(|found| **found == verdict).count() {
            0 => {}
            n => open.push_str(&format!(", {n} {says}")),
        }
    }
    open
}

/// The drawn part to the left of a criterion.
#[derive(Clone, Copy)]
struct BranchPrefix {
    branch: &'static str,
    below: &'static str,
    page: OutputPage,
}

impl BranchPrefix {
    fn criterion_lines(self, criterion: &TraceCriterion, output: bool) -> Vec<String> {
        let page = self.page;
        let mark = match (criterion.proven, &criterion.stale_since) {
            (true, _) => page.green("proven    "),
            (false, Some(_)) => page.red("stale     "),
            (false, None) => page.red("not proven"),
        };
        let text = format!(
            "{}  {}",
            clean_line(&criterion.id),
            clean_line(&criterion.text)
        );
        let mut lines = Vec::new();
        for (index, line) in wrap_text(&text, page.width - 15).into_iter().enumerate() {
            lines.push(match index {
                0 => format!("{}{mark}  {line}", self.branch),
                _ => format!("{}            {line}", self.below),
            });
        }
        if let Some(sha) = &criterion.stale_since {
            let stale = format!(
                "stale since {}, which changed what its check read",
                short_sha(sha)
            );
            lines.push(format!("{}  {stale}", self.below));
        }
        if let Some(ablation) = &criterion.ablation {
            lines.extend(self.ablation_lines(ablation));
        }
        for (task, commit) in &criterion.tasks {
            let commit = commit.as_deref().map_or("not merged", short_sha);
            lines.push(format!("{}  {}  {commit}", self.below, clean_line(task)));
        }
        if criterion.receipts.is_empty() {
            lines.push(format!("{}  no receipt", self.below));
        }
        for receipt in &criterion.receipts {
            lines.extend(self.receipt_lines(receipt, output));
        }
        lines
    }

    /// What became of a criterion without its work; nothing where it needs it, as it should.
    fn ablation_lines(self, ablation: &AblationView) -> Vec<String> {
        let says = match ablation.verdict {
            AblationVerdict::Needed => return Vec::new(),
            AblationVerdict::Weak => "weak: proven, but not by this work",
            AblationVerdict::Unknown => "unknown whether proven by this work",
            AblationVerdict::NotTried => "not tried without this work",
        };
        let why = ablation
            .reason
            .as_deref()
            .map_or(String::new(), |why| format!(": {}", clean_line(why)));
        let accepted = if ablation.is_accepted {
            " (accepted)"
        } else {
            ""
        };
        wrap_text(&format!("{says}{accepted}{why}"), self.page.width - 5)
            .into_iter()
            .map(|line| format!("{}  {line}", self.below))
            .collect()
    }

    fn receipt_lines(self, receipt: &ReceiptView, output: bool) -> Vec<String> {
        let page = self.page;
        let result = match (receipt.passed, receipt.exit_code) {
            (true, _) => "passed".to_owned(),
            (false, Some(code)) => format!("failed (exit {code})"),
            (false, None) => "stopped".to_owned(),
        };
        let own = if receipt.self_tested {
            "  its own test"
        } else {
            ""
        };
        let facts = format!(
            "{result} at {} ({})  {}  {}{own}",
            short_sha(&receipt.commit),
            receipt.stage,
            receipt.rung,
            format_duration(receipt.took_ms),
        );
        let counted = receipt.tests.as_ref().map(|tests| match tests.counts {
            Some(counts) => format!("  {}", count_noun(counts.ran, "test")),
            None if tests.runners.is_empty() => "  runner without a count".to_owned(),
            None => format!("  {} without a count", tests.runners.join(", ")),
        });
        let untold = match receipt.estimated_models.as_slice() {
            [] => String::new(),
            models => format!("  ~ tokens of {}", clean_line(&models.join(", "))),
        };
        let facts = facts + counted.as_deref().unwrap_or_default() + &untold;
        let command = format!("$ {}", clean_line(&receipt.command));
        let room = page.width - 8;
        let mut lines = vec![format!("{}    {}", self.below, fit_columns(&command, room))];
        let facts = match display_width(&facts) <= room {
            true => vec![facts],
            false => wrap_text(&facts, room),
        };
        let facts = facts.iter().map(|line| page.dim(line));
        lines.extend(facts.map(|line| format!("{}    {line}", self.below)));
        if output {
            for step in &receipt.start_steps {
                let line = page.dim(&clean_line(&step.to_string()));
                lines.push(format!("{}    {line}", self.below));
            }
            for line in clean_lines(&receipt.output) {
                lines.push(format!("{}    {} {line}", self.below, page.dim("|")));
            }
        }
        lines
    }
}
