use std::os::unix::process::CommandExt as _;
use std::process::Command;

use omoi_git::clone::{CloneError, CloneSite, CloneSpec, clean_checkout, shared_clone};
use omoi_git::mirror::{Identity, base_stores};
use omoi_git::refname::RefName;

use crate::fixture::{Fixture, chown, git, is_root, try_git};

#[tokio::test]
async fn clones_share_the_base_and_nothing_else() {
    let f = Fixture::new(&[("a.txt", "1\n"), ("dir/b.sh", "2\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");

    assert_eq!(
        git(&dir, &["status", "--porcelain", "--branch"]),
        "## task/agent"
    );
    assert_eq!(git(&dir, &["rev-parse", "HEAD"]), f.base.as_str());
    assert_eq!(
        std::fs::read_to_string(dir.join("dir/b.sh")).unwrap(),
        "2\n"
    );
    assert_eq!(git(&dir, &["remote"]), "");
    assert_eq!(git(&dir, &["count-objects"]), "0 objects, 0 kilobytes");
    let config = std::fs::read_to_string(dir.join(".git/config")).unwrap();
    assert!(!config.contains(&*f.mirror.dir().to_string_lossy()));
    // A ref made here is not seen there, and the other way round.
    git(&dir, &["commit", "-q", "--allow-empty", "-m", "mine"]);
    assert_eq!(
        git(f.mirror.dir(), &["for-each-ref", "--format=%(refname)"]),
        "refs/omoios/base/one"
    );

    let spec = CloneSpec {
        branch: RefName::from_branch("x").unwrap(),
        commit: f.base.clone(),
        readable: Vec::new(),
        identity: Identity::platform(),
    };
    let base = f.mirror.base_store(&f.base).await.unwrap();
    let twice = shared_clone(CloneSite::new(&base, &dir), &spec)
        .await
        .unwrap_err();
    assert!(matches!(twice, CloneError::NotEmpty { .. }));

    let check = f.path("check");
    clean_checkout(CloneSite::new(&base, &check), &f.base)
        .await
        .unwrap();
    assert_eq!(
        git(&check, &["status", "--porcelain", "--branch"]),
        "## HEAD (no branch)"
    );
}

/// The agent's account owns its clone and cannot write the shared objects; commits still work.
#[tokio::test]
async fn works_for_another_account_with_read_only_objects() {
    if !is_root() {
        return;
    }
    let f = Fixture::new(&[("a.txt", "1\n")]).await;
    f.clone_at("agent", &f.base).await;
    let dir = f.path("agent");
    chown(&dir, 4321);
    // The sandbox shows the object store itself; here the folders above must let through.
    for open in [f.path("data"), f.mirror.dir().to_path_buf()] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(open, mode).unwrap();
    }
    let script = "cd \"$0\" && git status --porcelain && echo 2 > a.txt && git commit -qam two && git log --format=%s";
    let out = Command::new("sh")
        .args(["-c", script])
        .arg(&dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .current_dir("/")
        .uid(4321)
        .gid(4321)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "two\nStart\n",
        "{out:?}"
    );
}

/// What the mirror holds beyond an attempt's own history is another attempt's work.
#[tokio::test]
async fn a_clone_reads_its_own_history_and_no_other_work() {
    let f = Fixture::new(&[("a.txt", "1\n")]).await;
    let base = f.base.clone();
    let other = f
        .commit_on(&base, &[("secret.txt", "of another attempt\n")])
        .await;
    let merged = f.commit_on(&base, &[("merged.txt", "integrated\n")]).await;
    let snapshot = f.commit_on(&merged, &[("unfinished.txt", "own\n")]).await;
    let theirs = f.commit_on(&base, &[("theirs.txt", "to merge\n")]).await;
    let spec = CloneSpec {
        branch: RefName::from_branch("task/own").unwrap(),
        commit: merged.clone(),
        readable: vec![snapshot.clone(), theirs.clone()],
        identity: Identity::platform(),
    };
    f.clone_of("agent", &spec).await;
    let store = f.mirror.base_store(&base).await.unwrap();
    clean_checkout(CloneSite::new(&store, &f.path("check")), &merged)
        .await
        .unwrap();
    for (name, readable) in [
        ("agent", vec![&base, &merged, &snapshot, &theirs]),
        ("check", vec![&base, &merged]),
    ] {
        let dir = f.path(name);
        for commit in readable {
            git(&dir, &["rev-list", "--objects", commit.as_str()]);
            git(&dir, &["archive", "--output=/dev/null", commit.as_str()]);
        }
        assert_eq!(
            git(&dir, &["log", "--format=%H"]),
            format!("{merged}\n{base}")
        );
        assert!(git(&dir, &["blame", "a.txt"]).ends_with(" 1"));
        for hidden in [other.as_str().to_owned(), format!("{other}^{{tree}}")] {
            let (found, _, _) = try_git(&dir, &["cat-file", "-e", &hidden]);
            assert!(!found, "`{name}` reads {hidden}");
        }
    }
}

/// One store serves every clone of its base; a damaged one is built anew, one that nobody needs goes.
#[tokio::test]
async fn a_base_store_is_shared_repaired_and_removed() {
    let f = Fixture::new(&[("a.txt", "1\n")]).await;
    let packs = |store: &omoi_git::mirror::BaseStore| {
        let all = std::fs::read_dir(store.objects_dir().join("pack")).unwrap();
        let mut all: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    };
    let (one, two) = tokio::join!(f.mirror.base_store(&f.base), f.mirror.base_store(&f.base));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.objects_dir(), two.objects_dir());
    let whole = packs(&one);
    let pack = whole
        .iter()
        .find(|path| path.extension().unwrap() == "pack")
        .unwrap();
    let bytes = std::fs::read(pack).unwrap();
    drop((one, two));

    for damage in ["cut short", "a file missing", "no manifest"] {
        match damage {
            "cut short" => {
                std::fs::remove_file(pack).unwrap();
                std::fs::write(pack, &bytes[..bytes.len() - 1]).unwrap();
            }
            "a file missing" => std::fs::remove_file(pack).unwrap(),
            _ => {
                let store = pack.ancestors().nth(3).unwrap();
                std::fs::remove_file(store.join("manifest")).unwrap();
            }
        }
        let again = f.mirror.base_store(&f.base).await.unwrap();
        assert_eq!(packs(&again), whole, "{damage}");
        assert_eq!(std::fs::read(pack).unwrap(), bytes, "{damage}");
    }

    let in_use = f.mirror.base_store(&f.base).await.unwrap();
    f.mirror.remove_base_stores(|_| false).unwrap();
    assert_eq!(packs(&in_use), whole);
    drop(in_use);
    f.mirror
        .remove_base_stores(|commit| *commit == f.base)
        .unwrap();
    assert_eq!(
        base_stores(f.mirror.dir()).unwrap(),
        std::slice::from_ref(&f.base)
    );
    f.mirror.remove_base_stores(|_| false).unwrap();
    assert_eq!(base_stores(f.mirror.dir()).unwrap(), []);
    f.clone_at("later", &f.base).await;
}
