//! Refs of commits at which no spec begins any more are removed.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use omoi_domain::spec::SpecStatus;
use omoi_execution::integration::base_ref;
use omoi_execution::janitor::Janitor;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::clock::Clock as _;
use omoi_runtime::reconcile::{Entities, Reconciler as _};
use omoi_store::specs::{self, Spec};
use omoi_testkit::deployment::TestDeployment;

/// Holds `commit` as whoever brought it did, so many hours ago.
pub(crate) async fn hold(it: &TestDeployment, mirror: &Mirror, commit: &ObjectId, hours: u64) {
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
            created_at: tx.now() + Duration::from_secs(number.unsigned_abs()),
            ..it.spec.clone()
        };
        specs::insert(tx, &spec).await
    });
    added.await.unwrap();
}

/// The janitor of a test.
pub(crate) struct Cleaner {
    janitor: Janitor,
    entities: Entities,
}

impl Cleaner {
    pub(crate) fn new(it: &TestDeployment) -> Self {
        let store = it.deployment.store.store().clone();
        let janitor = Janitor::new(store).with_mirrors(it.build_part());
        let entities = Entities::new(janitor.name(), it.deployment.rng.fork());
        Self { janitor, entities }
    }

    /// Cleans up; gives the commits that are held then.
    pub(crate) async fn pass(&mut self, it: &TestDeployment) -> BTreeSet<ObjectId> {
        let now = it.clock.now();
        self.janitor.tick(now, &mut self.entities).await.unwrap();
        held_commits(&it.project_mirror().await).await
    }
}

async fn held_commits(mirror: &Mirror) -> BTreeSet<ObjectId> {
    let prefix = RefName::parse("refs/omoios/base").unwrap();
    let held = mirror.list_refs(&prefix).await.unwrap();
    held.into_iter().map(|(_, commit)| commit).collect()
}

fn set_of<const N: usize>(commits: [&ObjectId; N]) -> BTreeSet<ObjectId> {
    commits.into_iter().cloned().collect()
}

#[tokio::test]
async fn a_base_is_held_while_a_spec_is_being_begun_there() {
    let it = TestDeployment::new().await;
    let mirror = it.project_mirror().await;
    let begun = it.commit_on(&it.base, "a", Some("new\n")).await;
    let unused = it.commit_on(&it.base, "b", Some("new\n")).await;
    let newest = it.commit_on(&it.base, "c", Some("new\n")).await;
    for (commit, hours) in [(&begun, 48), (&unused, 48), (&newest, 1)] {
        hold(&it, &mirror, commit, hours).await;
    }
    let mut cleaner = Cleaner::new(&it);
    // Its commit is looked at, its row is not there yet.
    let kept = mirror.keep_refs().await.unwrap();
    let all = set_of([&begun, &unused, &newest]);
    assert_eq!(cleaner.pass(&it).await, all);
    add_spec(&it, 10, &begun, SpecStatus::Executing).await;
    drop(kept);
    it.advance_clock(6 * 3_600);
    assert_eq!(cleaner.pass(&it).await, set_of([&begun, &newest]));

    // Whoever comes while refs are removed waits for the end of it.
    let removal = mirror.begin_ref_removal().unwrap().unwrap();
    assert!(mirror.begin_ref_removal().unwrap().is_none());
    let soon = tokio::time::timeout(Duration::from_millis(20), mirror.keep_refs());
    assert!(soon.await.is_err());
    drop(removal);
    mirror.keep_refs().await.unwrap();
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
    assert_eq!(held_commits(&mirror).await.len(), 8);
    let mut cleaner = Cleaner::new(&it);
    for _ in 0..2 {
        let kept = set_of([&it.base, lost, failed, fresh, newest]);
        assert_eq!(cleaner.pass(&it).await, kept);
    }
    // A day later nobody began at the fresh one. The next ticket may begin where the newest spec does.
    add_spec(&it, 14, unused, SpecStatus::Cancelled).await;
    hold(&it, &mirror, unused, 48).await;
    it.advance_clock(24 * 3_600);
    let kept = set_of([&it.base, lost, failed, unused, newest]);
    assert_eq!(cleaner.pass(&it).await, kept);
}
