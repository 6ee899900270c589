//! What claims cost: beside a bare queue on the same table and server, with many tasks that wait, and from
//! the moment at which a task becomes ready.
//!
//! Prints one line of `key=value`; `cargo xtask bench claim` shows it in its table. A file lies in memory
//! where the machine has such a folder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, SpecId, TaskId};
use omoi_domain::merge::IntegrationState;
use omoi_domain::slots::SlotLimits;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_domain::time::Timestamp;
use omoi_store::attempts::Attempt;
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, NewClaim, QueueScan, Task};
use omoi_store::tickets::Ticket;
use omoi_store::{
    Row as _, ServerOptions, Store, StoreError, StoreOptions, Tenant, Tx, events, projects, specs,
    tickets,
};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::organisations::add_organisation;
use omoi_testkit::raw_connection::RawConnection;
use omoi_testkit::sample_rows;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Clients, and how many claims each makes in one run.
const CLIENTS: [(usize, i64); 3] = [(1, 960), (8, 320), (24, 160)];
/// Runs of each loop, ours and the bare one in turn; the median counts.
const RUNS: usize = 5;
/// Tasks of one scan, as the dispatcher looks at by default.
const SCANNED: i64 = 200;
/// Tasks that wait for another.
const N_BLOCKED: i64 = 100_000;
/// Claims whose times the percentiles are of.
const N_TIMED: i64 = 400;

/// Organisations of a deployment that many share.
const N_ORGANISATIONS: usize = 1_000;
/// Those of them that have work.
const N_ORGANISATIONS_AT_WORK: usize = 10;

/// Nothing is kept back: it is claims that are measured.
const LIMITS: SlotLimits = SlotLimits {
    per_project: 1_000_000,
    in_deployment: 1_000_000,
};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    print!("runs={RUNS} warm_up=0 timed={N_TIMED}");
    // All parts, or only the one that is named.
    let part = std::env::args().nth(1);
    let is_wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if is_wanted("blocked") {
        waiting_tasks().await?;
    }
    if is_wanted("ready") {
        ready_tasks().await?;
    }
    if is_wanted("rates") {
        rates().await?;
    }
    if is_wanted("organisations") {
        many_organisations().await?;
    }
    println!();
    Ok(())
}

async fn ready_tasks() -> Fallible<()> {
    for (name, database) in [
        ("sqlite", omoi_testkit::sqlite::database()),
        ("postgres", omoi_testkit::postgres::database()),
    ] {
        let bench = Bench::on(database).await?;
        print!(" {name}_ready_ms={:.3}", bench.ready_to_claimed().await?);
        bench.close().await;
    }
    Ok(())
}

/// Claims a second of each loop with each number of clients.
async fn rates() -> Fallible<()> {
    for (n_clients, n_each) in CLIENTS {
        let bench = Bench::on(omoi_testkit::postgres::database()).await?;
        let mut queues = Vec::new();
        for n in 0..n_clients {
            queues.push(bench.queue(&format!("/{n}"), n_each).await?);
        }
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (n, batch) in [None, Some(1), Some(tasks::CLAIMED_MAX)]
                .into_iter()
                .enumerate()
            {
                bench.reset().await?;
                rates[n].push(bench.rate(&queues, n_each, batch).await?);
            }
        }
        let [bare, one, batch] = rates.map(median);
        print!(" bare_{n_clients}={bare:.0} one_{n_clients}={one:.0} batch_{n_clients}={batch:.0}");
        bench.close().await;
    }
    Ok(())
}

/// The slowest percent of scans with a claim, without tasks that wait and with many.
async fn waiting_tasks() -> Fallible<()> {
    let bench = Bench::on(omoi_testkit::postgres::database()).await?;
    let queue = bench.queue("/ready", N_TIMED).await?;
    let free = bench.timed_claims(&queue).await?;
    bench.reset().await?;
    bench.add_blocked(&queue).await?;
    let beside = bench.timed_claims(&queue).await?;
    for (name, times) in [("free", free), ("blocked", beside)] {
        let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
        print!(" {name}_p50_ms={p50:.3} {name}_p99_ms={p99:.3}");
    }
    bench.close().await;
    Ok(())
}

