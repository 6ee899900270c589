use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

use omoi_domain::planted_bug::PlantedBug;
use omoi_git::push::{PushError, PushedBranch, RenameReason, push_branch};
use omoi_testkit::invariant::InvariantProof;

use crate::fixture::{Fixture, chown, commit, fingerprint, git, is_root, write};

fn made(branch: &str, renamed: Option<RenameReason>) -> PushedBranch {
    PushedBranch {
        branch: branch.to_owned(),
        renamed,
        existed: false,
    }
}

#[tokio::test]
async fn the_branch_arrives_under_a_free_name() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let done = f.commit_on(&f.base, &[("a", "2\n"), ("b", "3\n")]).await;
    let push = async |wanted: &str| {
        push_branch(&f.mirror, &f.user, &done, wanted)
            .await
            .unwrap()
    };

    assert_eq!(push("omoi/tags").await, made("omoi/tags", None));
    let again = PushedBranch {
        existed: true,
        ..made("omoi/tags", None)
    };
    assert_eq!(push("omoi/tags").await, again);
    assert_eq!(git(&f.user, &["show", "omoi/tags:b"]), "3");

    // Taken by other content, twice.
    git(&f.user, &["branch", "busy", "main"]);
    git(&f.user, &["branch", "busy-2", "main"]);
    assert_eq!(
        push("busy").await,
        made("busy-3", Some(RenameReason::Taken))
    );
    assert!(push("busy").await.existed);
    // Checked out here, and in another work tree, and on a branch that has no commit yet.
    assert_eq!(
        push("main").await,
        made("main-2", Some(RenameReason::CheckedOut))
    );
    git(&f.user, &["worktree", "add", "-q", "-b", "side", "../side"]);
    assert_eq!(
        push("side").await,
        made("side-2", Some(RenameReason::CheckedOut))
    );
    git(&f.path("side"), &["checkout", "-q", "--orphan", "unborn"]);
    assert_eq!(
        push("unborn").await,
        made("unborn-2", Some(RenameReason::CheckedOut))
    );
    // A branch where a folder would have to be, and the other way round.
    git(&f.user, &["branch", "team", "main"]);
    assert_eq!(
        push("team/tags").await,
        made("team-tags", Some(RenameReason::Nested))
    );
    git(&f.user, &["branch", "deep/er", "main"]);
    assert_eq!(
        push("deep").await,
        made("deep-2", Some(RenameReason::Nested))
    );

    let bad = push_branch(&f.mirror, &f.user, &done, "-x").await;
    assert!(matches!(bad, Err(PushError::Name(_))));
}

/// A dirty checkout, its index and its hooks are as they were; only objects and one ref are new.
#[tokio::test]
async fn g5_nothing_else_is_touched_and_nothing_of_a_repository_runs() {
    let proof = InvariantProof {
        id: "G5",
        counted: "programs run that a repository names",
        n_cases: PLANTED_HOOKS.len() + 2,
        bug: PlantedBug::GitSettings,
    };
    proof.check(count_planted_programs).await;
}

const PLANTED_HOOKS: [&str; 6] = [
    "reference-transaction",
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "post-index-change",
];

/// Whether a push runs any of the programs that a repository names; it changes nothing else.
async fn count_planted_programs() -> usize {
    let f = Fixture::new(&[("a", "1\n"), (".gitattributes", "* filter=evil\n")]).await;
    let canary = f.path("canary");
    let run = format!("touch {}", canary.display());
    for hook in PLANTED_HOOKS {
        let path = f.user.join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{run}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    git(&f.user, &["config", "core.fsmonitor", &run]);
    git(&f.user, &["config", "filter.evil.clean", &run]);
    write(&f.user, &[("a", "being edited\n"), ("untracked", "x")]);
    let _ = std::fs::remove_file(&canary);
    let ours = |line: &String| {
        !line.contains("/.git/objects/")
            && !line.contains("/.git/refs/heads/omoi")
            && !line.contains("/.git/logs/refs/heads/omoi")
    };
    let before: Vec<_> = fingerprint(&f.user).into_iter().filter(ours).collect();

    let done = f.commit_on(&f.base, &[("a", "2\n")]).await;
    push_branch(&f.mirror, &f.user, &done, "omoi/tags")
        .await
        .unwrap();
    let after: Vec<_> = fingerprint(&f.user).into_iter().filter(ours).collect();
    assert_eq!(before, after);
    assert_eq!(git(&f.user, &["rev-parse", "omoi/tags"]), done.as_str());
    usize::from(canary.exists())
}

/// The user's history moved on meanwhile, and part of the pack is known there already.
#[tokio::test]
async fn a_repository_that_moved_on_takes_the_branch() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let first = f.commit_on(&f.base, &[("b", "2\n")]).await;
    push_branch(&f.mirror, &f.user, &first, "one")
        .await
        .unwrap();
    write(&f.user, &[("c", "3\n")]);
    commit(&f.user, "Elsewhere");
    let second = f.commit_on(&first, &[("b", "4\n")]).await;
    push_branch(&f.mirror, &f.user, &second, "two")
        .await
        .unwrap();
    assert_eq!(
        git(&f.user, &["log", "--format=%H", "-2", "two"]),
        format!("{second}\n{first}")
    );
    git(&f.user, &["fsck", "--strict"]);
}

/// When root hands over to somebody's repository, everything in it stays theirs.
#[tokio::test]
async fn what_root_pushes_belongs_to_the_owner() {
    if !is_root() {
        return;
    }
    let f = Fixture::new(&[("a", "1\n")]).await;
    let done = f.commit_on(&f.base, &[("a", "2\n")]).await;
    chown(&f.user, 4321);
    push_branch(&f.mirror, &f.user, &done, "omoi/tags")
        .await
        .unwrap();
    let mut look = vec![f.user.clone()];
    while let Some(dir) = look.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let meta = std::fs::symlink_metadata(entry.path()).unwrap();
            assert_eq!(meta.uid(), 4321, "{}", entry.path().display());
            if meta.is_dir() {
                look.push(entry.path());
            }
        }
    }
}
