//! Tickets that people write and move, their history, their comments, and the board that shows them.

use std::collections::BTreeSet;
use std::time::Duration;

use omoi_domain::actor::Actor;
use omoi_domain::id::{TicketId, UserId};
use omoi_domain::lifecycle::ticket::TicketStep;
use omoi_domain::spec::{SpecKind, SpecStatus, WorkEvidence};
use omoi_domain::task::{Priority, TaskStatus};
use omoi_domain::ticket::{
    ApprovalStatus, TicketBlockReason, TicketField, TicketStatus, WorkflowMode,
};
use omoi_domain::workflow::{PhaseId, seeded_workflow};
use omoi_store::board_positions::RankedTicket;
use omoi_store::comments::{self, Comment};
use omoi_store::list_order::ListOrder;
use omoi_store::row_page::{ListWindow, PageRequest};
use omoi_store::specs::Spec;
use omoi_store::tickets::{self, Ticket, TicketEdit, TicketFilter};
use omoi_store::{
    Json, StoreError, board_columns, board_positions, phase_definitions, specs, state_transitions,
    tasks,
};

use crate::bench::{Bench, commit};
use crate::samples::{self, World};

both!(
    a_project_begins_with_the_seeded_workflow,
    a_move_changes_status_and_phase_together_and_is_remembered,
    a_ticket_that_waits_no_more_lets_its_tasks_go,
    tickets_are_filtered_and_those_that_say_the_same_are_found,
    a_board_shows_each_ticket_once_in_the_order_of_its_column,
    comments_are_told_in_pages_with_whom_they_mention,
    a_ticket_begins_by_itself_once_and_is_bound_to_its_spec,
);

async fn a_project_begins_with_the_seeded_workflow(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let project = world.project.id;
    let mut tx = bench.local.begin_read().await?;
    let phases = phase_definitions::of_project(&mut tx, project).await?;
    assert_eq!(phases, seeded_workflow().phases);
    let board = board_columns::of_project(&mut tx, project).await?;
    assert_eq!(
        (board.version, &board.columns),
        (0, &seeded_workflow().columns)
    );
    drop(tx);
    // The board is another one for whoever read it before.
    let mut columns = board.columns;
    columns.swap(0, 1);
    columns[0].wip_limit = Some(7);
    let replace = async |meant: i64| {
        let columns = columns.clone();
        commit(&bench.local, async |tx| {
            board_columns::replace_columns(tx, project, meant, columns).await
        })
        .await
    };
    assert_eq!(replace(0).await?.version, 1);
    let stale = replace(0).await.unwrap_err();
    assert!(matches!(stale, StoreError::Conflict { .. }), "{stale:?}");
    let mut tx = bench.local.begin_read().await?;
    let board = board_columns::of_project(&mut tx, project).await?;
    assert_eq!((board.version, board.columns), (1, columns.clone()));
    let foreign = bench.foreign().await;
    let mut tx = foreign.begin_read().await?;
    assert_eq!(phase_definitions::of_project(&mut tx, project).await?, []);
    assert_eq!(
        board_columns::of_project(&mut tx, project).await?.columns,
        []
    );
    Ok(())
}

