//! Importing an agent's bundle: data only, checked before a single object joins the mirror.
//!
//! A bundle's pack is unpacked into a quarantine folder with git's full object checks; sizes,
//! counts, depths and names are checked there; only then the objects move over and get a ref.

mod bundle;
#[cfg(test)]
mod fuzz;
mod quarantine;
mod trees;

use std::io;

use quarantine::Quarantine;
use tracing::{debug, trace};

use omoi_domain::crash::{self, CrashPoint, CrashSide};

use crate::mirror::{Mirror, UpdateRefError};
use crate::object::{ObjectId, RepoPath};
use crate::process::{GitError, ObjectReader};
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
    /// Whether flaws of old but honest histories are let in.
    pub takes_old_flaws: bool,
}

impl ImportLimits {
    /// Limits for the history of a person's own repository, which is much at its first time and may be old.
    #[must_use]
    pub fn of_history() -> Self {
        Self {
            refs_max: 1,
            objects_max: 5_000_000,
            commits_max: 1_000_000,
            files_max: 500_000,
            takes_old_flaws: true,
            ..Self::default()
        }
    }
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
            takes_old_flaws: false,
        }
    }
}

/// One bundle to import.
#[derive(Clone, Copy, Debug)]
pub struct ImportRequest<'a> {
    /// Refs of the mirror that hold what it brings.
    pub hold: ImportHold<'a>,
    /// Bytes of a git bundle, version 2.
    pub bundle: &'a [u8],
    /// The commit the sender started from; what it holds is not the sender's doing. The empty tree, where all is.
    pub base: &'a ObjectId,
    /// Sizes and counts above which the bundle is refused.
    pub limits: &'a ImportLimits,
}

/// What keeps imported commits in the mirror.
#[derive(Clone, Copy, Debug)]
pub enum ImportHold<'a> {
    /// Every tip is held by a ref of the import's own, under this id, until [`forget_import`]. The same id again
    /// replaces it.
    Import(&'a str),
    /// One tip is held by a ref that nobody but the caller moves. The others are not kept.
    Ref {
        /// Ref that is moved.
        name: &'a RefName,
        /// Commit that the bundle has to bring.
        commit: &'a ObjectId,
    },
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
    /// The mirror's ref that holds it.
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
    /// It was to bring a commit that is none of its tips.
    #[error("it does not bring commit {0}")]
    NotBrought(ObjectId),
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

/// Takes `request.bundle` into `mirror` and holds its tips as `request.hold` says.
pub async fn import_bundle(
    mirror: &Mirror,
    request: ImportRequest<'_>,
) -> Result<ImportedBundle, ImportError> {
    let limits = request.limits;
    let header = bundle::parse_header(request.bundle, limits)?;
    let tips = name_tips(request.hold, &header)?;
    let mut known = ObjectReader::start(mirror.call("cat-file"))?;
    check_prerequisites(&mut known, &header.prerequisites).await?;
    let pack = &request.bundle[header.pack_at..];
    let keep = header.objects >= LOOSE_OBJECTS_MAX;
    let mut quarantine = Quarantine::unpack_pack(mirror, known, pack, keep, limits).await?;
    trees::check_objects(&mut quarantine, &request, &tips).await?;
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
        hold = ?request.hold,
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

fn name_tips(
    hold: ImportHold<'_>,
    header: &bundle::BundleHeader,
) -> Result<Vec<ImportedTip>, ImportError> {
    let held_as = |(commit, sent_as): &(ObjectId, RefName), held_by| ImportedTip {
        sent_as: sent_as.clone(),
        commit: commit.clone(),
        held_by,
    };
    match hold {
        ImportHold::Import(id) => {
            let tips = header.tips.iter().enumerate();
            tips.map(|(n, tip)| Ok(held_as(tip, import_ref(id, Some(n))?)))
                .collect()
        }
        ImportHold::Ref { name, commit } => {
            let tip = header.tips.iter().find(|(brought, _)| brought == commit);
            let tip = tip.ok_or_else(|| ImportRefusal::NotBrought(commit.clone()))?;
            Ok(vec![held_as(tip, name.clone())])
        }
    }
}

async fn check_prerequisites(
    known: &mut ObjectReader,
    needed: &[ObjectId],
) -> Result<(), ImportError> {
    let names = needed.iter().map(ObjectId::as_str);
    for object in known.describe_objects(names).await? {
        if object.kind != "commit" {
            return Err(ImportRefusal::MissingPrerequisite(object.id).into());
        }
    }
    Ok(())
}
