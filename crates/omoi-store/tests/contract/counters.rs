//! Counters that moves keep: slots in use and open prerequisites are what a count of the rows says.

use omoi_domain::block::TaskBlock;
use omoi_domain::merge::IntegrationState;
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketStatus;
use omoi_store::projects;
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, specs};
use omoi_testkit::raw_connection::RawConnection;

use crate::bench::{Bench, commit};
use crate::queue::scan;
use crate::samples;

both!(
    counters_follow_every_move,
    a_move_that_is_rolled_back_counts_nothing,
);

/// Moves that one run makes.
const N_MOVES: u32 = 150;

/// Projects, organisations, or the deployment, whose counter is not what a count of the rows says.
const WRONG_SLOTS: &str = "
    select cast(p.slots_used as text) from projects p where p.slots_used <> (
        select count(*) from tasks t where t.project_id = p.id
        and t.status in ('claiming', 'assigned', 'running', 'validating'))
    union all
    select cast(o.slots_used as text) from organisations o where o.slots_used <> (
        select count(*) from tasks t where t.org_id = o.id
        and t.status in ('claiming', 'assigned', 'running', 'validating'))
    union all
    select cast(d.slots_used as text) from deployment d where d.slots_used <> (
        select count(*) from tasks t
        where t.status in ('claiming', 'assigned', 'running', 'validating'))";

/// Tasks whose counters are not what a count of what they wait for, and of what depends on them, says.
const WRONG_PREREQUISITES: &str = "
    select cast(t.number as text) from tasks t where t.n_open_prerequisites <> (
        select count(*) from task_dependencies d join tasks p on p.id = d.depends_on_id
        where d.task_id = t.id
        and (p.status <> 'completed' or p.integration_state <> 'merged')
    ) + (
        select count(*) from ticket_dependencies d join tickets k on k.id = d.depends_on_id
        where d.ticket_id = t.ticket_id and k.status <> 'done')
    or t.n_dependents <> (
        select count(*) from task_dependencies d where d.depends_on_id = t.id)";

/// What can start, as a scan of everything finds it.
const CAN_START: &str = "
    select cast(t.number as text) from tasks t
    join specs s on s.id = t.spec_id join projects p on p.id = t.project_id
    join tickets own on own.id = t.ticket_id
    where t.status = 'pending' and s.status = 'working' and (t.force_execute or p.autonomous)
    and own.approval_status = 'approved' and not own.is_blocked
    and not exists (
        select 1 from task_dependencies d join tasks q on q.id = d.depends_on_id
        where d.task_id = t.id
        and (q.status <> 'completed' or q.integration_state <> 'merged'))
    and not exists (
        select 1 from ticket_dependencies d join tickets k on k.id = d.depends_on_id
        where d.ticket_id = t.ticket_id and k.status <> 'done')
    and (select count(*) from tasks w where w.project_id = t.project_id
        and w.status in ('claiming', 'assigned', 'running', 'validating')) < 4";

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Two projects with two tickets each, and tasks that come as the run goes on.
struct Rows {
    tickets: Vec<Ticket>,
    tasks: Vec<Task>,
}

impl Rows {
    async fn write(bench: &Bench) -> Result<Self, StoreError> {
        commit(&bench.local, async |tx| {
            let mut rows = Self {
                tickets: Vec::new(),
                tasks: Vec::new(),
            };
            for path in ["/one", "/two"] {
                let project = projects::ensure(tx, path, path).await?;
                let mut spec = samples::spec(tx, project.id, 1);
                spec.status = SpecStatus::Working;
                specs::insert(tx, &spec).await?;
                for number in [1, 2] {
                    let ticket = samples::ticket(tx, &spec, number);
                    tickets::insert(tx, &ticket).await?;
                    rows.tickets.push(ticket);
                }
            }
            Ok(rows)
        })
        .await
    }

    /// One more task, in any status.
    async fn add(&mut self, bench: &Bench, chance: &mut Chance) -> Result<(), StoreError> {
        let ticket = self.tickets[chance.below(self.tickets.len())].clone();
        let number = self.tasks.len() as i64 + 1;
        let task = commit(&bench.local, async |tx| {
            let mut task = samples::task(tx, &ticket, number);
            set_status(&mut task, chance);
            tasks::insert(tx, &task).await?;
            Ok(task)
        });
        self.tasks.push(task.await?);
        Ok(())
    }

    async fn move_task(&mut self, bench: &Bench, chance: &mut Chance) -> Result<(), StoreError> {
        let moved = chance.below(self.tasks.len());
        let id = self.tasks[moved].id;
        let task = commit(&bench.local, async |tx| {
            let mut task = tasks::get(tx, id).await?;
            set_status(&mut task, chance);
            tasks::save(tx, &mut task).await?;
            Ok(task)
        });
        self.tasks[moved] = task.await?;
        Ok(())
    }

    /// A later task waits for an earlier one, perhaps for the second time.
    async fn add_edge(&self, bench: &Bench, chance: &mut Chance) -> Result<(), StoreError> {
        let later = chance.below(self.tasks.len());
        if later == 0 {
            return Ok(());
        }
        let (task, earlier) = (self.tasks[later].id, self.tasks[chance.below(later)].id);
        commit(&bench.local, async |tx| {
            tasks::depend(tx, task, earlier).await
        })
        .await
    }

