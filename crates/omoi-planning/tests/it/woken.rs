//! Work that waits for its provider, which a person has go on sooner.

use std::time::Duration;

use omoi_domain::event::EventKind;
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_planning::commands;
use omoi_protocol::api::ResumeSpec;
use omoi_store::{events, phases, specs, tasks};

use crate::desk::Desk;

const DAYS: Duration = Duration::from_hours(7 * 24);

#[tokio::test]
async fn a_person_ends_the_waits_of_a_spec_that_is_under_way() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let until = desk
        .it
        .commit(async |tx| {
            let mut spec = specs::get(tx, desk.spec.id).await?;
            spec.status = SpecStatus::Working;
            specs::save(tx, &mut spec).await?;
            let until = tx.now() + DAYS;
            for mut task in tasks::of_spec(tx, desk.spec.id).await? {
                task.not_before = until;
                tasks::save(tx, &mut task).await?;
            }
            let mut run = phases::ensure(tx, desk.spec.id, Phase::Prd).await?;
            (run.state, run.not_before) = (PhaseState::Backoff, until);
            phases::save(tx, &mut run).await?;
            Ok(until)
        })
        .await
        .unwrap();
    for n_told in [1, 1] {
        let (policy, asked) = (desk.it.build_part(), ResumeSpec::default());
        let tenant = &desk.it.deployment.store;
        let resumed = commands::resume_spec(&policy, tenant, desk.spec.id, asked).await;
        assert_eq!(resumed.unwrap().status, SpecStatus::Working);
        let mut tx = desk.it.read_tx().await;
        let all = tasks::of_spec(&mut tx, desk.spec.id).await.unwrap();
        assert!(!all.is_empty() && all.iter().all(|task| task.not_before < until));
        let run = phases::find(&mut tx, desk.spec.id, Phase::Prd).await;
        assert!(run.unwrap().unwrap().not_before < until);
        // From then on earlier failures of the provider do not count; nothing waits the second time.
        let told = events::of_kind(&mut tx, desk.spec.id, EventKind::SpecResumed).await;
        assert_eq!(told.unwrap().len(), n_told);
        let resumed_at = specs::resumed_at(&mut tx, desk.spec.id).await.unwrap();
        assert!(resumed_at.is_some());
    }
}
