use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use omoi_git::mirror::Mirror;
use omoi_git::process::{Git, LocateError};
use omoi_git::repo::{InspectError, expect_writable, inspect_repository};

use crate::fixture::{self, Fixture, chown, commit, git, init, is_root, write};

#[tokio::test]
async fn refuses_what_is_no_usable_repository() {
    let tmp = tempfile::TempDir::new().unwrap();
    let git_program = fixture::locate().await;
    let at = |name: &str| tmp.path().join(name);
    let look = async |path: &Path| inspect_repository(&git_program, path).await.unwrap_err();

    std::fs::create_dir(at("plain")).unwrap();
    std::fs::write(at("file"), "x").unwrap();
    init(&at("empty"));
    std::fs::create_dir(at("sha256")).unwrap();
    git(&at("sha256"), &["init", "-q", "--object-format=sha256"]);
    init(&at("broken"));
    commit(&at("broken"), "x");
    std::fs::remove_dir_all(at("broken/.git/objects")).unwrap();
    std::fs::create_dir(at("broken/.git/objects")).unwrap();

    assert!(matches!(
        look(&at("absent")).await,
        InspectError::NotAFolder { .. }
    ));
    assert!(matches!(
        look(&at("file")).await,
        InspectError::NotAFolder { .. }
    ));
    assert!(matches!(
        look(&at("plain")).await,
        InspectError::NotARepository { .. }
    ));
    assert!(matches!(
        look(&at("empty")).await,
        InspectError::Empty { .. }
    ));
    assert!(matches!(
        look(&at("sha256")).await,
        InspectError::ObjectFormat { .. }
    ));
    assert!(matches!(
        look(&at("broken")).await,
        InspectError::Empty { .. } | InspectError::Broken { .. }
    ));

    let none = Git::find_on_path(tmp.path().as_os_str()).await;
    assert!(matches!(none, Err(LocateError::Missing)));
}

#[tokio::test]
async fn describes_a_repository_without_touching_it() {
    let f = Fixture::new(&[("src/a.txt", "one\n")]).await;
    let before = fixture::fingerprint(&f.user);

    let info = inspect_repository(&f.git, &f.user.join("src"))
        .await
        .unwrap();
    assert_eq!(info.toplevel, f.user.canonicalize().unwrap());
    assert_eq!(info.head, f.base);
    assert_eq!(info.branch.as_deref(), Some("main"));
    assert_eq!(info.default_branch.as_deref(), Some("main"));
    assert!(!info.dirty && !info.bare && !info.shallow);
    assert_eq!(fixture::fingerprint(&f.user), before);

    write(&f.user, &[("untracked", "x")]);
    assert!(inspect_repository(&f.git, &f.user).await.unwrap().dirty);

    git(&f.user, &["checkout", "-q", "--detach"]);
    let info = inspect_repository(&f.git, &f.user).await.unwrap();
    assert_eq!(
        (info.branch, info.default_branch.as_deref()),
        (None, Some("main"))
    );

    let clone = f.path("clone");
    let url = format!("file://{}", f.user.display());
    git(f.tmp.path(), &["clone", "-q", "--depth=1", &url, "clone"]);
    git(&clone, &["checkout", "-q", "-b", "feature"]);
    git(&clone, &["remote", "set-head", "origin", "main"]);
    let info = inspect_repository(&f.git, &clone).await.unwrap();
    assert_eq!(info.default_branch.as_deref(), Some("main"));
    assert_eq!(info.branch.as_deref(), Some("feature"));
    assert!(info.shallow);

    git(
        &f.user,
        &["worktree", "add", "-q", "-b", "linked", "../linked"],
    );
    let linked = inspect_repository(&f.git, &f.path("linked")).await.unwrap();
    assert_eq!(linked.git_dir, f.user.join(".git").canonicalize().unwrap());
    assert_eq!(linked.branch.as_deref(), Some("linked"));

    git(f.tmp.path(), &["clone", "-q", "--bare", "user", "bare.git"]);
    let bare = inspect_repository(&f.git, &f.path("bare.git"))
        .await
        .unwrap();
    assert!(bare.bare && !bare.dirty && bare.toplevel == bare.git_dir);
}

