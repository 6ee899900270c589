//! What was found out about criteria without their work, and second opinions on plans.

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::check::CheckStage;
use omoi_domain::event::{AblationDone, Event};
use omoi_domain::opinion::CheckDoubt;
use omoi_store::ablations::{self, Ablation};
use omoi_store::opinions::{self, StoredOpinion};
use omoi_store::{Json, StoreError, attempts, checks, events};

use crate::bench::{Bench, POINT};
use crate::samples::{self, World};

both!(
    an_ablation_takes_the_place_of_the_one_before,
    an_opinion_takes_the_place_of_the_one_before,
    the_newest_receipt_is_found_red_or_green,
);

async fn an_ablation_takes_the_place_of_the_one_before(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let requirement = samples::requirement(&tx, &world.spec, 1);
    tx.insert(&requirement).await?;
    let mut found = Vec::new();
    for (n, verdict) in [(1, AblationVerdict::Weak), (2, AblationVerdict::Unknown)] {
        let criterion = samples::criterion(&tx, &requirement, n);
        tx.insert(&criterion).await?;
        found.push(Ablation {
            criterion_id: criterion.id,
            org_id: tx.org(),
            spec_id: world.spec.id,
            verdict,
            head_sha: "a".repeat(40),
            without: Json(vec!["TSK-001".to_owned()]),
            reason: Some("it still passes".to_owned()),
            is_accepted: false,
            attempt_id: attempt.id,
            created_at: tx.now(),
        });
    }
    let told = AblationDone {
        spec_id: world.spec.id,
        requirement: requirement.local_id.clone(),
        head: "a".repeat(40),
        without: vec!["TSK-001".to_owned()],
        verdicts: vec![("REQ-1#1".to_owned(), AblationVerdict::Weak)],
        reason: None,
    };
    let project = world.project.id;
    ablations::store(&mut tx, project, &found, told.clone()).await?;
    assert_eq!(ablations::of_spec(&mut tx, world.spec.id).await?, found);
    // Only what is weak can be let stand.
    assert_eq!(ablations::accept_weak(&mut tx, world.spec.id).await?, 1);
    assert_eq!(ablations::accept_weak(&mut tx, world.spec.id).await?, 0);
    let accepted = ablations::of_spec(&mut tx, world.spec.id).await?;
    let accepted = accepted.iter().map(|ablation| ablation.is_accepted);
    assert_eq!(accepted.collect::<Vec<_>>(), [true, false]);
    // At another head nothing was accepted.
    for ablation in &mut found {
        ablation.head_sha = "b".repeat(40);
    }
    ablations::store(&mut tx, project, &found, told).await?;
    assert_eq!(ablations::of_spec(&mut tx, world.spec.id).await?, found);
    tx.commit(POINT).await?;
    let log = events::after(&mut bench.local.begin_read().await?, 0).await?;
    let told = log
        .iter()
        .filter(|e| matches!(e.event, Event::RequirementAblated(_)));
    assert_eq!(told.count(), 2);
    Ok(())
}

async fn an_opinion_takes_the_place_of_the_one_before(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    assert_eq!(opinions::find(&mut tx, world.spec.id).await?, None);
    let mut opinion = StoredOpinion {
        spec_id: world.spec.id,
        org_id: tx.org(),
        input_digest: Some("one".to_owned()),
        model: "reader".to_owned(),
        is_same_model: false,
        doubts: Json(vec![CheckDoubt {
            check: "TSK-001/1".to_owned(),
            criterion: "REQ-1#1".to_owned(),
            how: "It is empty.".to_owned(),
            blocking: true,
        }]),
        skipped: None,
        was_sent_back: false,
        created_at: tx.now(),
    };
    opinions::store(&mut tx, world.project.id, &opinion).await?;
    opinions::mark_sent_back(&mut tx, world.spec.id).await?;
    opinion.was_sent_back = true;
    let found = opinions::find(&mut tx, world.spec.id).await?;
    assert_eq!(found.as_ref(), Some(&opinion));
    assert_eq!(found.unwrap().opinion().doubts, opinion.doubts.0);
    opinion.input_digest = None;
    opinion.skipped = Some("nobody answers".to_owned());
    opinion.was_sent_back = false;
    opinions::store(&mut tx, world.project.id, &opinion).await?;
    let found = opinions::find(&mut tx, world.spec.id).await?;
    assert_eq!(found, Some(opinion));
    tx.commit(POINT).await?;
    let log = events::after(&mut bench.local.begin_read().await?, 0).await?;
    let told = log
        .iter()
        .filter(|e| matches!(e.event, Event::SpecPlanJudged(_)));
    assert_eq!(told.count(), 2);
    Ok(())
}

async fn the_newest_receipt_is_found_red_or_green(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    let mut tx = bench.local.begin_write().await?;
    let attempt = samples::attempt(&tx, &world.task, 1);
    attempts::insert(&mut tx, &attempt).await?;
    let check = samples::check(&tx, &world.task, 1);
    checks::insert(&mut tx, &check, &[]).await?;
    let mut red = samples::receipt(&tx, &check, &attempt);
    red.stage = CheckStage::Ablation;
    red.passed = false;
    let commit = red.commit_sha.clone();
    let none = checks::newest(&mut tx, check.id, &commit, CheckStage::Ablation).await?;
    assert_eq!(none, None);
    assert!(checks::store_receipt(&mut tx, world.project.id, &check, &red).await?);
    let found = checks::newest(&mut tx, check.id, &commit, CheckStage::Ablation).await?;
    assert_eq!(found, Some(red));
    let elsewhere = checks::newest(&mut tx, check.id, &commit, CheckStage::Head).await?;
    assert_eq!(elsewhere, None);
    tx.commit(POINT).await
}
