//! Hand-overs: an integration branch on its way into the user's repository.

use omoi_domain::event::{Event, HandOverDone};
use omoi_domain::hand_over::HandOverState;
use omoi_domain::id::{HandOverId, OrgId, SpecId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::specs::Spec;
use crate::tx::Tx;

row! {
    /// The one hand-over of a spec.
    HandOver in "hand_overs" as "hand-over" {
        /// Its id.
        id: HandOverId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// `planned` before the push, `confirmed` after.
        state: HandOverState,
        /// The commit handed over.
        head_sha: String,
        /// The branch's name in the user's repository.
        branch: String,
        /// Something the user should know.
        note: Option<String>,
        /// When it was planned.
        created_at: Timestamp,
        /// When the branch was seen there.
        completed_at: Option<Timestamp>,
    }
}

/// The hand-over of a spec, if one was planned.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, spec: SpecId) -> Result<Option<HandOver>, StoreError> {
    tx.find("spec_id = $2", args![spec]).await
}

/// Plans the hand-over of `head` as `branch`; a planned one is planned anew.
///
/// # Errors
/// When the database cannot be written.
pub async fn plan(
    tx: &mut Tx,
    spec: SpecId,
    head: &str,
    branch: &str,
) -> Result<HandOver, StoreError> {
    tx.execute(
        "delete from hand_overs where org_id = $1 and spec_id = $2",
        args![spec],
    )
    .await?;
    let hand_over = HandOver {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: spec,
        state: HandOverState::Planned,
        head_sha: head.to_owned(),
        branch: branch.to_owned(),
        note: None,
        created_at: tx.now(),
        completed_at: None,
    };
    tx.insert(&hand_over).await?;
    Ok(hand_over)
}

/// Notes that the branch arrived, under the name it was given.
///
/// # Errors
/// When the database cannot be written.
pub async fn confirm(
    tx: &mut Tx,
    spec: &Spec,
    hand_over: &mut HandOver,
    branch: &str,
    note: Option<String>,
) -> Result<(), StoreError> {
    let now = tx.now();
    hand_over.state = HandOverState::Confirmed;
    hand_over.branch = branch.to_owned();
    hand_over.note = note;
    hand_over.completed_at = Some(now);
    tx.execute(
        "update hand_overs set state = 'confirmed', branch = $3, note = $4, completed_at = $5
         where org_id = $1 and id = $2",
        args![hand_over.id, hand_over.branch, hand_over.note, now],
    )
    .await?;
    let event = Event::HandOverCompleted(HandOverDone {
        hand_over_id: hand_over.id,
        spec_id: spec.id,
        branch: hand_over.branch.clone(),
        head: hand_over.head_sha.clone(),
        note: hand_over.note.clone(),
    });
    tx.emit(Some(spec.project_id), Some(spec.id), event);
    Ok(())
}
