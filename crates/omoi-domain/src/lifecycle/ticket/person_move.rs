//! Moves of tickets that people ask for.

use super::{GateArtifact, GateVerdict, TicketTask, judge_step};
use crate::machine::{InvalidTransition, StateMachine as _, transition};
use crate::ticket::{ApprovalStatus, TicketStatus};
use crate::workflow::{GateStatus, PhaseDefinition, PhaseId};

/// What a move of a ticket depends on.
#[derive(Clone, Copy, Debug)]
pub struct TicketMoveFacts<'a> {
    /// Where it stands.
    pub status: TicketStatus,
    /// The phase that it is in.
    pub phase: PhaseId,
    /// Whether it may be worked on.
    pub approval: ApprovalStatus,
    /// Its tasks.
    pub tasks: &'a [TicketTask],
    /// The phases of its project.
    pub phases: &'a [PhaseDefinition],
    /// What it has to show.
    pub artifacts: &'a [GateArtifact],
    /// Whether a check has to show that it is deployed.
    pub has_deploy_check: bool,
}

/// Where a person wants a ticket to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketTarget {
    /// In a status, one move away.
    Status(TicketStatus),
    /// In a phase, by as many moves as lead there.
    Phase(PhaseId),
    /// Back where it is built, from a later status.
    BackToBuilding,
}

/// One move of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketStep {
    /// Where it stands then.
    pub status: TicketStatus,
    /// The phase that it is in then.
    pub phase: PhaseId,
}

/// The way of a ticket to where a person wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonMovePlan {
    /// Its moves; none where it is there already.
    pub steps: Vec<TicketStep>,
    /// What the gates on the way say.
    pub gates: Vec<GateVerdict>,
}

/// Why a person cannot move a ticket there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketMoveRefusal {
    /// No move leads there.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// No move leads from one phase to the other.
    #[error("a ticket in {from} cannot go to {to}")]
    Phase {
        /// The phase it is in.
        from: PhaseId,
        /// The one that was asked for.
        to: PhaseId,
    },
    /// It has not come so far that it could be sent back, or its end is the platform's to take back.
    #[error("a ticket that is {0} cannot be sent back")]
    NothingBuilt(TicketStatus),
    /// Nobody let it go on.
    #[error("the ticket is {0}: nothing of it begins before it is approved")]
    NotApproved(ApprovalStatus),
    /// Its phase does not show what it has to.
    #[error("the gate of {} is not met: {}", .0.phase, .0.reasons.join("; "))]
    GateNotMet(GateVerdict),
}

/// The moves that bring a ticket to where a person wants it; none where it is there already. `is_forced` passes gates by,
/// and nothing else.
///
/// # Errors
/// [`TicketMoveRefusal`] says what is against it.
pub fn decide_person_move(
    facts: &TicketMoveFacts<'_>,
    target: TicketTarget,
    is_forced: bool,
) -> Result<PersonMovePlan, TicketMoveRefusal> {
    let steps = match target {
        TicketTarget::Status(status) => steps_to_status(facts, status)?,
        TicketTarget::Phase(phase) => steps_to_phase(facts, phase)?,
        TicketTarget::BackToBuilding => steps_back(facts)?,
    };
    if !steps.is_empty() && facts.approval != ApprovalStatus::Approved {
        return Err(TicketMoveRefusal::NotApproved(facts.approval));
    }
    let mut from = TicketStep {
        status: facts.status,
        phase: facts.phase,
    };
    let mut gates = Vec::new();
    for step in &steps {
        if let Some(mut verdict) = judge_step(facts, from, *step) {
            if !verdict.status.lets_pass() {
                if !is_forced {
                    return Err(TicketMoveRefusal::GateNotMet(verdict));
                }
                verdict.status = GateStatus::Overridden;
            }
            gates.push(verdict);
        }
        from = *step;
    }
    Ok(PersonMovePlan { steps, gates })
}

fn steps_back(facts: &TicketMoveFacts<'_>) -> Result<Vec<TicketStep>, TicketMoveRefusal> {
    match facts.status {
        TicketStatus::BuildingDone | TicketStatus::Testing | TicketStatus::Deploying => {
            steps_to_status(facts, TicketStatus::Building)
        }
        TicketStatus::Backlog
        | TicketStatus::Analyzing
        | TicketStatus::Building
        | TicketStatus::Done => Err(TicketMoveRefusal::NothingBuilt(facts.status)),
    }
}

fn steps_to_status(
    facts: &TicketMoveFacts<'_>,
    status: TicketStatus,
) -> Result<Vec<TicketStep>, TicketMoveRefusal> {
    if status == facts.status {
        return Ok(Vec::new());
    }
    expect_person_move(facts.status, status)?;
    Ok(steps_along(facts, facts.phase, &[status]))
}

