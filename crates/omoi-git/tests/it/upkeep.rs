//! Objects that no ref reaches leave the mirror once they are old.

use std::path::Path;
use std::time::Duration;

use omoi_domain::crash::CrashPoint;
use omoi_domain::mirror_upkeep::UNREACHED_KEPT_FOR;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;

use crate::fixture::{Fixture, NOW, git};

/// Makes every object of the mirror look written an hour before nobody needs it any more.
fn age_objects(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age_objects(&path);
            continue;
        }
        let file = std::fs::File::open(&path).unwrap();
        let written_at = file.metadata().unwrap().modified().unwrap();
        let aged = written_at - UNREACHED_KEPT_FOR - Duration::from_hours(1);
        file.set_modified(aged).unwrap();
    }
}

async fn is_there(mirror: &Mirror, commits: &[&ObjectId]) -> Vec<bool> {
    let mut found = Vec::new();
    for commit in commits {
        found.push(mirror.has_commit(commit).await.unwrap());
    }
    found
}

#[tokio::test]
async fn objects_of_removed_refs_leave_and_those_in_use_stay() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let m = &f.mirror;
    let gone = f.commit_on(&f.base, &[("gone", "1\n")]).await;
    let held = f.commit_on(&f.base, &[("held", "1\n")]).await;
    let [gone_ref, held_ref] = ["gone", "held"].map(|name| RefName::from_branch(name).unwrap());
    for (name, commit) in [(&gone_ref, &gone), (&held_ref, &held)] {
        m.create_ref(name, commit, CrashPoint::RefMoved)
            .await
            .unwrap();
    }
    // A sandbox works at the one that goes.
    f.clone_with("work", &gone, &[]).await;
    age_objects(&m.dir().join("objects"));
    let young = f.commit_on(&f.base, &[("young", "1\n")]).await;
    m.delete_ref(&gone_ref, &gone, CrashPoint::RefMoved)
        .await
        .unwrap();

    let kept = m.keep_refs().await.unwrap();
    assert!(
        m.begin_ref_removal().unwrap().is_none(),
        "somebody relies on refs"
    );
    drop(kept);
    let removal = m.begin_ref_removal().unwrap().unwrap();
    m.note_removed_refs(&removal, NOW).unwrap();
    let noted = m.look_at_objects().await.unwrap();
    assert!(noted.is_clearing_due(NOW) && noted.n_loose > 0, "{noted:?}");
    m.clear_objects(&removal, NOW).await.unwrap();
    let all = [&f.base, &gone, &held, &young];
    assert_eq!(is_there(m, &all).await, [true, false, true, true]);
    let cleared = m.look_at_objects().await.unwrap();
    assert_eq!(
        (cleared.cleared_at, cleared.is_clearing_due(NOW)),
        (Some(NOW), false)
    );
    let base = RefName::parse("refs/omoios/base/one").unwrap();
    let written_at = m.ref_written_at(&base).unwrap();
    assert!(written_at.is_some(), "when it was written is still known");

    // What is packed by now goes as well.
    m.delete_ref(&held_ref, &held, CrashPoint::RefMoved)
        .await
        .unwrap();
    age_objects(&m.dir().join("objects"));
    m.clear_objects(&removal, NOW).await.unwrap();
    assert_eq!(is_there(m, &all[..3]).await, [true, false, false]);
    let work = f.path("work");
    git(&work, &["fsck", "--full", "--strict"]);
    assert_eq!(git(&work, &["rev-list", "--count", "HEAD"]).trim(), "2");
}
