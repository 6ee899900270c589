//! An attempt that is over or has an old fence never changes the rows of its task, its ticket or
//! anything else of the spec, however its reports interleave with those of its successors.

use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason};
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::retry::ErrorClass;
use omoi_domain::task::TaskStatus;
use omoi_execution::FromParts as _;
use omoi_execution::attempt::{CreatedAttempt, lose_attempt};
use omoi_execution::intake::AttemptIntake;
use omoi_execution::{discovery, intake};
use omoi_runtime::rng::Rng;
use omoi_store::attempts::{self, Attempt};
use omoi_store::merges::{self, Merge};
use omoi_store::messages::{self, Message};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Tx, specs};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, ended_report, failed_report};
use omoi_testkit::sample_rows;

use crate::discovery::found;
use crate::intake::turn;

/// Reports and acts of the platform in one case.
const STEPS: u32 = 8;
/// Cases on one platform, each with a spec of its own.
const PART: u64 = 100;
/// How many cases there are on SQLite, and a fifth of them on PostgreSQL; without it as many as take half a minute.
const CASES: &str = "OMOI_FENCING_CASES";
const FEW_CASES: u64 = 1_000;

/// What no old attempt may change.
#[derive(Debug, PartialEq)]
struct Rows {
    tasks: Vec<Task>,
    tickets: Vec<Ticket>,
    merges: Vec<Merge>,
    spec: specs::Spec,
    messages: Vec<Message>,
    attempts: Vec<Attempt>,
}

impl Rows {
    fn task(&self, task: &Task) -> &Task {
        self.tasks.iter().find(|t| t.id == task.id).unwrap()
    }

    fn attempt(&self, created: &CreatedAttempt) -> &Attempt {
        let id = created.attempt.id;
        self.attempts.iter().find(|a| a.id == id).unwrap()
    }
}

async fn rows(it: &TestDeployment, task: &Task) -> Rows {
    let mut tx = it.read_tx().await;
    let tx = &mut tx;
    Rows {
        tasks: tasks::of_spec(tx, it.spec.id).await.unwrap(),
        tickets: tickets::of_spec(tx, it.spec.id).await.unwrap(),
        merges: merges::of_spec(tx, it.spec.id).await.unwrap(),
        spec: specs::get(tx, it.spec.id).await.unwrap(),
        messages: messages::open(tx, task.id).await.unwrap(),
        attempts: attempts::of_task(tx, task.id).await.unwrap(),
    }
}

/// One report of a worker. True when it was taken.
async fn report(it: &TestDeployment, rng: &Rng, by: &CreatedAttempt) -> bool {
    let (deployment, attempt) = (&it.deployment, &by.attempt);
    match rng.next_u64() % 8 {
        0 => intake::report_started(
            &deployment.store,
            attempt.id,
            omoi_testkit::deployment::native_start(),
        )
        .await
        .is_ok(),
        1 => intake::report_heartbeat(&deployment.store, attempt.id)
            .await
            .is_ok_and(|ack| ack.commands.is_empty()),
        2 => {
            let turns = attempts::turns(&mut it.read_tx().await, attempt.id).await;
            let next = turn(turns.unwrap().len() as u32);
            intake::commit_turn(&AttemptIntake::from_parts(deployment), attempt, next)
                .await
                .is_ok()
        }
        3 => discovery::report_discovery(
            &deployment.store,
            &deployment.limits,
            attempt,
            found(&rng.next_u64().to_string()),
        )
        .await
        .is_ok(),
        4 => {
            let task = attempt.subject.task_id().unwrap();
            let open = messages::open(&mut it.read_tx().await, task).await.unwrap();
            let ids = open.into_iter().map(|m| m.id).collect();
            let body = omoi_protocol::worker::AckMessages { ids };
            intake::ack_messages(&deployment.store, attempt, body)
                .await
                .is_ok()
        }
        5 => {
            let body = ended_report(
                AttemptOutcome::Incomplete,
                AttemptStopReason::MaxTurnsReached,
            );
            intake::complete_attempt(&AttemptIntake::from_parts(deployment), attempt, body)
                .await
                .is_ok()
        }
        6 => {
            let body = failed_report(ErrorClass::Network, &format!("cause {:x}", rng.next_u64()));
            intake::complete_attempt(&AttemptIntake::from_parts(deployment), attempt, body)
                .await
                .is_ok()
        }
        _ => {
            let body = ended_report(
                AttemptOutcome::Succeeded,
                AttemptStopReason::CompletionSignal,
            );
            intake::complete_attempt(&AttemptIntake::from_parts(deployment), attempt, body)
                .await
                .is_ok()
        }
    }
}

