//! The phases that a ticket goes through, what each has to show, and the columns of the board that shows them.
//!
//! They are rows of a project, seeded from one file: `data/workflow.json`. A phase that the set does not have is refused
//! where the file is read.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::ticket::TicketStatus;

crate::closed_set! {
    /// A phase in the life of a ticket.
    PhaseId {
        /// It waits for its turn.
        Backlog = "PHASE_BACKLOG",
        /// What is wanted is written down.
        Requirements = "PHASE_REQUIREMENTS",
        /// How it is built is written down.
        Design = "PHASE_DESIGN",
        /// It is built.
        Implementation = "PHASE_IMPLEMENTATION",
        /// It is shown to work.
        Testing = "PHASE_TESTING",
        /// It is brought to its users.
        Deployment = "PHASE_DEPLOYMENT",
        /// Nothing is left to do.
        Done = "PHASE_DONE",
        /// Something holds it up: no ticket is in this phase, one that is held up in any phase is shown in it.
        Blocked = "PHASE_BLOCKED",
    }
}

impl PhaseId {
    /// Whether a ticket of this phase may be in `status`.
    pub const fn has_status(self, status: TicketStatus) -> bool {
        matches!(
            (self, status),
            (Self::Backlog, TicketStatus::Backlog)
                | (Self::Requirements | Self::Design, TicketStatus::Analyzing)
                | (
                    Self::Implementation,
                    TicketStatus::Building | TicketStatus::BuildingDone
                )
                | (Self::Testing, TicketStatus::Testing)
                | (Self::Deployment, TicketStatus::Deploying)
                | (Self::Done, TicketStatus::Done)
        )
    }

    /// The phase that a ticket enters with `status`.
    pub const fn of_status(status: TicketStatus) -> Self {
        match status {
            TicketStatus::Backlog => Self::Backlog,
            TicketStatus::Analyzing => Self::Requirements,
            TicketStatus::Building | TicketStatus::BuildingDone => Self::Implementation,
            TicketStatus::Testing => Self::Testing,
            TicketStatus::Deploying => Self::Deployment,
            TicketStatus::Done => Self::Done,
        }
    }

    /// This phase where it has `status`, else the one that is entered with it.
    pub const fn kept_with(self, status: TicketStatus) -> Self {
        match self.has_status(status) {
            true => self,
            false => Self::of_status(status),
        }
    }

    /// Whether tickets of this phase are built, or were: what they show is the work of tasks.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Implementation | Self::Testing | Self::Deployment => true,
            Self::Backlog | Self::Requirements | Self::Design | Self::Done | Self::Blocked => false,
        }
    }

    /// The status with which a ticket enters this phase; none for what is no phase of its own.
    pub const fn entry_status(self) -> Option<TicketStatus> {
        Some(match self {
            Self::Backlog => TicketStatus::Backlog,
            Self::Requirements | Self::Design => TicketStatus::Analyzing,
            Self::Implementation => TicketStatus::Building,
            Self::Testing => TicketStatus::Testing,
            Self::Deployment => TicketStatus::Deploying,
            Self::Done => TicketStatus::Done,
            Self::Blocked => return None,
        })
    }
}

crate::closed_set! {
    /// What work of a phase may do.
    PhaseMode {
        /// Read, and hand in documents.
        Exploration = "exploration",
        /// Change files.
        Implementation = "implementation",
        /// Run checks.
        Validation = "validation",
    }
}

crate::closed_set! {
    /// Work that a phase begins with.
    PhaseSeed {
        /// Write down what the product is to do.
        GeneratePrd = "generate_prd",
        /// Write down what is wanted.
        AnalyzeRequirements = "analyze_requirements",
        /// Write down how it is built.
        CreateDesign = "create_design",
        /// Build it.
        ImplementFeature = "implement_feature",
        /// Run its checks.
        RunTests = "run_tests",
        /// Write checks where there are none.
        WriteTests = "write_tests",
        /// Bring it to its users.
        Deploy = "deploy",
    }
}

