//! Takes the items of a phase's output in, one row and one transaction each.

use omoi_domain::attempt::{AttemptState, Subject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::plan::outputs::{Item, Phase, RepoPaths, Submission, assemble, validate_item};
use omoi_execution::Platform;
use omoi_execution::intake::IntakeError;
use omoi_git::object::ObjectId;
use omoi_protocol::worker::{DoneAck, ItemAck, SubmitItem};
use omoi_store::attempts::{self, Attempt};
use omoi_store::phases::{self, NewItem};
use omoi_store::{Tx, specs};
use sha2::{Digest as _, Sha256};

/// Bytes one item may have.
const ITEM_BYTES_MAX: usize = 100 << 10;

/// Takes one item in. The same key again replaces the item; the journal keeps both.
///
/// # Errors
/// [`IntakeError::Refused`] with what was expected, for the model to mend.
pub async fn submit(
    platform: &Platform,
    attempt: &Attempt,
    body: SubmitItem,
) -> Result<ItemAck, IntakeError> {
    let phase = phase_of(attempt)?;
    let bytes = body.value.to_string().len();
    if bytes > ITEM_BYTES_MAX {
        let refusal = format!("the item has {bytes} bytes, at most {ITEM_BYTES_MAX}");
        return Err(IntakeError::Refused(refusal));
    }
    let repo = repo_paths(platform, attempt).await?;
    let submission = Submission {
        phase,
        section: &body.section,
        key: &body.key,
        value: &body.value,
    };
    let accepted = validate_item(submission, &repo)
        .map_err(|refusal| IntakeError::Refused(refusal.to_string()))?;
    let digest = hex::encode(Sha256::digest(accepted.item.value.to_string()));
    let mut tx = platform.store.write().await?;
    live(&mut tx, attempt).await?;
    let run = phases::ensure(&mut tx, attempt.spec_id, phase.as_str()).await?;
    let item = NewItem {
        spec_id: attempt.spec_id,
        project_id: attempt.project_id,
        phase: phase.as_str(),
        attempt_no: run.attempts,
        section: &accepted.item.section,
        key: &accepted.item.key,
        value: accepted.item.value.clone(),
        digest,
    };
    let seq = phases::append_item(&mut tx, item).await?;
    tx.commit(CrashPoint::ItemAccepted).await?;
    Ok(ItemAck {
        seq,
        notes: accepted.warnings.into_iter().map(|w| w.message).collect(),
    })
}

/// Whether the phase's output is complete.
///
/// # Errors
/// [`IntakeError::Refused`] naming what is missing.
pub async fn done(platform: &Platform, attempt: &Attempt) -> Result<DoneAck, IntakeError> {
    let phase = phase_of(attempt)?;
    let mut tx = platform.store.read().await?;
    let items = journal(&mut tx, attempt.spec_id, phase).await?;
    match assemble(phase, &items) {
        Ok(_) => Ok(DoneAck {
            items: items.len() as u32,
        }),
        Err(missing) => {
            let lines: Vec<String> = missing
                .iter()
                .map(|m| format!("{} needs {}, has {}", m.section, m.needed, m.present))
                .collect();
            Err(IntakeError::Refused(format!(
                "the output is not complete: {}",
                lines.join("; ")
            )))
        }
    }
}

/// The accepted items of a phase, oldest first.
pub(crate) async fn journal(
    tx: &mut Tx,
    spec: omoi_domain::id::SpecId,
    phase: Phase,
) -> Result<Vec<Item>, omoi_store::StoreError> {
    let rows = phases::items(tx, spec, phase.as_str()).await?;
    Ok(rows
        .into_iter()
        .map(|row| Item {
            section: row.section,
            key: row.item_key,
            value: row.value.0,
        })
        .collect())
}

/// The tracked files at the spec's base commit.
pub(crate) async fn repo_paths(
    platform: &Platform,
    attempt: &Attempt,
) -> Result<RepoPaths, IntakeError> {
    let base = {
        let mut tx = platform.store.read().await?;
        ObjectId::parse(&specs::get(&mut tx, attempt.spec_id).await?.base_sha)?
    };
    let mirror = platform.mirror(attempt.project_id).await?;
    let entries = mirror.list_tree(&base).await?;
    Ok(RepoPaths::new(
        entries.iter().map(|entry| entry.path.to_string()),
    ))
}

fn phase_of(attempt: &Attempt) -> Result<Phase, IntakeError> {
    let name = attempt.subject_id.split_once('/').map(|(_, phase)| phase);
    match (attempt.subject, name.and_then(Phase::parse)) {
        (Subject::SpecPhase, Some(phase)) => Ok(phase),
        _ => Err(IntakeError::Refused(
            "this attempt has no phase to hand items in for".to_owned(),
        )),
    }
}

async fn live(tx: &mut Tx, attempt: &Attempt) -> Result<(), IntakeError> {
    match attempts::get(tx, attempt.id).await?.state {
        AttemptState::Running | AttemptState::Starting => Ok(()),
        _ => Err(IntakeError::Superseded),
    }
}
