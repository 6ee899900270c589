mod limits;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use omoi_domain::crash::CrashPoint::RefMoved;
use omoi_git::clone::{CloneSite, clean_checkout};
use omoi_git::import::{
    ImportError, ImportHold, ImportLimits, ImportRefusal, ImportRequest, ImportedBundle,
    forget_import, import_bundle,
};
use omoi_git::object::ObjectId;
use omoi_git::push::push_branch;
use omoi_git::refname::RefName;
use omoi_git::work::SavedState;

use crate::fixture::{self, Fixture, NOW, commit, git, git_stdin, id, init, meta, write};

async fn import(
    f: &Fixture,
    bundle: &[u8],
    limits: &ImportLimits,
) -> Result<ImportedBundle, ImportError> {
    let request = ImportRequest {
        hold: ImportHold::Import("a1"),
        bundle,
        base: &f.base,
        limits,
    };
    import_bundle(&f.mirror, request).await
}

/// A bundle of `refs` of the repository at `dir`, made by plain git.
fn bundle(dir: &Path, refs: &[&str], base: &ObjectId) -> Vec<u8> {
    let file = dir.join(".git/out.bundle");
    let mut args = vec![
        "bundle",
        "create",
        "-q",
        "--version=2",
        file.to_str().unwrap(),
    ];
    args.extend(refs);
    let not = format!("^{base}");
    args.push(&not);
    git(dir, &args);
    std::fs::read(file).unwrap()
}

/// Writes an object whatever is in it.
fn object(dir: &Path, kind: &str, content: &[u8]) -> String {
    let args = ["hash-object", "-w", "--literally", "-t", kind, "--stdin"];
    let (ok, out, err) = git_stdin(dir, &args, content);
    assert!(ok, "{err}");
    out
}

fn tree_entry(mode: &str, name: &[u8], object: &str) -> Vec<u8> {
    let mut entry = format!("{mode} ").into_bytes();
    entry.extend_from_slice(name);
    entry.push(0);
    for n in (0..40).step_by(2) {
        entry.push(u8::from_str_radix(&object[n..n + 2], 16).unwrap());
    }
    entry
}

/// A bundle with one commit on the base whose root holds these raw entries.
fn planted(f: &Fixture, dir: &Path, entries: &[Vec<u8>]) -> Vec<u8> {
    let tree = object(dir, "tree", &entries.concat());
    let text = format!(
        "tree {tree}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nPlanted\n",
        f.base
    );
    let commit = object(dir, "commit", text.as_bytes());
    git(dir, &["update-ref", "refs/heads/evil", &commit]);
    bundle(dir, &["refs/heads/evil"], &f.base)
}

fn objects_of(f: &Fixture) -> String {
    git(f.mirror.dir(), &["count-objects", "-v"])
}

#[tokio::test]
async fn good_work_is_held_until_it_is_forgotten() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    write(&dir, &[("a", "2\n")]);
    let one = commit(&dir, "One");
    git(&dir, &["branch", "other"]);
    let file = bundle(
        &dir,
        &["refs/heads/task/agent", "refs/heads/other"],
        &f.base,
    );
    let limits = ImportLimits::default();
    let imported = import(&f, &file, &limits).await.unwrap();
    assert_eq!(
        import(&f, &file, &limits).await.unwrap(),
        imported,
        "twice is once"
    );
    let tips: Vec<_> = imported
        .tips
        .iter()
        .map(|t| (t.sent_as.as_str(), t.commit.as_str()))
        .collect();
    assert_eq!(
        tips,
        [
            ("refs/heads/task/agent", one.as_str()),
            ("refs/heads/other", one.as_str())
        ]
    );
    let held = &imported.tips[0].held_by;
    assert_eq!(held.as_str(), "refs/omoios/import/a1/0");
    assert_eq!(f.mirror.read_ref(held).await.unwrap(), Some(id(&one)));
    assert!(f.mirror.is_ancestor(&f.base, &id(&one)).await.unwrap());
    forget_import(&f.mirror, "a1").await.unwrap();
    forget_import(&f.mirror, "a1").await.unwrap();
    assert_eq!(f.mirror.read_ref(held).await.unwrap(), None);
    assert!(matches!(
        import_bundle(
            &f.mirror,
            ImportRequest {
                hold: ImportHold::Import("../x"),
                bundle: &file,
                base: &f.base,
                limits: &limits
            }
        )
        .await,
        Err(ImportError::BadId { .. })
    ));
}

