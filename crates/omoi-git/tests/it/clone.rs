use std::os::unix::process::CommandExt as _;
use std::process::Command;

use omoi_git::clone::{CloneError, CloneSpec, clean_checkout, shared_clone};
use omoi_git::mirror::Identity;
use omoi_git::refname::RefName;

use crate::fixture::{Fixture, chown, git, is_root};

#[tokio::test]
async fn clones_share_objects_and_nothing_else() {
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
        branch: RefName::branch("x").unwrap(),
        commit: f.base.clone(),
        identity: Identity::platform(),
    };
    let twice = shared_clone(&f.mirror, &dir, &spec).await.unwrap_err();
    assert!(matches!(twice, CloneError::NotEmpty { .. }));

    let check = f.path("check");
    clean_checkout(&f.mirror, &check, &f.base).await.unwrap();
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