/// A ticket of no plan.
async fn add_ticket(bench: &Bench, world: &World, number: i64) -> Result<Ticket, StoreError> {
    commit(&bench.local, async |tx| {
        let ticket = Ticket {
            title: format!("Wish {number}"),
            description: samples::ODD.to_owned(),
            labels: Json(vec!["ü".to_owned()]),
            user_id: Some(UserId::LOCAL),
            ..Ticket::in_backlog(tx, world.project.id, number)
        };
        tickets::insert(tx, &ticket).await?;
        tickets::get(tx, ticket.id).await
    })
    .await
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn a_move_changes_status_and_phase_together_and_is_remembered(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut ticket = add_ticket(&bench, &world, 2).await?;
    assert_eq!(ticket.phase_id, PhaseId::Backlog);
    let ada = bench.local.clone().acting_as(Actor::User(UserId::LOCAL));
    let analyzing = TicketStatus::Analyzing;
    for (status, phase) in [
        (analyzing, PhaseId::Requirements),
        (analyzing, PhaseId::Design),
        (TicketStatus::Building, PhaseId::Implementation),
    ] {
        bench.advance(Duration::from_secs(1));
        let step = TicketStep { status, phase };
        commit(&ada, async |tx| {
            tickets::take_step(tx, &mut ticket, step, Some("why")).await
        })
        .await?;
    }
    // Neither of them is written alone, nor a move to where it is.
    let mut tx = ada.begin_write().await?;
    let again = tickets::transition(&mut tx, &mut ticket.clone(), TicketStatus::Building).await;
    assert!(matches!(again, Err(StoreError::Transition(_))), "{again:?}");
    tx.rollback().await?;
    bench.advance(Duration::from_secs(1));
    commit(&bench.local, async |tx| {
        let reason = TicketBlockReason::Environment;
        tickets::block_ticket(tx, &mut ticket, reason, Some("no disk".to_owned())).await?;
        tickets::unblock_ticket(tx, &mut ticket).await?;
        let edit = TicketEdit {
            priority: Some(Priority::High),
            assignee_id: Some(Some(UserId::LOCAL)),
            ..TicketEdit::default()
        };
        tickets::edit_ticket(tx, &mut ticket, edit).await
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let stored = tickets::get(&mut tx, ticket.id).await?;
    assert_eq!(stored, ticket);
    assert_eq!(stored.previous_phase_id, Some(PhaseId::Design));
    let history = state_transitions::of_ticket(&mut tx, ticket.id, 100).await?;
    let told: Vec<String> = history
        .iter()
        .map(|row| {
            let value = |value: &Option<String>| value.clone().unwrap_or_default();
            let who = if row.actor == Actor::System {
                "system"
            } else {
                "ada"
            };
            let (from, to) = (value(&row.from_value), value(&row.to_value));
            format!("{who} {} {from}>{to} {}", row.field, value(&row.reason))
        })
        .collect();
    let ada = UserId::LOCAL;
    assert_eq!(
        told,
        [
            "ada status backlog>analyzing why",
            "ada phase PHASE_BACKLOG>PHASE_REQUIREMENTS why",
            "ada phase PHASE_REQUIREMENTS>PHASE_DESIGN why",
            "ada status analyzing>building why",
            "ada phase PHASE_DESIGN>PHASE_IMPLEMENTATION why",
            "system blocked >environment no disk",
            "system blocked environment> ",
            "system priority MEDIUM>HIGH ",
            &format!("system assignee >{ada} "),
        ]
    );
    let newest = state_transitions::of_ticket(&mut tx, ticket.id, 2).await?;
    let fields: Vec<TicketField> = newest.iter().map(|row| row.field).collect();
    assert_eq!(fields, [TicketField::Priority, TicketField::Assignee]);
    Ok(())
}

async fn a_ticket_that_waits_no_more_lets_its_tasks_go(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let blocker = add_ticket(&bench, &world, 2).await?;
    let open = async || {
        let mut tx = bench.local.begin_read().await?;
        let task = tasks::get(&mut tx, world.task.id).await?;
        assert_eq!(task.status, TaskStatus::Pending);
        let sql = format!(
            "select n_open_prerequisites from tasks where id = '{}'",
            world.task.id
        );
        drop(tx);
        Ok::<_, StoreError>(bench.number(&sql).await)
    };
    assert_eq!(open().await?, 0);
    commit(&bench.local, async |tx| {
        tickets::add_dependency(tx, &world.ticket, blocker.id).await
    })
    .await?;
    assert_eq!(open().await?, 1);
    let mut tx = bench.local.begin_read().await?;
    let edges = tickets::dependencies_of_project(&mut tx, world.project.id).await?;
    assert_eq!(edges, [(world.ticket.id, blocker.id)]);
    let asked = [world.ticket.id, blocker.id];
    let around = tickets::surroundings_of(&mut tx, &asked).await?;
    assert_eq!(around[&world.ticket.id].waits_for, [2]);
    assert_eq!(
        (around[&world.ticket.id].spec, around[&blocker.id].spec),
        (Some(1), None)
    );
    assert_eq!(around[&blocker.id].holds_up, [1]);
    assert_eq!(around[&world.ticket.id].n_tasks, 1);
    drop(tx);
    for (is_there, n_open) in [(true, 0), (false, 0)] {
        let removed = commit(&bench.local, async |tx| {
            tickets::remove_dependency(tx, &world.ticket, blocker.id).await
        });
        assert_eq!(removed.await?, is_there);
        assert_eq!(open().await?, n_open);
    }
    Ok(())
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn tickets_are_filtered_and_those_that_say_the_same_are_found(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut first = add_ticket(&bench, &world, 2).await?;
    let mut second = add_ticket(&bench, &world, 3).await?;
    commit(&bench.local, async |tx| {
        let reason = TicketBlockReason::Dependency;
        tickets::block_ticket(tx, &mut second, reason, None).await
    })
    .await?;
    let find = async |filter: TicketFilter| {
        let request = PageRequest::<Ticket> {
            order: ListOrder::parse("priority,-number").unwrap(),
            after: None,
            offset: 0,
            limit: 10,
            count_max: None,
        };
        let page = bench
            .local
            .read(async |tx| tickets::list_page(tx, &filter, &request).await);
        let numbers = page.await?.rows.into_iter().map(|ticket| ticket.number);
        Ok::<_, StoreError>(numbers.collect::<Vec<_>>())
    };
    let every = TicketFilter::default;
    assert_eq!(find(every()).await?, [3, 2, 1]);
    for (filter, expected) in [
        (
            TicketFilter {
                spec: Some(world.spec.id),
                ..every()
            },
            &[1][..],
        ),
        (
            TicketFilter {
                is_blocked: Some(true),
                ..every()
            },
            &[3],
        ),
        (
            TicketFilter {
                is_blocked: Some(false),
                ..every()
            },
            &[2, 1],
        ),
        (
            TicketFilter {
                phases: vec![PhaseId::Backlog],
                ..every()
            },
            &[3, 2],
        ),
        (
            TicketFilter {
                statuses: vec![TicketStatus::Building],
                ..every()
            },
            &[1],
        ),
        (
            TicketFilter {
                assignees: vec![UserId::LOCAL],
                ..every()
            },
            &[],
        ),
        (
            TicketFilter {
                text: Some("wish 2".to_owned()),
                ..every()
            },
            &[2],
        ),
        (
            TicketFilter {
                approvals: vec![ApprovalStatus::Rejected],
                ..every()
            },
            &[],
        ),
    ] {
        assert_eq!(find(filter.clone()).await?, expected, "{filter:?}");
    }
    let same = async |title: &str| {
        let found = bench.local.read(async |tx| {
            let project = world.project.id;
            tickets::saying_the_same(tx, project, title, samples::ODD, 5).await
        });
        let ids = found.await?.into_iter().map(|ticket| ticket.id);
        Ok::<_, StoreError>(ids.collect::<Vec<TicketId>>())
    };
    assert_eq!(same("WISH  2").await?, [first.id]);
    assert_eq!(same("Wish 4").await?, []);
    // What is done or turned down is written again by whoever wants it again.
    commit(&bench.local, async |tx| {
        tickets::set_approval(tx, &mut first, ApprovalStatus::Rejected, Some("no")).await
    })
    .await?;
    assert_eq!(same("WISH 2").await?, []);
    Ok(())
}

async fn a_board_shows_each_ticket_once_in_the_order_of_its_column(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut added = Vec::new();
    for number in 2..6 {
        added.push(add_ticket(&bench, &world, number).await?);
    }
    let columns = &seeded_workflow().columns;
    let shown = async |limit: u32| {
        let placed = bench.local.read(async |tx| {
            board_positions::placed_of_project(tx, world.project.id, columns, limit).await
        });
        let placed = placed.await?.into_iter();
        let told = placed.map(|it| (it.column_key, it.ticket.number, it.n_in_column));
        Ok::<_, StoreError>(told.collect::<Vec<_>>())
    };
    let told = |of: &[(&str, i64, u32)]| -> Vec<(String, i64, u32)> {
        of.iter()
            .map(|(key, number, n)| ((*key).to_owned(), *number, *n))
            .collect()
    };
    let backlog = [
        ("backlog", 2, 4),
        ("backlog", 3, 4),
        ("backlog", 4, 4),
        ("backlog", 5, 4),
    ];
    let building = ("building", 1, 1);
    assert_eq!(
        shown(100).await?,
        told(&[&backlog[..], &[building]].concat())
    );
    assert_eq!(shown(1).await?, told(&[backlog[0], building]));
    // A rank counts in its own column, and those without one come first.
    commit(&bench.local, async |tx| {
        let ranks = [(added[3].id, 5), (added[0].id, 9)];
        board_positions::set_ranks(tx, "backlog", &ranks).await?;
        board_positions::set_ranks(tx, "testing", &[(added[1].id, -9)]).await?;
        board_positions::set_ranks(tx, "backlog", &[(added[0].id, 1)]).await
    })
    .await?;
    let order: Vec<i64> = shown(100).await?.iter().map(|row| row.1).collect();
    assert_eq!(order, [3, 4, 2, 5, 1]);
    let others = bench
        .local
        .read(async |tx| board_positions::others_in_column(tx, &added[3], &columns[0], 2).await);
    let ranked = |id, rank| RankedTicket { id, rank };
    assert_eq!(
        others.await?,
        [ranked(added[1].id, None), ranked(added[2].id, None)]
    );
    // What is held up is shown where that is, and what was turned down nowhere.
    commit(&bench.local, async |tx| {
        let reason = TicketBlockReason::Dependency;
        tickets::block_ticket(tx, &mut added[1], reason, None).await?;
        tickets::set_approval(tx, &mut added[2], ApprovalStatus::TimedOut, None).await
    })
    .await?;
    let counts = bench
        .local
        .read(async |tx| board_positions::counts_of_project(tx, world.project.id, columns).await);
    let counted: BTreeSet<(String, u32)> = counts.await?.into_iter().collect();
    let expected = [("backlog", 2), ("blocked", 1), ("building", 1)];
    let expected = expected.map(|(key, n)| (key.to_owned(), n));
    assert_eq!(counted, BTreeSet::from(expected));
    // What nobody works on any more takes no place.
    commit(&bench.local, async |tx| {
        let mut spec = specs::get(tx, world.spec.id).await?;
        specs::transition(tx, &mut spec, SpecStatus::Cancelled, None).await
    })
    .await?;
    assert!(shown(100).await?.iter().all(|row| row.0 != "building"));
    Ok(())
}

async fn comments_are_told_in_pages_with_whom_they_mention(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let ada = bench.local.clone().acting_as(Actor::User(UserId::LOCAL));
    let mentioned = BTreeSet::from([UserId::LOCAL]);
    let mut first = commit(&ada, async |tx| {
        comments::add_comment(tx, &world.ticket, samples::ODD, &mentioned).await
    })
    .await?;
    assert_eq!(first.actor, Actor::User(UserId::LOCAL));
    bench.advance(Duration::from_secs(1));
    let mut second = commit(&ada, async |tx| {
        comments::edit_comment(tx, &mut first, "another", &BTreeSet::new()).await?;
        comments::add_comment(tx, &world.ticket, "second", &mentioned).await
    })
    .await?;
    let request = |limit| PageRequest::<Comment> {
        order: ListOrder::parse("created_at").unwrap(),
        after: None,
        offset: 0,
        limit,
        count_max: None,
    };
    let mut tx = bench.local.begin_read().await?;
    let window = ListWindow::default();
    let page = comments::list_page(&mut tx, world.ticket.id, &window, &request(1)).await?;
    assert_eq!(
        (page.rows, page.next.is_some()),
        (vec![first.clone()], true)
    );
    let mentions = comments::mentions_of(&mut tx, &[first.id, second.id]).await?;
    assert_eq!(
        mentions.into_iter().collect::<Vec<_>>(),
        [(second.id, vec![UserId::LOCAL])]
    );
    drop(tx);
    // What is taken away stays in its place, and is found no more.
    commit(&ada, async |tx| {
        comments::delete_comment(tx, &mut second).await
    })
    .await?;
    let mut tx = bench.local.begin_read().await?;
    let page = comments::list_page(&mut tx, world.ticket.id, &window, &request(9)).await?;
    assert_eq!(page.rows, [first.clone(), second.clone()]);
    let gone = comments::get(&mut tx, world.ticket.id, second.id).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    assert_eq!(
        comments::get(&mut tx, world.ticket.id, first.id).await?,
        first
    );
    let around = tickets::surroundings_of(&mut tx, &[world.ticket.id]).await?;
    assert_eq!(around[&world.ticket.id].n_comments, 1);
    Ok(())
}

async fn a_ticket_begins_by_itself_once_and_is_bound_to_its_spec(
    bench: Bench,
) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut quick = add_ticket(&bench, &world, 2).await?;
    let mut planned = add_ticket(&bench, &world, 3).await?;
    add_ticket(&bench, &world, 4).await?;
    let begins = async || {
        let found = bench
            .local
            .read(async |tx| tickets::list_to_begin(tx).await);
        found.await
    };
    assert_eq!(begins().await?, []);
    commit(&bench.local, async |tx| {
        quick.workflow_mode = Some(WorkflowMode::Quick);
        quick.check_commands = Json(vec![samples::ODD.to_owned()]);
        tickets::save(tx, &mut quick).await?;
        planned.workflow_mode = Some(WorkflowMode::SpecDriven);
        tickets::save(tx, &mut planned).await?;
        tickets::depend(tx, planned.id, quick.id).await
    })
    .await?;
    assert_eq!(begins().await?, [quick.id]);
    let foreign = bench.foreign().await;
    let mut tx = foreign.begin_read().await?;
    assert_eq!(tickets::list_to_begin(&mut tx).await?, []);
    drop(tx);
    commit(&bench.local, async |tx| {
        let reason = TicketBlockReason::FailingChecks;
        tickets::block_ticket(tx, &mut quick, reason, None).await
    })
    .await?;
    assert_eq!(begins().await?, []);
    // One is its own plan, the other follows a spec.
    let direct = commit(&bench.local, async |tx| {
        let spec = Spec {
            kind: SpecKind::Direct,
            integration_branch: "omoi/direct".to_owned(),
            ..samples::spec(tx, world.project.id, 7)
        };
        specs::insert(tx, &spec).await?;
        tickets::unblock_ticket(tx, &mut quick).await?;
        quick.spec_id = Some(spec.id);
        tickets::save(tx, &mut quick).await?;
        planned.follows_spec_id = Some(world.spec.id);
        tickets::save(tx, &mut planned).await?;
        tickets::remove_dependency(tx, &planned, quick.id).await?;
        Ok(spec)
    })
    .await?;
    assert_eq!(begins().await?, []);
    let mut tx = bench.local.begin_read().await?;
    let read = tickets::of_direct_spec(&mut tx, direct.id).await?;
    assert_eq!(
        (read.id, &read.check_commands),
        (quick.id, &quick.check_commands)
    );
    let following = tickets::following_spec(&mut tx, world.spec.id).await?;
    assert_eq!(
        following.iter().map(|ticket| ticket.id).collect::<Vec<_>>(),
        [planned.id]
    );
    drop(tx);
    told_around_begun_tickets(&bench, &world, [quick.id, planned.id]).await
}

/// The first is done by a direct spec, the second follows the world's.
async fn told_around_begun_tickets(
    bench: &Bench,
    world: &World,
    [quick, planned]: [TicketId; 2],
) -> Result<(), StoreError> {
    let mut tx = bench.local.begin_read().await?;
    let around = tickets::surroundings_of(&mut tx, &[quick, planned, world.ticket.id]).await?;
    let told = |id: TicketId| (around[&id].spec, around[&id].run, around[&id].evidence);
    assert_eq!(told(quick), (None, Some(7), Some(WorkEvidence::Checked)));
    assert_eq!(told(planned), (None, Some(world.spec.number), None));
    assert_eq!(told(world.ticket.id), (Some(world.spec.number), None, None));
    let request = PageRequest {
        order: ListOrder::parse("-created_at").unwrap(),
        after: None,
        offset: 0,
        limit: 10,
        count_max: None,
    };
    let listed = specs::list_page(&mut tx, &specs::SpecFilter::default(), &request).await?;
    assert!(
        listed
            .rows
            .iter()
            .all(|spec| spec.kind == SpecKind::Planned)
    );
    assert!(!listed.rows.is_empty());
    Ok(())
}