/// The median dispatch in one organisation alone, and in turn for few that have work among many.
async fn many_organisations() -> Fallible<()> {
    for (name, n_organisations, n_at_work) in [
        ("alone", 1, 1),
        ("among", N_ORGANISATIONS, N_ORGANISATIONS_AT_WORK),
    ] {
        let bench = Bench::on(omoi_testkit::postgres::database()).await?;
        let mut tenants = vec![bench.tenant.clone()];
        while tenants.len() < n_organisations {
            let id = bench.store.new_id();
            tenants.push(add_organisation(&bench.store, id).await);
        }
        tenants.truncate(n_at_work);
        for tenant in &tenants {
            bench.queue_of(tenant, "/work", N_TIMED).await?;
        }
        bench.settle().await?;
        let mut times = Vec::new();
        for tenant in tenants.iter().cycle().take(N_TIMED as usize) {
            let began = Instant::now();
            // What the loop reads before it: the news of the organisation.
            let news = tenant.read(async |tx| {
                let head = events::head(tx).await?;
                events::after(tx, head - 1).await
            });
            news.await?;
            scan_and_claim(tenant, None).await?;
            times.push(began.elapsed());
        }
        times.sort();
        print!(" {name}_dispatch_ms={:.3}", percentile(&times, 50));
        bench.close().await;
    }
    Ok(())
}

/// A database and how to reach it.
struct Bench {
    database: TestDatabase,
    store: Store,
    tenant: Tenant,
}

/// A project with tasks that are ready.
#[derive(Clone)]
struct Queue {
    spec: SpecId,
    ticket: Ticket,
}

impl Bench {
    async fn on(database: TestDatabase) -> Fallible<Self> {
        let store = Store::connect(StoreOptions {
            url: database.url().to_owned(),
            now: None,
            new_uuid: Arc::new(Uuid::now_v7),
            server: ServerOptions {
                connections: 24,
                ..ServerOptions::default()
            },
        })
        .await?;
        store.migrate().await?;
        let tenant = store.tenant(OrgId::LOCAL);
        Ok(Self {
            database,
            store,
            tenant,
        })
    }

    async fn close(self) {
        self.store.close().await;
    }

    async fn raw(&self, sql: &str) -> Fallible<()> {
        let mut conn = RawConnection::open(self.database.url()).await?;
        conn.execute(sql).await?;
        Ok(conn.close().await?)
    }

    /// A project of its own with `n` ready tasks, all like the first.
    async fn queue(&self, path: &str, n: i64) -> Fallible<Queue> {
        self.queue_of(&self.tenant, path, n).await
    }

    async fn queue_of(&self, tenant: &Tenant, path: &str, n: i64) -> Fallible<Queue> {
        let mut tx = tenant.begin_write().await?;
        let project = projects::ensure(&mut tx, path, path).await?;
        let spec = Spec {
            status: SpecStatus::Working,
            ..sample_rows::spec(&tx, project.id, 1)
        };
        specs::insert(&mut tx, &spec).await?;
        let ticket = sample_rows::ticket(&tx, &spec, 1);
        tickets::insert(&mut tx, &ticket).await?;
        let task = sample_rows::task(&tx, &ticket, 1);
        tasks::insert(&mut tx, &task).await?;
        tx.commit(CrashPoint::TaskMoved).await?;
        self.copy(task.id, 2, n).await?;
        let spec = spec.id;
        Ok(Queue { spec, ticket })
    }

    /// Copies a task under the numbers from `first` to `last`.
    async fn copy(&self, task: TaskId, first: i64, last: i64) -> Fallible<()> {
        let columns = Task::columns();
        let values = columns.iter().map(|column| match *column {
            "id" => "gen_random_uuid()".to_owned(),
            "number" => "n".to_owned(),
            "local_id" => "'TSK-' || n".to_owned(),
            same => same.to_owned(),
        });
        self.raw(&format!(
            "insert into tasks ({}) select {} from tasks, generate_series({first}, {last}) n
             where id = '{task}'",
            columns.join(", "),
            values.collect::<Vec<_>>().join(", ")
        ))
        .await
    }

