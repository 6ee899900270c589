//! Keeps a phase from beginning while people look at what the phases before it made.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::phase::{AskedOutput, PersonGate, person_gate};
use omoi_domain::phase::Phase;
use omoi_domain::spec::SpecStatus;
use omoi_runtime::reconcile::Next;
use omoi_store::approvals::{self, Approval};
use omoi_store::specs::{self, Spec};
use omoi_store::{StoreError, Tenant, Tx, phases};

use super::step::stored_phases;
use crate::open_questions::{ask_open_questions, has_open_questions};

/// Asks people about what phase `open` stands on, where they are to be asked. None when it may begin.
///
/// # Errors
/// When the database refuses.
pub(super) async fn hold_for_people(
    store: &Tenant,
    spec: &Spec,
    open: Phase,
) -> Result<Option<Next>, StoreError> {
    if !spec.options.0.require_approval_gates {
        return Ok(None);
    }
    let read = store.read(async |tx| {
        let has_questions = open > Phase::Explore && has_open_questions(tx, spec).await?;
        Ok::<_, StoreError>((has_questions, gate_of(tx, spec, open).await?))
    });
    let (has_questions, gate) = read.await?;
    if has_questions {
        let asked = store.write(CrashPoint::PhaseMoved, async |tx| {
            ask_open_questions(tx, spec).await
        });
        if asked.await? {
            info!(spec.id = %spec.id, "SPEC-{} asks a person what it left open", spec.number);
        }
    }
    match gate {
        PersonGate::Open => return Ok(None),
        PersonGate::Await => return Ok(Some(Next::Idle)),
        PersonGate::Ask { .. } => {}
    }
    let asked = store.write(CrashPoint::PhaseMoved, async |tx| {
        // Whoever ends the spec withdraws what people are asked: nothing is asked after that.
        specs::hold_spec(tx, spec.id).await?;
        if specs::get(tx, spec.id).await?.status != SpecStatus::Executing {
            return Ok(None);
        }
        // It may have been asked, or changed, meanwhile.
        let PersonGate::Ask {
            kind,
            output_digest,
        } = gate_of(tx, spec, open).await?
        else {
            return Ok(None);
        };
        approvals::ask_about_output(tx, spec, kind, output_digest)
            .await
            .map(Some)
    });
    if let Some(Approval { kind, .. }) = asked.await? {
        info!(spec.id = %spec.id, %kind, "SPEC-{} waits for a person", spec.number);
    }
    Ok(Some(Next::Idle))
}

async fn gate_of(tx: &mut Tx, spec: &Spec, open: Phase) -> Result<PersonGate, StoreError> {
    let stored = stored_phases(&phases::of_spec(tx, spec.id).await?);
    let asked = approvals::of_spec(tx, spec.id).await?.into_iter();
    let asked = asked.map(|approval| AskedOutput {
        kind: approval.kind,
        output_digest: approval.output_digest,
        state: approval.state,
    });
    Ok(person_gate(open, &stored, &asked.collect::<Vec<_>>()))
}
