//! Projects: names of their own, with and without a repository, at work or put away.

use std::slice;

use omoi_domain::id::HumanRef;
use omoi_domain::project::ProjectStatus;
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketStatus;
use omoi_store::list_order::ListOrder;
use omoi_store::projects::{self, NewProject, Project, ProjectFilter, RowCounts};
use omoi_store::row_page::PageRequest;
use omoi_store::{StoreError, Tenant, specs, tasks};

use crate::bench::{Bench, commit};
use crate::claims::{NO_LIMITS, claim};
use crate::queue::scan;
use crate::samples::{self, World};

both!(
    a_name_is_of_one_project_that_is_not_archived,
    a_folder_is_called_by_as_much_of_its_path_as_it_takes,
    a_project_without_a_repository_is_named_by_its_name,
    nothing_starts_in_a_project_that_is_not_active,
    projects_are_listed_with_what_is_in_them,
);

async fn begin(tenant: &Tenant, name: &str) -> Result<Project, StoreError> {
    let new = NewProject {
        name: name.to_owned(),
        repo_path: None,
        description: Some("Lists".to_owned()),
        autonomous: true,
    };
    commit(tenant, async |tx| projects::create(tx, new).await).await
}

async fn set_status(
    tenant: &Tenant,
    project: &mut Project,
    status: ProjectStatus,
) -> Result<(), StoreError> {
    commit(tenant, async |tx| {
        project.status = status;
        project.archived_at = (status == ProjectStatus::Archived).then(|| tx.now());
        projects::save(tx, project).await
    })
    .await
}

async fn ensure(tenant: &Tenant, name: &str, path: &str) -> Result<Project, StoreError> {
    commit(tenant, async |tx| projects::ensure(tx, name, path).await).await
}

fn is_taken<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Exists { what: "project" }))
}

async fn a_name_is_of_one_project_that_is_not_archived(bench: Bench) -> Result<(), StoreError> {
    let local = &bench.local;
    let mut first = begin(local, "Todo").await?;
    assert!(is_taken(&begin(local, "ＴＯＤＯ").await));
    begin(&bench.foreign().await, "Todo").await?;
    set_status(local, &mut first, ProjectStatus::Archived).await?;
    let second = begin(local, "todo").await?;
    // It cannot be taken back while another one has its name.
    let back = set_status(local, &mut first.clone(), ProjectStatus::Active).await;
    assert!(is_taken(&back), "{back:?}");
    let mut stale = second.clone();
    let mut renamed = second;
    renamed.name = "Shop".to_owned();
    renamed.name_key = "shop".to_owned();
    commit(local, async |tx| projects::save(tx, &mut renamed).await).await?;
    let refused = commit(local, async |tx| projects::save(tx, &mut stale).await).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    set_status(local, &mut first, ProjectStatus::Active).await?;
    let read = local.read(async |tx| projects::get(tx, first.id).await);
    assert_eq!(read.await?, first);
    Ok(())
}

async fn a_folder_is_called_by_as_much_of_its_path_as_it_takes(
    bench: Bench,
) -> Result<(), StoreError> {
    let local = &bench.local;
    begin(local, "todo").await?;
    let one = ensure(local, "todo", "/src/todo").await?;
    let mut two = ensure(local, "todo", "/fork/todo").await?;
    assert_eq!(
        (one.name.as_str(), two.name.as_str()),
        ("src/todo", "fork/todo")
    );
    assert_eq!(ensure(local, "todo", "/src/todo").await?, one);
    // Whoever begins something in the folder takes its project back, under a name that is free then; a look does not.
    set_status(local, &mut two, ProjectStatus::Archived).await?;
    begin(local, "fork/todo").await?;
    let seen = ensure(local, "todo", "/fork/todo").await?;
    assert_eq!((seen.id, seen.status), (two.id, ProjectStatus::Archived));
    commit(local, async |tx| projects::take_up(tx, two.id).await).await?;
    let back = ensure(local, "todo", "/fork/todo").await?;
    assert_eq!((back.id, back.status), (two.id, ProjectStatus::Active));
    assert_eq!((back.name.as_str(), back.archived_at), ("/fork/todo", None));
    Ok(())
}

