//! Narrow looks at many rows say what the whole rows say.

use omoi_domain::attempt::{AttemptState, AttemptSubject};
use omoi_store::tasks::{self, Task, TaskStanding};
use omoi_store::{StoreError, attempts};

use crate::bench::{Bench, commit};
use crate::samples::{self, World};

both!(
    a_standing_is_part_of_the_whole_task,
    the_newest_attempt_is_the_last_of_all,
);

fn standing(task: Task) -> TaskStanding {
    TaskStanding {
        id: task.id,
        number: task.number,
        title: task.title,
        status: task.status,
        ordinal: task.ordinal,
        integration_state: task.integration_state,
        needed: task.needed,
        error_message: task.error_message,
        blocked_by: task.blocked_by,
        blocked_reason: task.blocked_reason,
        parent_task_id: task.parent_task_id,
        resolves_merge_id: task.resolves_merge_id,
        state_version: task.state_version,
    }
}

async fn a_standing_is_part_of_the_whole_task(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        let bare = samples::task(tx, &world.ticket, 2);
        tasks::insert(tx, &samples::full_task(tx, &bare)).await
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let narrow = tasks::standing_of_spec(&mut tx, world.spec.id).await?;
    let whole = tasks::of_spec(&mut tx, world.spec.id).await?;
    assert_eq!(narrow.len(), 2);
    assert_eq!(narrow, whole.into_iter().map(standing).collect::<Vec<_>>());
    tx.rollback().await?;
    // What is decided from a look at it is for the row as it was then.
    let seen = &narrow[0];
    commit(&bench.local, async |tx| {
        let mut task = tasks::get_as_seen(tx, seen).await?;
        tasks::save(tx, &mut task).await?;
        let changed = tasks::get_as_seen(tx, seen).await;
        assert!(
            matches!(changed, Err(StoreError::Conflict { .. })),
            "{changed:?}"
        );
        Ok(())
    })
    .await
}

async fn the_newest_attempt_is_the_last_of_all(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (spec, task) = (world.spec.id, world.task.id);
    let own = AttemptSubject::Task { task_id: task };
    let checks = AttemptSubject::TaskChecks { task_id: task };
    commit(&bench.local, async |tx| {
        assert_eq!(attempts::newest_of_task(tx, task).await?, None);
        for (no, subject) in [(1, own), (2, checks), (3, own), (4, checks)] {
            let attempt = attempts::Attempt {
                subject,
                state: AttemptState::Failed,
                ..samples::attempt(tx, &world.task, no)
            };
            attempts::insert(tx, &attempt).await?;
        }
        let all = attempts::of_task(tx, task).await?;
        assert_eq!(
            attempts::newest_of_task(tx, task).await?.as_ref(),
            all.last()
        );
        for subject in [own, checks] {
            let newest = attempts::newest_of_subject(tx, spec, subject).await?;
            let all = attempts::of_subject(tx, spec, subject).await?;
            assert_eq!((newest.as_ref(), all.len()), (all.last(), 2));
        }
        Ok(())
    })
    .await
}
