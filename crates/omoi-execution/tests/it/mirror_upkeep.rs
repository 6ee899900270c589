//! Mirrors are cleared of objects whose refs were removed.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use omoi_domain::mirror_upkeep::UNREACHED_KEPT_FOR;
use omoi_git::object::ObjectId;
use omoi_testkit::deployment::TestDeployment;

use crate::base_refs::{Cleaner, hold};

/// Makes every object below `dir` look as old as objects are that go.
fn age_objects(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age_objects(&path);
            continue;
        }
        let file = File::open(&path).unwrap();
        let written_at = file.metadata().unwrap().modified().unwrap();
        let aged = written_at - UNREACHED_KEPT_FOR - Duration::from_hours(1);
        file.set_modified(aged).unwrap();
    }
}

#[tokio::test]
async fn objects_of_a_base_go_once_nobody_begins_at_it() {
    let it = TestDeployment::new().await;
    let mirror = it.project_mirror().await;
    let unused = it.commit_on(&it.base, "a", Some("new\n")).await;
    let later = it.commit_on(&it.base, "b", Some("new\n")).await;
    let newest = it.commit_on(&it.base, "c", Some("new\n")).await;
    for (commit, hours) in [(&it.base, 48), (&unused, 48), (&later, 14), (&newest, 1)] {
        hold(&it, &mirror, commit, hours).await;
    }
    age_objects(&mirror.dir().join("objects"));
    let is_there = async |commit: &ObjectId| mirror.has_commit(commit).await.unwrap();
    let mut cleaner = Cleaner::new(&it);
    // While a spec is being begun nothing goes.
    let kept = mirror.keep_refs().await.unwrap();
    cleaner.pass(&it).await;
    assert!(is_there(&unused).await);
    drop(kept);
    it.advance_clock(6 * 3_600);
    cleaner.pass(&it).await;
    assert!(!is_there(&unused).await);
    assert!(is_there(&it.base).await && is_there(&later).await && is_there(&newest).await);
    // Another ref goes on the same day, its objects on the next.
    for (hours, is_locked, is_kept) in [
        (6, false, true),
        (6, false, true),
        (12, true, true),
        (6, false, false),
    ] {
        it.advance_clock(hours * 3_600);
        let _lock = match is_locked {
            true => Some(mirror.keep_refs().await.unwrap()),
            false => None,
        };
        age_objects(&mirror.dir().join("objects"));
        let held = cleaner.pass(&it).await;
        assert!(!held.contains(&later) && held.contains(&newest), "{held:?}");
        assert_eq!(is_there(&later).await, is_kept);
    }
}