/// A ref of the caller's holds the one commit that it asked for, and no ref of the import does.
#[tokio::test]
async fn a_ref_of_the_caller_holds_one_commit() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    let limits = ImportLimits::default();
    let wip = RefName::parse("refs/omoios/wip/t").unwrap();
    for text in ["2\n", "3\n"] {
        write(&dir, &[("a", text)]);
        let head = id(&commit(&dir, "Work"));
        let file = bundle(&dir, &["refs/heads/task/agent"], &f.base);
        let import = |commit| ImportRequest {
            hold: ImportHold::Ref { name: &wip, commit },
            bundle: &file,
            base: &f.base,
            limits: &limits,
        };
        let other = import_bundle(&f.mirror, import(&f.base)).await;
        assert!(matches!(
            other,
            Err(ImportError::Refused(ImportRefusal::NotBrought(commit))) if commit == f.base
        ));
        let imported = import_bundle(&f.mirror, import(&head)).await.unwrap();
        assert_eq!(imported.tips[0].held_by, wip);
        assert_eq!(f.mirror.read_ref(&wip).await.unwrap(), Some(head));
    }
    let own = RefName::parse("refs/omoios/import").unwrap();
    assert_eq!(f.mirror.list_refs(&own).await.unwrap(), []);
}

/// More objects than are stored one by one: the pack itself moves over.
#[tokio::test]
async fn large_imports_keep_their_pack() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    for n in 0..300 {
        write(&dir, &[(&format!("d{}/f{n}", n % 7), &n.to_string())]);
    }
    let head = id(&commit(&dir, "Many"));
    let file = bundle(&dir, &["refs/heads/task/agent"], &f.base);
    import(&f, &file, &ImportLimits::default()).await.unwrap();
    assert_eq!(f.mirror.list_tree(&head).await.unwrap().len(), 301);
    assert!(objects_of(&f).contains("packs: 2") || objects_of(&f).contains("packs: 1"));
    git(f.mirror.dir(), &["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn hostile_trees_are_refused_and_leave_nothing() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    let blob = object(&dir, "blob", b"x");
    let inner = object(&dir, "tree", &tree_entry("100644", b"config", &blob));
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        (".git", vec![tree_entry("40000", b".git", &inner)]),
        (".GIT", vec![tree_entry("40000", b".GIT", &inner)]),
        ("git~1", vec![tree_entry("40000", b"git~1", &inner)]),
        (
            ".git with a joiner",
            vec![tree_entry("40000", b".g\xe2\x80\x8cit", &inner)],
        ),
        ("..", vec![tree_entry("40000", b"..", &inner)]),
        (".", vec![tree_entry("40000", b".", &inner)]),
        (
            "a path",
            vec![tree_entry("100644", b"../../etc/passwd", &blob)],
        ),
        (
            "a linked .gitmodules",
            vec![tree_entry("120000", b".gitmodules", &blob)],
        ),
        (
            "a control character",
            vec![tree_entry("100644", b"a\x1b[2Jb", &blob)],
        ),
        ("a line break", vec![tree_entry("100644", b"a\nb", &blob)]),
        (
            "the same name twice",
            vec![
                tree_entry("100644", b"a", &blob),
                tree_entry("100644", b"a", &blob),
            ],
        ),
    ];
    let before = objects_of(&f);
    for (what, entries) in cases {
        let file = planted(&f, &dir, &entries);
        let refused = import(&f, &file, &ImportLimits::default()).await;
        assert!(
            matches!(refused, Err(ImportError::Refused(_))),
            "{what}: {refused:?}"
        );
        assert_eq!(objects_of(&f), before, "{what}");
    }
    assert_eq!(
        git(f.mirror.dir(), &["for-each-ref", "refs/omoios/import"]),
        ""
    );
}

