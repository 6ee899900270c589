//! What the API shows of work: operations, versions of specs, links, costs by model, and what waits for what.

use serde_json::json;

use omoi_domain::attempt::AttemptState;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::money::NanoUsd;
use omoi_domain::operation::{OperationKind, OperationStatus};
use omoi_domain::phase::Phase;
use omoi_domain::task::{TaskStatus, TicketPhase};
use omoi_domain::ticket::TicketBlockReason;
use omoi_domain::ticket_context::TaskContext;
use omoi_store::attempts::AttemptFilter;
use omoi_store::costs::CostFilter;
use omoi_store::list_order::{ListOrder, ListedRow};
use omoi_store::operations::OperationEnding;
use omoi_store::row_page::PageRequest;
use omoi_store::spec_shares::SpecShare;
use omoi_store::specs::SpecFilter;
use omoi_store::ticket_contexts::TicketContext;
use omoi_store::{
    Json, StoreError, attempt_notes, attempts, commit_links, costs, graph_rows, operations, phases,
    spec_shares, spec_ticket_links, spec_versions, specs, tasks, ticket_contexts, tickets,
};

use crate::bench::Bench;
use crate::samples::{self, World};

both!(
    operations_end_once,
    versions_keep_what_was_planned_from,
    links_lead_to_specs_and_commits,
    work_is_listed_and_summed,
    contexts_and_notes_take_the_place_of_earlier_ones,
);

async fn contexts_and_notes_take_the_place_of_earlier_ones(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let context = |tx: &omoi_store::Tx, phase_id, summary: &str| TicketContext {
        ticket_id: world.ticket.id,
        phase_id,
        org_id: tx.org(),
        tasks: Json(vec![TaskContext {
            task_id: world.task.id,
            task_ref: "TSK-001".to_owned(),
            title: "Sort".to_owned(),
            status: TaskStatus::Completed,
            summary: Some("Sorted.".to_owned()),
            problem: None,
            head_sha: None,
            files: vec!["a.py".to_owned()],
        }]),
        summary: summary.to_owned(),
        actor: tx.current_actor(),
        updated_at: tx.now(),
    };
    for summary in ["one", "two"] {
        let new = context(&tx, TicketPhase::Testing, summary);
        ticket_contexts::replace(&mut tx, &new).await?;
    }
    let other = context(&tx, TicketPhase::Design, "other");
    ticket_contexts::replace(&mut tx, &other).await?;
    let rows = ticket_contexts::of_ticket(&mut tx, world.ticket.id).await?;
    assert_eq!(rows, [other, context(&tx, TicketPhase::Testing, "two")]);

    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let mut note = attempt_notes::of_attempt(&mut tx, attempt.id).await?;
    assert_eq!(
        (note.conversation_id.as_deref(), note.tags.0.len()),
        (None, 0)
    );
    for tag in ["one", "two"] {
        note.tags = Json(vec![tag.to_owned()]);
        note.conversation_id = Some(format!("conversation {tag}"));
        attempt_notes::replace(&mut tx, &note).await?;
    }
    let kept = attempt_notes::of_attempt(&mut tx, attempt.id).await?;
    assert_eq!(kept, note);

    // Of the tickets that are begun those that have not changed since, and that nothing holds up.
    let now = tx.now();
    let quiet = tickets::list_quiet(&mut tx, now).await?;
    let quiet: Vec<_> = quiet.iter().map(|one| one.id).collect();
    assert_eq!(quiet, [world.ticket.id]);
    let before = now - std::time::Duration::from_secs(1);
    assert!(tickets::list_quiet(&mut tx, before).await?.is_empty());
    let mut ticket = tickets::get(&mut tx, world.ticket.id).await?;
    let reason = TicketBlockReason::Environment;
    tickets::block_ticket(&mut tx, &mut ticket, reason, None).await?;
    assert!(tickets::list_quiet(&mut tx, now).await?.is_empty());
    assert!(tickets::list_stalled(&mut tx).await?.is_empty());
    // What the platform holds up is found until somebody else does, or nobody.
    assert!(tickets::is_any_at_work(&mut tx).await?);
    for is_unblocked in [true, false] {
        let detail = "nothing goes on".to_owned();
        tickets::hold_up_stalled(&mut tx, &mut ticket, reason, detail).await?;
        assert_eq!(tickets::list_stalled(&mut tx).await?.len(), 1);
        match is_unblocked {
            true => tickets::unblock_ticket(&mut tx, &mut ticket).await?,
            false => tickets::block_ticket(&mut tx, &mut ticket, reason, None).await?,
        }
        assert!(tickets::list_stalled(&mut tx).await?.is_empty());
    }
    assert!(tickets::get(&mut tx, ticket.id).await?.is_blocked);
    Ok(())
}

