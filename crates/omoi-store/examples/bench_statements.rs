//! What five hot statements cost on either database, beside an empty statement on the same one.
//!
//! Prints one line of `key=value` in microseconds per statement; `cargo xtask bench` shows them in its
//! table. A file lies in memory where the machine has such a folder: what a disk adds is no matter of
//! statements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use omoi_domain::attempt::AttemptState;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{CostDone, Event};
use omoi_domain::id::{OrgId, ProjectId, SpecId};
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::PurposeKind;
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_store::attempts::{self, Attempt};
use omoi_store::costs::{self, CostEntry};
use omoi_store::tasks::{self, QueueScan};
use omoi_store::{ServerOptions, Store, StoreOptions, Tenant, Tx, projects, specs, tickets};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::sample_rows;
use uuid::Uuid;

/// Rows that `tasks::of_spec` reads and that a claim scan looks at.
const N_TASKS: i64 = 200;
/// Tasks that one scan finds.
const CLAIMED: usize = 16;
/// Events of one commit.
const N_EVENTS: u32 = 20;
const RUNS: u32 = 300;
const WARM_UP: u32 = 30;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Fallible<()> {
    print!("runs={RUNS} warm_up={WARM_UP}");
    measure("sqlite", omoi_testkit::sqlite::database()).await?;
    measure("postgres", omoi_testkit::postgres::database()).await?;
    println!();
    Ok(())
}

async fn measure(name: &str, database: TestDatabase) -> Fallible<()> {
    let store = Store::connect(StoreOptions {
        url: database.url().to_owned(),
        now: Some(Arc::new(|| Timestamp::from_micros(1_760_000_000_000_000))),
        new_uuid: Arc::new(Uuid::now_v7),
        server: ServerOptions::default(),
    })
    .await?;
    store.migrate().await?;
    let tenant = store.tenant(OrgId::LOCAL);
    let rows = Rows::write(&tenant).await?;
    let mut tx = tenant.begin_write().await?;
    let found = scan(&mut tx).await?;
    let took = timed(async || scan(&mut tx).await).await?;
    print!(" {name}_claim_scan_us={took:.1}");
    let read = tasks::of_spec(&mut tx, rows.spec).await?.len();
    let took = timed(async || Ok(tasks::of_spec(&mut tx, rows.spec).await?)).await?;
    print!(" {name}_of_spec_us={took:.1}");
    let took = timed(async || Ok(attempts::touch(&mut tx, rows.attempt.id, true).await?)).await?;
    print!(" {name}_touch_us={took:.1}");
    let touched = attempts::get(&mut tx, rows.attempt.id).await?.last_work_at;
    // Figures of statements that do nothing would be the best of all.
    if (found, read, touched) != (CLAIMED, N_TASKS as usize, Some(tx.now())) {
        return Err(
            format!("{name}: {found} tasks claimed, {read} read, work at {touched:?}").into(),
        );
    }
    let took = timed(async || {
        let cost = rows.cost(&tx);
        Ok(costs::insert(&mut tx, rows.project, &cost).await?)
    })
    .await?;
    print!(" {name}_insert_us={took:.1}");
    tx.rollback().await?;
    let took = timed(async || {
        let mut tx = tenant.begin_write().await?;
        for _ in 0..N_EVENTS {
            tx.emit(Some(rows.project), Some(rows.spec), rows.event());
        }
        Ok(tx.commit(CrashPoint::TaskMoved).await?)
    })
    .await?;
    print!(" {name}_events_us={:.1}", took / f64::from(N_EVENTS));
    let took = timed(async || Ok(tenant.begin_read().await?.rollback().await?)).await?;
    print!(" {name}_empty_us={took:.1}");
    store.close().await;
    Ok(())
}

async fn scan(tx: &mut Tx) -> Fallible<usize> {
    let found = tasks::eligible(
        tx,
        QueueScan {
            starving_since: Timestamp::from_micros(0),
            project_slots: 100,
            limit: CLAIMED as i64,
            spec: None,
        },
    );
    Ok(found.await?.len())
}

/// Microseconds that the median run takes.
async fn timed<T>(mut run: impl AsyncFnMut() -> Fallible<T>) -> Fallible<f64> {
    let mut times = Vec::new();
    for n in 0..WARM_UP + RUNS {
        let began = Instant::now();
        run().await?;
        let took = began.elapsed();
        if n >= WARM_UP {
            times.push(took);
        }
    }
    times.sort();
    let median = times.get(times.len() / 2);
    Ok(median.map_or(0.0, Duration::as_secs_f64) * 1e6)
}

/// What the statements are about.
struct Rows {
    project: ProjectId,
    spec: SpecId,
    attempt: Attempt,
}

impl Rows {
    async fn write(tenant: &Tenant) -> Fallible<Self> {
        let mut tx = tenant.begin_write().await?;
        let project = projects::ensure(&mut tx, "repo", "/repo").await?;
        let mut spec = sample_rows::spec(&tx, project.id, 1);
        spec.status = SpecStatus::Working;
        specs::insert(&mut tx, &spec).await?;
        let ticket = sample_rows::ticket(&tx, &spec, 1);
        tickets::insert(&mut tx, &ticket).await?;
        let mut last = None;
        for number in 1..=N_TASKS {
            let task = sample_rows::task(&tx, &ticket, number);
            tasks::insert(&mut tx, &task).await?;
            // Every second one waits for the one before it.
            match last.filter(|_| number % 2 == 0) {
                Some(earlier) => tasks::depend(&mut tx, task.id, earlier).await?,
                None => last = Some(task.id),
            }
        }
        let task = tasks::get(&mut tx, last.ok_or("no task was written")?).await?;
        let mut attempt = sample_rows::task_attempt(&tx, &task, 1);
        attempt.state = AttemptState::Running;
        attempts::insert(&mut tx, &attempt).await?;
        tx.commit(CrashPoint::TaskMoved).await?;
        Ok(Self {
            project: project.id,
            spec: spec.id,
            attempt,
        })
    }

    fn cost(&self, tx: &Tx) -> CostEntry {
        CostEntry {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: self.spec,
            purpose: PurposeKind::Attempt,
            attempt_id: Some(self.attempt.id),
            role: self.attempt.role,
            route: omoi_domain::model_route::RouteName::Agent,
            model: "simulated".to_owned(),
            simulated: true,
            input_tokens: 1_000,
            output_tokens: 500,
            cache_read_tokens: 300,
            cache_write_tokens: 200,
            cache_write_1h_tokens: 100,
            cost_nanousd: NanoUsd::from_nanos(1_000_000),
            latency_ms: 700,
            calls: 1,
            estimated: false,
            unrecorded: false,
            cache_miss: None,
            created_at: tx.now(),
        }
    }

    fn event(&self) -> Event {
        Event::CostRecorded(CostDone {
            purpose: PurposeKind::Attempt,
            attempt_id: Some(self.attempt.id),
            role: self.attempt.role,
            model: "simulated".to_owned(),
            tokens: 2_100,
            cost_nanousd: NanoUsd::from_nanos(1_000_000),
            latency_ms: 700,
            estimated: false,
            unrecorded: false,
        })
    }
}
