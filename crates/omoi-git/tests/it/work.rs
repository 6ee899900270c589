use std::os::unix::fs::{PermissionsExt, symlink};

use omoi_git::import::{ImportHold, ImportLimits, ImportRequest, import_bundle};
use omoi_git::mirror::{CommitMeta, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::trailers::{self, Trailer};
use omoi_git::work::{SavedState, WorkError};

use crate::fixture::{Fixture, NOW, git, meta, write};

/// Takes a bundle into the mirror the way the platform does.
async fn take(mirror: &Mirror, base: &ObjectId, bundle: &[u8]) -> ObjectId {
    let limits = ImportLimits::default();
    let request = ImportRequest {
        hold: ImportHold::Import("t"),
        bundle,
        base,
        limits: &limits,
    };
    let imported = import_bundle(mirror, request).await.unwrap();
    imported.tips[0].commit.clone()
}

#[tokio::test]
#[allow(
    clippy::too_many_lines,
    reason = "one workspace from its begin to the next clone"
)]
async fn unfinished_work_moves_to_a_fresh_clone() {
    let f = Fixture::new(&[("a", "1\n"), ("b", "1\n"), (".gitignore", "*.log\n")]).await;
    let work = f.clone_at("one", &f.base).await;
    let dir = f.path("one");
    assert!(
        work.take_snapshot(&f.base, &SavedState::Nothing, NOW)
            .await
            .unwrap()
            .is_none()
    );

    write(&dir, &[("a", "committed\n")]);
    git(&dir, &["commit", "-qam", "by hand"]);
    let own = git(&dir, &["rev-parse", "HEAD"]);
    write(
        &dir,
        &[
            ("a", "changed\n"),
            ("new/ü file", "new\n"),
            ("x.log", "ignored"),
        ],
    );
    std::fs::remove_file(dir.join("b")).unwrap();
    std::fs::set_permissions(dir.join("new/ü file"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("a", dir.join("link")).unwrap();
    git(&dir, &["add", "a"]);
    let before = git(&dir, &["status", "--porcelain"]);

    let snapshot = work
        .take_snapshot(&f.base, &SavedState::Nothing, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(snapshot.left_out, "");
    assert_eq!(
        git(&dir, &["status", "--porcelain"]),
        before,
        "branch and index stay as they were"
    );
    assert_eq!(git(&dir, &["rev-parse", "HEAD"]), own);
    let again = work
        .take_snapshot(&f.base, &SavedState::Nothing, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        again.commit, snapshot.commit,
        "equal work gives an equal snapshot"
    );
    let saved = SavedState::State(again.state);
    let none = work.take_snapshot(&f.base, &saved, NOW).await.unwrap();
    assert!(none.is_none(), "saved already");

    assert_eq!(
        take(&f.mirror, &f.base, &snapshot.bundle).await,
        snapshot.commit
    );
    let fresh = f.clone_with("two", &f.base, &[&snapshot.commit]).await;
    fresh.restore_snapshot(&snapshot.commit).await.unwrap();
    let dir = f.path("two");
    assert_eq!(git(&dir, &["rev-parse", "refs/heads/task/two"]), own);
    assert_eq!(git(&dir, &["symbolic-ref", "HEAD"]), "refs/heads/task/two");
    assert_eq!(std::fs::read_to_string(dir.join("a")).unwrap(), "changed\n");
    assert!(!dir.join("b").exists() && !dir.join("x.log").exists());
    assert_eq!(
        std::fs::read_link(dir.join("link")).unwrap().to_str(),
        Some("a")
    );
    let mode = std::fs::metadata(dir.join("new/ü file"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0o111);
    let resumed = fresh
        .take_snapshot(&f.base, &SavedState::Nothing, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(resumed.state, snapshot.state);
}

#[tokio::test]
async fn commits_carry_trailers_and_bundles_carry_commits() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let work = f.clone_at("one", &f.base).await;
    let idle = work.commit_all(&meta("Nothing")).await.unwrap();
    assert!(!idle.made && idle.head == f.base);
    assert!(
        work.make_bundle(&f.base, std::slice::from_ref(&f.base))
            .await
            .unwrap()
            .is_none()
    );

    write(&f.path("one"), &[("a", "2\n"), ("c", "3\n")]);
    // The agent's last command was killed in the middle.
    std::fs::write(f.path("one/.git/index.lock"), "").unwrap();
    let meta = CommitMeta {
        trailers: vec![
            Trailer::new(trailers::TASK, "TSK-1"),
            Trailer::new(trailers::SPEC, "SPEC-1"),
        ],
        ..meta("Add c\n\nBecause.")
    };
    let done = work.commit_all(&meta).await.unwrap();
    assert!(done.made);
    let bundle = work
        .make_bundle(&done.head, std::slice::from_ref(&f.base))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(take(&f.mirror, &f.base, &bundle).await, done.head);

    let log = f
        .mirror
        .list_commits(&done.head, Some(&f.base), 10)
        .await
        .unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].subject.as_str(), log[0].body.as_str()),
        ("Add c", "Because.")
    );
    assert_eq!(log[0].trailers, meta.trailers);
    assert_eq!((log[0].time, &log[0].author), (NOW, &meta.author));
    assert_eq!(log[0].parents, std::slice::from_ref(&f.base));
}

#[tokio::test]
async fn a_begun_merge_survives_snapshots_and_ends_with_two_parents() {
    let f = Fixture::new(&[("a", "1\n"), ("b", "1\n")]).await;
    let ours = f.commit_on(&f.base, &[("a", "ours\n")]).await;
    let theirs = f
        .commit_on(&f.base, &[("a", "theirs\n"), ("b", "theirs\n")])
        .await;
    let work = f.clone_with("one", &ours, &[&theirs]).await;
    let merged = work.begin_merge(&f.base).await;
    assert!(matches!(merged, Err(WorkError::NothingToMerge { .. })));

    let conflicts = work.begin_merge(&theirs).await.unwrap();
    assert_eq!(
        conflicts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["a"]
    );
    let text = std::fs::read_to_string(f.path("one/a")).unwrap();
    for part in [
        "<<<<<<< ",
        "ours\n",
        "||||||| ",
        "1\n",
        "=======\n",
        "theirs\n",
        ">>>>>>> ",
    ] {
        assert!(text.contains(part), "{text}");
    }

    let snapshot = work
        .take_snapshot(&ours, &SavedState::Nothing, NOW)
        .await
        .unwrap()
        .unwrap();
    take(&f.mirror, &ours, &snapshot.bundle).await;
    let fresh = f.clone_with("two", &ours, &[&snapshot.commit]).await;
    fresh.restore_snapshot(&snapshot.commit).await.unwrap();
    assert_eq!(std::fs::read_to_string(f.path("two/a")).unwrap(), text);
    write(&f.path("two"), &[("a", "both\n")]);
    let done = fresh.commit_all(&meta("Resolve")).await.unwrap();
    let bundle = fresh
        .make_bundle(&done.head, &[ours.clone(), theirs.clone()])
        .await
        .unwrap()
        .unwrap();
    take(&f.mirror, &ours, &bundle).await;
    let log = f.mirror.list_commits(&done.head, None, 1).await.unwrap();
    assert_eq!(log[0].parents, [ours, theirs]);
    assert_eq!(git(&f.path("two"), &["show", "HEAD:b"]), "theirs");
}

/// What git cannot take along is said, and takes nothing else with it.
#[tokio::test]
async fn repositories_inside_the_work_tree_are_named() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let work = f.clone_at("one", &f.base).await;
    let dir = f.path("one");
    crate::fixture::init(&dir.join("unborn"));
    write(&dir, &[("b", "2\n"), ("unborn/x", "x")]);
    let snapshot = work
        .take_snapshot(&f.base, &SavedState::Nothing, NOW)
        .await
        .unwrap()
        .unwrap();
    assert!(
        snapshot.left_out.contains("unborn"),
        "{}",
        snapshot.left_out
    );
    crate::fixture::init(&dir.join("inner"));
    crate::fixture::commit(&dir.join("inner"), "Inner");
    let done = work.commit_all(&meta("All")).await.unwrap();
    assert!(done.left_out.contains("unborn"), "{}", done.left_out);
    assert_eq!(git(&dir, &["show", "HEAD:b"]), "2");
    std::fs::remove_dir_all(dir.join("unborn")).unwrap();
    git(&dir, &["rm", "-q", "--cached", "inner"]);
    let snapshot = work
        .take_snapshot(&f.base, &SavedState::Nothing, NOW)
        .await
        .unwrap()
        .unwrap();
    assert!(snapshot.left_out.contains("inner"), "{}", snapshot.left_out);
}
