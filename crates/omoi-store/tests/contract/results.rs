//! Results of tasks and tickets, which stay as they were judged.

use std::time::Duration;

use omoi_domain::actor::Actor;
use omoi_domain::id::UserId;
use omoi_domain::work_result::{
    OnResultFound, ResultType, VerificationStatus, WorkflowResultStatus,
};
use omoi_store::list_order::ListOrder;
use omoi_store::row_page::{ListWindow, PageRequest};
use omoi_store::task_results::NewTaskResult;
use omoi_store::workflow_results::{NewWorkflowResult, WorkflowVerdict};
use omoi_store::{StoreError, task_results, workflow_results};
use omoi_testkit::raw_connection::RawConnection;

use crate::bench::{Bench, START, commit};
use crate::samples::{ODD, World};

both!(
    a_result_of_a_task_is_judged_once_and_stays,
    a_ticket_has_one_validated_result_and_it_stays,
    criteria_are_replaced_as_a_whole,
    another_organisation_sees_no_results,
);

fn about_task(content: &str) -> NewTaskResult {
    NewTaskResult {
        result_type: ResultType::Analysis,
        summary: ODD.to_owned(),
        content: content.to_owned(),
    }
}

fn about_ticket(content: &str) -> NewWorkflowResult {
    NewWorkflowResult {
        summary: "Done".to_owned(),
        content: content.to_owned(),
        criteria: vec![ODD.to_owned()],
    }
}

fn verdict(to: WorkflowResultStatus) -> WorkflowVerdict {
    WorkflowVerdict {
        to,
        feedback: "as said".to_owned(),
        unmet: Vec::new(),
    }
}

fn newest_first<R: omoi_store::list_order::ListedRow>() -> PageRequest<R> {
    PageRequest {
        order: ListOrder::parse("-created_at").unwrap(),
        after: None,
        offset: 0,
        limit: 5,
        count_max: None,
    }
}

/// What the database says to somebody who writes past the store.
async fn refused_by_database(bench: &Bench, sql: &str) {
    let mut conn = RawConnection::open(bench.url()).await.unwrap();
    let refused = conn.execute(sql).await;
    let refused = refused.map_err(|error| format!("{error:?}"));
    conn.close().await.unwrap();
    let told = refused.expect_err(sql);
    assert!(told.contains("a judged result is never"), "{sql}: {told}");
}

async fn a_result_of_a_task_is_judged_once_and_stays(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let person = bench.local.acting_as(Actor::User(UserId::LOCAL));
    let task = &world.task;
    let first = commit(&person, async |tx| {
        task_results::insert_result(tx, task, about_task("a")).await
    });
    let first = first.await?;
    bench.advance(Duration::from_secs(1));
    let second = commit(&person, async |tx| {
        task_results::insert_result(tx, task, about_task(ODD)).await
    });
    let second = second.await?;
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(task_results::get(&mut tx, second.id).await?, second);
    assert_eq!(task_results::count_of_task(&mut tx, task.id).await?, 2);
    let open = task_results::list_unverified(&mut tx, task.id).await?;
    assert_eq!(open, [first.clone(), second.clone()]);
    drop(tx);
    let judged = commit(&person, async |tx| {
        let mut judged = task_results::get(tx, first.id).await?;
        let to = VerificationStatus::Verified;
        task_results::judge_result(tx, &mut judged, to, Some(ODD)).await?;
        let again = VerificationStatus::Disputed;
        let again = task_results::judge_result(tx, &mut judged, again, None).await;
        assert!(matches!(again, Err(StoreError::Transition(_))), "{again:?}");
        Ok(judged)
    });
    let judged = judged.await?;
    assert_eq!(judged.judged_by_id, Some(UserId::LOCAL));
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(task_results::get(&mut tx, first.id).await?, judged);
    let open = task_results::list_unverified(&mut tx, task.id).await?;
    assert_eq!(open, std::slice::from_ref(&second));
    let window = ListWindow::default();
    let page = task_results::list_page(&mut tx, task.id, &window, &newest_first()).await?;
    assert_eq!(page.rows, [second.clone(), judged]);
    drop(tx);
    for sql in [
        format!(
            "update task_results set summary = 'x' where id = '{}'",
            first.id
        ),
        format!("delete from task_results where id = '{}'", first.id),
    ] {
        refused_by_database(&bench, &sql).await;
    }
    bench
        .raw(format!(
            "update task_results set summary = 'x' where id = '{}'",
            second.id
        ))
        .await;
    Ok(())
}

