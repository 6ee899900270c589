//! Lists in pages: each row once, whatever comes in between.

use std::collections::BTreeSet;
use std::time::Duration;

use omoi_domain::id::{ProjectId, SpecId, TaskId};
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::{Priority, TaskStatus, TicketPhase};
use omoi_store::list_order::{ListOrder, PagePosition};
use omoi_store::row_page::{ListTotal, ListWindow, PageRequest};
use omoi_store::specs::{self, Spec, SpecFilter};
use omoi_store::tasks::{self, Task, TaskFilter, TaskNumbers};
use omoi_store::{StoreError, Tenant, projects, tickets};

use crate::bench::{Bench, commit};
use crate::samples::{self, World};

both!(
    pages_name_each_row_once_whatever_comes_in_between,
    specs_are_filtered_by_the_database,
    a_list_is_cut_by_time_and_offset,
    tasks_are_filtered_and_sorted_by_the_database,
    a_task_is_told_with_the_numbers_around_it,
    the_newest_spec_is_its_own_projects,
);

fn request<R: omoi_store::list_order::ListedRow>(
    order: &str,
    after: Option<PagePosition>,
    limit: u32,
) -> PageRequest<R> {
    PageRequest {
        order: ListOrder::parse(order).unwrap(),
        after,
        offset: 0,
        limit,
        count_max: None,
    }
}

async fn add_specs(
    tenant: &Tenant,
    project: ProjectId,
    numbers: std::ops::Range<i64>,
) -> Result<Vec<SpecId>, StoreError> {
    commit(tenant, async |tx| {
        let mut added = Vec::new();
        for number in numbers {
            let spec = samples::spec(tx, project, number);
            specs::insert(tx, &spec).await?;
            added.push(spec.id);
        }
        Ok(added)
    })
    .await
}

async fn the_newest_spec_is_its_own_projects(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let project = world.project.id;
    let newest_of = async |tenant: &Tenant, project: ProjectId| {
        let newest = tenant.read(async |tx| specs::newest_of_project(tx, project).await);
        Ok::<_, StoreError>(newest.await?.map(|spec| spec.id))
    };
    bench.advance(Duration::from_secs(1));
    let added = add_specs(&bench.local, project, 2..4).await?;
    assert_eq!(
        newest_of(&bench.local, project).await?,
        added.last().copied()
    );
    assert_eq!(newest_of(&bench.local, bench.id()).await?, None);
    let foreign = bench.foreign().await;
    assert_eq!(newest_of(&foreign, project).await?, None);
    Ok(())
}

async fn pages_name_each_row_once_whatever_comes_in_between(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let project = world.project.id;
    // Many of one instant, and some before and after it.
    add_specs(&bench.local, project, 2..5).await?;
    bench.advance(Duration::from_secs(1));
    add_specs(&bench.local, project, 5..12).await?;
    let mut number = 12;
    for order in [
        "-created_at",
        "created_at",
        "created_at,-number",
        "-updated_at,created_at",
        "-number",
    ] {
        let everything = request::<Spec>(order, None, 1_000);
        let all = bench
            .local
            .read(async |tx| specs::list_page(tx, &SpecFilter::default(), &everything).await);
        let all = all.await?;
        assert!(all.next.is_none() && all.total.is_none(), "{order}");
        let expected: Vec<SpecId> = all.rows.iter().map(|spec| spec.id).collect();
        let mut seen: Vec<SpecId> = Vec::new();
        let mut after = None;
        loop {
            let wanted = request::<Spec>(order, after, 3);
            let page = bench
                .local
                .read(async |tx| specs::list_page(tx, &SpecFilter::default(), &wanted).await);
            let page = page.await?;
            assert!(page.rows.len() <= 3, "{order}");
            seen.extend(page.rows.iter().map(|spec| spec.id));
            let Some(next) = page.next else { break };
            // A place outlives its way to a caller and back.
            let read = wanted.order.read_position(&next.to_bytes());
            assert_eq!(read.as_ref(), Some(&next));
            after = read;
            add_specs(&bench.local, project, number..number + 1).await?;
            number += 1;
        }
        seen.retain(|id| expected.contains(id));
        assert_eq!(seen, expected, "{order}");
    }
    // Nothing of it is another organisation's.
    let foreign = bench.foreign().await;
    let everything = request::<Spec>("number", None, 1_000);
    let page =
        foreign.read(async |tx| specs::list_page(tx, &SpecFilter::default(), &everything).await);
    assert!(page.await?.rows.is_empty());
    Ok(())
}

