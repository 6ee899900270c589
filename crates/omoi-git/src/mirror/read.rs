//! Reading a mirror: commits, trees, files, differences, history.

use serde::Serialize;

use omoi_domain::time::Timestamp;

use super::{Identity, Mirror};
use crate::object::{ObjectId, RepoPath};
use crate::process::{GitCall, GitError};
use crate::trailers::{self, Trailer};

/// Listings of very large trees are still bounded.
pub(crate) const LIST_BYTES_MAX: usize = 512 << 20;

/// Type of a file in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An ordinary file, not executable.
    File,
    /// A file that may be run.
    Executable,
    /// A symbolic link; its blob is the target.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

impl EntryKind {
    /// The mode of such a file in a tree.
    pub(super) const fn tree_mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }
}

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path relative to the repository root.
    pub path: RepoPath,
    /// File, executable, symbolic link or submodule.
    pub kind: EntryKind,
    /// Blob with the content; for a submodule, the commit it names.
    pub id: ObjectId,
    /// Its length; zero for a submodule.
    pub bytes: u64,
}

/// How a path differs between two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Only the second has it.
    Added,
    /// Both have it, with other content or mode.
    Modified,
    /// Only the first has it.
    Deleted,
    /// It became another kind of thing, such as a link.
    TypeChanged,
}

/// One path that differs; a rename is a deletion and an addition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathChange {
    /// Path relative to the repository root.
    pub path: RepoPath,
    /// Added, modified, deleted or of another type.
    pub kind: ChangeKind,
}

/// One commit of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Object name of the commit.
    pub id: ObjectId,
    /// Its parents, in order.
    pub parents: Vec<ObjectId>,
    /// Who made the change.
    pub author: Identity,
    /// When it was made.
    pub time: Timestamp,
    /// First line of the message.
    pub subject: String,
    /// The message between subject and trailers.
    pub body: String,
    /// The trailers at its end.
    pub trailers: Vec<Trailer>,
}

impl Mirror {
    /// Whether the commit is here.
    pub async fn has_commit(&self, id: &ObjectId) -> Result<bool, GitError> {
        let out = self
            .call("cat-file")
            .args(["-e".to_owned(), format!("{id}^{{commit}}")])
            .accept_codes(&[0, 1, 128])
            .run()
            .await?;
        Ok(out.code == 0)
    }

    /// The tree of a commit.
    pub async fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId, GitError> {
        let out = self
            .call("rev-parse")
            .args([
                "--verify",
                "--end-of-options",
                &format!("{commit}^{{tree}}"),
            ])
            .run()
            .await?;
        ObjectId::parse(&out.stdout_text()).map_err(|_| out.unexpected_output("not an object name"))
    }

    /// Whether `ancestor` is `descendant` or in its history.
    pub async fn is_ancestor(
        &self,
        ancestor: &ObjectId,
        descendant: &ObjectId,
    ) -> Result<bool, GitError> {
        let out = self
            .call("merge-base")
            .args(["--is-ancestor", ancestor.as_str(), descendant.as_str()])
            .accept_codes(&[0, 1])
            .run()
            .await?;
        Ok(out.code == 0)
    }

    /// A best common ancestor; none for unrelated histories.
    pub async fn merge_base(
        &self,
        a: &ObjectId,
        b: &ObjectId,
    ) -> Result<Option<ObjectId>, GitError> {
        let out = self
            .call("merge-base")
            .args([a, b])
            .accept_codes(&[0, 1])
            .run()
            .await?;
        Ok(ObjectId::parse(&out.stdout_text()).ok())
    }

    /// Every file of `commit` (or tree), in order of path.
    pub async fn list_tree(&self, commit: &ObjectId) -> Result<Vec<FileEntry>, GitError> {
        list_tree(self.call("ls-tree"), commit).await
    }

    /// Those of `paths` that `commit` has, as files or folders.
    pub async fn present_paths(
        &self,
        commit: &ObjectId,
        paths: &[&str],
    ) -> Result<Vec<String>, GitError> {
        let out = self
            .call("ls-tree")
            .args(["-z", "--name-only", "--full-tree", commit.as_str(), "--"])
            .args(paths)
            .stdout_max(LIST_BYTES_MAX)
            .run()
            .await?;
        let names = out.nul_records().map(String::from_utf8_lossy);
        Ok(names.map(std::borrow::Cow::into_owned).collect())
    }