#[tokio::test]
async fn broken_and_dishonest_bundles_are_refused() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    write(&dir, &[("b", "2\n"), ("c/d", "3\n")]);
    let tip = commit(&dir, "One");
    let whole = bundle(&dir, &["refs/heads/task/agent"], &f.base);
    let limits = ImportLimits::default();
    let refused = async |bytes: &[u8]| match import(&f, bytes, &limits).await {
        Err(ImportError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let before = objects_of(&f);

    let cut = &whole[..whole.len() - 30];
    assert!(matches!(refused(cut).await, ImportRefusal::Fsck(_)));
    let mut flipped = whole.clone();
    let middle = whole.len() - 60;
    flipped[middle] ^= 0xff;
    assert!(matches!(refused(&flipped).await, ImportRefusal::Fsck(_)));
    // A tip the pack does not have, and a tip that is no commit.
    let swap = |with: &str| {
        let at = whole.windows(40).position(|w| w == tip.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + 40].copy_from_slice(with.as_bytes());
        bytes
    };
    assert!(matches!(
        refused(&swap(&"1".repeat(40))).await,
        ImportRefusal::NotACommit(_)
    ));
    let tree = git(&dir, &["rev-parse", "HEAD^{tree}"]);
    assert!(matches!(
        refused(&swap(&tree)).await,
        ImportRefusal::NotACommit(_)
    ));
    // A pack that leaves out an object its commit needs.
    let missing = object(&dir, "blob", b"never sent");
    let entries = [tree_entry("100644", b"lost", &missing)];
    planted(&f, &dir, &entries);
    let commit = git(&dir, &["rev-parse", "refs/heads/evil"]);
    let list = format!(
        "{commit}\n{}\n",
        git(&dir, &["rev-parse", "refs/heads/evil^{tree}"])
    );
    let pack = std::process::Command::new("sh")
        .args([
            "-c",
            "printf '%s' \"$1\" | git -C \"$0\" pack-objects -q --stdout",
        ])
        .arg(&dir)
        .arg(&list)
        .output()
        .unwrap()
        .stdout;
    let mut partial = format!("# v2 git bundle\n{commit} refs/heads/evil\n\n").into_bytes();
    partial.extend_from_slice(&pack);
    assert!(matches!(refused(&partial).await, ImportRefusal::Fsck(_)));
    // It builds on work this mirror never had.
    let stranger = f.path("stranger");
    init(&stranger);
    write(&stranger, &[("q", "q")]);
    let unknown = id(&crate::fixture::commit(&stranger, "Base"));
    crate::fixture::commit(&stranger, "Next");
    let foreign = bundle(&stranger, &["refs/heads/main"], &unknown);
    assert_eq!(
        refused(&foreign).await,
        ImportRefusal::MissingPrerequisite(unknown)
    );
    assert_eq!(objects_of(&f), before);
}

/// Odd names the user's own history has do not stop the work around them.
#[tokio::test]
async fn names_of_the_base_are_the_users_business() {
    let f = Fixture::new(&[("odd\u{1}name", "1\n"), ("a", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    write(&dir, &[("a", "2\n")]);
    commit(&dir, "One");
    let file = bundle(&dir, &["refs/heads/task/agent"], &f.base);
    import(&f, &file, &ImportLimits::default()).await.unwrap();
    write(&dir, &[("other\u{1}name", "2\n")]);
    commit(&dir, "Two");
    let file = bundle(&dir, &["refs/heads/task/agent"], &f.base);
    let refused = import(&f, &file, &ImportLimits::default()).await;
    assert!(matches!(
        refused,
        Err(ImportError::Refused(ImportRefusal::BadName { .. }))
    ));
}

/// Programs planted in an agent's repository never run on our side, whatever we do with its work.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn nothing_an_agent_plants_is_started() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let work = f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    let canary = f.path("canary");
    let run = format!("touch {}", canary.display());
    write(
        &dir,
        &[
            ("a", "2\n"),
            (".gitattributes", "* filter=evil diff=evil merge=evil\n"),
            (
                ".gitmodules",
                "[submodule \"x\"]\n\tpath = x\n\turl = ext::touch /tmp/x\n",
            ),
        ],
    );
    let snapshot = work
        .take_snapshot(&f.base, &SavedState::Nothing, NOW)
        .await
        .unwrap()
        .unwrap();
    let done = work.commit_all(&meta("Work")).await.unwrap();
    let file = work
        .make_bundle(&done.head, std::slice::from_ref(&f.base))
        .await
        .unwrap()
        .unwrap();
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.evil.command",
        "diff.external",
        "merge.evil.driver",
        "uploadpack.packObjectsHook",
        "credential.helper",
    ] {
        git(&dir, &["config", key, &run]);
    }
    for hook in [
        "pre-commit",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "post-merge",
    ] {
        let path = dir.join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{run}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let _ = std::fs::remove_file(&canary);

    let limits = ImportLimits::default();
    import(&f, &snapshot.bundle, &limits)
        .await
        .unwrap_or_else(|e| panic!("{e:?}"));
    import(&f, &file, &limits).await.unwrap();
    let m = &f.mirror;
    let branch = RefName::from_branch("task/one").unwrap();
    m.create_ref(&branch, &done.head, RefMoved).await.unwrap();
    let ours = f.commit_on(&f.base, &[("a", "3\n")]).await;
    m.merge_tree(&ours, &done.head).await.unwrap();
    m.new_patches(&ours, &done.head, 10_000).await.unwrap();
    m.changed_files(&ours, &done.head).await.unwrap();
    let base = m.base_store(&f.base).await.unwrap();
    clean_checkout(CloneSite::new(&base, &f.path("check")), &done.head)
        .await
        .unwrap();
    let resolver = f.clone_with("resolver", &ours, &[&done.head]).await;
    resolver.begin_merge(&done.head).await.unwrap();
    push_branch(m, &f.user, &done.head, "omoi/x").await.unwrap();
    assert!(!canary.exists());
}
