//! What exploring left open: people are asked where they look at the plan, and planning does not wait for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::integration::phase_output;
use omoi_plan::outputs::ExploreOutput;
use omoi_store::approvals::{self, Approval};
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tx};

/// Asks people what exploring left open, once for each of its outputs; true where they are asked now.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn ask_open_questions(tx: &mut Tx, spec: &Spec) -> Result<bool, StoreError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let asked = approvals::of_spec(tx, spec.id).await?;
    let Some(open) = open_question(&runs, &asked)? else {
        return Ok(false);
    };
    // Whoever ends the spec withdraws what people are asked: nothing is asked after that.
    specs::hold_spec(tx, spec.id).await?;
    let is_planned = specs::get(tx, spec.id).await?.status == SpecStatus::Executing;
    let asked = approvals::of_spec(tx, spec.id).await?;
    if !is_planned || open_question(&runs, &asked)?.is_none() {
        return Ok(false);
    }
    approvals::ask_for_spec(tx, spec, open.output_digest, open.text).await?;
    Ok(true)
}

/// Whether people are to be asked what exploring left open.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn has_open_questions(tx: &mut Tx, spec: &Spec) -> Result<bool, StoreError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let asked = approvals::of_spec(tx, spec.id).await?;
    Ok(open_question(&runs, &asked)?.is_some())
}

/// What people answered to what exploring left open; none where nobody did, or exploring made another output since.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn answers_of(tx: &mut Tx, spec: &Spec) -> Result<AnsweredQuestions, StoreError> {
    let asked = approvals::of_spec(tx, spec.id).await?.into_iter();
    let answered = asked.filter(|asked| {
        asked.kind == ApprovalKind::Question && asked.state == ApprovalState::Answered
    });
    let by_digest = answered.filter_map(|asked| Some((asked.output_digest?, asked.comment?)));
    Ok(AnsweredQuestions(by_digest.collect()))
}

/// Answers, by the digest of the output that they are about.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnsweredQuestions(BTreeMap<String, String>);

impl AnsweredQuestions {
    /// The answer that `phase` reads beside the outputs that have passed.
    pub(crate) fn read_by(
        &self,
        phase: Phase,
        passed: &BTreeMap<Phase, String>,
    ) -> Option<&String> {
        match phase {
            Phase::Prd => self.0.get(passed.get(&Phase::Explore)?),
            _ => None,
        }
    }

    /// The same for the phases of `runs`.
    pub(crate) fn read_beside(&self, phase: Phase, runs: &[PhaseRun]) -> Option<&String> {
        let explored = passed_exploring(runs)?;
        let passed = BTreeMap::from([(Phase::Explore, explored.output_digest.clone()?)]);
        self.read_by(phase, &passed)
    }
}

struct ExploreQuestion {
    output_digest: String,
    text: String,
}

fn passed_exploring(runs: &[PhaseRun]) -> Option<&PhaseRun> {
    let mut runs = runs.iter();
    runs.find(|run| run.phase == Phase::Explore && run.state == PhaseState::Passed)
}

fn open_question(
    runs: &[PhaseRun],
    asked: &[Approval],
) -> Result<Option<ExploreQuestion>, StoreError> {
    let digest = passed_exploring(runs).and_then(|run| run.output_digest.clone());
    let Some(output_digest) = digest else {
        return Ok(None);
    };
    let is_asked = asked.iter().any(|asked| {
        asked.kind == ApprovalKind::Question && asked.output_digest.as_ref() == Some(&output_digest)
    });
    let output = phase_output::<ExploreOutput>(runs, Phase::Explore)?;
    let Some(output) = output.filter(|_| !is_asked) else {
        return Ok(None);
    };
    let text = question_text(&output);
    Ok((!text.is_empty()).then_some(ExploreQuestion {
        output_digest,
        text,
    }))
}

/// The questions as people read them, numbered over all categories.
fn question_text(output: &ExploreOutput) -> String {
    let mut text = String::new();
    let groups = output.discovery_questions.iter();
    let all = groups.flat_map(|group| {
        let questions = group.questions.iter();
        questions.map(move |question| (group.category, question))
    });
    for (n, (category, question)) in (1..).zip(all) {
        let _ = writeln!(text, "{n}. {category}: {question}");
    }
    text.truncate(text.trim_end().len());
    text
}
