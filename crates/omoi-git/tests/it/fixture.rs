//! Throw-away repositories.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use omoi_domain::time::Timestamp;
use omoi_git::clone::{CloneSite, CloneSpec, shared_clone};
use omoi_git::mirror::{CommitMeta, FetchRef, Identity, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::process::Git;
use omoi_git::refname::RefName;
use omoi_git::repo;
use omoi_git::work::WorkDir;

/// An instant after which nothing in these tests happens.
pub const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// A user's repository and a mirror of it.
pub struct Fixture {
    pub tmp: TempDir,
    pub git: Git,
    pub user: PathBuf,
    pub mirror: Mirror,
    pub base: ObjectId,
}

impl Fixture {
    /// A repository with these files in one commit, mirrored.
    pub async fn new(files: &[(&str, &str)]) -> Self {
        let tmp = TempDir::new().unwrap();
        // Other accounts must be able to pass through.
        std::fs::set_permissions(tmp.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let user = tmp.path().join("user");
        init(&user);
        write(&user, files);
        commit(&user, "Start");
        let git = locate().await;
        let mirror = Mirror::open_or_create(&git, &tmp.path().join("data/mirror.git"))
            .await
            .unwrap();
        let base = fetch(&git, &mirror, &user).await;
        Self {
            tmp,
            git,
            user,
            mirror,
            base,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    /// An agent's clone at `commit`.
    pub async fn clone_at(&self, name: &str, commit: &ObjectId) -> WorkDir {
        self.clone_with(name, commit, &[]).await
    }

    /// An agent's clone at `commit` that can read `others` too.
    pub async fn clone_with(&self, name: &str, commit: &ObjectId, others: &[&ObjectId]) -> WorkDir {
        let spec = CloneSpec {
            branch: RefName::from_branch(&format!("task/{name}")).unwrap(),
            commit: commit.clone(),
            readable: others.iter().map(|other| (*other).clone()).collect(),
            identity: Identity::new("Agent", "agent@localhost"),
        };
        self.clone_of(name, &spec).await;
        WorkDir::new(&self.git, &self.path(name))
    }

    /// A clone like that.
    pub async fn clone_of(&self, name: &str, spec: &CloneSpec) {
        let base = self.mirror.base_store(&self.base).await.unwrap();
        shared_clone(CloneSite::new(&base, &self.path(name)), spec)
            .await
            .unwrap();
    }

    /// A commit on `base` with these files, made in the mirror.
    pub async fn commit_on(&self, base: &ObjectId, files: &[(&str, &str)]) -> ObjectId {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| omoi_git::mirror::FileChange {
                path: omoi_git::object::RepoPath::new(path).unwrap(),
                content: Some(text.as_bytes().to_vec()),
            })
            .collect();
        self.mirror
            .commit_files(base, &files, &meta("Change"))
            .await
            .unwrap()
    }
}

pub async fn locate() -> Git {
    Git::find_on_path(&std::env::var_os("PATH").unwrap())
        .await
        .unwrap()
}

/// Brings the repository's `HEAD` into the mirror.
pub async fn fetch(git: &Git, mirror: &Mirror, user: &Path) -> ObjectId {
    let info = repo::inspect_repository(git, user).await.unwrap();
    let want = FetchRef {
        commit: info.head.clone(),
        target: RefName::parse("refs/omoios/base/one").unwrap(),
    };
    mirror.fetch_from(&info, &[want]).await.unwrap();
    info.head
}

pub fn meta(message: &str) -> CommitMeta {
    CommitMeta {
        message: message.to_owned(),
        trailers: Vec::new(),
        author: Identity::platform(),
        time: NOW,
    }
}

pub fn init(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    git(dir, &["init", "-q", "-b", "main"]);
}

pub fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

pub fn commit(dir: &Path, message: &str) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", message]);
    git(dir, &["rev-parse", "HEAD"])
}

/// Runs git as a person would.
pub fn git<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> String {
    let (ok, out, err) = try_git(dir, args);
    assert!(ok, "{err}");
    out
}

pub fn try_git<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> (bool, String, String) {
    git_stdin(dir, args, b"")
}

pub fn git_stdin<S: AsRef<OsStr>>(dir: &Path, args: &[S], input: &[u8]) -> (bool, String, String) {
    use std::io::Write as _;
    let mut child = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([
            ("GIT_AUTHOR_NAME", "Ann"),
            ("GIT_AUTHOR_EMAIL", "ann@localhost"),
        ])
        .envs([
            ("GIT_COMMITTER_NAME", "Ann"),
            ("GIT_COMMITTER_EMAIL", "ann@localhost"),
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    (out.status.success(), text(out.stdout), text(out.stderr))
}

pub fn id(text: &str) -> ObjectId {
    ObjectId::parse(text).unwrap()
}

/// Whether we may give files to other accounts.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives a whole folder to another account.
pub fn chown(dir: &Path, uid: u32) {
    let status = Command::new("chown")
        .args(["-R", &format!("{uid}:{uid}")])
        .arg(dir)
        .status();
    assert!(status.unwrap().success());
}

/// Every path below `dir` with content, links and modes; for "nothing was touched".
pub fn fingerprint(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut look = vec![dir.to_path_buf()];
    while let Some(dir) = look.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_dir() {
                look.push(path.clone());
                Vec::new()
            } else {
                std::fs::read(&path).unwrap_or_default()
            };
            let modified = meta.modified().unwrap();
            let modified = if meta.is_dir() { None } else { Some(modified) };
            all.push(format!(
                "{} {:o} {modified:?} {content:?}",
                path.display(),
                meta.permissions().mode()
            ));
        }
    }
    all.sort();
    all
}
