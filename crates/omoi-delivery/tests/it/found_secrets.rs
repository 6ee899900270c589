//! What a branch would publish is searched for secrets: every commit, every file, every message.

use omoi_domain::block::SpecBlock;
use omoi_domain::id::OrgId;
use omoi_domain::spec::SpecStatus;
use omoi_git::mirror::{CommitMeta, FileChange, Identity};
use omoi_git::object::{ObjectId, RepoPath};
use omoi_runtime::clock::Clock as _;
use omoi_testkit::deployment::{KNOWN_SECRET, TestDeployment, models_with_key};

use crate::landed_work::{criterion, landed_by, pass, spec_now};
use crate::{with_parts, with_sandbox};

const SHAPE: &str = "AKIAIOSFODNN7EXAMPLE";

/// Commits `files` (none removes one) on `parent`.
async fn commit(
    it: &TestDeployment,
    parent: &ObjectId,
    message: &str,
    files: &[(&str, Option<&[u8]>)],
) -> ObjectId {
    let files: Vec<FileChange> = files
        .iter()
        .map(|(path, content)| FileChange {
            path: RepoPath::new(path).unwrap(),
            content: content.map(<[u8]>::to_vec),
        })
        .collect();
    let meta = CommitMeta {
        message: message.to_owned(),
        trailers: Vec::new(),
        author: Identity::platform(),
        time: it.clock.now(),
    };
    let mirror = it.project_mirror().await;
    mirror.commit_files(parent, &files, &meta).await.unwrap()
}

/// The reason for which a branch that ends in `head` is not handed over.
async fn refusal(it: &TestDeployment, head: &ObjectId) -> String {
    let (task, _) = criterion(it, 1, "test -e done-1").await;
    let done = commit(it, head, "Done", &[("done-1", Some(b"done\n"))]).await;
    landed_by(it, &task, &done, &done).await;
    pass(it).await;
    let spec = spec_now(it).await;
    assert_eq!(spec.status, SpecStatus::Blocked, "{:?}", spec.last_error);
    assert_eq!(spec.blocked_by, Some(SpecBlock::SecretDetected));
    let why = spec.last_error.unwrap();
    assert!(!why.contains(KNOWN_SECRET) && !why.contains(SHAPE), "{why}");
    why
}

#[tokio::test]
async fn a_branch_that_adds_secrets_waits_for_a_person() {
    let known = format!("a\nKEY={KNOWN_SECRET}\n");
    for (text, place, next) in [
        (
            known.as_str(),
            "`config/keys.env:2`",
            "omoi spec resume SPEC-",
        ),
        (SHAPE, "`config/keys.env:1`", "omoi spec deliver SPEC-"),
    ] {
        let (it, _state) = with_sandbox().await;
        let file = ("config/keys.env", Some(text.as_bytes()));
        let keys = commit(&it, &it.base, "Keys", &[file]).await;
        let why = refusal(&it, &keys).await;
        assert!(why.contains(place) && why.contains(next), "{why}");
    }
}

#[tokio::test]
async fn a_key_that_the_organisation_brought_does_not_leave() {
    // It looks like nothing that is known by its shape.
    let key = "acme-models-7f3e91";
    let (it, _state) = with_parts(|parts| {
        parts.llm = Some(models_with_key(OrgId::LOCAL, key));
    })
    .await;
    let text = format!("a\nMODEL={key}\n");
    let file = ("config/keys.env", Some(text.as_bytes()));
    let keys = commit(&it, &it.base, "Keys", &[file]).await;
    let why = refusal(&it, &keys).await;
    assert!(why.contains("`config/keys.env:2`"), "{why}");
    assert!(!why.contains(key), "{why}");
}

#[tokio::test]
async fn a_secret_that_a_later_commit_takes_away_does_not_leave() {
    let (it, _state) = with_sandbox().await;
    let text = format!("KEY={KNOWN_SECRET}\n");
    let added = commit(&it, &it.base, "Add", &[(".env", Some(text.as_bytes()))]).await;
    let removed = commit(&it, &added, "Remove", &[(".env", None)]).await;
    let why = refusal(&it, &removed).await;
    let place = format!("`.env:1` of commit {}", &added.as_str()[..12]);
    assert!(why.contains(&place), "{why}");
}

#[tokio::test]
async fn binary_files_names_and_messages_are_searched() {
    let (it, _state) = with_sandbox().await;
    let binary = format!("\0\n{KNOWN_SECRET}\0\n");
    let name = format!("keys/{KNOWN_SECRET}");
    let files: [(&str, Option<&[u8]>); 2] =
        [("store.bin", Some(binary.as_bytes())), (&name, Some(b""))];
    let message = format!("feat: Log in\n\nIt works with {KNOWN_SECRET}.");
    let head = commit(&it, &it.base, &message, &files).await;
    let why = refusal(&it, &head).await;
    for place in [
        "`store.bin:2`",
        "the file name `keys/****`",
        "the text of commit",
    ] {
        assert!(why.contains(place), "{place}: {why}");
    }
}

#[tokio::test]
async fn what_only_a_merge_adds_is_searched() {
    let (it, _state) = with_sandbox().await;
    let one = commit(&it, &it.base, "One", &[("one", Some(b"1\n"))]).await;
    let two = commit(&it, &it.base, "Two", &[("two", Some(b"2\n"))]).await;
    let text = format!("KEY={KNOWN_SECRET}\n");
    let both = [("two", Some(&b"2\n"[..])), (".env", Some(text.as_bytes()))];
    let merged = commit(&it, &one, "Tree", &both).await;
    let merge = it.merge_commit(&[&one, &two], &merged).await;
    let why = refusal(&it, &merge).await;
    let place = format!("`.env:1` of commit {}", &merge.as_str()[..12]);
    assert!(why.contains(&place), "{why}");
}
