use std::io::Read as _;

use omoi_git::import::{
    ImportError, ImportHold, ImportLimits, ImportRefusal, ImportRequest, import_bundle,
};
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_git::repo::{RepoInfo, inspect_repository};

use crate::fixture::{self, commit, git, git_stdin, id, init, write};

const BYTES_MAX: usize = 1 << 20;

/// A person's repository and the mirror of a server that does not see it.
struct Apart {
    tmp: tempfile::TempDir,
    git: omoi_git::process::Git,
    mirror: Mirror,
}

impl Apart {
    async fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        init(&tmp.path().join("user"));
        let git = fixture::locate().await;
        let folder = tmp.path().join("mirror.git");
        let mirror = Mirror::open_or_create(&git, &folder).await.unwrap();
        Self { tmp, git, mirror }
    }

    fn user(&self) -> std::path::PathBuf {
        self.tmp.path().join("user")
    }

    fn commit(&self, text: &str) -> ObjectId {
        write(&self.user(), &[("a", text)]);
        id(&commit(&self.user(), text))
    }

    async fn info(&self) -> RepoInfo {
        inspect_repository(&self.git, &self.user()).await.unwrap()
    }

    async fn send(&self, commit: &ObjectId, bundle: &[u8]) -> Result<(), ImportError> {
        let name = RefName::parse(&format!("refs/omoios/base/{commit}")).unwrap();
        let request = ImportRequest {
            hold: ImportHold::Ref {
                name: &name,
                commit,
            },
            bundle,
            base: &ObjectId::empty_tree(),
            limits: &ImportLimits::of_history(),
        };
        import_bundle(&self.mirror, request).await.map(|_| ())
    }

    fn objects(&self) -> String {
        git(self.mirror.dir(), &["count-objects", "-v"])
    }

    fn refs(&self) -> String {
        git(self.mirror.dir(), &["for-each-ref"])
    }
}

#[tokio::test]
async fn only_what_the_other_side_lacks_is_sent_either_way() {
    let f = Apart::new().await;
    let first = f.commit("1");
    let second = f.commit("2");
    assert!(f.mirror.is_empty().await.unwrap());
    let info = f.info().await;
    assert_eq!(
        info.newest_commits(&f.git, 9).await.unwrap(),
        [second.clone(), first.clone()]
    );
    let all = info.bundle_head(&f.git, &[], BYTES_MAX).await.unwrap();
    assert_eq!(all.n_commits, 2);
    f.send(&second, &all.bytes.unwrap()).await.unwrap();
    assert!(!f.mirror.is_empty().await.unwrap());
    let unknown = id(&"12".repeat(20));
    let asked = [unknown, second.clone(), first.clone()];
    let have = f.mirror.known_commits(&asked).await.unwrap();
    assert_eq!(have, [second.clone(), first.clone()]);
    // A second run has nothing to send; one with a commit more sends that one.
    let again = info.bundle_head(&f.git, &have, BYTES_MAX).await.unwrap();
    assert_eq!((again.n_commits, again.bytes), (0, None));
    let third = f.commit("3");
    let info = f.info().await;
    let more = info.bundle_head(&f.git, &have, BYTES_MAX).await.unwrap();
    assert_eq!(more.n_commits, 1);
    let refused = info.bundle_head(&f.git, &have, 100).await;
    assert!(refused.is_err(), "more than is taken");
    f.send(&third, &more.bytes.unwrap()).await.unwrap();
    assert!(f.mirror.is_ancestor(&first, &third).await.unwrap());

    // And back: what was made there arrives in a repository that has its base.
    let made = fixture::meta("Made");
    let change = omoi_git::mirror::FileChange {
        path: omoi_git::object::RepoPath::new("b").unwrap(),
        content: Some(b"made".to_vec()),
    };
    let made = f.mirror.commit_files(&third, &[change], &made).await;
    let made = made.unwrap();
    assert!(!info.has_commit(&f.git, &made).await.unwrap());
    let pack = async |have: &[ObjectId]| {
        let mut bundle = Vec::new();
        let mut file = f.mirror.bundle_commit(&made, have).await.unwrap();
        file.read_to_end(&mut bundle).unwrap();
        bundle
    };
    let whole = pack(&[]).await;
    // The commit itself, and one that is not there, change nothing.
    assert_eq!(pack(&[made.clone(), id(&"ab".repeat(20))]).await, whole);
    let thin = pack(std::slice::from_ref(&third)).await;
    assert!(thin.len() < whole.len(), "{} {}", thin.len(), whole.len());
    let file = f.tmp.path().join("made.bundle");
    std::fs::write(&file, &thin).unwrap();
    let tip = "refs/omoios/out/tip:refs/heads/made";
    git(&f.user(), &["fetch", "-q", file.to_str().unwrap(), tip]);
    assert!(f.info().await.has_commit(&f.git, &made).await.unwrap());
}

/// Writes an object whatever is in it.
fn object(f: &Apart, kind: &str, content: &[u8]) -> String {
    let args = ["hash-object", "-w", "--literally", "-t", kind, "--stdin"];
    let (ok, out, err) = git_stdin(&f.user(), &args, content);
    assert!(ok, "{err}");
    out
}

