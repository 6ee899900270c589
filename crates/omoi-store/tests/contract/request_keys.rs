//! Requests that their senders named: done once, whoever asks how often, and answered again.

use std::time::Duration;

use futures::future::join_all;

use omoi_store::request_keys::{self, KeptAnswer, KeyedRequest, RequestDigests, RunningRequest};
use omoi_store::{StoreError, Tx, projects};
use uuid::Uuid;

use crate::bench::{Bench, POINT};

both!(
    one_of_many_requests_with_a_key_is_carried_out,
    a_request_is_done_with_the_change_that_it_asks_for,
    a_run_whose_place_is_taken_writes_nothing,
    a_key_is_freed_forgotten_and_never_another_requests,
);

/// Requests that come at once.
const SENDERS: usize = 50;
/// A little more than the lease of a request.
const LEASE: Duration = Duration::from_secs(61);

fn digests(request: &str, body: &str) -> RequestDigests {
    RequestDigests {
        request: request.to_owned(),
        body: body.to_owned(),
    }
}

async fn claim(bench: &Bench, asked: &RequestDigests) -> Result<KeyedRequest, StoreError> {
    let claim = async |tx: &mut Tx| request_keys::claim(tx, asked).await;
    bench.store.system().write(POINT, claim).await
}

async fn run(bench: &Bench, asked: &RequestDigests) -> RunningRequest {
    match claim(bench, asked).await.unwrap() {
        KeyedRequest::Run(running) => running,
        other => panic!("{other:?}"),
    }
}

/// Makes a project for the request; gives its id.
async fn add_project(
    bench: &Bench,
    running: RunningRequest,
    name: &str,
) -> Result<Uuid, StoreError> {
    let tenant = bench.store.for_run(running).tenant(bench.local.org());
    let path = format!("/src/{name}");
    let added = tenant.write(POINT, async |tx| {
        let project = projects::ensure(tx, name, &path).await?;
        tx.note_made(project.id.as_uuid());
        Ok::<_, StoreError>(project.id.as_uuid())
    });
    added.await
}

async fn n_projects(bench: &Bench) -> usize {
    let read = async |tx: &mut Tx| {
        tx.all::<projects::Project>("1 = 1", omoi_store::args![])
            .await
    };
    bench.local.read(read).await.unwrap().len()
}

async fn keep(bench: &Bench, running: RunningRequest, body: &str) -> Result<(), StoreError> {
    let answer = KeptAnswer {
        request_id: running.id,
        org_id: bench.local.org(),
        body: body.to_owned(),
        etag: Some("\"1\"".to_owned()),
        location: None,
    };
    let keep = async |tx: &mut Tx| request_keys::keep_answer(tx, running, 201, Some(&answer)).await;
    bench.local.write(POINT, keep).await
}

async fn kept_body(bench: &Bench, running: RunningRequest) -> Option<String> {
    let find = async |tx: &mut Tx| request_keys::find_answer(tx, running.id).await;
    let found = bench.local.read(find).await.unwrap();
    found.map(|answer| answer.body)
}

async fn one_of_many_requests_with_a_key_is_carried_out(bench: Bench) -> Result<(), StoreError> {
    let asked = digests("one", "body");
    let claims = join_all((0..SENDERS).map(|_| claim(&bench, &asked))).await;
    let mut running = Vec::new();
    for claimed in claims {
        match claimed? {
            KeyedRequest::Run(run) => running.push(run),
            other => assert_eq!(other, KeyedRequest::Wait),
        }
    }
    assert_eq!(running.len(), 1, "{running:?}");
    // Another key, place or sender is another request.
    run(&bench, &digests("two", "body")).await;
    Ok(())
}

async fn a_request_is_done_with_the_change_that_it_asks_for(
    bench: Bench,
) -> Result<(), StoreError> {
    let asked = digests("one", "body");
    let running = run(&bench, &asked).await;
    let tenant = bench.store.for_run(running).tenant(bench.local.org());
    let prepare = async |tx: &mut Tx| projects::ensure(tx, "before", "/src/before").await;
    tenant.before_request().write(POINT, prepare).await?;
    let before = n_projects(&bench).await;
    let made = add_project(&bench, running, "made").await?;
    // The process dies here: whoever asks again is told what was made, and changes nothing.
    assert_eq!(claim(&bench, &asked).await?, KeyedRequest::Wait);
    bench.advance(LEASE);
    let KeyedRequest::ShowAgain {
        running: again,
        made: told,
    } = claim(&bench, &asked).await?
    else {
        panic!("it is not done");
    };
    assert_eq!((told, again.id), (Some(made), running.id));
    let refused = add_project(&bench, again, "again").await;
    assert!(
        matches!(refused, Err(StoreError::RequestDone)),
        "{refused:?}"
    );
    assert_eq!(n_projects(&bench).await, before + 1);
    keep(&bench, again, "{\"id\": 1}").await?;
    let (id, status) = (running.id, 201);
    assert_eq!(
        claim(&bench, &asked).await?,
        KeyedRequest::Replay { id, status }
    );
    assert_eq!(
        kept_body(&bench, running).await.as_deref(),
        Some("{\"id\": 1}")
    );
    let foreign = bench.foreign().await;
    let find = async |tx: &mut Tx| request_keys::find_answer(tx, id).await;
    assert_eq!(foreign.read(find).await?, None);
    Ok(())
}

async fn a_run_whose_place_is_taken_writes_nothing(bench: Bench) -> Result<(), StoreError> {
    let asked = digests("one", "body");
    let slow = run(&bench, &asked).await;
    bench.advance(LEASE);
    let quick = run(&bench, &asked).await;
    assert_eq!((slow.id, slow.run == quick.run), (quick.id, false));
    let before = n_projects(&bench).await;
    let refused = add_project(&bench, slow, "slow").await;
    assert!(
        matches!(refused, Err(StoreError::RequestDone)),
        "{refused:?}"
    );
    // Nor does it end what the other carries out.
    keep(&bench, slow, "of the slow one").await?;
    let free = async |tx: &mut Tx| request_keys::give_up(tx, slow).await;
    bench.store.system().write(POINT, free).await?;
    assert_eq!(claim(&bench, &asked).await?, KeyedRequest::Wait);
    add_project(&bench, quick, "quick").await?;
    assert_eq!(n_projects(&bench).await, before + 1);
    // What a run does later it may do, answered or not.
    keep(&bench, quick, "of the quick one").await?;
    add_project(&bench, quick, "later").await?;
    assert_eq!(
        kept_body(&bench, quick).await.as_deref(),
        Some("of the quick one")
    );
    Ok(())
}

async fn a_key_is_freed_forgotten_and_never_another_requests(
    bench: Bench,
) -> Result<(), StoreError> {
    let asked = digests("one", "body");
    let running = run(&bench, &asked).await;
    let other = digests("one", "other body");
    assert_eq!(claim(&bench, &other).await?, KeyedRequest::RefuseReuse);
    let free = async |tx: &mut Tx| request_keys::give_up(tx, running).await;
    bench.store.system().write(POINT, free).await?;
    let running = run(&bench, &other).await;
    keep(&bench, running, "kept").await?;
    bench.advance(Duration::from_hours(24));
    assert_eq!(kept_body(&bench, running).await.as_deref(), Some("kept"));
    let again = run(&bench, &asked).await;
    assert_eq!(kept_body(&bench, running).await, None);
    let show = async |tx: &mut Tx| request_keys::note_shown(tx, again).await;
    bench.store.system().write(POINT, show).await?;
    assert_eq!(claim(&bench, &asked).await?, KeyedRequest::RefuseShown);
    Ok(())
}
