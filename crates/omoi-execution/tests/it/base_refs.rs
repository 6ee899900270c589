//! Refs of commits at which no spec begins any more are removed.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use omoi_domain::spec::SpecStatus;
use omoi_execution::integration::base_ref;
use omoi_execution::janitor::Janitor;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::clock::Clock as _;
use omoi_runtime::reconcile::{Entities, Reconciler as _};
use omoi_store::specs::{self, Spec};
use omoi_testkit::deployment::TestDeployment;

/// Holds `commit` as whoever brought it did, so many hours ago.
async fn hold(it: &TestDeployment, mirror: &Mirror, commit: &ObjectId, hours: u64) {
    let name = base_ref(commit).unwrap();
    mirror.hold_commit(&name, commit).await.unwrap();
    let now = u64::try_from(it.clock.now().as_micros()).unwrap();
    let written_at = UNIX_EPOCH + Duration::from_micros(now) - Duration::from_hours(hours);
    let file = File::options()
        .write(true)
        .open(mirror.dir().join(name.as_str()));
    file.unwrap().set_modified(written_at).unwrap();
}

async fn add_spec(it: &TestDeployment, number: i64, base: &ObjectId, status: SpecStatus) {
    let added = it.commit(async |tx| {
        let spec = Spec {
            id: tx.new_id(),
            number,
            status,
            base_sha: base.as_str().to_owned(),
            integration_branch: format!("feature/{number}"),
            ..it.spec.clone()
        };
        specs::insert(tx, &spec).await
    });
    added.await.unwrap();
}

#[tokio::test]
async fn a_base_is_held_while_a_spec_may_need_it() {
    let it = TestDeployment::new().await;
    let mirror = it.project_mirror().await;
    let mut commits = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        commits.push(it.commit_on(&it.base, name, Some("new\n")).await);
    }
    let [cancelled, delivered, lost, failed, unused, fresh, newest] = &commits[..] else {
        unreachable!("there are seven")
    };
    for commit in [&it.base, cancelled, delivered, lost, failed, unused] {
        hold(&it, &mirror, commit, 48).await;
    }
    hold(&it, &mirror, fresh, 2).await;
    hold(&it, &mirror, newest, 1).await;
    add_spec(&it, 10, cancelled, SpecStatus::Cancelled).await;
    add_spec(&it, 11, delivered, SpecStatus::Delivered).await;
    // Nothing else holds what this one delivered.
    add_spec(&it, 12, lost, SpecStatus::Delivered).await;
    add_spec(&it, 13, failed, SpecStatus::Failed).await;
    let branch = RefName::from_branch("feature/11").unwrap();
    let head = it.commit_on(delivered, "done", Some("done\n")).await;
    mirror.hold_commit(&branch, &head).await.unwrap();
    let store = it.deployment.store.store().clone();
    let folders: RepositoryFolders = it.build_part();
    let mut janitor = Janitor::new(store).with_mirrors(folders);
    let mut entities = Entities::new(janitor.name(), it.deployment.rng.fork());
    let held = async || {
        let prefix = RefName::parse("refs/omoios/base").unwrap();
        let held = mirror.list_refs(&prefix).await.unwrap();
        held.into_iter()
            .map(|(_, commit)| commit)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(held().await.len(), 8);
    for _ in 0..2 {
        janitor.tick(it.clock.now(), &mut entities).await.unwrap();
        let kept = [&it.base, lost, failed, fresh, newest];
        assert_eq!(held().await, kept.into_iter().cloned().collect());
    }
    // A day later nobody began at the fresh one.
    it.advance_clock(24 * 3_600);
    janitor.tick(it.clock.now(), &mut entities).await.unwrap();
    let kept = [&it.base, lost, failed, newest];
    assert_eq!(held().await, kept.into_iter().cloned().collect());
}