    /// A task waits for none of those any more that it waited for, and no longer for one that it never waited for.
    async fn drop_edges(&self, bench: &Bench, chance: &mut Chance) -> Result<(), StoreError> {
        let task = self.tasks[chance.below(self.tasks.len())].clone();
        commit(&bench.local, async |tx| {
            for (waiting, earlier) in tasks::dependencies(tx, task.spec_id).await? {
                if waiting == task.id {
                    tasks::drop_dependency(tx, waiting, earlier).await?;
                }
            }
            tasks::drop_dependency(tx, task.id, task.id).await
        })
        .await
    }

    /// The second ticket of a project waits for its first, or the first is moved.
    async fn move_ticket(&mut self, bench: &Bench, chance: &mut Chance) -> Result<(), StoreError> {
        let first = 2 * chance.below(2);
        let (ticket, waiting) = (self.tickets[first].id, self.tickets[first + 1].id);
        let (waits, status) = (chance.below(3) == 0, chance.of(TicketStatus::ALL));
        commit(&bench.local, async |tx| {
            if waits {
                return tickets::depend(tx, waiting, ticket).await;
            }
            let mut ticket = tickets::get(tx, ticket).await?;
            ticket.status = status;
            tickets::save(tx, &mut ticket).await
        })
        .await
    }
}

/// Half of them are as a task that landed, so that work becomes ready now and then.
fn set_status(task: &mut Task, chance: &mut Chance) {
    (task.status, task.integration_state) = match chance.below(4) {
        0 | 1 => (TaskStatus::Completed, IntegrationState::Merged),
        2 => (TaskStatus::Pending, IntegrationState::None),
        _ => (chance.of(TaskStatus::ALL), chance.of(IntegrationState::ALL)),
    };
    task.blocked_by = (task.status == TaskStatus::Blocked).then_some(TaskBlock::NoCheck);
}

async fn first_column(conn: &mut RawConnection, sql: &str) -> Vec<String> {
    let rows = conn.rows(sql).await.unwrap();
    let mut found: Vec<String> = rows
        .into_iter()
        .map(|mut row| row.remove(0).unwrap())
        .collect();
    found.sort();
    found
}

async fn counters_follow_every_move(bench: Bench) -> Result<(), StoreError> {
    let mut conn = RawConnection::open(bench.url()).await.unwrap();
    let mut chance = Chance(20_251_129);
    let mut rows = Rows::write(&bench).await?;
    let mut n_ready = 0;
    for n in 0..N_MOVES {
        match chance.below(9) {
            _ if rows.tasks.len() < 4 => rows.add(&bench, &mut chance).await?,
            0 => rows.add(&bench, &mut chance).await?,
            1 | 2 => rows.add_edge(&bench, &mut chance).await?,
            3 => rows.move_ticket(&bench, &mut chance).await?,
            4 => rows.drop_edges(&bench, &mut chance).await?,
            _ => rows.move_task(&bench, &mut chance).await?,
        }
        for wrong in [WRONG_SLOTS, WRONG_PREREQUISITES] {
            let found = first_column(&mut conn, wrong).await;
            assert!(found.is_empty(), "after move {n}: {found:?} of {wrong}");
        }
        let mut tx = bench.local.begin_read().await?;
        let scan = tasks::QueueScan {
            project_slots: 4,
            ..scan(1_000)
        };
        let eligible = tasks::eligible(&mut tx, scan).await?;
        let mut eligible: Vec<String> = eligible.iter().map(|t| t.number.to_string()).collect();
        eligible.sort();
        let expected = first_column(&mut conn, CAN_START).await;
        assert_eq!(eligible, expected, "after move {n}");
        n_ready += expected.len();
    }
    assert!(n_ready > 100, "only {n_ready} tasks were ready all in all");
    conn.close().await.unwrap();
    Ok(())
}

async fn a_move_that_is_rolled_back_counts_nothing(bench: Bench) -> Result<(), StoreError> {
    let world = samples::World::new(&bench.local).await?;
    let mut task = world.task.clone();
    let mut tx = bench.local.begin_write().await?;
    tasks::transition(&mut tx, &mut task, TaskStatus::Claiming, None).await?;
    tx.rollback().await?;
    let slots = omoi_store::slots::in_use(&mut bench.local.begin_read().await?).await?;
    assert_eq!(slots.in_organisation, 0);
    let mut task = world.task.clone();
    for (to, in_organisation) in [
        (TaskStatus::Claiming, 1),
        (TaskStatus::Assigned, 1),
        (TaskStatus::Cancelled, 0),
    ] {
        commit(&bench.local, async |tx| {
            tasks::transition(tx, &mut task, to, None).await
        })
        .await?;
        let slots = omoi_store::slots::in_use(&mut bench.local.begin_read().await?).await?;
        assert_eq!(slots.in_organisation, in_organisation, "{to}");
    }
    Ok(())
}