    /// Puts every task back as it was before any claim.
    async fn reset(&self) -> Fallible<()> {
        self.raw(
            "delete from attempt_tokens; delete from attempts; delete from events;
             update tasks set status = 'pending', fence = 0, attempt_id = null, base_sha = null,
                 state_version = 0 where status = 'claiming';
             update projects set slots_used = 0; update organisations set slots_used = 0;
             update deployment set slots_used = 0;",
        )
        .await?;
        self.settle().await
    }

    /// What a server does by itself sooner or later, and not while something is measured.
    async fn settle(&self) -> Fallible<()> {
        let tables = ["tasks", "attempts", "events", "projects", "organisations"];
        for table in tables.into_iter().chain(["task_dependencies"]) {
            self.raw(&format!("vacuum analyze {table}")).await?;
        }
        Ok(())
    }

    /// Claims a second of all clients together; `batch` at once, or the bare queue.
    async fn rate(&self, queues: &[Queue], n_each: i64, batch: Option<usize>) -> Fallible<f64> {
        let mut bare = Vec::new();
        if batch.is_none() {
            for _ in queues {
                bare.push(PgConnection::connect(self.database.url()).await?);
            }
        }
        let mut clients = JoinSet::new();
        let began = Instant::now();
        for queue in queues {
            match (batch, bare.pop()) {
                (Some(batch), _) => {
                    clients.spawn(claim_some(self.tenant.clone(), queue.spec, n_each, batch));
                }
                (None, Some(conn)) => {
                    clients.spawn(claim_bare(conn, n_each));
                }
                (None, None) => return Err("a client has no connection".into()),
            }
        }
        while let Some(client) = clients.join_next().await {
            client??;
        }
        let took = began.elapsed().as_secs_f64();
        let expected = n_each * queues.len() as i64;
        let claimed = self.claimed().await?;
        if claimed != expected {
            return Err(format!("{claimed} of {expected} tasks were claimed").into());
        }
        Ok(expected as f64 / took)
    }

    async fn claimed(&self) -> Fallible<i64> {
        let counts = tasks::count_by_status(&mut self.tenant.begin_read().await?).await?;
        Ok(counts.get("claiming").copied().unwrap_or(0))
    }

    /// One more task and as many as asked for that wait for it, in the same spec.
    async fn add_blocked(&self, queue: &Queue) -> Fallible<()> {
        let first = N_TIMED + 1;
        let mut tx = self.tenant.begin_write().await?;
        let running = Task {
            status: TaskStatus::Running,
            ..sample_rows::task(&tx, &queue.ticket, first)
        };
        tasks::insert(&mut tx, &running).await?;
        let waiting = sample_rows::task(&tx, &queue.ticket, first + 1);
        tasks::insert(&mut tx, &waiting).await?;
        tasks::depend(&mut tx, waiting.id, running.id).await?;
        tx.commit(CrashPoint::TaskMoved).await?;
        self.copy(waiting.id, first + 2, first + N_BLOCKED).await?;
        self.raw(&format!(
            "insert into task_dependencies (task_id, depends_on_id, org_id)
             select id, '{}', org_id from tasks where number > {} on conflict do nothing;
             update tasks set n_open_prerequisites = 1 where number > {};
             update tasks set n_dependents = {N_BLOCKED} where id = '{}'",
            running.id,
            first + 1,
            first + 1,
            running.id
        ))
        .await?;
        self.settle().await
    }