async fn operations_end_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let kind = OperationKind::SetUpRepository;
    let mut first = operations::begin(&mut tx, world.project.id, kind).await?;
    let second = operations::begin(&mut tx, world.project.id, kind).await?;
    assert_eq!(first.lease_until, tx.now() + operations::OPERATION_LEASE);
    let done = OperationEnding::Done(json!({ "a": [1] }));
    operations::end(&mut tx, &mut first, done).await?;
    let failed = OperationEnding::Failed {
        code: ErrorCode::NotReady,
        message: "no".to_owned(),
        hint: Some("again".to_owned()),
    };
    operations::end(&mut tx, &mut first, failed).await?;
    let kept = operations::get(&mut tx, first.id).await?;
    assert_eq!(kept.status, OperationStatus::Succeeded);
    assert_eq!(kept, first);
    let running = operations::list_running(&mut tx).await?;
    let ids: Vec<_> = running.iter().map(|one| one.id).collect();
    assert_eq!(ids, [second.id]);
    operations::renew(&mut tx, second.id).await
}

async fn versions_keep_what_was_planned_from(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let mut spec = specs::get(&mut tx, world.spec.id).await?;
    let mut run = phases::ensure(&mut tx, spec.id, Phase::Design).await?;
    run.output = Some(omoi_store::Json(json!({ "n": 1 })));
    phases::save(&mut tx, &mut run).await?;
    let before = spec_versions::look_before(&mut tx, &spec).await?;
    spec.title = "Labels".to_owned();
    spec_versions::append(&mut tx, before, &spec, "title").await?;
    let heads = spec_versions::of_spec(&mut tx, spec.id).await?;
    let told: Vec<_> = heads
        .iter()
        .map(|one| (one.number, one.title.as_str()))
        .collect();
    assert_eq!(told, [(2, "Labels"), (1, world.spec.title.as_str())]);
    let first = spec_versions::get(&mut tx, spec.id, 1).await?;
    assert_eq!(first.phase_output(Phase::Design), Some(&json!({ "n": 1 })));
    assert_eq!(first.phase_output(Phase::Prd), None);
    let missing = spec_versions::get(&mut tx, spec.id, 3).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    Ok(())
}

async fn links_lead_to_specs_and_commits(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let share = |digest: &str, tx: &omoi_store::Tx| SpecShare {
        spec_id: world.spec.id,
        org_id: tx.org(),
        digest: digest.to_owned(),
        is_listed: true,
        n_views: 0,
        created_at: tx.now(),
    };
    for digest in ["one", "two"] {
        let share = share(digest, &tx);
        spec_shares::replace(&mut tx, &share).await?;
    }
    let gone = spec_shares::count_view(&mut tx, "one").await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })));
    for n in 1..=2 {
        assert_eq!(spec_shares::count_view(&mut tx, "two").await?.n_views, n);
    }
    assert!(spec_shares::remove(&mut tx, world.spec.id).await?);
    assert!(!spec_shares::remove(&mut tx, world.spec.id).await?);
    let (ticket, sha) = (world.ticket.id, "a".repeat(40));
    assert!(commit_links::add(&mut tx, ticket, &sha).await?);
    assert!(!commit_links::add(&mut tx, ticket, &sha).await?);
    let links = commit_links::of_ticket(&mut tx, ticket).await?;
    assert_eq!((links.len(), &links[0].commit_sha), (1, &sha));
    assert_eq!(links[0].actor, tx.current_actor());
    let (spec, stranger) = (world.spec.id, tx.new_id());
    assert!(spec_ticket_links::add(&mut tx, spec, ticket).await?);
    assert!(!spec_ticket_links::add(&mut tx, spec, ticket).await?);
    let links = spec_ticket_links::of_spec(&mut tx, spec).await?;
    assert_eq!((links.len(), links[0].ticket_id), (1, ticket));
    assert_eq!(links[0].actor, tx.current_actor());
    assert!(!spec_ticket_links::remove(&mut tx, spec, stranger).await?);
    assert!(spec_ticket_links::remove(&mut tx, spec, ticket).await?);
    assert!(spec_ticket_links::of_spec(&mut tx, spec).await?.is_empty());
    // A spec that is put away is in lists that ask for it alone.
    let mut spec = specs::get(&mut tx, world.spec.id).await?;
    specs::set_archived(&mut tx, &mut spec, true).await?;
    for (with_archived, n_rows) in [(false, 0), (true, 1)] {
        let filter = SpecFilter {
            with_archived,
            ..SpecFilter::default()
        };
        let page = specs::list_page(&mut tx, &filter, &first_page()).await?;
        assert_eq!(page.rows.len(), n_rows);
    }
    Ok(())
}

