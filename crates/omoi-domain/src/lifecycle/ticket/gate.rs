//! Whether a phase shows what it has to before its ticket leaves it.

use serde::{Deserialize, Serialize};

use super::{TicketMoveFacts, TicketStep, TicketTask};
use crate::id::{AttemptId, ReceiptId};
use crate::task::TaskStatus;
use crate::ticket::TicketStatus;
use crate::workflow::{ArtifactType, GateRule, GateStatus, PhaseDefinition, PhaseId, PhaseMode};

/// Something that a phase shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateArtifact {
    /// What it is.
    pub artifact_type: ArtifactType,
    /// What it holds.
    pub content: ArtifactContent,
}

/// What a gate looks at of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactContent {
    /// That it is there: the platform judged it before, or made it.
    Present,
    /// A text.
    Document {
        /// Its characters.
        chars: u32,
        /// Its headings, as [`section_names`] has them.
        sections: Vec<String>,
    },
    /// A share of the code.
    Coverage {
        /// Hundredths.
        percent: u32,
    },
    /// Checks that ran: of each its last receipt.
    Checks(Vec<GateReceipt>),
}

/// A receipt that a gate looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GateReceipt {
    /// Row id of the receipt.
    pub receipt_id: ReceiptId,
    /// The platform's attempt that ran the check.
    pub attempt_id: AttemptId,
    /// Whether the check passed.
    pub passed: bool,
}

/// What a gate says of one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateVerdict {
    /// The phase that is left.
    pub phase: PhaseId,
    /// Where it is left for.
    pub to_phase: PhaseId,
    /// Whether it may be left.
    pub status: GateStatus,
    /// What is missing.
    pub reasons: Vec<String>,
    /// What the phase shows.
    pub artifacts: Vec<ArtifactType>,
    /// The receipts that it shows among that.
    pub receipts: Vec<GateReceipt>,
}