crate::closed_set! {
    /// Something that a phase has to show before a ticket leaves it.
    ArtifactType {
        /// What is wanted, as a document.
        RequirementsDocument = "requirements_document",
        /// How it is built, as a document.
        DesignDocument = "design_document",
        /// Commits.
        CodeChanges = "code_changes",
        /// How much of the code its tests run.
        TestCoverage = "test_coverage",
        /// The branches of its tasks, merged.
        PackagingBundle = "packaging_bundle",
        /// What is told with the hand-over.
        HandoffDocumentation = "handoff_documentation",
        /// How its checks ended.
        TestResults = "test_results",
        /// The receipts of its checks.
        TestEvidence = "test_evidence",
        /// The receipt of the deploy check.
        DeploymentEvidence = "deployment_evidence",
    }
}

impl ArtifactType {
    /// Whether people and programs may give it. All else is what the platform saw itself, and nobody's word.
    pub const fn is_given(self) -> bool {
        match self {
            Self::RequirementsDocument
            | Self::DesignDocument
            | Self::HandoffDocumentation
            | Self::TestCoverage => true,
            Self::CodeChanges
            | Self::PackagingBundle
            | Self::TestResults
            | Self::TestEvidence
            | Self::DeploymentEvidence => false,
        }
    }
}

crate::closed_set! {
    /// What the gate of a phase said when somebody tried to leave it.
    GateStatus {
        /// It shows what it has to.
        Passed = "passed",
        /// It was passed by, as nothing of it was worked out.
        Skipped = "skipped",
        /// The work on it goes on.
        Pending = "pending",
        /// It does not show what it has to.
        Failed = "failed",
        /// It did not, and a person let the ticket pass.
        Overridden = "overridden",
    }
}

impl GateStatus {
    /// Whether the ticket may leave its phase.
    pub const fn lets_pass(self) -> bool {
        match self {
            Self::Passed | Self::Skipped | Self::Overridden => true,
            Self::Pending | Self::Failed => false,
        }
    }
}

/// When an artifact is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GateRule {
    /// It is there.
    Present,
    /// A text of this length with these sections.
    Document {
        /// Characters at least.
        chars_min: u32,
        /// Headings that it must have.
        sections: Vec<String>,
    },
    /// A share of the code at least.
    Coverage {
        /// Hundredths at least.
        percent_min: u32,
        /// Whether one that was not measured is refused.
        is_required: bool,
    },
    /// Every check of it passed.
    AllPassed,
}

/// What a phase has to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateDefinition {
    /// What it is.
    pub artifact_type: ArtifactType,
    /// When it is enough.
    pub rule: GateRule,
}

/// A phase as a project has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseDefinition {
    /// Which phase it is.
    pub id: PhaseId,
    /// Its name for people.
    pub name: String,
    /// What its work may do; none where there is no work.
    pub mode: Option<PhaseMode>,
    /// Whether a ticket may pass it by.
    pub is_skippable: bool,
    /// The phases that may follow, the usual one first.
    pub next: Vec<PhaseId>,
    /// The work that it begins with.
    pub seeds: Vec<PhaseSeed>,
    /// When it is done, in words.
    pub done_definitions: Vec<String>,
    /// What comes out of it, in words.
    pub expected_outputs: Vec<String>,
    /// What it has to show before a ticket leaves it.
    pub gates: Vec<GateDefinition>,
}

/// The phase that usually follows `phase`. A deployment is passed by where no check would show it.
pub fn usual_next_phase(
    phases: &[PhaseDefinition],
    phase: PhaseId,
    has_deploy_check: bool,
) -> Option<PhaseId> {
    let place_of = |wanted: PhaseId| phases.iter().position(|known| known.id == wanted);
    let place = place_of(phase)?;
    let mut follows = phases[place].next.iter().copied();
    follows.find(|next| {
        let is_passed_by = *next == PhaseId::Deployment && !has_deploy_check;
        !is_passed_by && place_of(*next) > Some(place)
    })
}