/// A repository's own configuration names programs; looking at it starts none of them.
#[tokio::test]
async fn looking_runs_no_monitor_and_no_hook() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let canary = f.path("canary");
    let run = format!("touch {}", canary.display());
    for (key, value) in [
        ("core.fsmonitor", &run),
        ("core.pager", &run),
        ("alias.status", &format!("!{run}")),
    ] {
        git(&f.user, &["config", key, value]);
    }
    inspect_repository(&f.git, &f.user).await.unwrap();
    assert!(!canary.exists());
}

#[tokio::test]
async fn fetches_whole_shallow_and_foreign_histories_repeatedly() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    for n in 0..3 {
        write(&f.user, &[("a", &format!("{n}\n"))]);
        commit(&f.user, "More");
        let head = fixture::fetch(&f.git, &f.mirror, &f.user).await;
        assert_eq!(fixture::fetch(&f.git, &f.mirror, &f.user).await, head);
        assert!(f.mirror.is_ancestor(&f.base, &head).await.unwrap());
    }
    // Opening again finds the same mirror.
    let again = Mirror::open_or_create(&f.git, f.mirror.dir())
        .await
        .unwrap();
    assert!(again.has_commit(&f.base).await.unwrap());

    let url = format!("file://{}", f.user.display());
    git(f.tmp.path(), &["clone", "-q", "--depth=2", &url, "cut"]);
    let mirror = Mirror::open_or_create(&f.git, &f.path("cut.git"))
        .await
        .unwrap();
    let head = fixture::fetch(&f.git, &mirror, &f.path("cut")).await;
    assert_eq!(
        mirror.list_commits(&head, None, 100).await.unwrap().len(),
        2
    );
    let spec = omoi_git::clone::CloneSpec {
        branch: omoi_git::refname::RefName::from_branch("task").unwrap(),
        commit: head.clone(),
        readable: Vec::new(),
        identity: omoi_git::mirror::Identity::platform(),
    };
    let base = mirror.base_store(&head).await.unwrap();
    omoi_git::clone::shared_clone(
        omoi_git::clone::CloneSite::new(&base, &f.path("work")),
        &spec,
    )
    .await
    .unwrap();
    assert_eq!(git(&f.path("work"), &["rev-list", "--count", "HEAD"]), "2");

    if is_root() {
        chown(&f.user, 4321);
        let mirror = Mirror::open_or_create(&f.git, &f.path("foreign.git"))
            .await
            .unwrap();
        let head = fixture::fetch(&f.git, &mirror, &f.user).await;
        assert!(mirror.has_commit(&head).await.unwrap());
    }
}

/// Old histories hold commits git would refuse today; they are the user's and are taken.
#[tokio::test]
async fn takes_old_flaws_from_the_user() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let tree = git(&f.user, &["rev-parse", "HEAD^{tree}"]);
    let flawed = format!(
        "tree {tree}\nauthor Ann <ann@localhost> 1 +12345678\ncommitter Ann<ann@localhost> 1 +0000\n\nOld\n"
    );
    let (ok, made, err) = fixture::git_stdin(
        &f.user,
        &[
            "hash-object",
            "-t",
            "commit",
            "-w",
            "--literally",
            "--stdin",
        ],
        flawed.as_bytes(),
    );
    assert!(ok, "{err}");
    git(&f.user, &["reset", "-q", "--soft", &made]);
    commit(&f.user, "New");
    let head = fixture::fetch(&f.git, &f.mirror, &f.user).await;
    assert!(
        f.mirror
            .is_ancestor(&fixture::id(&made), &head)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_repository_that_no_branch_can_be_put_into_is_refused() {
    let f = Fixture::new(&[("a", "1\n")]).await;
    let info = inspect_repository(&f.git, &f.user).await.unwrap();
    expect_writable(&info).unwrap();
    if is_root() {
        // Root may write everywhere; git runs as the owner, who may not.
        chown(&f.user, 64_321);
    }
    let folder = info.git_dir.join("refs/heads");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    let refused = expect_writable(&info).unwrap_err();
    assert!(
        matches!(&refused, InspectError::ReadOnly { folder: named, .. } if *named == folder),
        "{refused}"
    );
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    expect_writable(&info).unwrap();
}
