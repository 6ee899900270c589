//! What a spec was planned from before, kept and restored.

use serde_json::{Value, json};

use omoi_domain::phase::Phase;
use omoi_planning::commands::{self, ItemEdit, PhaseEdit, RestoreWish, SpecCommandError};
use omoi_planning::plan_gate::PlanGate;
use omoi_store::{StoreError, spec_versions};

use crate::desk::Desk;

/// Other considerations of security in the design.
pub(crate) fn considerations(value: Value, versions: Option<Vec<i64>>) -> PhaseEdit {
    PhaseEdit {
        phase: Phase::Design,
        items: vec![ItemEdit {
            section: "security_considerations".to_owned(),
            key: String::new(),
            value,
        }],
        versions,
        summary: "design".to_owned(),
    }
}

#[tokio::test]
async fn what_a_spec_was_planned_from_is_kept_and_restored() {
    let mut desk = Desk::new().await;
    desk.plan_from(Phase::Explore).await;
    let (id, store) = (desk.spec.id, desk.it.deployment.store.clone());
    let gate: PlanGate = desk.it.build_part();
    let wish = |number| RestoreWish {
        number,
        versions: None,
    };
    let planned = desk.run(Phase::Design).await.output.unwrap().0;
    let value = json!(["Tags are shown as text only, never run as a shell command."]);
    let stale = considerations(
        value.clone(),
        Some(vec![desk.spec_now().await.state_version + 1]),
    );
    let refused = commands::edit_items(&gate, &store, id, &stale).await;
    assert!(
        matches!(refused, Err(SpecCommandError::StaleVersion(_))),
        "{refused:?}"
    );
    let edit = considerations(value.clone(), None);
    let edited = commands::edit_items(&gate, &store, id, &edit)
        .await
        .unwrap();
    let retitled = commands::retitle_spec(&store, id, "Labels", None)
        .await
        .unwrap();
    assert!(retitled.state_version > edited.state_version);
    let versions = spec_versions::of_spec(&mut desk.it.read_tx().await, id)
        .await
        .unwrap();
    let told: Vec<_> = versions
        .iter()
        .map(|v| (v.number, v.summary.as_str()))
        .collect();
    assert_eq!(
        told,
        [(3, "title"), (2, "design"), (1, "before the first change")]
    );
    let back = commands::restore_version(&gate, &store, id, wish(1))
        .await
        .unwrap();
    assert_eq!(
        (back.title.as_str(), back.current_phase),
        (desk.spec.title.as_str(), Phase::Sync)
    );
    assert_eq!(desk.run(Phase::Design).await.output.unwrap().0, planned);
    // The same again is no change, and no version.
    commands::restore_version(&gate, &store, id, wish(4))
        .await
        .unwrap();
    let mut tx = desk.it.read_tx().await;
    assert_eq!(spec_versions::of_spec(&mut tx, id).await.unwrap().len(), 4);
    let second = spec_versions::get(&mut tx, id, 2).await.unwrap();
    let design = second.phase_output(Phase::Design).unwrap();
    assert_eq!(design["security_considerations"], value);
    let unknown = commands::restore_version(&gate, &store, id, wish(9)).await;
    assert!(matches!(
        unknown,
        Err(SpecCommandError::Store(StoreError::NotFound { .. }))
    ));
}