    /// The content of `path` at `commit`; none when there is no such file.
    ///
    /// A file longer than `bytes_max` is an error, not a part of it.
    pub async fn read_blob(
        &self,
        commit: &ObjectId,
        path: &RepoPath,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, GitError> {
        read_blob(self.call("cat-file"), commit, path, bytes_max).await
    }

    /// The contents of `paths` at `commit` by one call, in the order asked; none where there is no such file.
    pub async fn read_files(
        &self,
        commit: &ObjectId,
        paths: &[RepoPath],
        bytes_max: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, GitError> {
        let requests: Vec<Vec<u8>> = paths
            .iter()
            .map(|path| [commit.as_str().as_bytes(), b":", path.as_bytes()].concat())
            .collect();
        let mut asked = requests.join(&0);
        asked.push(0);
        let out = self
            .call("cat-file")
            .args(["--batch", "-z"])
            .stdin_bytes(&asked)
            .stdout_max(bytes_max)
            .run()
            .await?;
        let mut rest = out.stdout.as_slice();
        let mut contents = Vec::with_capacity(paths.len());
        for request in &requests {
            let absent = [request.as_slice(), b" missing\n"].concat();
            if let Some(after) = rest.strip_prefix(absent.as_slice()) {
                contents.push(None);
                rest = after;
                continue;
            }
            let Some((kind, content, after)) = take_object(rest) else {
                return Err(out.unexpected_output("a malformed object"));
            };
            contents.push((kind == b"blob").then(|| content.to_vec()));
            rest = after;
        }
        Ok(contents)
    }

    /// The contents of several blobs at once, in the order asked.
    pub async fn read_blobs(
        &self,
        ids: &[&ObjectId],
        bytes_max: usize,
    ) -> Result<Vec<Vec<u8>>, GitError> {
        let mut request = String::with_capacity(ids.len() * 41);
        for id in ids {
            request.push_str(id.as_str());
            request.push('\n');
        }
        let out = self
            .call("cat-file")
            .arg("--batch")
            .stdin_bytes(request.as_bytes())
            .stdout_max(bytes_max)
            .run()
            .await?;
        let mut rest = out.stdout.as_slice();
        let mut contents = Vec::with_capacity(ids.len());
        for _ in ids {
            let Some((_, content, after)) = take_object(rest) else {
                return Err(out.unexpected_output("a malformed or missing object"));
            };
            contents.push(content.to_vec());
            rest = after;
        }
        Ok(contents)
    }

    /// The paths that differ between two commits (or trees), in order.
    pub async fn changed_files(
        &self,
        a: &ObjectId,
        b: &ObjectId,
    ) -> Result<Vec<PathChange>, GitError> {
        let out = self
            .call("diff-tree")
            .args([
                "-r",
                "-z",
                "--name-status",
                "--no-renames",
                "--end-of-options",
            ])
            .args([a, b])
            .stdout_max(LIST_BYTES_MAX)
            .run()
            .await?;
        let mut records = out.nul_records();
        let mut changes = Vec::new();
        while let Some(status) = records.next() {
            let kind = match status {
                b"A" => ChangeKind::Added,
                b"M" => ChangeKind::Modified,
                b"D" => ChangeKind::Deleted,
                b"T" => ChangeKind::TypeChanged,
                _ => return Err(out.unexpected_output("an unknown status letter")),
            };
            let Some(path) = records.next() else {
                return Err(out.unexpected_output("a status without a path"));
            };
            changes.push(PathChange {
                path: RepoPath::from_git(path),
                kind,
            });
        }
        Ok(changes)
    }

    /// The newest `count_max` commits of `tip` that `exclude` does not have, children first.
    pub async fn list_commits(
        &self,
        tip: &ObjectId,
        exclude: Option<&ObjectId>,
        count_max: usize,
    ) -> Result<Vec<LogEntry>, GitError> {
        let mut call = self
            .call("log")
            .args(["-z", "--topo-order", "--no-notes", "--no-decorate"])
            .args(["--encoding=UTF-8", "--format=%H%n%P%n%at%n%an%n%ae%n%B"])
            .arg(format!("--max-count={count_max}"))
            .args(["--end-of-options", tip.as_str()]);
        if let Some(exclude) = exclude {
            call = call.arg(format!("^{exclude}"));
        }
        let out = call.arg("--").run().await?;
        let entries: Option<Vec<LogEntry>> = out.nul_records().map(parse_log_entry).collect();
        entries.ok_or_else(|| out.unexpected_output("a malformed commit"))
    }
}

/// Every file of `commit` (or tree) where `ls_tree` asks, in order of path.
pub(super) async fn list_tree(
    ls_tree: GitCall<'_>,
    commit: &ObjectId,
) -> Result<Vec<FileEntry>, GitError> {
    let out = ls_tree
        .args(["-r", "-l", "-z", "--full-tree", commit.as_str()])
        .stdout_max(LIST_BYTES_MAX)
        .run()
        .await?;
    let entries: Option<Vec<FileEntry>> = out.nul_records().map(parse_entry).collect();
    entries.ok_or_else(|| out.unexpected_output("a malformed entry"))
}

/// The content of `path` at `commit` where `cat_file` asks; none when there is no such file.
pub(super) async fn read_blob(
    cat_file: GitCall<'_>,
    commit: &ObjectId,
    path: &RepoPath,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, GitError> {
    let mut request = format!("{commit}:").into_bytes();
    request.extend_from_slice(path.as_bytes());
    request.push(0);
    let out = cat_file
        .args(["--batch", "-z"])
        .stdin_bytes(&request)
        .stdout_max(bytes_max.saturating_add(256))
        .run()
        .await?;
    match take_object(&out.stdout) {
        Some((b"blob", content, b"")) if content.len() <= bytes_max => Ok(Some(content.to_vec())),
        Some((b"blob", _, _)) => Err(GitError::OutputTooLarge {
            command: "cat-file",
            limit_bytes: bytes_max,
        }),
        Some(_) => Ok(None),
        None if out.stdout.ends_with(b" missing\n") => Ok(None),
        None => Err(out.unexpected_output("a malformed object")),
    }
}

/// `<mode> <type> <id> <size>\t<path>`.
fn parse_entry(record: &[u8]) -> Option<FileEntry> {
    let tab = record.iter().position(|b| *b == b'\t')?;
    let mut fields = std::str::from_utf8(&record[..tab])
        .ok()?
        .split_ascii_whitespace();
    let (mode, _kind, id, size) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let kind = match mode {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Symlink,
        "160000" => EntryKind::Submodule,
        _ => EntryKind::File,
    };
    Some(FileEntry {
        path: RepoPath::from_git(&record[tab + 1..]),
        kind,
        id: ObjectId::parse(id).ok()?,
        bytes: size.parse().unwrap_or(0),
    })
}

/// The first object of a `cat-file --batch` answer: type, content, what follows.
fn take_object(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let mut fields = bytes[..end].split(|b| *b == b' ');
    ObjectId::from_bytes(fields.next()?)?;
    let (kind, size) = (fields.next()?, fields.next()?);
    let size: usize = std::str::from_utf8(size).ok()?.parse().ok()?;
    let content = bytes.get(end + 1..end + 1 + size)?;
    let rest = bytes.get(end + 1 + size..)?.strip_prefix(b"\n")?;
    Some((kind, content, rest))
}

fn parse_log_entry(record: &[u8]) -> Option<LogEntry> {
    let text = String::from_utf8_lossy(record);
    let mut lines = text.splitn(6, '\n');
    let id = ObjectId::parse(lines.next()?).ok()?;
    let parents: Result<Vec<_>, _> = lines
        .next()?
        .split_whitespace()
        .map(ObjectId::parse)
        .collect();
    let seconds: i64 = lines.next()?.parse().ok()?;
    let (name, email) = (lines.next()?, lines.next()?);
    let message = lines.next()?;
    let (subject, rest) = message.split_once('\n').unwrap_or((message, ""));
    let (body, trailers) = trailers::split_trailers(rest);
    Some(LogEntry {
        id,
        parents: parents.ok()?,
        author: Identity::new(name, email),
        time: Timestamp::from_micros(seconds.saturating_mul(1_000_000)),
        subject: subject.to_owned(),
        body: body.trim().to_owned(),
        trailers,
    })
}
