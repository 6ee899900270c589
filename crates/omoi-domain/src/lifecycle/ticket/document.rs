//! Documents about a ticket: what it wants, and how it is built.

use super::{ArtifactContent, GateArtifact, TicketStep, reasons_of, section_names};
use crate::phase::Phase;
use crate::task::TicketPhase;
use crate::ticket::TicketStatus;
use crate::workflow::{ArtifactType, GateRule, PhaseDefinition, PhaseId};

/// Characters of a document that an agent hands in, at most: the next one reads it whole.
pub const DOCUMENT_CHARS_MAX: usize = 30_000;

/// Where the document of a planning phase belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentPlace {
    /// The phase of the ticket that it is written in.
    pub phase: PhaseId,
    /// The same, as tasks and contexts name it.
    pub ticket_phase: TicketPhase,
    /// What it is to the gate of that phase.
    pub artifact_type: ArtifactType,
    /// Its title.
    pub title: &'static str,
}

/// Where the document of `phase` belongs; none where that makes no document of a ticket.
pub const fn document_place(phase: Phase) -> Option<DocumentPlace> {
    match phase {
        Phase::TicketRequirements => Some(DocumentPlace {
            phase: PhaseId::Requirements,
            ticket_phase: TicketPhase::Requirements,
            artifact_type: ArtifactType::RequirementsDocument,
            title: "Requirements",
        }),
        Phase::TicketDesign => Some(DocumentPlace {
            phase: PhaseId::Design,
            ticket_phase: TicketPhase::Design,
            artifact_type: ArtifactType::DesignDocument,
            title: "Design",
        }),
        Phase::Explore
        | Phase::Prd
        | Phase::Requirements
        | Phase::Design
        | Phase::Tasks
        | Phase::Sync
        | Phase::Complete => None,
    }
}

/// The first step of a ticket whose documents are written before its task is: out of the backlog it is looked into.
pub fn step_into_documents(at: TicketStep) -> Option<TicketStep> {
    let status = TicketStatus::Analyzing;
    (at.status == TicketStatus::Backlog).then(|| TicketStep {
        status,
        phase: at.phase.kept_with(status),
    })
}

/// The step of a ticket whose document of `phase` is there: from the requirements to the design. Out of the design it goes with
/// its task.
pub fn step_after_document(phase: Phase, at: TicketStep) -> Option<TicketStep> {
    let is_step = phase == Phase::TicketRequirements && at.phase == PhaseId::Requirements;
    is_step.then_some(TicketStep {
        status: TicketStatus::Analyzing,
        phase: PhaseId::Design,
    })
}

/// The planning phase that a ticket in `phase` begins with, where it is to be looked into and designed before it is built.
pub const fn first_document(phase: PhaseId) -> Phase {
    match phase {
        PhaseId::Design => Phase::TicketDesign,
        PhaseId::Backlog
        | PhaseId::Requirements
        | PhaseId::Implementation
        | PhaseId::Testing
        | PhaseId::Deployment
        | PhaseId::Done
        | PhaseId::Blocked => Phase::TicketRequirements,
    }
}

/// What the gate of a project asks of a document, in words for whoever writes it.
pub fn document_demands(phases: &[PhaseDefinition], place: DocumentPlace) -> Vec<String> {
    let mut demands = vec![format!(
        "at most {DOCUMENT_CHARS_MAX} characters of Markdown"
    )];
    if let Some(GateRule::Document {
        chars_min,
        sections,
    }) = document_rule(phases, place)
    {
        demands.push(format!("at least {chars_min} characters"));
        let headings = sections.iter().map(|name| {
            let words = name.replace('_', " ");
            format!("a heading `# {words}`, in these words")
        });
        demands.extend(headings);
    }
    demands
}

/// What is wrong with a document, as the gate of its phase sees it; nothing where it is enough.
pub fn judge_document(phases: &[PhaseDefinition], place: DocumentPlace, text: &str) -> Vec<String> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        return vec![format!("{} is empty", place.artifact_type)];
    }
    if chars > DOCUMENT_CHARS_MAX {
        let name = place.artifact_type;
        return vec![format!(
            "{name} has {chars} of at most {DOCUMENT_CHARS_MAX} characters"
        )];
    }
    let Some(rule) = document_rule(phases, place) else {
        return Vec::new();
    };
    let content = ArtifactContent::Document {
        chars: u32::try_from(chars).unwrap_or(u32::MAX),
        sections: section_names(text),
    };
    let artifact = GateArtifact {
        artifact_type: place.artifact_type,
        content,
    };
    reasons_of(&artifact, rule)
}

fn document_rule(phases: &[PhaseDefinition], place: DocumentPlace) -> Option<&GateRule> {
    let phase = phases.iter().find(|known| known.id == place.phase)?;
    let mut gates = phase.gates.iter();
    let gate = gates.find(|gate| gate.artifact_type == place.artifact_type);
    gate.map(|gate| &gate.rule)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;
    use crate::workflow::seeded_workflow;

    #[test]
    fn a_document_is_held_against_the_gate_of_its_phase() {
        let phases = &seeded_workflow().phases;
        let whole = format!("# Scope\n{}\n# Acceptance criteria\n", "word ".repeat(120));
        let long = "x".repeat(DOCUMENT_CHARS_MAX + 1);
        for (phase, text, n_reasons) in [
            (Phase::TicketRequirements, whole.as_str(), 0),
            (Phase::TicketRequirements, "# Scope\nExport.", 2),
            (Phase::TicketRequirements, " ", 1),
            (Phase::TicketRequirements, long.as_str(), 1),
            (Phase::TicketDesign, "One table.", 0),
            (Phase::TicketDesign, "", 1),
        ] {
            let place = document_place(phase).unwrap();
            let reasons = judge_document(phases, place, text);
            assert_eq!(reasons.len(), n_reasons, "{phase} {text:.20}: {reasons:?}");
            // A project that asks for nothing takes any document that is one.
            let reasons = judge_document(&[], place, text);
            assert_eq!(reasons.is_empty(), !text.trim().is_empty() && text != long);
        }
        let place = document_place(Phase::TicketRequirements).unwrap();
        let demands = document_demands(phases, place).join("; ");
        assert!(demands.contains("500 characters"), "{demands}");
        assert!(demands.contains("`# acceptance criteria`"), "{demands}");
    }

    #[test]
    fn each_document_belongs_to_a_phase_of_its_ticket() {
        for phase in Phase::ALL.iter().copied() {
            assert_eq!(
                document_place(phase).is_some(),
                phase.is_document(),
                "{phase}"
            );
        }
        for (phase, first) in [
            (PhaseId::Backlog, Phase::TicketRequirements),
            (PhaseId::Requirements, Phase::TicketRequirements),
            (PhaseId::Design, Phase::TicketDesign),
        ] {
            assert_eq!(first_document(phase), first);
            let mut next = first;
            while next.is_document() {
                next = next.next().unwrap();
            }
            assert_eq!(next, Phase::Complete);
        }
    }
}
