//! A trace as a tree a reviewer can trust.

use omoi_domain::ablation::AblationVerdict;
use omoi_protocol::control::{AblationView, ReceiptView, Trace, TraceCriterion};

use super::opening::model;
use super::opinion;
use super::text::{Page, clean, clean_lines, count, fit, flow, short, took, width, wrap};

/// Columns before a requirement's text, and before what hangs below a criterion.
const HANG: usize = 4;

/// The tree; with `output` every receipt shows what its command printed.
pub(crate) fn render(trace: &Trace, output: bool, page: Page) -> Vec<String> {
    let all = trace.requirements.iter().flat_map(|r| &r.criteria);
    let proven = all.clone().filter(|criterion| criterion.proven).count();
    let head = trace.head.as_deref().map_or("no commit yet", short);
    let mut lines = wrap(
        &format!("{}  {}", trace.spec_ref, clean(&trace.title)),
        page.width,
    );
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    let open = open_criteria(trace);
    let cells = [
        format!("head {head}"),
        format!("{proven} of {} criteria proven{open}", all.clone().count()),
        format!("model: {}", model(&trace.model)),
    ];
    lines.extend(flow(&cells, page.width));
    if let Some(opinion) = &trace.opinion {
        lines.extend(opinion::lines(opinion, page));
    }
    if !trace.outside_plan.is_empty() {
        let files = format!(
            "outside the plan: {}",
            clean(&trace.outside_plan.join(", "))
        );
        lines.extend(wrap(&files, page.width));
    }
    for failed in &trace.failed_calls {
        let told = format!("model call failed: {}", clean(failed));
        lines.extend(wrap(&told, page.width));
    }
    for requirement in &trace.requirements {
        lines.push(String::new());
        let title = format!("{}  {}", clean(&requirement.id), clean(&requirement.title));
        lines.push(page.bold(&fit(&title, page.width)));
        for line in wrap(&clean(&requirement.text), page.width - HANG) {
            lines.push(format!("{}{line}", " ".repeat(HANG)));
        }
        let last = requirement.criteria.len().saturating_sub(1);
        for (index, criterion) in requirement.criteria.iter().enumerate() {
            let (branch, below) = if index == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let front = Front {
                branch,
                below,
                page,
            };
            lines.extend(front.criterion(criterion, output));
        }
    }
    lines
}

/// How many criteria ablation left open, by verdict; empty when it left none.
fn open_criteria(trace: &Trace) -> String {
    let criteria = trace.requirements.iter().flat_map(|r| &r.criteria);
    let ablations = criteria.filter_map(|criterion| criterion.ablation.as_ref());
    let found = |verdict| {
        let those = ablations.clone().filter(|it| it.verdict == verdict);
        those.count()
    };
    let mut open = String::new();
    for (verdict, says) in [
        (AblationVerdict::Weak, "weak"),
        (AblationVerdict::Unknown, "unknown"),
        (AblationVerdict::NotTried, "not tried"),
    ] {
        match found(verdict) {
            0 => {}
            n => open.push_str(&format!(", {n} {says}")),
        }
    }
    open
}

/// The drawn part to the left of a criterion.
#[derive(Clone, Copy)]
struct Front {
    branch: &'static str,
    below: &'static str,
    page: Page,
}

impl Front {
    fn criterion(self, criterion: &TraceCriterion, output: bool) -> Vec<String> {
        let page = self.page;
        let mark = match (criterion.proven, &criterion.stale_since) {
            (true, _) => page.green("proven    "),
            (false, Some(_)) => page.red("stale     "),
            (false, None) => page.red("not proven"),
        };
        let text = format!("{}  {}", clean(&criterion.id), clean(&criterion.text));
        let mut lines = Vec::new();
        for (index, line) in wrap(&text, page.width - 15).into_iter().enumerate() {
            lines.push(match index {
                0 => format!("{}{mark}  {line}", self.branch),
                _ => format!("{}            {line}", self.below),
            });
        }
        if let Some(sha) = &criterion.stale_since {
            let what = format!(
                "stale since {}, which changed what its check read",
                short(sha)
            );
            lines.push(format!("{}  {what}", self.below));
        }
        if let Some(ablation) = &criterion.ablation {
            lines.extend(self.ablation(ablation));
        }
        for (task, commit) in &criterion.tasks {
            let commit = commit.as_deref().map_or("not merged", short);
            lines.push(format!("{}  {}  {commit}", self.below, clean(task)));
        }
        if criterion.receipts.is_empty() {
            lines.push(format!("{}  no receipt", self.below));
        }
        for receipt in &criterion.receipts {
            lines.extend(self.receipt(receipt, output));
        }
        lines
    }

    /// What became of a criterion without its work; nothing where it needs it, as it should.
    fn ablation(self, ablation: &AblationView) -> Vec<String> {
        let says = match ablation.verdict {
            AblationVerdict::Needed => return Vec::new(),
            AblationVerdict::Weak => "weak: proven, but not by this work",
            AblationVerdict::Unknown => "unknown whether proven by this work",
            AblationVerdict::NotTried => "not tried without this work",
        };
        let why = ablation
            .reason
            .as_deref()
            .map_or(String::new(), |why| format!(": {}", clean(why)));
        let accepted = if ablation.is_accepted {
            " (accepted)"
        } else {
            ""
        };
        wrap(&format!("{says}{accepted}{why}"), self.page.width - 5)
            .into_iter()
            .map(|line| format!("{}  {line}", self.below))
            .collect()
    }

    fn receipt(self, receipt: &ReceiptView, output: bool) -> Vec<String> {
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
            short(&receipt.commit),
            receipt.stage,
            receipt.rung,
            took(receipt.took_ms),
        );
        let counted = receipt.tests.as_ref().map(|tests| match tests.counts {
            Some(counts) => format!("  {}", count(counts.ran, "test")),
            None if tests.runners.is_empty() => "  runner without a count".to_owned(),
            None => format!("  {} without a count", tests.runners.join(", ")),
        });
        let facts = facts + counted.as_deref().unwrap_or_default();
        let command = format!("$ {}", clean(&receipt.command));
        let room = page.width - 8;
        let mut lines = vec![format!("{}    {}", self.below, fit(&command, room))];
        let facts = match width(&facts) <= room {
            true => vec![facts],
            false => wrap(&facts, room),
        };
        let facts = facts.iter().map(|line| page.dim(line));
        lines.extend(facts.map(|line| format!("{}    {line}", self.below)));
        if output {
            for line in clean_lines(&receipt.output) {
                lines.push(format!("{}    {} {line}", self.below, page.dim("|")));
            }
        }
        lines
    }
}
