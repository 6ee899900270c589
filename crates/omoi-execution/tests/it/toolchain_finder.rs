//! A spec whose recorded toolchain is gone has the host looked at again.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use omoi_domain::event::EventKind;
use omoi_execution::toolchain_finder::ToolchainFinder;
use omoi_git::toolchain::HostEnvironment;
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, events};
use omoi_testkit::deployment::TestDeployment;

/// A spec with what was recorded of its toolchain; its commands call `tool`.
async fn add_spec(it: &TestDeployment, number: i64, toolbox: Value) -> Spec {
    let mut survey = it.spec.survey.0.clone();
    survey["toolbox"] = toolbox;
    survey["survey"]["toolchains"] = json!([
        { "kind": "shell", "manifest": null, "version": null, "programs": ["tool"] }
    ]);
    let added = it.commit(async |tx| {
        let spec = Spec {
            id: tx.new_id(),
            number,
            survey: Json(survey),
            integration_branch: format!("feature/{number}"),
            ..it.spec.clone()
        };
        specs::insert(tx, &spec).await?;
        Ok(spec)
    });
    added.await.unwrap()
}

#[tokio::test]
async fn what_is_gone_is_found_anew_and_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let opt = folder.path().canonicalize().unwrap().join("opt/tool");
    let (bin, gone) = (opt.join("bin"), folder.path().join("gone"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("tool"), "#!/bin/sh\n").unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("tool"), mode).unwrap();
    let it = TestDeployment::with_parts(|parts| {
        parts.host = HostEnvironment {
            path: bin.clone().into(),
            ..HostEnvironment::default()
        };
    })
    .await;
    let finder: ToolchainFinder = it.build_part();
    let whole = json!({ "roots": [opt], "path": [], "env": [] });
    let lost = json!({ "roots": [gone], "path": [], "env": [] });
    for (number, toolbox, is_told) in [(2, whole, false), (3, lost, true), (4, json!("x"), true)] {
        let spec = add_spec(&it, number, toolbox).await;
        // Whoever holds the row as it was finds it, too.
        for _ in 0..2 {
            let found = finder.toolchain_of(&spec).await.unwrap();
            assert_eq!(found.roots, std::slice::from_ref(&opt), "{number}");
        }
        let mut tx = it.read_tx().await;
        let kind = EventKind::SpecToolchainFound;
        let told = events::of_kind(&mut tx, spec.id, kind).await.unwrap();
        assert_eq!(told.len(), usize::from(is_told), "{told:?}");
        let now = specs::get(&mut tx, spec.id).await.unwrap();
        assert_eq!(now.survey.0["toolbox"]["roots"], json!([opt]));
        assert_eq!(now.state_version, spec.state_version);
    }
}

#[tokio::test]
async fn without_a_place_to_look_an_unreadable_one_is_told() {
    let it = TestDeployment::new().await;
    let finder: ToolchainFinder = it.build_part();
    let spec = add_spec(&it, 2, json!("x")).await;
    let broken = Json(json!({ "toolbox": "x" }));
    let told = "for the test".to_owned();
    let mut spec = it
        .commit(async |tx| {
            let mut spec = spec.clone();
            specs::keep_toolchain(tx, &mut spec, broken, told).await?;
            Ok(spec)
        })
        .await
        .unwrap();
    let refused = finder.toolchain_of(&spec).await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("cannot be read"), "{cause}");
    // With none recorded, sandboxes see the system alone.
    spec.survey = Json(json!({}));
    let plain = finder.toolchain_of(&spec).await.unwrap();
    assert!(plain.roots.is_empty());
}
