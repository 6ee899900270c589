//! Receipts of checks, and what they prove.

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::event::Event;
use omoi_store::attempts;
use omoi_store::{StoreError, checks, events};

use crate::bench::{Bench, POINT};
use crate::samples::{self, World};

both!(a_receipt_is_stored_once, only_proofs_are_linked_to_criteria,);

async fn a_receipt_is_stored_once(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let requirement = samples::requirement(&tx, &world.spec, 1);
    tx.insert(&requirement).await?;
    let criterion = samples::criterion(&tx, &requirement, 1);
    tx.insert(&criterion).await?;
    let check = samples::check(&tx, &world.task, 1);
    checks::insert(&mut tx, &check, &[criterion.id]).await?;
    let links = checks::criteria_links(&mut tx, world.spec.id).await?;
    assert_eq!(links, [(check.id, criterion.id)]);
    let mut red = samples::receipt(&tx, &check, &attempt);
    red.passed = false;
    let mut by_another = samples::receipt(&tx, &check, &attempt);
    let mut other = samples::attempt(&tx, &world.task, 2);
    other.subject = AttemptSubject::TaskChecks {
        task_id: world.task.id,
    };
    attempts::insert(&mut tx, &other).await?;
    by_another.attempt_id = other.id;
    let again = samples::receipt(&tx, &check, &attempt);
    let mut head = samples::receipt(&tx, &check, &attempt);
    head.stage = CheckStage::Head;
    head.task_id = None;
    let project = world.project.id;
    assert!(checks::store_receipt(&mut tx, project, &check, &red).await?);
    let receipt = by_another;
    let found = checks::passing(&mut tx, check.id, &receipt.commit_sha, CheckStage::Task).await?;
    assert_eq!(found, None);
    assert!(checks::store_receipt(&mut tx, project, &check, &receipt).await?);
    assert!(!checks::store_receipt(&mut tx, project, &check, &again).await?);
    assert!(checks::store_receipt(&mut tx, project, &check, &head).await?);
    let found = checks::passing(&mut tx, check.id, &receipt.commit_sha, CheckStage::Task).await?;
    assert_eq!(found, Some(receipt.clone()));
    assert_eq!(
        checks::receipts_of_task(&mut tx, world.task.id).await?,
        [red, receipt]
    );
    assert_eq!(
        checks::receipts_of_spec(&mut tx, world.spec.id)
            .await?
            .len(),
        3
    );
    tx.commit(POINT).await?;
    let log = events::after(&mut bench.local.begin_read().await?, 0).await?;
    let told = log
        .iter()
        .filter(|e| matches!(e.event, Event::ReceiptStored(_)));
    assert_eq!(told.count(), 3);
    Ok(())
}

async fn only_proofs_are_linked_to_criteria(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let requirement = samples::requirement(&tx, &world.spec, 1);
    tx.insert(&requirement).await?;
    let criterion = samples::criterion(&tx, &requirement, 1);
    tx.insert(&criterion).await?;
    tx.commit(POINT).await?;
    for (ordinal, kind) in [(1, CheckKind::Regression), (2, CheckKind::Suite)] {
        let mut tx = bench.local.begin_write().await?;
        let mut check = samples::check(&tx, &world.task, ordinal);
        check.kind = kind;
        let linked = checks::insert(&mut tx, &check, &[criterion.id]).await;
        assert!(linked.is_err(), "a {kind} check proves {}", criterion.id);
    }
    let mut tx = bench.local.begin_write().await?;
    let proof = samples::check(&tx, &world.task, 1);
    checks::insert(&mut tx, &proof, &[criterion.id]).await?;
    let mut regression = samples::check(&tx, &world.task, 2);
    regression.kind = CheckKind::Regression;
    checks::insert(&mut tx, &regression, &[]).await?;
    let links = checks::criteria_links(&mut tx, world.spec.id).await?;
    assert_eq!(links, [(proof.id, criterion.id)]);
    tx.commit(POINT).await
}