fn first_page<R: ListedRow + 'static>() -> PageRequest<R> {
    PageRequest {
        order: ListOrder::parse("-created_at").unwrap(),
        after: None,
        offset: 0,
        limit: 10,
        count_max: None,
    }
}

async fn work_is_listed_and_summed(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    for cost in [4, 3] {
        let entry = samples::cost(&tx, &attempt, cost);
        costs::insert(&mut tx, world.project.id, &entry).await?;
    }
    let all = CostFilter::default();
    let of_task = CostFilter {
        projects: vec![world.project.id],
        specs: vec![world.spec.id],
        tasks: vec![world.task.id],
        attempts: vec![attempt.id],
        ..CostFilter::default()
    };
    for filter in [&all, &of_task] {
        let sums = costs::sum_by_model(&mut tx, filter).await?;
        let told: Vec<_> = sums
            .iter()
            .map(|one| (one.cost_nanousd, one.n_records))
            .collect();
        assert_eq!(told, [(NanoUsd::from_nanos(7), 2)]);
        assert_eq!(
            costs::list_page(&mut tx, filter, &first_page())
                .await?
                .rows
                .len(),
            2
        );
    }
    let nobody = CostFilter {
        projects: vec![omoi_domain::id::ProjectId::from_uuid(
            world.spec.id.as_uuid(),
        )],
        ..CostFilter::default()
    };
    assert!(costs::sum_by_model(&mut tx, &nobody).await?.is_empty());
    let entry = samples::cost(&tx, &attempt, 1);
    let before = costs::tokens_of_tasks(&mut tx, &entry.model, Some(world.task.task_type)).await?;
    assert_eq!(before, [2 * u64::try_from(entry.n_tokens()).unwrap()]);
    let unknown = costs::tokens_of_tasks(&mut tx, "other", None).await?;
    assert!(unknown.is_empty());
    let filter = AttemptFilter {
        tasks: vec![world.task.id],
        states: vec![attempt.state],
        ..AttemptFilter::default()
    };
    let page = attempts::list_page(&mut tx, &filter, &first_page()).await?;
    assert_eq!(page.rows.len(), 1);
    let lost = AttemptFilter {
        states: vec![AttemptState::Lost],
        ..AttemptFilter::default()
    };
    let page = attempts::list_page(&mut tx, &lost, &first_page()).await?;
    assert!(page.rows.is_empty());
    let counted = attempts::count_by_role(&mut tx, &[world.project.id]).await?;
    assert_eq!(counted.get(&(attempt.role, attempt.state)), Some(&1));
    let project = world.project.id;
    let (shown, edges) = (
        graph_rows::tasks_of_project(&mut tx, project).await?,
        tasks::dependencies_of_project(&mut tx, project).await?,
    );
    assert!(shown.iter().any(|task| task.id == world.task.id));
    assert!(edges.is_empty());
    let shown = graph_rows::tickets_of_project(&mut tx, project).await?;
    assert!(shown.iter().any(|ticket| ticket.id == world.ticket.id));
    Ok(())
}
