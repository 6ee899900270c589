//! Importing an agent's bundle: data only, checked before a single object joins the mirror.
//!
//! A bundle's pack is unpacked into a quarantine folder with git's full object checks; sizes,
//! counts, depths and names are checked there; only then the objects move over and get a ref.

mod bundle;
mod quarantine;
mod trees;

use std::io;

use quarantine::{Quarantine, batch_check};
use tracing::{debug, trace};

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use crate::mirror::{Mirror, UpdateRefError};
use crate::object::{ObjectId, RepoPath};
use crate::process::GitError;
use crate::refname::RefName;
use crate::work::BUNDLE_BYTES_MAX;

/// Packs with fewer objects are stored one by one, so that many small imports do not leave many
/// packs that every later call would have to open.
const LOOSE_OBJECTS_MAX: u32 = 100;

const IMPORT_SECONDS_MAX: u64 = 300;

/// Sizes and counts above which an import is refused.
#[derive(Clone, Debug)]
pub struct ImportLimits {
    /// Length of the bundle.
    pub bundle_bytes_max: usize,
    /// Number of refs that the bundle may carry.
    pub refs_max: usize,
    /// Objects of any kind.
    pub objects_max: u32,
    /// Number of commits that the mirror does not have yet.
    pub commits_max: usize,
    /// Length of one file.
    pub blob_bytes_max: u64,
    /// Files of one commit beyond those of the base.
    pub files_max: u64,
    /// How deep folders may be nested.
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

/// One bundle to import.
#[derive(Clone, Copy, Debug)]
pub struct ImportRequest<'a> {
    /// Names the import; the same id again replaces it.
    pub id: &'a str,
    /// Bytes of a git bundle, version 2.
    pub bundle: &'a [u8],
    /// The commit the agent started from; what it holds is not the agent's doing.
    pub base: &'a ObjectId,
    /// Sizes and counts above which the bundle is refused.
    pub limits: &'a ImportLimits,
}

/// Result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedBundle {
    /// The tips, in the bundle's order.
    pub tips: Vec<ImportedTip>,
}

/// One tip of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedTip {
    /// The name the sender gave it; data, not to be used as a ref of ours.
    pub sent_as: RefName,
    /// Commit that the tip names, now in the mirror.
    pub commit: ObjectId,
    /// The mirror's ref that holds it until the caller has moved a branch.
    pub held_by: RefName,
}

/// Why a bundle was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It breaks a rule; nothing of it joined the mirror.
    #[error("the bundle was refused")]
    Refused(#[from] ImportRefusal),
    /// The id cannot be part of a ref name.
    #[error("`{id}` cannot name an import")]
    BadId {
        /// Import id that was given.
        id: String,
    },
    /// A file system operation failed.
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
pub enum ImportRefusal {
    /// It is no bundle we read.
    #[error("not a version 2 bundle: {0}")]
    Malformed(&'static str),
    /// An amount is above its limit.
    #[error("{what}: {value} is more than {limit}")]
    TooMuch {
        /// What was counted, for people: `refs`, `new commits`.
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
        /// Length of the file in bytes.
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
        /// File or folder name as the tree has it.
        name: RepoPath,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl ImportRefusal {
    fn check_limit(what: &'static str, value: u64, limit: u64) -> Result<(), Self> {
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
) -> Result<ImportedBundle, ImportError> {
    let limits = request.limits;
    let header = bundle::parse_header(request.bundle, limits)?;
    let tips = name_tips(request.id, &header)?;
    check_prerequisites(mirror, &header.prerequisites).await?;
    let pack = &request.bundle[header.pack_at..];
    let keep = header.objects >= LOOSE_OBJECTS_MAX;
    let quarantine = Quarantine::unpack_pack(mirror, pack, keep, limits).await?;
    trees::check_objects(&quarantine, &request, &tips).await?;
    for tip in &tips {
        if !quarantine.is_commit(&tip.commit).await? {
            return Err(ImportRefusal::NotACommit(tip.commit.clone()).into());
        }
    }
    crash::pass_point(CrashPoint::BundleImported, CrashSide::Before);
    if keep {
        quarantine.move_to_mirror()?;
    } else {
        let unpack = mirror.call("unpack-objects").arg("-q").stdin_bytes(pack);
        unpack.deadline_seconds(IMPORT_SECONDS_MAX).run().await?;
    }
    for tip in &tips {
        mirror.point_ref(&tip.held_by, &tip.commit).await?;
    }
    crash::pass_point(CrashPoint::BundleImported, CrashSide::After);
    let (n_tips, bytes) = (tips.len(), request.bundle.len());
    debug!(
        import = request.id,
        n_tips,
        bytes,
        n_objects = header.objects,
        "Imported a bundle of {bytes} bytes"
    );
    Ok(ImportedBundle { tips })
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
        trace!(r#ref = %name, "Forgot the import `{id}`");
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

fn name_tips(id: &str, header: &bundle::BundleHeader) -> Result<Vec<ImportedTip>, ImportError> {
    let tips = header.tips.iter().enumerate();
    tips.map(|(n, (commit, sent_as))| {
        Ok(ImportedTip {
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
            return Err(ImportRefusal::MissingPrerequisite(line.id).into());
        }
    }
    Ok(())
}