async fn a_project_without_a_repository_is_named_by_its_name(
    bench: Bench,
) -> Result<(), StoreError> {
    let local = &bench.local;
    let mut shop = begin(local, "Shop").await?;
    let folder = ensure(local, "shop", "/src/shop").await?;
    let spec = HumanRef::spec(1);
    let names = async || local.read(async |tx| projects::names(tx).await).await;
    let told = names().await?;
    assert_eq!(told.reference(shop.id, spec), "shop/SPEC-1");
    assert_eq!(told.reference(folder.id, spec), "src/shop/SPEC-1");
    assert_eq!(
        (told.at("/src/shop"), told.at("/src")),
        (Some(folder.id), None)
    );
    // What is archived leaves its name to others.
    set_status(local, &mut shop, ProjectStatus::Archived).await?;
    let other = begin(local, "shop").await?;
    let told = names().await?;
    assert_eq!(told.reference(other.id, spec), "shop/SPEC-1");
    let archived = format!("shop {}/SPEC-1", shop.id.short());
    assert_eq!(told.reference(shop.id, spec), archived);
    Ok(())
}

async fn nothing_starts_in_a_project_that_is_not_active(bench: Bench) -> Result<(), StoreError> {
    let local = &bench.local;
    let world = World::new(local).await?;
    let mut project = world.project.clone();
    let wanted = [world.task.clone()];
    let eligible = async || {
        local
            .read(async |tx| tasks::eligible(tx, scan(10)).await)
            .await
    };
    for status in [
        ProjectStatus::Paused,
        ProjectStatus::Completed,
        ProjectStatus::Archived,
    ] {
        set_status(local, &mut project, status).await?;
        assert!(eligible().await?.is_empty(), "{status}");
        assert!(
            claim(local, &wanted, NO_LIMITS).await?.is_empty(),
            "{status}"
        );
    }
    set_status(local, &mut project, ProjectStatus::Active).await?;
    assert_eq!(eligible().await?.len(), 1);
    assert_eq!(claim(local, &wanted, NO_LIMITS).await?.len(), 1);
    Ok(())
}

async fn projects_are_listed_with_what_is_in_them(bench: Bench) -> Result<(), StoreError> {
    let local = &bench.local;
    let world = World::new(local).await?;
    let empty = begin(local, "Shop").await?;
    let foreign = World::new(&bench.foreign().await).await?;
    claim(local, slice::from_ref(&world.task), NO_LIMITS).await?;
    commit(local, async |tx| {
        specs::insert(tx, &samples::spec(tx, world.project.id, 2)).await
    })
    .await?;
    let ids = [world.project.id, empty.id, foreign.project.id];
    let counts = local.read(async |tx| projects::row_counts(tx, &ids).await);
    let counts = counts.await?;
    let full = RowCounts {
        specs: 2,
        tickets: 1,
        tasks: 1,
        slots_used: 1,
    };
    assert_eq!(counts.get(&world.project.id), Some(&full));
    assert_eq!(counts.get(&empty.id), Some(&RowCounts::default()));
    assert_eq!(counts.len(), 2, "{counts:?}");
    let tallies = local.read(async |tx| projects::tally_rows(tx, world.project.id).await);
    let tallies = tallies.await?;
    assert_eq!(tallies.tasks.get(&TaskStatus::Claiming), Some(&1));
    assert_eq!(tallies.tickets.values().sum::<u64>(), 1);
    assert!(!tallies.tickets.contains_key(&TicketStatus::Done));
    assert_eq!(tallies.specs.values().sum::<u64>(), 2);
    assert_eq!(tallies.merges, 0);

    let listed = async |filter: ProjectFilter| {
        let request = PageRequest {
            order: ListOrder::<Project>::parse("-created_at").unwrap(),
            after: None,
            offset: 0,
            limit: 10,
            count_max: Some(10),
        };
        let page = local.read(async |tx| projects::list_page(tx, &filter, &request).await);
        let page = page.await.unwrap();
        page.rows
            .into_iter()
            .map(|project| project.name)
            .collect::<Vec<_>>()
    };
    let mut all = listed(ProjectFilter::default()).await;
    all.sort();
    assert_eq!(all, ["Shop", "repo"]);
    let described = ProjectFilter {
        text: Some("LISTS".to_owned()),
        ..ProjectFilter::default()
    };
    assert_eq!(listed(described).await, ["Shop"]);
    let paused = ProjectFilter {
        statuses: vec![ProjectStatus::Paused],
        ..ProjectFilter::default()
    };
    assert!(listed(paused).await.is_empty());
    Ok(())
}
