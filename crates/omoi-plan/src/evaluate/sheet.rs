//! The sheet on which an evaluation collects marks and findings.

use std::collections::BTreeMap;

use crate::evaluate::evaluation::{
    EVALUATOR_VERSION, PASS_THRESHOLD, PhaseEvaluation, ScoreCriterion,
};
use crate::finding::RuleFinding;

/// Most findings of one sort repeated in the feedback; the rest is counted.
const FEEDBACK_LINES_MAX: usize = 40;

/// Marks, findings and lost points.
#[derive(Debug)]
pub(super) struct MarkSheet {
    criteria: &'static [ScoreCriterion],
    marks: Vec<CriterionMark>,
    blockers: Vec<RuleFinding>,
    warnings: Vec<RuleFinding>,
}

#[derive(Clone, Debug, Default)]
struct CriterionMark {
    value: f64,
    lost: String,
    may_be_zero: bool,
}

impl MarkSheet {
    /// An empty sheet: every criterion at 0.
    pub(super) fn new(criteria: &'static [ScoreCriterion]) -> Self {
        Self {
            criteria,
            marks: vec![CriterionMark::default(); criteria.len()],
            blockers: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Sets the mark of criterion `name`; `lost` says what full marks would have taken here.
    pub(super) fn set_mark(&mut self, name: &str, value: f64, lost: impl Into<String>) {
        let at = self.criteria.iter().position(|c| c.name == name);
        debug_assert!(at.is_some(), "no criterion `{name}`");
        if let Some(mark) = at.and_then(|at| self.marks.get_mut(at)) {
            mark.value = if value.is_finite() {
                value.clamp(0.0, 1.0)
            } else {
                0.0
            };
            mark.lost = lost.into();
        }
    }

    /// Lets criterion `name` be 0 without blocking: its absence is legitimate here, or a blocker
    /// of its own says more.
    pub(super) fn allow_zero(&mut self, name: &str) {
        for (criterion, mark) in self.criteria.iter().zip(&mut self.marks) {
            mark.may_be_zero |= criterion.name == name;
        }
    }

    /// Adds a blocker.
    pub(super) fn add_blocker(
        &mut self,
        code: &str,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.blockers.push(new_finding(code, path, message));
    }

    /// Adds a warning.
    pub(super) fn add_warning(
        &mut self,
        code: &str,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.warnings.push(new_finding(code, path, message));
    }

    /// The verdict. A criterion at 0 blocks: that part of the output is missing altogether.
    pub(super) fn into_evaluation(mut self) -> PhaseEvaluation {
        let mut score = 0.0;
        let mut details = BTreeMap::new();
        let mut lost = Vec::new();
        for (criterion, mark) in self.criteria.iter().zip(&self.marks) {
            score += criterion.weight * mark.value;
            details.insert(criterion.name.to_owned(), mark.value);
            if mark.value < 1.0 {
                let why = if mark.lost.is_empty() {
                    criterion.asks
                } else {
                    &mark.lost
                };
                lost.push(format!("{} {:.2}: {why}", criterion.name, mark.value));
            }
            if mark.value <= 0.0 && !mark.may_be_zero {
                let path = criterion.paths.first().copied().unwrap_or_default();
                self.blockers.push(new_finding(
                    "missing_content",
                    path,
                    format!(
                        "`{}` scores nothing; it asks: {}",
                        criterion.name, criterion.asks
                    ),
                ));
            }
        }
        let score = score.clamp(0.0, 1.0);
        // The sum of the weights misses 1 by rounding, so the threshold allows for as much.
        let enough = score + 1e-9 >= PASS_THRESHOLD;
        let feedback = feedback_text(&self.blockers, &lost, &self.warnings);
        PhaseEvaluation {
            score,
            passed: enough && self.blockers.is_empty() && !self.criteria.is_empty(),
            feedback,
            details,
            blockers: self.blockers,
            warnings: self.warnings,
            version: EVALUATOR_VERSION,
        }
    }
}

/// `n` of `of` as a share; nothing of nothing is 0.
pub(super) fn share_of(n: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

/// 1 or 0.
pub(super) fn one_if(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn new_finding(code: &str, path: impl Into<String>, message: impl Into<String>) -> RuleFinding {
    RuleFinding {
        code: code.to_owned(),
        message: message.into(),
        path: path.into(),
    }
}

fn feedback_text(blockers: &[RuleFinding], lost: &[String], warnings: &[RuleFinding]) -> String {
    let line = |f: &RuleFinding| match f.path.as_str() {
        "" => format!("{}: {}", f.code, f.message),
        path => format!("{} at `{path}`: {}", f.code, f.message),
    };
    let mut parts = Vec::new();
    feedback_part("Must be repaired:", blockers.iter().map(line), &mut parts);
    feedback_part("Lost points:", lost.iter().cloned(), &mut parts);
    feedback_part("Warnings:", warnings.iter().map(line), &mut parts);
    parts.join("\n")
}

fn feedback_part(
    title: &str,
    lines: impl ExactSizeIterator<Item = String>,
    parts: &mut Vec<String>,
) {
    let more = lines.len().saturating_sub(FEEDBACK_LINES_MAX);
    if lines.len() > 0 {
        parts.push(title.to_owned());
    }
    parts.extend(lines.take(FEEDBACK_LINES_MAX).map(|l| format!("- {l}")));
    if more > 0 {
        parts.push(format!("- … and {more} more"));
    }
}