    /// How long each took: a look at the queue as the dispatcher has it, and a claim.
    async fn timed_claims(&self, queue: &Queue) -> Fallible<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..N_TIMED {
            let began = Instant::now();
            scan_and_claim(&self.tenant, Some(queue.spec)).await?;
            times.push(began.elapsed());
        }
        times.sort();
        Ok(times)
    }

    /// Milliseconds of the median task from the commit that made it ready to the one that claimed it.
    async fn ready_to_claimed(&self) -> Fallible<f64> {
        let mut tx = self.tenant.begin_write().await?;
        let project = projects::ensure(&mut tx, "/ready", "/ready").await?;
        let spec = Spec {
            status: SpecStatus::Working,
            ..sample_rows::spec(&tx, project.id, 1)
        };
        specs::insert(&mut tx, &spec).await?;
        let ticket = sample_rows::ticket(&tx, &spec, 1);
        tickets::insert(&mut tx, &ticket).await?;
        let mut prerequisites = Vec::new();
        for number in 1..=N_TIMED {
            let earlier = Task {
                status: TaskStatus::Completed,
                integration_state: IntegrationState::Queued,
                ..sample_rows::task(&tx, &ticket, 2 * number)
            };
            let waiting = sample_rows::task(&tx, &ticket, 2 * number + 1);
            tasks::insert(&mut tx, &earlier).await?;
            tasks::insert(&mut tx, &waiting).await?;
            tasks::depend(&mut tx, waiting.id, earlier.id).await?;
            prerequisites.push(earlier);
        }
        tx.commit(CrashPoint::TaskMoved).await?;
        let mut times = Vec::new();
        for mut earlier in prerequisites {
            earlier.integration_state = IntegrationState::Merged;
            let land = async |tx: &mut Tx| tasks::save(tx, &mut earlier).await;
            self.tenant.write(CrashPoint::TaskMoved, land).await?;
            let began = Instant::now();
            scan_and_claim(&self.tenant, None).await?;
            times.push(began.elapsed());
        }
        times.sort();
        Ok(percentile(&times, 50))
    }
}

async fn scan_and_claim(tenant: &Tenant, spec: Option<SpecId>) -> Fallible<()> {
    let mut tx = tenant.begin_read().await?;
    let found = scan(&mut tx, spec, SCANNED).await?;
    for task in found.iter().take(1) {
        tasks::dependent_counts(&mut tx, task.spec_id).await?;
    }
    tx.rollback().await?;
    let claimed = claim(tenant, found.into_iter().take(1).collect()).await?;
    match claimed {
        1 => Ok(()),
        n => Err(format!("{n} tasks were claimed, not 1").into()),
    }
}

async fn scan(tx: &mut Tx, spec: Option<SpecId>, limit: i64) -> Result<Vec<Task>, StoreError> {
    let scan = QueueScan {
        starving_since: Timestamp::from_micros(0),
        project_slots: LIMITS.per_project,
        limit,
        spec,
    };
    tasks::eligible(tx, scan).await
}

/// How many of `seen` were claimed.
async fn claim(tenant: &Tenant, seen: Vec<Task>) -> Result<usize, StoreError> {
    let claim = async |tx: &mut Tx| {
        let wanted = seen.into_iter().map(|task| NewClaim {
            attempt: attempt(tx, &task),
            token_hash: format!("{:064x}", Uuid::now_v7().as_u128()),
            task,
        });
        let wanted = wanted.collect();
        Ok(tasks::claim(tx, wanted, LIMITS).await?.len())
    };
    tenant.write(CrashPoint::TaskClaimed, claim).await
}

/// Looks at the tasks of a spec as the dispatcher does, and claims them so many at once until it has made
/// `n` claims.
async fn claim_some(tenant: Tenant, spec: SpecId, n: i64, batch: usize) -> Fallible<()> {
    let (mut left, mut seen) = (n as usize, Vec::new());
    while left > 0 {
        if seen.is_empty() {
            let mut tx = tenant.begin_read().await?;
            seen = scan(&mut tx, Some(spec), SCANNED).await?;
            tx.rollback().await?;
        }
        let next = seen.drain(..batch.min(seen.len())).collect();
        left = left.saturating_sub(claim(&tenant, next).await?);
    }
    Ok(())
}

/// `select … for update skip locked limit 1` and `update`, `n` times.
async fn claim_bare(mut conn: PgConnection, n: i64) -> Fallible<()> {
    for _ in 0..n {
        let mut tx = conn.begin().await?;
        let id: Uuid = sqlx::query_scalar(
            "select id from tasks
             where org_id = $1 and status = 'pending' and n_open_prerequisites = 0
             limit 1 for update skip locked",
        )
        .bind(OrgId::LOCAL.as_uuid())
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query(
            "update tasks set status = 'claiming', fence = fence + 1, updated_at = clock_timestamp()
             where id = $1",
        )
        .bind(id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    Ok(conn.close().await?)
}

fn attempt(tx: &Tx, task: &Task) -> Attempt {
    Attempt {
        base_sha: Some("b".repeat(40)),
        ..sample_rows::task_attempt(tx, task, 1)
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}

/// In milliseconds, of times in order.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, Duration::as_secs_f64) * 1e3
}
