//! What came into sandboxes from outside, and what was refused.

use omoi_domain::egress::EgressOutcome;
use omoi_store::attempts::{self, Attempt};
use omoi_store::checks::RunConditions;
use omoi_store::egress_entries::{EgressEntry, EgressFilter, PAGE_MAX};
use omoi_store::{Json, StoreError, Tx, checks, egress_entries};

use crate::bench::{Bench, POINT};
use crate::samples::{self, World};

both!(
    what_came_in_is_stored_once,
    entries_of_a_spec_are_read_in_pages,
);

fn arrival(tx: &Tx, attempt: &Attempt, target: &str) -> EgressEntry {
    EgressEntry {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: attempt.project_id,
        spec_id: Some(attempt.spec_id),
        attempt_id: Some(attempt.id),
        packages_layer: None,
        outcome: EgressOutcome::CameIn,
        target: target.to_owned(),
        reason: None,
        detail: "file".to_owned(),
        remedy: None,
        digest: Some("d".to_owned()),
        bytes: Some(1),
        created_at: tx.now(),
    }
}

fn of_setup(entry: &EgressEntry, layer: &str) -> EgressEntry {
    EgressEntry {
        spec_id: None,
        attempt_id: None,
        packages_layer: Some(layer.to_owned()),
        ..entry.clone()
    }
}

async fn what_came_in_is_stored_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    for _ in 0..2 {
        let came = arrival(&tx, &attempt, "npm:b@1.0.0");
        egress_entries::insert(&mut tx, &came).await?;
        let again = EgressEntry {
            id: tx.new_id(),
            ..of_setup(&came, "used")
        };
        egress_entries::insert(&mut tx, &again).await?;
        let refused = EgressEntry {
            id: tx.new_id(),
            outcome: EgressOutcome::Refused,
            reason: Some("host_not_listed".to_owned()),
            digest: None,
            ..came
        };
        egress_entries::insert(&mut tx, &refused).await?;
    }
    let came = arrival(&tx, &attempt, "npm:B@1.0.0");
    egress_entries::insert(&mut tx, &came).await?;
    let (came_in, refused) = (EgressOutcome::CameIn, EgressOutcome::Refused);
    let targets = egress_entries::targets_of_attempt(&mut tx, attempt.id, came_in).await?;
    assert_eq!(targets.len(), 2, "{targets:?}");
    let targets = egress_entries::targets_of_attempt(&mut tx, attempt.id, refused).await?;
    assert_eq!(targets, ["npm:b@1.0.0"]);
    // The bytes of a list are the same on every database.
    let task = Some(world.task.id);
    let lines = egress_entries::arrival_lines(&mut tx, task, None).await?;
    let expected = ["npm:B@1.0.0 file sha256:d\n", "npm:b@1.0.0 file sha256:d\n"];
    assert_eq!(lines, expected);
    let lines = egress_entries::arrival_lines(&mut tx, None, Some("used")).await?;
    assert_eq!(lines, expected[1..]);
    assert!(
        egress_entries::arrival_lines(&mut tx, None, None)
            .await?
            .is_empty()
    );
    tx.commit(POINT).await
}

async fn entries_of_a_spec_are_read_in_pages(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    // Of set-ups before the spec, only the packages that a check was given are its own.
    for (layer, age) in [("used", 60), ("foreign", 60), ("new", 0)] {
        let entry = EgressEntry {
            id: tx.new_id(),
            created_at: world.spec.created_at - std::time::Duration::from_secs(age),
            ..of_setup(&arrival(&tx, &attempt, layer), layer)
        };
        egress_entries::insert(&mut tx, &entry).await?;
    }
    let check = samples::check(&tx, &world.task, 1);
    checks::insert(&mut tx, &check, &[]).await?;
    let mut receipt = samples::receipt(&tx, &check, &attempt);
    receipt.conditions = Json(RunConditions {
        packages_layer: Some("used".to_owned()),
        ..RunConditions::default()
    });
    checks::store_receipt(&mut tx, world.project.id, &check, &receipt).await?;
    for n in 0..PAGE_MAX {
        let entry = arrival(&tx, &attempt, &format!("npm:a@{n}"));
        egress_entries::insert(&mut tx, &entry).await?;
    }
    let page =
        async |tx: &mut Tx, filter| egress_entries::page_of_spec(tx, &world.spec, filter).await;
    let newest = page(&mut tx, EgressFilter::default()).await?;
    assert_eq!(newest.len(), PAGE_MAX);
    assert_eq!(newest[0].0.target, format!("npm:a@{}", PAGE_MAX - 1));
    assert_eq!(newest[0].1, Some(world.task.number));
    let older = EgressFilter {
        before: newest.last().map(|(entry, _)| entry.id),
        outcome: Some(EgressOutcome::CameIn),
    };
    let older = page(&mut tx, older).await?;
    let targets: Vec<_> = older.iter().map(|(entry, _)| &*entry.target).collect();
    assert_eq!(targets, ["new", "used"]);
    let refused = EgressFilter {
        outcome: Some(EgressOutcome::Refused),
        before: None,
    };
    assert!(page(&mut tx, refused).await?.is_empty());
    let packages = egress_entries::packages_of_spec(&mut tx, world.spec.id).await?;
    assert!(packages.contains(&"used sha256:d".to_owned()));
    assert_eq!(packages.len(), PAGE_MAX + 1);
    tx.commit(POINT).await
}