/// What the platform itself does: claims, launches, loses.
async fn act(it: &TestDeployment, task: &Task, all: &mut Vec<CreatedAttempt>) {
    let now = it.task_now(task.id).await;
    match now.status {
        TaskStatus::Pending if all.len() < 4 => all.push(it.claim_task(task.id).await.unwrap()),
        TaskStatus::Claiming => it.bind_sandbox(&all.last().unwrap().attempt).await.unwrap(),
        TaskStatus::Assigned | TaskStatus::Running => {
            let loss = AttemptLoss {
                state: AttemptState::Lost,
                stop_reason: AttemptStopReason::PlatformRestarted,
                class: ErrorClass::SandboxLost,
                message: "gone".to_owned(),
                counts: false,
            };
            it.commit(async |tx| {
                let mut attempt = attempts::get(tx, now.attempt_id.unwrap()).await?;
                lose_attempt(tx, &it.build_part(), &mut attempt, loss).await
            })
            .await
            .unwrap();
        }
        _ => {}
    }
}

/// Returns how many reports were refused to old attempts and taken from current ones.
async fn interleave(it: &mut TestDeployment, seed: u64) -> (u32, u32) {
    let rng = Rng::seeded(seed);
    let number = 1_000_000 + i64::try_from(seed).unwrap();
    it.next_spec(number).await;
    let it = &*it;
    let begin = async |tx: &mut Tx| {
        let task = sample_rows::task(tx, &it.ticket, number);
        tasks::insert(tx, &task).await?;
        messages::queue(
            tx,
            &task,
            MessageType::UserMessage,
            "hello",
            MessageSender::User,
        )
        .await?;
        Ok(task)
    };
    let task = it.commit(begin).await.unwrap();
    let mut all = vec![it.claim_task(task.id).await.unwrap()];
    let (mut refused, mut taken) = (0, 0);
    let mut before = rows(it, &task).await;
    for step in 0..STEPS {
        if rng.next_u64() % 3 == 0 {
            act(it, &task, &mut all).await;
            before = rows(it, &task).await;
            continue;
        }
        let by = &all[usize::try_from(rng.next_u64()).unwrap() % all.len()];
        let attempt = before.attempt(by);
        let (is_live, fence) = (attempt.state.is_live(), before.task(&task).fence);
        // Its own end told again in the same words is answered as before.
        let has_told = !matches!(attempt.state, AttemptState::Lost) && !is_live;
        let is_current = is_live && attempt.fence == fence;
        let was_taken = report(it, &rng, by).await;
        let after = rows(it, &task).await;
        if is_current {
            taken += u32::from(was_taken);
            let moved = after.task(&task).fence;
            assert_eq!(moved, fence, "a report moves no fence");
        } else {
            assert_eq!(after, before, "seed {seed}, step {step}");
            assert!(!was_taken || has_told, "seed {seed}, step {step}");
            refused += 1;
        }
        before = after;
    }
    // At most one attempt is live at the end, and it has the task's fence.
    let attempts = before.attempts.iter();
    let live: Vec<_> = attempts
        .filter(|a| a.state.is_live())
        .map(|a| a.fence)
        .collect();
    let fence = before.task(&task).fence;
    assert!(
        live.is_empty() || live == [fence],
        "seed {seed}: {live:?} of {fence}"
    );
    (refused, taken)
}

/// `n` cases, some hundred to each platform, on as many threads as have something to do: a case
/// waits for its database half of the time.
fn cases(n: u64, database: impl Fn() -> TestDatabase + Sync) {
    let lanes = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let lane = |first: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            for first in (0..n).step_by(PART as usize).skip(first).step_by(lanes) {
                let it = TestDeployment::on_database(database(), open_caps).await;
                part(it, first..first + PART).await;
            }
        });
    };
    std::thread::scope(|scope| {
        for first in 0..lanes {
            let lane = &lane;
            scope.spawn(move || lane(first));
        }
    });
}

async fn part(mut it: TestDeployment, seeds: std::ops::Range<u64>) {
    let (mut refused, mut taken) = (0, 0);
    let n = seeds.end - seeds.start;
    for seed in seeds {
        let (r, t) = interleave(&mut it, seed).await;
        refused += r;
        taken += t;
    }
    // The property would hold of a platform that refuses everybody.
    assert!(
        u64::from(refused) > n && u64::from(taken) > n,
        "{refused} {taken}"
    );
}

fn wanted_cases() -> u64 {
    std::env::var(CASES).map_or(FEW_CASES, |wanted| wanted.parse().unwrap())
}

fn open_caps(parts: &mut omoi_execution::DeploymentParts) {
    parts.limits.discovery.per_task = u32::MAX;
    parts.limits.discovery.per_spec = u32::MAX;
}

#[test]
fn old_fences_change_nothing_on_sqlite() {
    cases(wanted_cases(), omoi_testkit::sqlite::database);
}

#[test]
fn old_fences_change_nothing_on_postgres() {
    cases(wanted_cases() / 5, omoi_testkit::postgres::database);
}