/// Headings of a text: lower case, words joined by `_`.
pub fn section_names(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let names = headings.map(|heading| {
        let words = heading
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(str::to_lowercase).collect();
        words.join("_")
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// What the gate of the phase in `from` says of a move on to `to`; none where no gate holds the move.
pub fn judge_step(
    facts: &TicketMoveFacts<'_>,
    from: TicketStep,
    to: TicketStep,
) -> Option<GateVerdict> {
    let is_back =
        to.status == TicketStatus::Building && from.phase.is_built() || from.phase == to.phase;
    let is_finished_building = to.status == TicketStatus::BuildingDone;
    if from.phase == PhaseId::Backlog || (is_back && !is_finished_building) {
        return None;
    }
    let definition = facts.phases.iter().find(|known| known.id == from.phase)?;
    Some(judge_phase(facts, definition, from, to.phase))
}

/// What the gate of the phase that a ticket is in says now, were it to go to `to_phase`.
pub fn judge_present_phase(facts: &TicketMoveFacts<'_>, to_phase: PhaseId) -> GateVerdict {
    let present = TicketStep {
        status: facts.status,
        phase: facts.phase,
    };
    let mut known = facts.phases.iter();
    match known.find(|known| known.id == facts.phase) {
        Some(definition) => judge_phase(facts, definition, present, to_phase),
        None => GateVerdict {
            phase: facts.phase,
            to_phase,
            status: GateStatus::Passed,
            reasons: Vec::new(),
            artifacts: Vec::new(),
            receipts: Vec::new(),
        },
    }
}

fn judge_phase(
    facts: &TicketMoveFacts<'_>,
    definition: &PhaseDefinition,
    from: TicketStep,
    to_phase: PhaseId,
) -> GateVerdict {
    let due = definition
        .gates
        .iter()
        .filter(|gate| is_due(gate.artifact_type, from.status));
    let mut artifacts = Vec::new();
    let mut receipts = Vec::new();
    let mut reasons = Vec::new();
    for gate in due {
        let mut found = facts.artifacts.iter();
        let found = found.find(|artifact| artifact.artifact_type == gate.artifact_type);
        match found {
            Some(artifact) => {
                artifacts.push(artifact.artifact_type);
                if let ArtifactContent::Checks(shown) = &artifact.content {
                    receipts.extend_from_slice(shown);
                }
                reasons.extend(reasons_of(artifact, &gate.rule));
            }
            None => reasons.extend(reason_for_missing(gate.artifact_type, &gate.rule)),
        }
    }
    // What was worked out in no document, nobody has to show; nor a deployment that nobody named a check for.
    let is_unseen = match definition.mode {
        Some(PhaseMode::Exploration) => true,
        _ => from.phase == PhaseId::Deployment && !facts.has_deploy_check,
    };
    let is_passed_by = definition.is_skippable && is_unseen && artifacts.is_empty();
    // The work of a deployment is its check, and what is deployed was built and tested before.
    let open_work = match from.phase.is_built() && from.phase != PhaseId::Deployment {
        true => open_work(facts.tasks),
        false => None,
    };
    let (status, reasons) = match (open_work, is_passed_by, reasons.is_empty()) {
        (Some(open), _, _) => (GateStatus::Pending, vec![open]),
        (None, true, _) => (GateStatus::Skipped, Vec::new()),
        (None, false, true) => (GateStatus::Passed, reasons),
        (None, false, false) => (GateStatus::Failed, reasons),
    };
    GateVerdict {
        phase: from.phase,
        to_phase,
        status,
        reasons,
        artifacts,
        receipts,
    }
}

/// Whether an artifact is to be shown by a ticket that leaves `status`: what comes of the merges, once it is built.
fn is_due(artifact: ArtifactType, status: TicketStatus) -> bool {
    let is_of_merges = matches!(
        artifact,
        ArtifactType::PackagingBundle | ArtifactType::HandoffDocumentation
    );
    match status {
        TicketStatus::Building => !is_of_merges,
        TicketStatus::BuildingDone => is_of_merges,
        TicketStatus::Backlog
        | TicketStatus::Analyzing
        | TicketStatus::Testing
        | TicketStatus::Deploying
        | TicketStatus::Done => true,
    }
}

/// What of the work on a phase has not ended.
fn open_work(tasks: &[TicketTask]) -> Option<String> {
    // What was cancelled is no part of it any more.
    let tasks = tasks
        .iter()
        .filter(|task| task.status != TaskStatus::Cancelled);
    let (n, n_open) = tasks.fold((0, 0), |(n, n_open), task| {
        (n + 1, n_open + usize::from(!task.is_settled()))
    });
    match (n, n_open) {
        (0, _) => Some("it has no task".to_owned()),
        (_, 0) => None,
        (n, n_open) => Some(format!(
            "{n_open} of its {n} tasks are not completed and merged"
        )),
    }
}

fn reason_for_missing(artifact: ArtifactType, rule: &GateRule) -> Option<String> {
    match (artifact, rule) {
        (
            _,
            GateRule::Coverage {
                is_required: false, ..
            },
        ) => None,
        (_, GateRule::Coverage { .. }) => Some("coverage_unmeasured".to_owned()),
        (ArtifactType::DeploymentEvidence, _) => {
            Some("no check of its deployment has passed".to_owned())
        }
        _ => Some(format!("{artifact} is missing")),
    }
}

pub(super) fn reasons_of(artifact: &GateArtifact, rule: &GateRule) -> Vec<String> {
    let name = artifact.artifact_type;
    match (rule, &artifact.content) {
        (
            GateRule::Document {
                chars_min,
                sections,
            },
            ArtifactContent::Document {
                chars,
                sections: found,
            },
        ) => {
            let is_short = chars < chars_min;
            let short =
                is_short.then(|| format!("{name} has {chars} of at least {chars_min} characters"));
            let missing = sections.iter().filter(|wanted| !found.contains(wanted));
            let missing = missing.map(|wanted| format!("{name} has no section `{wanted}`"));
            short.into_iter().chain(missing).collect()
        }
        (GateRule::Coverage { percent_min, .. }, ArtifactContent::Coverage { percent }) => {
            let is_low = percent < percent_min;
            let low =
                is_low.then(|| format!("{name} is {percent} %, and {percent_min} % are asked for"));
            low.into_iter().collect()
        }
        (GateRule::AllPassed, ArtifactContent::Checks(receipts)) => {
            let n_failed = receipts.iter().filter(|receipt| !receipt.passed).count();
            let failed = || format!("{n_failed} of its {} checks failed", receipts.len());
            (n_failed > 0).then(failed).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use uuid::Uuid;

    use super::*;
    use crate::merge::IntegrationState;
    use crate::ticket::ApprovalStatus;
    use crate::workflow::seeded_workflow;

    const MERGED: TicketTask = TicketTask {
        status: TaskStatus::Completed,
        integration_state: IntegrationState::Merged,
        is_needed: true,
    };

    fn document(artifact_type: ArtifactType, text: &str) -> GateArtifact {
        GateArtifact {
            artifact_type,
            content: ArtifactContent::Document {
                chars: text.chars().count() as u32,
                sections: section_names(text),
            },
        }
    }

    fn artifact(artifact_type: ArtifactType, content: ArtifactContent) -> GateArtifact {
        GateArtifact {
            artifact_type,
            content,
        }
    }

    fn judged(
        from: (TicketStatus, PhaseId),
        to: (TicketStatus, PhaseId),
        artifacts: &[GateArtifact],
    ) -> Option<GateVerdict> {
        let facts = TicketMoveFacts {
            status: from.0,
            phase: from.1,
            approval: ApprovalStatus::Approved,
            tasks: &[MERGED],
            phases: &seeded_workflow().phases,
            artifacts,
            has_deploy_check: true,
        };
        let step = |(status, phase)| TicketStep { status, phase };
        judge_step(&facts, step(from), step(to))
    }

    fn receipt(n: u128, passed: bool) -> GateReceipt {
        GateReceipt {
            receipt_id: ReceiptId::from_uuid(Uuid::from_u128(n)),
            attempt_id: AttemptId::from_uuid(Uuid::from_u128(n + 100)),
            passed,
        }
    }

    #[test]
    fn a_verdict_names_the_receipts_that_were_shown_whatever_it_says() {
        use TicketStatus::{Done, Testing};
        for (passed, status) in [(true, GateStatus::Passed), (false, GateStatus::Failed)] {
            let shown = vec![receipt(1, true), receipt(2, passed)];
            let results = ArtifactContent::Checks(shown.clone());
            let artifacts = [
                artifact(ArtifactType::TestResults, results),
                artifact(ArtifactType::TestEvidence, ArtifactContent::Present),
            ];
            let (testing, done) = ((Testing, PhaseId::Testing), (Done, PhaseId::Done));
            let verdict = judged(testing, done, &artifacts).unwrap();
            assert_eq!((verdict.status, verdict.receipts), (status, shown));
        }
    }

    #[test]
    fn headings_are_found_as_rules_name_them() {
        let text = "# Scope\ntext # no heading\n## Acceptance criteria:\n###\n";
        assert_eq!(section_names(text), ["scope", "acceptance_criteria"]);
    }

    #[test]
    fn a_document_that_was_given_has_to_be_enough_and_none_is_passed_by() {
        use TicketStatus::{Analyzing, Building};
        let from = (Analyzing, PhaseId::Requirements);
        let whole = format!("# Scope\n{}\n# Acceptance criteria\n", "word ".repeat(120));
        let requirements = ArtifactType::RequirementsDocument;
        for (artifacts, status, n_reasons) in [
            (vec![], GateStatus::Skipped, 0),
            (vec![document(requirements, &whole)], GateStatus::Passed, 0),
            (
                vec![document(requirements, "# Scope\n")],
                GateStatus::Failed,
                2,
            ),
            (
                vec![artifact(requirements, ArtifactContent::Present)],
                GateStatus::Passed,
                0,
            ),
        ] {
            for to in [
                (Analyzing, PhaseId::Design),
                (Building, PhaseId::Implementation),
            ] {
                let verdict = judged(from, to, &artifacts);
                let found = verdict.map(|verdict| (verdict.status, verdict.reasons.len()));
                assert_eq!(found, Some((status, n_reasons)), "{artifacts:?} {to:?}");
            }
        }
    }

    #[test]
    fn what_is_built_and_tested_is_shown_by_facts() {
        use ArtifactType::{CodeChanges, PackagingBundle, TestCoverage, TestEvidence, TestResults};
        use TicketStatus::{Building, BuildingDone, Deploying, Done, Testing};
        let present = |artifact_type| artifact(artifact_type, ArtifactContent::Present);
        let checks = |n_passed, n_failed| {
            let passed = [true].repeat(n_passed).into_iter();
            let receipts = (1..).zip(passed.chain([false].repeat(n_failed)));
            let receipts = receipts.map(|(n, passed)| receipt(n, passed)).collect();
            artifact(TestResults, ArtifactContent::Checks(receipts))
        };
        let covered = |percent| artifact(TestCoverage, ArtifactContent::Coverage { percent });
        let building = (Building, PhaseId::Implementation);
        let built = (BuildingDone, PhaseId::Implementation);
        let testing = (Testing, PhaseId::Testing);
        let done = (Done, PhaseId::Done);
        for (from, to, artifacts, expected) in [
            (building, built, vec![present(CodeChanges)], Some(0)),
            (building, built, vec![], Some(1)),
            (
                building,
                built,
                vec![present(CodeChanges), covered(79)],
                Some(1),
            ),
            (
                building,
                built,
                vec![present(CodeChanges), covered(80)],
                Some(0),
            ),
            (built, testing, vec![present(PackagingBundle)], Some(0)),
            (built, testing, vec![], Some(1)),
            (testing, done, vec![], Some(2)),
            (testing, done, vec![checks(3, 1)], Some(2)),
            (
                testing,
                done,
                vec![checks(3, 0), present(TestEvidence)],
                Some(0),
            ),
            ((Deploying, PhaseId::Deployment), done, vec![], Some(1)),
            // Nobody shows anything to go back.
            (testing, building, vec![], None),
            (built, building, vec![], None),
            (
                (TicketStatus::Backlog, PhaseId::Backlog),
                building,
                vec![],
                None,
            ),
        ] {
            let verdict = judged(from, to, &artifacts);
            let found = verdict.as_ref().map(|verdict| verdict.reasons.len());
            assert_eq!(found, expected, "{from:?} {to:?}: {verdict:?}");
            let is_open = verdict.is_none_or(|verdict| verdict.status.lets_pass());
            assert_eq!(is_open, expected.unwrap_or(0) == 0, "{from:?} {to:?}");
        }
    }

    #[test]
    fn work_that_goes_on_is_no_refusal() {
        let facts = TicketMoveFacts {
            status: TicketStatus::Building,
            phase: PhaseId::Implementation,
            approval: ApprovalStatus::Approved,
            tasks: &[],
            phases: &seeded_workflow().phases,
            artifacts: &[],
            has_deploy_check: false,
        };
        let verdict = judge_present_phase(&facts, PhaseId::Testing);
        let expected = (GateStatus::Pending, vec!["it has no task".to_owned()]);
        assert_eq!((verdict.status, verdict.reasons), expected);
        let done = TicketMoveFacts {
            status: TicketStatus::Done,
            phase: PhaseId::Done,
            ..facts
        };
        let status = judge_present_phase(&done, PhaseId::Done).status;
        assert_eq!(status, GateStatus::Passed);
        // A deployment that nobody named a check for is passed by, with one it is shown.
        for (has_deploy_check, expected) in
            [(false, GateStatus::Skipped), (true, GateStatus::Failed)]
        {
            let deploying = TicketMoveFacts {
                status: TicketStatus::Deploying,
                phase: PhaseId::Deployment,
                has_deploy_check,
                ..facts
            };
            let status = judge_present_phase(&deploying, PhaseId::Done).status;
            assert_eq!(status, expected);
        }
        let unknown = TicketMoveFacts {
            phases: &[],
            ..done
        };
        let status = judge_present_phase(&unknown, PhaseId::Done).status;
        assert_eq!(status, GateStatus::Passed);
    }
}
