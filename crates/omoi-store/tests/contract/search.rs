//! Texts that people search in: the same words find the same rows on both databases.

use std::collections::BTreeSet;

use omoi_domain::search_kind::SearchKind;
use omoi_domain::search_words::SearchQuery;
use omoi_store::search_documents::{self, FoundDocument, SearchFilter};
use omoi_store::tickets::{self, TicketEdit};
use omoi_store::{StoreError, Tx, comments};

use crate::bench::{Bench, commit};
use crate::samples::World;

both!(
    texts_are_found_by_their_words_as_they_are_now,
    titles_come_first_then_the_last_written,
    a_reference_finds_its_row_then_what_mentions_it,
);

fn filter(query: &str, kinds: &[SearchKind]) -> SearchFilter {
    SearchFilter {
        query: SearchQuery::parse(query).unwrap(),
        kinds: kinds.to_vec(),
        project: None,
        limit: 100,
    }
}

async fn found(tx: &mut Tx, query: &str) -> Result<Vec<FoundDocument>, StoreError> {
    search_documents::search_texts(tx, &filter(query, SearchKind::ALL)).await
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn texts_are_found_by_their_words_as_they_are_now(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let (spec, ticket, task) = (world.spec.clone(), world.ticket.clone(), world.task.clone());
    let ids_of = async |query: &str| {
        let mut tx = bench.local.begin_read().await?;
        let ids = found(&mut tx, query)
            .await?
            .into_iter()
            .map(|document| document.row_id);
        Ok::<_, StoreError>(ids.collect::<BTreeSet<_>>())
    };
    for (title, id) in [
        (&spec.title, spec.id.as_uuid()),
        (&ticket.title, ticket.id.as_uuid()),
        (&task.title, task.id.as_uuid()),
    ] {
        assert!(ids_of(title).await?.contains(&id), "{title}");
    }
    // What is searched for is no query language.
    for nothing in [
        "xyzzy",
        "\"xyzzy\" OR x*",
        "a') or 1=1 --",
        "xyzzy' | 'todo",
    ] {
        assert_eq!(ids_of(nothing).await?, BTreeSet::new(), "{nothing}");
    }
    let mut edited = ticket.clone();
    let mut comment = commit(&bench.local, async |tx| {
        let edit = TicketEdit {
            title: Some("Refresh the OAuth2TokenRefresher".to_owned()),
            description: Some("Größe in src/rate_limit.rs".to_owned()),
            ..TicketEdit::default()
        };
        tickets::edit_ticket(tx, &mut edited, edit).await?;
        comments::add_comment(tx, &edited, "See the plugh-case", &BTreeSet::new()).await
    })
    .await?;
    for query in [
        "oauth2",
        "token refresh",
        "größe",
        "rate_limit",
        "RATELIMIT.RS",
        "src/rate",
    ] {
        assert_eq!(
            ids_of(query).await?,
            BTreeSet::from([edited.id.as_uuid()]),
            "{query}"
        );
    }
    let mut tx = bench.local.begin_read().await?;
    let told = found(&mut tx, "plugh").await?;
    assert_eq!(
        (told[0].kind, told[0].ticket_id),
        (SearchKind::Comment, Some(edited.id))
    );
    let others =
        search_documents::search_texts(&mut tx, &filter("plugh", &[SearchKind::Task])).await?;
    assert_eq!(others, []);
    let other = SearchFilter {
        project: Some(omoi_domain::id::ProjectId::from_uuid(
            uuid::Uuid::from_u128(9),
        )),
        ..filter("plugh", SearchKind::ALL)
    };
    assert_eq!(search_documents::search_texts(&mut tx, &other).await?, []);
    drop(tx);
    commit(&bench.local, async |tx| {
        comments::delete_comment(tx, &mut comment).await
    })
    .await?;
    assert_eq!(ids_of("plugh").await?, BTreeSet::new());
    Ok(())
}

async fn titles_come_first_then_the_last_written(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let texts = [
        ("Grue", "dark"),
        ("Lamp", "the grue"),
        ("Grues", "many"),
        ("Sword", "a grue"),
    ];
    let mut ids = Vec::new();
    for (n, (title, description)) in texts.into_iter().enumerate() {
        let ticket = commit(&bench.local, async |tx| {
            let mut ticket = tickets::Ticket::in_backlog(tx, world.project.id, 900 + n as i64);
            ticket.title = title.to_owned();
            ticket.description = description.to_owned();
            tickets::insert(tx, &ticket).await?;
            Ok(ticket)
        });
        ids.push(ticket.await?.id.as_uuid());
        bench.advance(std::time::Duration::from_secs(1));
    }
    let mut tx = bench.local.begin_read().await?;
    let order = found(&mut tx, "grue").await?;
    let order: Vec<_> = order.into_iter().map(|document| document.row_id).collect();
    assert_eq!(order, [ids[2], ids[0], ids[3], ids[1]]);
    let first = SearchFilter {
        limit: 1,
        ..filter("grue", SearchKind::ALL)
    };
    let first = search_documents::search_texts(&mut tx, &first).await?;
    assert_eq!(first[0].row_id, ids[2]);
    Ok(())
}

async fn a_reference_finds_its_row_then_what_mentions_it(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut ids = Vec::new();
    for (number, description) in [
        (12, "tags"),
        (120, "tags"),
        (13, "after tkt-12, before TKT-120"),
    ] {
        bench.advance(std::time::Duration::from_secs(1));
        let ticket = commit(&bench.local, async |tx| {
            let mut ticket = tickets::Ticket::in_backlog(tx, world.project.id, number);
            ticket.title = "Work".to_owned();
            ticket.description = description.to_owned();
            tickets::insert(tx, &ticket).await?;
            Ok(ticket)
        });
        ids.push(ticket.await?.id.as_uuid());
    }
    let mut tx = bench.local.begin_read().await?;
    for (query, expected) in [
        ("TKT-12", vec![ids[0], ids[2]]),
        ("tkt-012", vec![ids[0], ids[2]]),
        ("TKT-120 work", vec![ids[1], ids[2]]),
        ("TKT-1200", vec![]),
        ("TSK-001", vec![world.task.id.as_uuid()]),
        ("SPEC-1", vec![world.spec.id.as_uuid()]),
    ] {
        let order = found(&mut tx, query).await?.into_iter();
        let order: Vec<_> = order.map(|document| document.row_id).collect();
        assert_eq!(order, expected, "{query}");
    }
    Ok(())
}