async fn a_ticket_has_one_validated_result_and_it_stays(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let ticket = &world.ticket;
    let mut ids = Vec::new();
    for content in ["a", "b", "c"] {
        let made = commit(&bench.local, async |tx| {
            workflow_results::insert_result(tx, ticket, about_ticket(content)).await
        });
        ids.push(made.await?.id);
        bench.advance(Duration::from_secs(1));
    }
    let judge = async |at: usize, to| {
        let id = ids[at];
        commit(&bench.local, async |tx| {
            let mut result = workflow_results::get(tx, id).await?;
            workflow_results::judge_result(tx, &mut result, verdict(to)).await?;
            Ok(result)
        })
        .await
    };
    let validated = judge(0, WorkflowResultStatus::Validated).await?;
    assert_eq!(validated.feedback.as_deref(), Some("as said"));
    let second = judge(1, WorkflowResultStatus::Validated).await;
    assert!(
        matches!(second, Err(StoreError::Exists { .. })),
        "{second:?}"
    );
    judge(2, WorkflowResultStatus::Rejected).await?;
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(workflow_results::get(&mut tx, ids[0]).await?, validated);
    let pending = WorkflowResultStatus::PendingValidation;
    let pending = workflow_results::list_with_status(&mut tx, ticket.id, pending).await?;
    let pending: Vec<_> = pending.iter().map(|result| result.id).collect();
    assert_eq!(pending, [ids[1]]);
    let window = ListWindow::default();
    let page = workflow_results::list_page(&mut tx, ticket.id, &window, &newest_first()).await?;
    let listed: Vec<_> = page.rows.iter().map(|result| result.id).collect();
    assert_eq!(listed, [ids[2], ids[1], ids[0]]);
    drop(tx);
    for id in [ids[0], ids[2]] {
        for sql in [
            format!("update workflow_results set summary = 'x' where id = '{id}'"),
            format!("update workflow_results set status = 'pending_validation' where id = '{id}'"),
            format!("delete from workflow_results where id = '{id}'"),
        ] {
            refused_by_database(&bench, &sql).await;
        }
    }
    Ok(())
}

async fn criteria_are_replaced_as_a_whole(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let ticket = &world.ticket;
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(
        workflow_results::find_criteria(&mut tx, ticket.id).await?,
        None
    );
    drop(tx);
    for (criteria, follows) in [
        (vec!["a".to_owned(), ODD.to_owned()], OnResultFound::StopAll),
        (vec!["b".to_owned()], OnResultFound::DoNothing),
    ] {
        let set = commit(&bench.local, async |tx| {
            workflow_results::set_criteria(tx, ticket, criteria.clone(), follows).await
        });
        let set = set.await?;
        let mut tx = bench.local.begin_read().await?;
        let found = workflow_results::find_criteria(&mut tx, ticket.id).await?;
        assert_eq!(found.as_ref(), Some(&set));
        assert_eq!((set.criteria.0, set.on_result_found), (criteria, follows));
        assert_eq!(set.created_at, START);
    }
    Ok(())
}

async fn another_organisation_sees_no_results(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (one, other) = commit(&bench.local, async |tx| {
        let one = task_results::insert_result(tx, &world.task, about_task("a")).await?;
        let other = workflow_results::insert_result(tx, &world.ticket, about_ticket("a")).await?;
        let criteria = vec!["a".to_owned()];
        workflow_results::set_criteria(tx, &world.ticket, criteria, OnResultFound::StopAll).await?;
        Ok((one, other))
    })
    .await?;
    let foreign = bench.foreign().await;
    let mut tx = foreign.begin_read().await?;
    let gone = |error: StoreError| matches!(error, StoreError::NotFound { .. });
    assert!(gone(task_results::get(&mut tx, one.id).await.unwrap_err()));
    assert!(gone(
        workflow_results::get(&mut tx, other.id).await.unwrap_err()
    ));
    assert_eq!(
        task_results::count_of_task(&mut tx, world.task.id).await?,
        0
    );
    let found = workflow_results::find_criteria(&mut tx, world.ticket.id).await?;
    assert_eq!(found, None);
    Ok(())
}
