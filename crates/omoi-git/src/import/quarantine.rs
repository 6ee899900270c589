//! The folder in which a bundle's objects are unpacked and checked before any joins the mirror.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tracing::debug;

use super::{IMPORT_SECONDS_MAX, ImportError, ImportLimits, ImportRefusal, ImportedTip};
use crate::mirror::{LIST_BYTES_MAX, Mirror};
use crate::object::{ObjectId, RepoPath};
use crate::process::{GitCall, GitError};

/// New objects beside the mirror's: they see its objects, it does not see them.
pub(super) struct Quarantine<'a> {
    pub(super) mirror: &'a Mirror,
    folder: TempDir,
    pack: String,
}

impl<'a> Quarantine<'a> {
    /// Unpacks and checks `pack`; one that will not be kept need not reach the disk.
    pub(super) async fn unpack_pack(
        mirror: &'a Mirror,
        pack: &[u8],
        keep: bool,
        limits: &ImportLimits,
    ) -> Result<Self, ImportError> {
        let folder = mirror.scratch_folder()?;
        std::fs::create_dir(folder.path().join("pack"))?;
        let mut quarantine = Self {
            mirror,
            folder,
            pack: String::new(),
        };
        let max_input = format!("--max-input-size={}", limits.bundle_bytes_max);
        let indexed = quarantine
            .call("index-pack")
            .args(["--stdin", "--fix-thin", "--strict", &max_input])
            .config("core.fsync", if keep { "committed" } else { "none" })
            .stdin_bytes(pack)
            .deadline_seconds(IMPORT_SECONDS_MAX)
            .run()
            .await;
        let out = match indexed {
            Err(GitError::Failed { message, .. }) => {
                debug!(
                    bytes = pack.len(),
                    git_says = message,
                    "Git refused the objects of a bundle"
                );
                return Err(ImportRefusal::Fsck(message).into());
            }
            other => other?,
        };
        let text = out.stdout_text();
        let name = text
            .strip_prefix("pack\t")
            .filter(|n| ObjectId::parse(n).is_ok());
        quarantine.pack = name
            .ok_or_else(|| out.unexpected_output("no pack name"))?
            .to_owned();
        Ok(quarantine)
    }

    /// A call that reads and writes the quarantine and also reads the mirror.
    pub(super) fn call(&self, command: &'static str) -> GitCall<'a> {
        self.mirror
            .call(command)
            .env("GIT_OBJECT_DIRECTORY", self.folder.path())
            .env(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                self.mirror.objects_as_alternate(),
            )
    }

    /// Where the object `id` is in one of `tips`; its own name when none of them has it any more.
    pub(super) async fn path_of(
        &self,
        id: &ObjectId,
        tips: &[ImportedTip],
    ) -> Result<RepoPath, GitError> {
        for tip in tips {
            let out = self
                .call("ls-tree")
                .args(["-r", "-z", "--full-tree", tip.commit.as_str()])
                .stdout_max(LIST_BYTES_MAX)
                .run()
                .await?;
            let path = out.nul_records().find_map(|record| {
                let tab = record.iter().position(|byte| *byte == b'\t')?;
                let is_this = record[..tab].ends_with(id.as_str().as_bytes());
                is_this.then(|| RepoPath::from_git(&record[tab + 1..]))
            });
            if let Some(path) = path {
                return Ok(path);
            }
        }
        Ok(RepoPath::from_git(id.as_str().as_bytes()))
    }

    pub(super) async fn is_commit(&self, id: &ObjectId) -> Result<bool, GitError> {
        let lines = batch_check(self.call("cat-file"), std::slice::from_ref(id)).await?;
        Ok(lines.iter().all(|line| line.kind == "commit"))
    }

    /// The objects the mirror does not have yet.
    pub(super) async fn new_objects(&self) -> Result<Vec<ObjectInfo>, ImportError> {
        let index = std::fs::File::open(self.pack_file("idx"))?;
        let out = self.call("show-index").stdin_file(index).run().await?;
        let text = out.stdout_text();
        let ids: Option<Vec<ObjectId>> = text
            .lines()
            .map(|line| ObjectId::parse(line.split(' ').nth(1)?).ok())
            .collect();
        let ids = ids.ok_or_else(|| out.unexpected_output("a malformed index line"))?;
        let mut known = batch_check(self.mirror.call("cat-file"), &ids).await?;
        known.retain(|line| line.kind == "missing");
        let new: Vec<ObjectId> = known.into_iter().map(|line| line.id).collect();
        Ok(batch_check(self.call("cat-file"), &new).await?)
    }

    /// Moves the pack into the mirror, its index last: git sees a pack by its index.
    pub(super) fn move_to_mirror(self) -> io::Result<()> {
        let store = self.mirror.objects_dir().join("pack");
        std::fs::create_dir_all(&store)?;
        for extension in ["pack", "rev", "idx"] {
            let from = self.pack_file(extension);
            if from.exists() {
                let name: PathBuf = from.file_name().map(Into::into).unwrap_or_default();
                std::fs::rename(&from, store.join(name))?;
            }
        }
        std::fs::File::open(&store)?.sync_all()
    }

    fn pack_file(&self, extension: &str) -> PathBuf {
        let pack: &Path = self.folder.path();
        pack.join(format!("pack/pack-{}.{extension}", self.pack))
    }
}

/// What `cat-file --batch-check` says of one object; kind `missing` when it is not there.
pub(super) struct ObjectInfo {
    pub(super) id: ObjectId,
    pub(super) kind: String,
    pub(super) bytes: u64,
}

pub(super) async fn batch_check(
    call: GitCall<'_>,
    ids: &[ObjectId],
) -> Result<Vec<ObjectInfo>, GitError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let request: String = ids.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
    let out = call
        .arg("--batch-check=%(objectname) %(objecttype) %(objectsize)")
        .stdin_bytes(request.as_bytes())
        .run()
        .await?;
    let text = out.stdout_text();
    let parse = |line: &str| {
        let mut fields = line.split(' ');
        Some(ObjectInfo {
            id: ObjectId::parse(fields.next()?).ok()?,
            kind: fields.next()?.to_owned(),
            bytes: fields.next().and_then(|f| f.parse().ok()).unwrap_or(0),
        })
    };
    let lines: Option<Vec<ObjectInfo>> = text.lines().map(parse).collect();
    let lines = lines.filter(|lines| lines.len() == ids.len());
    lines.ok_or_else(|| out.unexpected_output("a malformed object line"))
}
