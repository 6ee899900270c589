//! An attempt that is over or has an old fence never changes the rows of its task, its ticket or
//! anything else of the spec, however its reports interleave with those of its successors.

use omoi_domain::attempt::{AttemptState, Outcome};
use omoi_domain::crash::CrashPoint;
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::{Created, Loss, lose};
use omoi_execution::{discovery, intake};
use omoi_runtime::rng::Rng;
use omoi_store::merges::{self, Merge};
use omoi_store::messages::{self, Message};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{attempts, specs};
use omoi_testkit::database::TestDatabase;

use crate::discovery::found;
use crate::intake::turn;
use crate::support::{TestPlatform, ended, failed};

type Rows = (
    Vec<Task>,
    Vec<Ticket>,
    Vec<Merge>,
    specs::Spec,
    Vec<Message>,
);

async fn rows(it: &TestPlatform, task: &Task) -> Rows {
    let mut tx = it.read().await;
    (
        tasks::of_spec(&mut tx, it.spec.id).await.unwrap(),
        tickets::of_spec(&mut tx, it.spec.id).await.unwrap(),
        merges::of_spec(&mut tx, it.spec.id).await.unwrap(),
        specs::get(&mut tx, it.spec.id).await.unwrap(),
        messages::open(&mut tx, task.id).await.unwrap(),
    )
}

/// One report of a worker. True when it was taken.
async fn report(it: &TestPlatform, rng: &Rng, by: &Created, n_turns: u32) -> bool {
    let (platform, attempt) = (&it.platform, &by.attempt);
    match rng.u64() % 8 {
        0 => intake::started(platform, attempt.id).await.is_ok(),
        1 => intake::heartbeat(platform, attempt.id)
            .await
            .is_ok_and(|ack| ack.commands.is_empty()),
        2 => intake::commit_turn(platform, attempt, turn(n_turns))
            .await
            .is_ok(),
        3 => discovery::report(platform, attempt, found(&rng.u64().to_string()))
            .await
            .is_ok(),
        4 => {
            let task = attempt.subject_id.parse().unwrap();
            let open = messages::open(&mut it.read().await, task).await.unwrap();
            let ids = open.into_iter().map(|m| m.id).collect();
            let body = omoi_protocol::worker::AckMessages { ids };
            intake::ack(platform, attempt, body).await.is_ok()
        }
        5 => {
            let body = ended(Outcome::Incomplete, "max_turns_reached");
            intake::complete(platform, attempt, body).await.is_ok()
        }
        6 => {
            let body = failed("network", &format!("cause {:x}", rng.u64()));
            intake::complete(platform, attempt, body).await.is_ok()
        }
        _ => {
            let body = ended(Outcome::Succeeded, "completion_signal");
            intake::complete(platform, attempt, body).await.is_ok()
        }
    }
}

/// What the platform itself does: claims, launches, loses.
async fn act(it: &TestPlatform, rng: &Rng, task: &Task, all: &mut Vec<Created>) {
    let now = it.task_now(task.id).await;
    match now.status {
        TaskStatus::Pending if all.len() < 4 => all.push(it.claim(task.id).await.unwrap()),
        TaskStatus::Claiming => it.bind(&all.last().unwrap().attempt).await.unwrap(),
        TaskStatus::Assigned | TaskStatus::Running if rng.u64() % 3 == 0 => {
            let loss = Loss {
                state: AttemptState::Lost,
                stop_reason: "platform_restarted",
                class: ErrorClass::SandboxLost,
                message: "gone".to_owned(),
                counts: false,
            };
            it.commit(async |tx| {
                let mut attempt = attempts::get(tx, now.attempt_id.unwrap()).await?;
                lose(tx, &it.platform, &mut attempt, loss).await
            })
            .await
            .unwrap();
        }
        _ => {}
    }
}

/// Returns how many reports were refused to old attempts and taken from current ones.
async fn interleave(it: &TestPlatform, seed: u64) -> (u32, u32) {
    let rng = Rng::seeded(seed);
    let task = it
        .task(1_000 * i64::try_from(seed).unwrap() + 1_000_000, &[])
        .await;
    let mut tx = it.platform.store.write().await.unwrap();
    messages::queue(&mut tx, &task, "system", "hello", "me")
        .await
        .unwrap();
    tx.commit(CrashPoint::MessagesMoved).await.unwrap();
    let mut all: Vec<Created> = Vec::new();
    let (mut refused, mut taken) = (0, 0);
    for step in 0..20 {
        if all.is_empty() || rng.u64() % 3 == 0 {
            act(it, &rng, &task, &mut all).await;
            continue;
        }
        let by = &all[usize::try_from(rng.u64()).unwrap() % all.len()];
        let attempt = it.attempt_now(&by.attempt).await;
        let turns = attempts::turns(&mut it.read().await, attempt.id)
            .await
            .unwrap();
        let now = it.task_now(task.id).await;
        let current = attempt.state.is_live() && attempt.fence == now.fence;
        let before = rows(it, &task).await;
        let was_taken = report(it, &rng, by, turns.len() as u32).await;
        if current {
            taken += u32::from(was_taken);
            assert!(
                it.task_now(task.id).await.fence == now.fence,
                "a report moves no fence"
            );
        } else {
            let after = rows(it, &task).await;
            assert_eq!(after, before, "seed {seed}, step {step}");
            // Its own end told again in the same words is answered as before.
            let has_told = !matches!(attempt.state, AttemptState::Lost) && !attempt.state.is_live();
            assert!(!was_taken || has_told, "seed {seed}, step {step}");
            refused += 1;
        }
    }
    // At most one attempt is live at the end, and it has the task's fence.
    let live: Vec<_> = attempts::of_subject(&mut it.read().await, &task.id.to_string())
        .await
        .unwrap()
        .into_iter()
        .filter(|a| a.state.is_live())
        .map(|a| a.fence)
        .collect();
    let fence = it.task_now(task.id).await.fence;
    assert!(
        live.is_empty() || live == [fence],
        "seed {seed}: {live:?} of {fence}"
    );
    (refused, taken)
}

/// `n` cases, a few to each platform: what one leaves is looked through by the next.
async fn cases(n: u64, database: impl Fn() -> TestDatabase) {
    let parts = (0..n).step_by(10).map(|first| {
        let it = TestPlatform::on(database(), open_caps);
        async move { part(it.await, first..first + 10).await }
    });
    futures::future::join_all(parts).await;
}

async fn part(it: TestPlatform, seeds: std::ops::Range<u64>) {
    let (mut refused, mut taken) = (0, 0);
    let n = seeds.end - seeds.start;
    for seed in seeds {
        let (r, t) = interleave(&it, seed).await;
        refused += r;
        taken += t;
    }
    // The property would hold of a platform that refuses everybody.
    assert!(
        u64::from(refused) > 2 * n && u64::from(taken) > n,
        "{refused} {taken}"
    );
}

fn open_caps(parts: &mut omoi_execution::platform::Parts) {
    parts.settings.discoveries_per_task = u32::MAX;
    parts.settings.discoveries_per_spec = u32::MAX;
}

#[tokio::test]
async fn old_fences_change_nothing_on_sqlite() {
    cases(300, omoi_testkit::sqlite::database).await;
}

#[tokio::test]
async fn old_fences_change_nothing_on_postgres() {
    cases(30, omoi_testkit::postgres::database).await;
}