/// A column of a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDefinition {
    /// Its name in requests.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What belongs into it.
    pub description: Option<String>,
    /// The phases whose tickets it shows.
    pub phases: Vec<PhaseId>,
    /// Tickets that people may have in it at once; none has no limit.
    pub wip_limit: Option<u32>,
    /// Whether tickets stay in it.
    pub is_terminal: bool,
    /// The column that tickets go on to by themselves.
    pub auto_transition_to: Option<String>,
    /// The colour that it is shown in.
    pub color_theme: Option<String>,
}

/// What a project begins with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeededWorkflow {
    /// The phases in their order.
    pub phases: Vec<PhaseDefinition>,
    /// The columns in their order.
    pub columns: Vec<ColumnDefinition>,
}

/// What every project begins with.
#[expect(
    clippy::expect_used,
    reason = "the file is part of the program, and tests read it"
)]
pub fn seeded_workflow() -> &'static SeededWorkflow {
    static SEEDED: LazyLock<SeededWorkflow> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../data/workflow.json")).expect("data/workflow.json")
    });
    &SEEDED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::check_columns;

    #[test]
    fn the_file_has_every_phase_once_in_order_and_a_sound_board() {
        let seeded = seeded_workflow();
        let ids: Vec<PhaseId> = seeded.phases.iter().map(|phase| phase.id).collect();
        assert_eq!(ids, PhaseId::ALL);
        assert_eq!(check_columns(&seeded.columns), Ok(()));
        for phase in &seeded.phases {
            assert!(!phase.next.contains(&phase.id), "{}", phase.id);
            assert!(!phase.next.contains(&PhaseId::Blocked), "{}", phase.id);
            let works = phase.mode.is_some() && phase.id != PhaseId::Backlog;
            assert_eq!(!phase.seeds.is_empty(), works, "{}", phase.id);
            assert_eq!(!phase.gates.is_empty(), works, "{}", phase.id);
        }
    }

    #[test]
    fn the_usual_way_leads_from_the_backlog_to_the_end() {
        let phases = &seeded_workflow().phases;
        for has_deploy_check in [false, true] {
            let mut way = vec![PhaseId::Backlog];
            while let Some(next) = usual_next_phase(phases, way[way.len() - 1], has_deploy_check) {
                assert!(!way.contains(&next), "{way:?} {next}");
                way.push(next);
            }
            let told: Vec<&str> = way.iter().map(|phase| phase.as_str()).collect();
            let mut expected = vec![
                "PHASE_BACKLOG",
                "PHASE_REQUIREMENTS",
                "PHASE_DESIGN",
                "PHASE_IMPLEMENTATION",
                "PHASE_TESTING",
                "PHASE_DONE",
            ];
            if has_deploy_check {
                expected.insert(5, "PHASE_DEPLOYMENT");
            }
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_phase_that_there_is_not_is_refused() {
        let text = include_str!("../data/workflow.json");
        let broken = text.replacen("\"PHASE_DESIGN\"", "\"PHASE_SKETCH\"", 1);
        let refused = serde_json::from_str::<SeededWorkflow>(&broken).err();
        let told = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("PHASE_SKETCH"), "{told}");
    }

    #[test]
    fn each_status_has_a_phase_and_each_phase_a_status() {
        for status in TicketStatus::ALL {
            let phase = PhaseId::of_status(*status);
            assert!(phase.has_status(*status), "{status}");
            for other in PhaseId::ALL {
                let kept = other.kept_with(*status);
                assert!(kept.has_status(*status), "{other} {status}");
                assert_eq!(
                    kept == *other,
                    other.has_status(*status),
                    "{other} {status}"
                );
            }
        }
        for phase in PhaseId::ALL {
            let entered = phase.entry_status();
            assert_eq!(entered.is_none(), *phase == PhaseId::Blocked);
            assert!(entered.is_none_or(|status| phase.has_status(status)));
        }
    }
}