/// The steps of a way. What has to be deployed is not done before: it goes through the phase in which that is shown.
fn steps_along(
    facts: &TicketMoveFacts<'_>,
    phase: PhaseId,
    way: &[TicketStatus],
) -> Vec<TicketStep> {
    use TicketStatus::{Deploying, Done};
    let mut way = way.to_vec();
    let is_past = facts.status == Deploying || way.contains(&Deploying);
    if facts.has_deploy_check && !is_past && way.last() == Some(&Done) {
        way.insert(way.len() - 1, Deploying);
    }
    let steps = way.into_iter().map(|status| TicketStep {
        status,
        phase: phase.kept_with(status),
    });
    steps.collect()
}

/// What is done is opened again by the platform alone, which knows which task is open.
fn expect_person_move(from: TicketStatus, to: TicketStatus) -> Result<(), InvalidTransition> {
    if from == TicketStatus::Done {
        return Err(InvalidTransition {
            machine: TicketStatus::NAME,
            from: from.as_str(),
            to: to.as_str(),
        });
    }
    transition(from, to).map(drop)
}

fn steps_to_phase(
    facts: &TicketMoveFacts<'_>,
    phase: PhaseId,
) -> Result<Vec<TicketStep>, TicketMoveRefusal> {
    use TicketStatus::{Analyzing, Backlog, Building, BuildingDone, Deploying, Done, Testing};
    if phase == facts.phase {
        return Ok(Vec::new());
    }
    let way: &[TicketStatus] = match (facts.status, phase) {
        (Backlog, PhaseId::Requirements | PhaseId::Design) | (Analyzing, PhaseId::Design) => {
            &[Analyzing]
        }
        (Backlog | Analyzing | BuildingDone | Testing | Deploying, PhaseId::Implementation) => {
            &[Building]
        }
        (Building, PhaseId::Testing) => &[BuildingDone, Testing],
        (BuildingDone, PhaseId::Testing) => &[Testing],
        (Building, PhaseId::Deployment) => &[BuildingDone, Testing, Deploying],
        (BuildingDone, PhaseId::Deployment) => &[Testing, Deploying],
        (Testing, PhaseId::Deployment) => &[Deploying],
        (Building, PhaseId::Done) => &[BuildingDone, Testing, Done],
        (BuildingDone, PhaseId::Done) => &[Testing, Done],
        (Testing | Deploying, PhaseId::Done) => &[Done],
        _ => {
            let from = facts.phase;
            return Err(TicketMoveRefusal::Phase { from, to: phase });
        }
    };
    Ok(steps_along(facts, phase, way))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;
    use crate::lifecycle::ticket::ArtifactContent;
    use crate::merge::IntegrationState;
    use crate::task::TaskStatus;
    use crate::workflow::{ArtifactType, seeded_workflow};

    const MERGED: TicketTask = TicketTask {
        status: TaskStatus::Completed,
        integration_state: IntegrationState::Merged,
        is_needed: true,
    };
    const CANCELLED: TicketTask = TicketTask {
        status: TaskStatus::Cancelled,
        integration_state: IntegrationState::None,
        is_needed: true,
    };
    const RUNNING: TicketTask = TicketTask {
        status: TaskStatus::Running,
        integration_state: IntegrationState::None,
        is_needed: true,
    };

    const SHOWN: &[GateArtifact] = &[
        shown(ArtifactType::CodeChanges),
        shown(ArtifactType::PackagingBundle),
        shown(ArtifactType::TestResults),
        shown(ArtifactType::TestEvidence),
    ];

    const fn shown(artifact_type: ArtifactType) -> GateArtifact {
        GateArtifact {
            artifact_type,
            content: ArtifactContent::Present,
        }
    }

    fn facts(status: TicketStatus, tasks: &[TicketTask]) -> TicketMoveFacts<'_> {
        TicketMoveFacts {
            status,
            phase: PhaseId::of_status(status),
            approval: ApprovalStatus::Approved,
            tasks,
            phases: &seeded_workflow().phases,
            artifacts: SHOWN,
            has_deploy_check: false,
        }
    }

    #[test]
    fn people_move_a_ticket_along_the_table_and_never_take_up_what_is_done() {
        for from in TicketStatus::ALL {
            for to in TicketStatus::ALL {
                let moved =
                    decide_person_move(&facts(*from, &[MERGED]), TicketTarget::Status(*to), true);
                let expected =
                    from == to || (transition(*from, *to).is_ok() && *from != TicketStatus::Done);
                assert_eq!(moved.is_ok(), expected, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn every_way_to_a_phase_goes_along_the_table_and_ends_in_it() {
        let mut n_ways = 0;
        for status in TicketStatus::ALL {
            for phase in PhaseId::ALL {
                let facts = facts(*status, &[MERGED]);
                let Ok(plan) = decide_person_move(&facts, TicketTarget::Phase(*phase), true) else {
                    continue;
                };
                let (mut at, mut ended) = (*status, facts.phase);
                for step in &plan.steps {
                    // A move between phases of one status is no move of the machine.
                    let is_move = at == step.status || transition(at, step.status).is_ok();
                    assert!(is_move, "{status} to {phase}: {at} -> {}", step.status);
                    assert!(step.phase.has_status(step.status), "{step:?}");
                    (at, ended) = (step.status, step.phase);
                }
                assert_eq!(ended, *phase, "{status}");
                n_ways += usize::from(!plan.steps.is_empty());
            }
        }
        assert_eq!(n_ways, 16);
    }

    #[test]
    fn what_has_to_be_deployed_is_not_done_before() {
        use TicketStatus::{Building, Deploying, Done, Testing};
        for (status, target, n_steps) in [
            (Testing, TicketTarget::Status(Done), 2),
            (Testing, TicketTarget::Phase(PhaseId::Done), 2),
            (Building, TicketTarget::Phase(PhaseId::Done), 4),
            (Building, TicketTarget::Phase(PhaseId::Deployment), 3),
            (Deploying, TicketTarget::Status(Done), 1),
        ] {
            let facts = TicketMoveFacts {
                has_deploy_check: true,
                ..facts(status, &[MERGED])
            };
            let plan = decide_person_move(&facts, target, true).unwrap();
            assert_eq!(plan.steps.len(), n_steps, "{status} {target:?}");
            assert!(
                plan.steps
                    .iter()
                    .all(|step| step.phase.has_status(step.status))
            );
            let is_deployment_left = target != TicketTarget::Phase(PhaseId::Deployment);
            let refused = decide_person_move(&facts, target, false);
            assert_eq!(refused.is_err(), is_deployment_left, "{status} {target:?}");
        }
    }

    #[test]
    fn a_ticket_is_sent_back_from_what_follows_its_building() {
        for from in TicketStatus::ALL {
            let moved = decide_person_move(&facts(*from, &[]), TicketTarget::BackToBuilding, false);
            let expected = matches!(
                from,
                TicketStatus::BuildingDone | TicketStatus::Testing | TicketStatus::Deploying
            );
            assert_eq!(moved.is_ok(), expected, "{from}");
        }
    }

    #[test]
    fn a_gate_holds_what_is_not_merged_unless_it_is_forced() {
        use TicketStatus::{Analyzing, Backlog, Building, BuildingDone, Deploying, Done, Testing};
        for (from, tasks, to, reasons) in [
            (Backlog, &[][..], Analyzing, 0),
            (Backlog, &[], Building, 0),
            (Building, &[], BuildingDone, 1),
            (Building, &[MERGED, RUNNING], BuildingDone, 1),
            (Building, &[MERGED], BuildingDone, 0),
            (Building, &[MERGED, CANCELLED], BuildingDone, 0),
            (Building, &[CANCELLED], BuildingDone, 1),
            (BuildingDone, &[RUNNING], Testing, 1),
            (Testing, &[RUNNING], Building, 0),
            (Testing, &[MERGED], Done, 0),
            (Testing, &[MERGED], Deploying, 0),
            (Deploying, &[MERGED], Done, 0),
            (Deploying, &[], Done, 0),
        ] {
            let facts = facts(from, tasks);
            let target = TicketTarget::Status(to);
            let found = match decide_person_move(&facts, target, false) {
                Ok(plan) => {
                    assert_eq!(plan.steps.len(), 1, "{from} -> {to}");
                    0
                }
                Err(TicketMoveRefusal::GateNotMet(verdict)) => verdict.reasons.len(),
                Err(other) => panic!("{from} -> {to}: {other}"),
            };
            assert_eq!(found, reasons, "{from} -> {to}");
            assert!(
                decide_person_move(&facts, target, true).is_ok(),
                "{from} -> {to}"
            );
        }
        // The first gate on the way counts.
        let facts = facts(Building, &[RUNNING]);
        let refused = decide_person_move(&facts, TicketTarget::Phase(PhaseId::Done), false);
        let told = refused.unwrap_err().to_string();
        assert!(
            told.contains("PHASE_IMPLEMENTATION is not met: 1 of its 1 tasks"),
            "{told}"
        );
    }

    #[test]
    fn nothing_begins_before_it_is_approved_not_even_by_force() {
        for approval in ApprovalStatus::ALL {
            let facts = TicketMoveFacts {
                approval: *approval,
                ..facts(TicketStatus::Backlog, &[])
            };
            let target = TicketTarget::Phase(PhaseId::Implementation);
            let moved = decide_person_move(&facts, target, true);
            assert_eq!(
                moved.is_ok(),
                *approval == ApprovalStatus::Approved,
                "{approval}"
            );
        }
    }
}