/// A bundle of a commit on `parent` with one entry called `name` of `mode`, and the commit.
fn planted(f: &Apart, parent: &ObjectId, (mode, name): (&str, &[u8])) -> (ObjectId, Vec<u8>) {
    let blob = object(f, "blob", b"[core]\n\tfsmonitor = touch /tmp/planted\n");
    let mut tree = [mode.as_bytes(), b" ", name, b"\0"].concat();
    tree.extend(
        (0..40)
            .step_by(2)
            .map(|n| u8::from_str_radix(&blob[n..n + 2], 16).unwrap()),
    );
    let tree = object(f, "tree", &tree);
    let text = format!(
        "tree {tree}\nparent {parent}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nPlanted\n"
    );
    let commit = object(f, "commit", text.as_bytes());
    git(&f.user(), &["update-ref", "refs/heads/evil", &commit]);
    let file = f.tmp.path().join("evil.bundle");
    let not = format!("^{parent}");
    let path = file.to_str().unwrap();
    let args = [
        "bundle",
        "create",
        "-q",
        "--version=2",
        path,
        "refs/heads/evil",
        &not,
    ];
    git(&f.user(), &args);
    (id(&commit), std::fs::read(file).unwrap())
}

#[tokio::test]
async fn a_hostile_upload_leaves_nothing() {
    let f = Apart::new().await;
    let head = f.commit("1");
    let info = f.info().await;
    let sent = info.bundle_head(&f.git, &[], BYTES_MAX).await.unwrap();
    let sent = sent.bytes.unwrap();
    // Cut anywhere, it is refused, and a mirror of before has nothing of it.
    for kept in [0, 10, 40, sent.len() / 2, sent.len() - 1] {
        let refused = f.send(&head, &sent[..kept]).await;
        assert!(matches!(refused, Err(ImportError::Refused(_))), "{kept}");
    }
    assert!(f.mirror.is_empty().await.unwrap());
    f.send(&head, &sent).await.unwrap();
    let (objects, refs) = (f.objects(), f.refs());
    for entry in [
        ("100644", &b".git"[..]),
        ("100644", b".GIT"),
        ("100644", b".."),
        ("100644", b"a/b"),
        ("100644", b"git~1"),
        ("120000", b".gitmodules"),
        ("100644", b"a\x1b[2J"),
    ] {
        let (commit, bundle) = planted(&f, &head, entry);
        let refused = f.send(&commit, &bundle).await;
        let Err(ImportError::Refused(why)) = refused else {
            panic!("{entry:?}: {refused:?}");
        };
        assert!(
            matches!(why, ImportRefusal::Fsck(_) | ImportRefusal::BadName { .. }),
            "{entry:?}: {why:?}"
        );
    }
    // It brings another commit than it is said to, and names refs of ours.
    let (commit, bundle) = planted(&f, &head, ("100644", b"plain"));
    let refused = f.send(&head, &bundle).await;
    assert!(
        matches!(&refused, Err(ImportError::Refused(ImportRefusal::NotBrought(id))) if *id == head),
        "{refused:?}"
    );
    let text = b"refs/heads/evil";
    let at = bundle
        .windows(text.len())
        .position(|at| at == text)
        .unwrap();
    let renamed = |name: &[u8]| [&bundle[..at], name, &bundle[at + text.len()..]].concat();
    for name in [&b"refs/heads/../../x"[..], b"HEAD", b"refs/heads/-x"] {
        let refused = f.send(&commit, &renamed(name)).await;
        assert!(
            matches!(
                refused,
                Err(ImportError::Refused(ImportRefusal::Malformed(_)))
            ),
            "{refused:?}"
        );
    }
    assert_eq!((f.objects(), f.refs()), (objects, refs.clone()));
    let work = "refs/omoios/base/".to_owned() + head.as_str();
    f.send(&commit, &renamed(work.as_bytes())).await.unwrap();
    let after = f.refs();
    assert_eq!(after.lines().count(), refs.lines().count() + 1, "{after}");
    assert!(after.contains(refs.trim()), "a ref of ours moved: {after}");
}

#[tokio::test]
async fn an_old_history_is_let_in_from_people_alone() {
    let f = Apart::new().await;
    let head = f.commit("1");
    let tree = git(&f.user(), &["rev-parse", "HEAD^{tree}"]);
    let text = format!(
        "tree {tree}\nparent {head}\nauthor A <a@b> 1 +051800\ncommitter A <a@b> 1 +0000\n\nOld\n"
    );
    let old = object(&f, "commit", text.as_bytes());
    git(&f.user(), &["reset", "-q", "--hard", &old]);
    let info = f.info().await;
    let sent = info.bundle_head(&f.git, &[], BYTES_MAX).await.unwrap();
    let sent = sent.bytes.unwrap();
    let agents = ImportRequest {
        hold: ImportHold::Import("agent"),
        bundle: &sent,
        base: &ObjectId::empty_tree(),
        limits: &ImportLimits::default(),
    };
    let refused = import_bundle(&f.mirror, agents).await;
    assert!(
        matches!(&refused, Err(ImportError::Refused(ImportRefusal::Fsck(_)))),
        "{refused:?}"
    );
    f.send(&id(&old), &sent).await.unwrap();
}