/// Two of a list with their total, of which three are counted.
async fn find_specs(
    bench: &Bench,
    filter: SpecFilter,
    offset: u32,
) -> Result<(usize, ListTotal), StoreError> {
    let wanted = PageRequest {
        offset,
        count_max: Some(3),
        ..request::<Spec>("number,created_at", None, 2)
    };
    let page = bench
        .local
        .read(async |tx| specs::list_page(tx, &filter, &wanted).await);
    let page = page.await?;
    Ok((page.rows.len(), page.total.unwrap()))
}

const fn exactly(rows: u32) -> ListTotal {
    ListTotal {
        rows,
        is_lower_bound: false,
    }
}

const MORE: ListTotal = ListTotal {
    rows: 3,
    is_lower_bound: true,
};

/// A failed spec of another project, and three of that of `world`, ten seconds later.
async fn add_later_specs(bench: &Bench, world: &World) -> Result<ProjectId, StoreError> {
    bench.advance(Duration::from_secs(10));
    let other = commit(&bench.local, async |tx| {
        let other = projects::ensure(tx, "shop", "/shop").await?;
        let named = Spec {
            title: "100%_Täglich".to_owned(),
            status: SpecStatus::Failed,
            ..samples::spec(tx, other.id, 1)
        };
        specs::insert(tx, &named).await?;
        Ok(other.id)
    })
    .await?;
    add_specs(&bench.local, world.project.id, 2..5).await?;
    Ok(other)
}

