//! Taking in what an agent made: data only, checked before a single object joins the mirror.
//!
//! A bundle's pack is unpacked into a quarantine folder with git's full object checks; sizes,
//! counts, depths and names are checked there; only then the objects move over and get a ref.

mod bundle;
mod trees;

use std::io;
use std::path::{Path, PathBuf};

use omoi_domain::crash::{self, CrashPoint, Side};
use tempfile::TempDir;

use crate::mirror::{LIST_BYTES_MAX, Mirror, UpdateRefError};
use crate::object::{ObjectId, RepoPath};
use crate::process::{Call, GitError};
use crate::refname::RefName;
use crate::work::BUNDLE_BYTES_MAX;

/// Packs with fewer objects are stored one by one, so that many small imports do not leave many
/// packs that every later call would have to open.
const LOOSE_OBJECTS_MAX: u32 = 100;

const IMPORT_SECONDS_MAX: u64 = 300;

/// What one import may bring.
#[derive(Clone, Debug)]
pub struct ImportLimits {
    /// Length of the bundle.
    pub bundle_bytes_max: usize,
    /// Refs in it.
    pub refs_max: usize,
    /// Objects of any kind.
    pub objects_max: u32,
    /// New commits.
    pub commits_max: usize,
    /// Length of one file.
    pub blob_bytes_max: u64,
    /// Files of one commit beyond those of the base.
    pub files_max: u64,
    /// Folders within folders.
    pub depth_max: usize,
    /// Length of all new folders and commits together.
    pub structure_bytes_max: usize,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self {
            bundle_bytes_max: BUNDLE_BYTES_MAX,
            refs_max: 100,
            objects_max: 500_000,
            commits_max: 2_000,
            blob_bytes_max: 100 << 20,
            files_max: 50_000,
            depth_max: 200,
            structure_bytes_max: 256 << 20,
        }
    }
}

/// One bundle to take in.
#[derive(Clone, Copy, Debug)]
pub struct ImportRequest<'a> {
    /// Names the import; the same id again replaces it.
    pub id: &'a str,
    /// The bundle.
    pub bundle: &'a [u8],
    /// The commit the agent started from; what it holds is not the agent's doing.
    pub base: &'a ObjectId,
    /// The limits.
    pub limits: &'a ImportLimits,
}

/// What an import brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The tips, in the bundle's order.
    pub tips: Vec<Tip>,
}

/// One tip of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The name the sender gave it; data, not to be used as a ref of ours.
    pub sent_as: RefName,
    /// The commit.
    pub commit: ObjectId,
    /// The mirror's ref that holds it until the caller has moved a branch.
    pub held_by: RefName,
}

