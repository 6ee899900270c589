//! Questions about conflicts that no agent resolved.

use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::id::MergeId;
use omoi_domain::merge::MergeState;
use omoi_store::approvals::{self, Approval};
use omoi_store::merges::{self, Merge};
use omoi_store::{StoreError, Tenant, tasks};

use crate::bench::{Bench, commit};
use crate::samples::{self, World};

both!(people_are_asked_once_about_each_conflict);

async fn people_are_asked_once_about_each_conflict(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    // Two of one ticket.
    let conflicted = commit(&bench.local, async |tx| {
        let other = samples::task(tx, &world.ticket, 2);
        tasks::insert(tx, &other).await?;
        let mut conflicted = Vec::new();
        for task in [world.task.clone(), other] {
            let merge = Merge {
                state: MergeState::Manual,
                ..samples::merge(tx, &task)
            };
            merges::insert(tx, &merge).await?;
            conflicted.push((merge, task));
        }
        Ok(conflicted)
    })
    .await?;
    let ask = async |n: usize| {
        commit(&bench.local, async |tx| {
            let (merge, task) = &conflicted[n];
            approvals::ask_about_conflict(tx, merge, task, "which?".to_owned()).await
        })
        .await
    };
    let (first, second) = (ask(0).await?, ask(1).await?);
    assert_eq!(first.kind, ApprovalKind::MergeConflict);
    assert_eq!(first.choices.0, ["ours", "theirs"]);
    let again = ask(0).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    let foreign = bench.foreign().await;
    commit(&foreign, async |tx| {
        approvals::withdraw_of_merge(tx, conflicted[0].0.id).await?;
        approvals::withdraw_conflicts_of_spec(tx, world.spec.id).await
    })
    .await?;
    assert_eq!(
        states(&bench, &[&first, &second]).await?,
        [ApprovalState::Pending; 2]
    );
    commit(&bench.local, async |tx| {
        approvals::withdraw_of_merge(tx, conflicted[0].0.id).await
    })
    .await?;
    let expected = [ApprovalState::Withdrawn, ApprovalState::Pending];
    assert_eq!(states(&bench, &[&first, &second]).await?, expected);
    let third = ask(0).await?;
    commit(&bench.local, async |tx| {
        approvals::withdraw_conflicts_of_spec(tx, world.spec.id).await
    })
    .await?;
    let over = [ApprovalState::Withdrawn; 2];
    assert_eq!(states(&bench, &[&second, &third]).await?, over);
    what_was_decided_last_is_found(&bench, conflicted[0].0.id, ask).await
}

/// What a person said of the conflict `merge`, which `ask` asks about, and not what was withdrawn.
async fn what_was_decided_last_is_found(
    bench: &Bench,
    merge: MergeId,
    ask: impl AsyncFn(usize) -> Result<Approval, StoreError>,
) -> Result<(), StoreError> {
    let decided = async |tenant: &Tenant| {
        let mut tx = tenant.begin_read().await?;
        let found = approvals::last_decided_of_merge(&mut tx, merge).await?;
        Ok::<_, StoreError>(found.and_then(|approval| approval.comment))
    };
    assert_eq!(decided(&bench.local).await?, None);
    for answer in ["ours", "theirs\nours a"] {
        let mut asked = ask(0).await?;
        commit(&bench.local, async |tx| {
            approvals::close_approval(tx, &mut asked, ApprovalState::Answered, Some(answer)).await
        })
        .await?;
        // One that nobody answers comes after it.
        ask(0).await?;
        commit(&bench.local, async |tx| {
            approvals::withdraw_of_merge(tx, merge).await
        })
        .await?;
        assert_eq!(decided(&bench.local).await?.as_deref(), Some(answer));
    }
    assert_eq!(decided(&bench.foreign().await).await?, None);
    Ok(())
}

async fn states(
    bench: &Bench,
    asked: &[&approvals::Approval],
) -> Result<Vec<ApprovalState>, StoreError> {
    let mut tx = bench.local.begin_read().await?;
    let mut states = Vec::new();
    for approval in asked {
        states.push(approvals::get(&mut tx, approval.id).await?.state);
    }
    Ok(states)
}