async fn specs_are_filtered_by_the_database(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let other = add_later_specs(&bench, &world).await?;
    let find = async |filter| find_specs(&bench, filter, 0).await;
    assert_eq!(find(SpecFilter::default()).await?, (2, MORE));
    for (text, n_found) in [
        ("100%_t", 1),
        ("%", 3),
        ("_", 1),
        (r"\", 3),
        (r"\\", 0),
        ("spec 3", 1),
        ("add TAGS", 0),
        ("'", 3),
    ] {
        let filter = SpecFilter {
            text: Some(text.to_owned()),
            ..SpecFilter::default()
        };
        let (_, total) = find(filter).await?;
        assert_eq!(total.rows, n_found, "{text}");
    }
    let of = |projects: &[ProjectId], statuses: &[SpecStatus]| SpecFilter {
        projects: projects.to_vec(),
        statuses: statuses.to_vec(),
        ..SpecFilter::default()
    };
    let both = [SpecStatus::Failed, SpecStatus::Working];
    let projects = [other, world.project.id];
    assert_eq!(find(of(&[other], &[])).await?, (1, exactly(1)));
    assert_eq!(find(of(&[], &both)).await?, (2, exactly(2)));
    assert_eq!(find(of(&[other], &both[1..])).await?, (0, exactly(0)));
    assert_eq!(find(of(&projects, &both)).await?, (2, exactly(2)));
    Ok(())
}

async fn a_list_is_cut_by_time_and_offset(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let begun = bench.now();
    add_later_specs(&bench, &world).await?;
    let now = bench.now();
    let within = |after, before| SpecFilter {
        window: ListWindow {
            created_after: after,
            created_before: before,
            updated_after: after,
            updated_before: before,
        },
        ..SpecFilter::default()
    };
    for (filter, offset, expected) in [
        (within(Some(begun), None), 0, (2, MORE)),
        (within(None, Some(now)), 0, (1, exactly(1))),
        (within(Some(begun), Some(now)), 0, (0, exactly(0))),
        (within(None, None), 3, (2, MORE)),
        (within(None, None), 4, (1, MORE)),
        (within(None, None), 5, (0, MORE)),
    ] {
        let found = find_specs(&bench, filter.clone(), offset).await?;
        assert_eq!(found, expected, "{filter:?} {offset}");
    }
    Ok(())
}

/// TSK-2 to 4: a critical one, a low one in another phase, and one of another ticket.
async fn add_tasks(bench: &Bench, world: &World) -> Result<(Task, Task), StoreError> {
    commit(&bench.local, async |tx| {
        let critical = Task {
            priority: Priority::Critical,
            level: 1,
            ..samples::task(tx, &world.ticket, 2)
        };
        let low = Task {
            priority: Priority::Low,
            ordinal: 0,
            phase_id: TicketPhase::Testing,
            ..samples::task(tx, &world.ticket, 3)
        };
        let ticket = samples::ticket(tx, &world.spec, 2);
        tickets::insert(tx, &ticket).await?;
        let other = Task {
            priority: Priority::High,
            level: 2,
            ..samples::task(tx, &ticket, 4)
        };
        for task in [&critical, &low, &other] {
            tasks::insert(tx, task).await?;
        }
        Ok((low, other))
    })
    .await
}

async fn tasks_are_filtered_and_sorted_by_the_database(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (low, other) = add_tasks(&bench, &world).await?;
    let find = async |filter: TaskFilter, order: &str| {
        let mut numbers = Vec::new();
        let mut after = None;
        loop {
            let wanted = request::<Task>(order, after, 2);
            let page = bench
                .local
                .read(async |tx| tasks::list_page(tx, &filter, &wanted).await);
            let page = page.await?;
            numbers.extend(page.rows.iter().map(|task| task.number));
            after = page.next;
            if after.is_none() {
                return Ok::<_, StoreError>(numbers);
            }
        }
    };
    let all = TaskFilter::default;
    assert_eq!(find(all(), "-priority").await?, [2, 4, 1, 3]);
    assert_eq!(find(all(), "priority,-number").await?, [3, 1, 4, 2]);
    assert_eq!(find(all(), "level,ordinal").await?, [3, 1, 2, 4]);
    let of_ticket = TaskFilter {
        tickets: vec![other.ticket_id],
        ..all()
    };
    assert_eq!(find(of_ticket, "number").await?, [4]);
    let of_phase = TaskFilter {
        phases: vec![low.phase_id],
        ..all()
    };
    assert_eq!(find(of_phase, "number").await?, [3]);
    let urgent = TaskFilter {
        priorities: vec![Priority::Critical, Priority::High],
        statuses: vec![TaskStatus::Pending, TaskStatus::Failed],
        spec: Some(world.spec.id),
        projects: vec![world.project.id],
        text: Some("TASK".to_owned()),
        ..all()
    };
    assert_eq!(find(urgent, "number").await?, [2, 4]);
    let elsewhere = TaskFilter {
        spec: Some(bench.id()),
        ..all()
    };
    assert!(find(elsewhere, "number").await?.is_empty());
    Ok(())
}

async fn a_task_is_told_with_the_numbers_around_it(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let found = commit(&bench.local, async |tx| {
        let found = Task {
            parent_task_id: Some(world.task.id),
            ..samples::task(tx, &world.ticket, 2)
        };
        tasks::insert(tx, &found).await?;
        tasks::depend(tx, found.id, world.task.id).await?;
        Ok(found.id)
    })
    .await?;
    let asked = [world.task.id, found, bench.id::<TaskId>()];
    let told = bench
        .local
        .read(async |tx| tasks::numbers_around(tx, &asked).await);
    let told = told.await?;
    let known: BTreeSet<TaskId> = told.keys().copied().collect();
    assert_eq!(known, BTreeSet::from([world.task.id, found]));
    let around = TaskNumbers {
        spec: 1,
        ticket: 1,
        found_by: Some(1),
        waits_for: vec![1],
    };
    assert_eq!(told[&found], around);
    let foreign = bench.foreign().await;
    let told = foreign.read(async |tx| tasks::numbers_around(tx, &asked).await);
    assert!(told.await?.is_empty());
    Ok(())
}