/// Why a bundle was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It breaks a rule; nothing of it joined the mirror.
    #[error("the bundle was refused")]
    Refused(#[from] Refusal),
    /// The id cannot be part of a ref name.
    #[error("`{id}` cannot name an import")]
    BadId {
        /// The id.
        id: String,
    },
    /// The file system refused.
    #[error("could not use the quarantine folder")]
    Io(#[from] io::Error),
    /// Git failed for a reason that is not the bundle's.
    #[error("git failed during the import")]
    Git(#[from] GitError),
    /// The holding ref could not be set.
    #[error("could not hold what was imported")]
    Ref(#[from] UpdateRefError),
}

/// The rule a bundle breaks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// It is no bundle we read.
    #[error("not a version 2 bundle: {0}")]
    Malformed(&'static str),
    /// An amount is above its limit.
    #[error("{what}: {value} is more than {limit}")]
    TooMuch {
        /// What was counted.
        what: &'static str,
        /// How much there is.
        value: u64,
        /// How much may be.
        limit: u64,
    },
    /// A file is longer than one may be.
    #[error("the file {path} has {bytes} bytes, at most {bytes_max} may be committed")]
    FileTooLarge {
        /// Where the file is in the newest commit that has it.
        path: RepoPath,
        /// Its length.
        bytes: u64,
        /// The longest that is taken.
        bytes_max: u64,
    },
    /// It builds on a commit the mirror does not have.
    #[error("it needs commit {0}, which is not known here")]
    MissingPrerequisite(ObjectId),
    /// A tip is not a commit.
    #[error("`{0}` is not a commit")]
    NotACommit(ObjectId),
    /// Git's own checks found a broken or harmful object.
    #[error("git refused its objects: {0}")]
    Fsck(String),
    /// A file name that could do harm.
    #[error("the name {name} {why}")]
    BadName {
        /// The name.
        name: RepoPath,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Refusal {
    fn above(what: &'static str, value: u64, limit: u64) -> Result<(), Self> {
        if value > limit {
            return Err(Self::TooMuch { what, value, limit });
        }
        Ok(())
    }
}

/// Takes `request.bundle` into `mirror` and holds its tips under `refs/omoios/import/<id>/`.
pub async fn import_bundle(
    mirror: &Mirror,
    request: ImportRequest<'_>,
) -> Result<Imported, ImportError> {
    let limits = request.limits;
    let header = bundle::parse(request.bundle, limits)?;
    let tips = name_tips(request.id, &header)?;
    check_prerequisites(mirror, &header.prerequisites).await?;
    let pack = &request.bundle[header.pack_at..];
    let keep = header.objects >= LOOSE_OBJECTS_MAX;
    let quarantine = Quarantine::fill(mirror, pack, keep, limits).await?;
    trees::check(&quarantine, &request, &tips).await?;
    for tip in &tips {
        if !quarantine.is_commit(&tip.commit).await? {
            return Err(Refusal::NotACommit(tip.commit.clone()).into());
        }
    }
    crash::pass(CrashPoint::BundleImported, Side::Before);
    if keep {
        quarantine.release()?;
    } else {
        let unpack = mirror.call("unpack-objects").arg("-q").input(pack);
        unpack.deadline(IMPORT_SECONDS_MAX).run().await?;
    }
    for tip in &tips {
        mirror.point_ref(&tip.held_by, &tip.commit).await?;
    }
    crash::pass(CrashPoint::BundleImported, Side::After);
    Ok(Imported { tips })
}

/// Drops the refs that held import `id`; what no other ref reaches becomes garbage.
pub async fn forget_import(mirror: &Mirror, id: &str) -> Result<(), ImportError> {
    let prefix = import_ref(id, None)?;
    for (name, at) in mirror.list_refs(&prefix).await? {
        match mirror.delete_ref(&name, &at, CrashPoint::RefMoved).await {
            // Somebody else forgot it first.
            Err(UpdateRefError::Moved { actual: None, .. }) => {}
            done => done?,
        }
    }
    Ok(())
}

fn import_ref(id: &str, n: Option<usize>) -> Result<RefName, ImportError> {
    let bad = || ImportError::BadId { id: id.to_owned() };
    if id.contains('/') {
        return Err(bad());
    }
    let suffix = n.map_or_else(String::new, |n| format!("/{n}"));
    RefName::parse(&format!("refs/omoios/import/{id}{suffix}")).map_err(|_| bad())
}

fn name_tips(id: &str, header: &bundle::Header) -> Result<Vec<Tip>, ImportError> {
    let tips = header.tips.iter().enumerate();
    tips.map(|(n, (commit, sent_as))| {
        Ok(Tip {
            sent_as: sent_as.clone(),
            commit: commit.clone(),
            held_by: import_ref(id, Some(n))?,
        })
    })
    .collect()
}

async fn check_prerequisites(mirror: &Mirror, needed: &[ObjectId]) -> Result<(), ImportError> {
    for line in batch_check(mirror.call("cat-file"), needed).await? {
        if line.kind != "commit" {
            return Err(Refusal::MissingPrerequisite(line.id).into());
        }
    }
    Ok(())
}

/// What `cat-file --batch-check` says of one object; kind `missing` when it is not there.
struct Checked {
    id: ObjectId,
    kind: String,
    bytes: u64,
}

async fn batch_check(call: Call<'_>, ids: &[ObjectId]) -> Result<Vec<Checked>, GitError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let request: String = ids.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
    let out = call
        .arg("--batch-check=%(objectname) %(objecttype) %(objectsize)")
        .input(request.as_bytes())
        .run()
        .await?;
    let text = out.text();
    let parse = |line: &str| {
        let mut fields = line.split(' ');
        Some(Checked {
            id: ObjectId::parse(fields.next()?).ok()?,
            kind: fields.next()?.to_owned(),
            bytes: fields.next().and_then(|f| f.parse().ok()).unwrap_or(0),
        })
    };
    let lines: Option<Vec<Checked>> = text.lines().map(parse).collect();
    let lines = lines.filter(|lines| lines.len() == ids.len());
    lines.ok_or_else(|| out.unexpected("a malformed object line"))
}

/// New objects beside the mirror's: they see its objects, it does not see them.
struct Quarantine<'a> {
    mirror: &'a Mirror,
    folder: TempDir,
    pack: String,
}

impl<'a> Quarantine<'a> {
    /// Unpacks and checks `pack`; one that will not be kept need not reach the disk.
    async fn fill(
        mirror: &'a Mirror,
        pack: &[u8],
        keep: bool,
        limits: &ImportLimits,
    ) -> Result<Self, ImportError> {
        let folder = mirror.scratch()?;
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
            .input(pack)
            .deadline(IMPORT_SECONDS_MAX)
            .run()
            .await;
        let out = match indexed {
            Err(GitError::Failed { message, .. }) => return Err(Refusal::Fsck(message).into()),
            other => other?,
        };
        let text = out.text();
        let name = text
            .strip_prefix("pack\t")
            .filter(|n| ObjectId::parse(n).is_ok());
        quarantine.pack = name
            .ok_or_else(|| out.unexpected("no pack name"))?
            .to_owned();
        Ok(quarantine)
    }

    /// A call that reads and writes the quarantine and also reads the mirror.
    fn call(&self, command: &'static str) -> Call<'a> {
        self.mirror
            .call(command)
            .env("GIT_OBJECT_DIRECTORY", self.folder.path())
            .env(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                self.mirror.objects_as_alternate(),
            )
    }

    /// Where the object `id` is in one of `tips`; its own name when none of them has it any more.
    async fn path_of(&self, id: &ObjectId, tips: &[Tip]) -> Result<RepoPath, GitError> {
        for tip in tips {
            let out = self
                .call("ls-tree")
                .args(["-r", "-z", "--full-tree", tip.commit.as_str()])
                .stdout_max(LIST_BYTES_MAX)
                .run()
                .await?;
            let path = out.records().find_map(|record| {
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

    async fn is_commit(&self, id: &ObjectId) -> Result<bool, GitError> {
        let lines = batch_check(self.call("cat-file"), std::slice::from_ref(id)).await?;
        Ok(lines.iter().all(|line| line.kind == "commit"))
    }

    /// The objects the mirror does not have yet.
    async fn new_objects(&self) -> Result<Vec<Checked>, ImportError> {
        let index = std::fs::File::open(self.pack_file("idx"))?;
        let out = self.call("show-index").input_file(index).run().await?;
        let text = out.text();
        let ids: Option<Vec<ObjectId>> = text
            .lines()
            .map(|line| ObjectId::parse(line.split(' ').nth(1)?).ok())
            .collect();
        let ids = ids.ok_or_else(|| out.unexpected("a malformed index line"))?;
        let mut known = batch_check(self.mirror.call("cat-file"), &ids).await?;
        known.retain(|line| line.kind == "missing");
        let new: Vec<ObjectId> = known.into_iter().map(|line| line.id).collect();
        Ok(batch_check(self.call("cat-file"), &new).await?)
    }

    /// Moves the pack into the mirror, its index last: git sees a pack by its index.
    fn release(self) -> io::Result<()> {
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
