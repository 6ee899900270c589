//! The folder in which a bundle's objects are unpacked and checked before any joins the mirror.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tracing::debug;

use super::{IMPORT_SECONDS_MAX, ImportError, ImportLimits, ImportRefusal, ImportedTip};
use crate::mirror::{LIST_BYTES_MAX, Mirror, OLD_FLAWS};
use crate::object::{ObjectId, RepoPath};
use crate::process::{GitCall, GitError, GitOutput, ObjectInfo, ObjectReader};

/// New objects beside the mirror's: they see its objects, it does not see them.
pub(super) struct Quarantine<'a> {
    pub(super) mirror: &'a Mirror,
    folder: TempDir,
    pack: String,
    /// Reads the mirror alone.
    known: ObjectReader,
    /// Reads the mirror and the new objects.
    all: ObjectReader,
}

impl<'a> Quarantine<'a> {
    /// Unpacks and checks `pack`; one that will not be kept need not reach the disk. `known` reads `mirror`.
    pub(super) async fn unpack_pack(
        mirror: &'a Mirror,
        known: ObjectReader,
        pack: &[u8],
        keep: bool,
        limits: &ImportLimits,
    ) -> Result<Self, ImportError> {
        let folder = mirror.scratch_folder()?;
        std::fs::create_dir(folder.path().join("pack"))?;
        let max_input = format!("--max-input-size={}", limits.bundle_bytes_max);
        let strict = match limits.takes_old_flaws {
            true => strict_but_for_old_flaws(),
            false => "--strict".to_owned(),
        };
        let indexed = call_beside(mirror, folder.path(), "index-pack")
            .args(["--stdin", "--fix-thin", &strict, &max_input])
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
        let all = ObjectReader::start(call_beside(mirror, folder.path(), "cat-file"))?;
        Ok(Self {
            mirror,
            pack: pack_name(&out)?,
            folder,
            known,
            all,
        })
    }

    /// A call that reads and writes the quarantine and also reads the mirror.
    fn call(&self, command: &'static str) -> GitCall<'a> {
        call_beside(self.mirror, self.folder.path(), command)
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

    pub(super) async fn is_commit(&mut self, id: &ObjectId) -> Result<bool, GitError> {
        let found = self.all.describe_objects([id.as_str()]).await?;
        Ok(found.iter().all(|object| object.kind == "commit"))
    }

    /// The tree of a commit that the mirror has.
    pub(super) async fn known_tree(&mut self, commit: &ObjectId) -> Result<ObjectId, ImportError> {
        let name = format!("{commit}^{{tree}}");
        let found = self.known.describe_objects([name.as_str()]).await?;
        let tree = found.into_iter().find(|object| object.kind == "tree");
        Ok(tree
            .ok_or(GitError::Unexpected {
                command: "cat-file",
                what: "a commit without tree",
            })?
            .id)
    }

    /// The objects the mirror does not have yet.
    pub(super) async fn new_objects(&mut self) -> Result<Vec<ObjectInfo>, ImportError> {
        let index = std::fs::read(self.pack_file("idx"))?;
        let ids = indexed_ids(&index).ok_or(GitError::Unexpected {
            command: "index-pack",
            what: "an index of another form",
        })?;
        let names = ids.iter().map(ObjectId::as_str);
        let mut new = self.known.describe_objects(names).await?;
        new.retain(|object| object.kind == "missing");
        let names = new.iter().map(|object| object.id.as_str());
        Ok(self.all.describe_objects(names).await?)
    }

    /// The contents of objects of one kind.
    pub(super) async fn read_all(
        &mut self,
        ids: &[ObjectId],
        kind: &str,
        limits: &ImportLimits,
    ) -> Result<Vec<Vec<u8>>, ImportError> {
        let max = limits.structure_bytes_max;
        match self.all.read_objects(ids, kind, max).await {
            Err(GitError::OutputTooLarge { .. }) => Err(ImportRefusal::TooMuch {
                what: "bytes of folders",
                value: max as u64 + 1,
                limit: max as u64,
            }
            .into()),
            other => Ok(other?),
        }
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

/// A call that reads and writes the objects in `folder` and also reads those of `mirror`.
fn call_beside<'a>(mirror: &'a Mirror, folder: &Path, command: &'static str) -> GitCall<'a> {
    mirror
        .call(command)
        .env("GIT_OBJECT_DIRECTORY", folder)
        .env(
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            mirror.objects_as_alternate(),
        )
}

/// The argument that has `index-pack` check everything but what [`OLD_FLAWS`] lists.
fn strict_but_for_old_flaws() -> String {
    let ids = OLD_FLAWS
        .iter()
        .filter_map(|flaw| flaw.strip_prefix("fetch.fsck."));
    let ignored: Vec<String> = ids.map(|id| format!("{id}=ignore")).collect();
    format!("--strict={}", ignored.join(","))
}

/// The name that `index-pack` gave to its pack.
fn pack_name(out: &GitOutput) -> Result<String, GitError> {
    let text = out.stdout_text();
    let name = text
        .strip_prefix("pack\t")
        .filter(|n| ObjectId::parse(n).is_ok());
    Ok(name
        .ok_or_else(|| out.unexpected_output("no pack name"))?
        .to_owned())
}

/// The names in an index of a pack, version 2: signature, counts by first byte, names.
pub(super) fn indexed_ids(index: &[u8]) -> Option<Vec<ObjectId>> {
    const COUNTS_BYTES: usize = 256 * 4;
    const NAME_BYTES: usize = 20;
    let rest = index.strip_prefix(b"\xfftOc\0\0\0\x02")?;
    let (counts, names) = rest.split_at_checked(COUNTS_BYTES)?;
    let count = u32::from_be_bytes(counts[COUNTS_BYTES - 4..].try_into().ok()?) as usize;
    let names = names.get(..count.checked_mul(NAME_BYTES)?)?;
    names
        .chunks_exact(NAME_BYTES)
        .map(ObjectId::from_raw)
        .collect()
}
