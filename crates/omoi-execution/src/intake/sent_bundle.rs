//! Bundles that workers send: commits of an attempt, on their way into the mirror.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tracing::debug;

use omoi_domain::crash::CrashPoint;
use omoi_git::import::{
    ImportError, ImportHold, ImportLimits, ImportRefusal, ImportRequest, forget_import,
    import_bundle,
};
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;
use omoi_protocol::worker::GitBundle;
use omoi_store::attempts::Attempt;

use super::IntakeError;
use crate::integration::wip_ref;

/// A commit that is in the mirror, and the import that keeps it there until a ref does.
pub(super) struct ImportedCommit {
    pub(super) commit: ObjectId,
    import: Option<String>,
}

impl ImportedCommit {
    /// Drops the import's own refs: another ref holds the commit now, or nobody wants it.
    pub(super) async fn forget_import(self, mirror: &Mirror) -> Result<(), IntakeError> {
        match self.import {
            Some(id) => Ok(forget_import(mirror, &id).await?),
            None => Ok(()),
        }
    }
}

/// A bundle as it was sent, decoded.
struct SentBundle {
    bytes: Vec<u8>,
    /// The commit it is said to bring.
    commit: ObjectId,
    /// The commit that the attempt started from.
    base: ObjectId,
}

impl SentBundle {
    fn of_attempt(attempt: &Attempt, bundle: &GitBundle) -> Result<Self, IntakeError> {
        let refused = |what: &str| IntakeError::Refused(what.to_owned());
        let bytes = STANDARD
            .decode(&bundle.data_b64)
            .map_err(|_| refused("the bundle is not base64"))?;
        let base = attempt
            .base_sha
            .as_deref()
            .ok_or_else(|| refused("this attempt has no base"))?;
        Ok(Self {
            bytes,
            commit: ObjectId::parse(&bundle.sha)?,
            base: ObjectId::parse(base)?,
        })
    }

    /// Whether it brings nothing: the commit is one we gave out.
    async fn is_known(&self, mirror: &Mirror) -> Result<bool, GitError> {
        Ok(self.bytes.is_empty() && mirror.has_commit(&self.commit).await?)
    }

    async fn import(&self, mirror: &Mirror, hold: ImportHold<'_>) -> Result<(), IntakeError> {
        let limits = ImportLimits::default();
        let request = ImportRequest {
            hold,
            bundle: &self.bytes,
            base: &self.base,
            limits: &limits,
        };
        let imported = import_bundle(mirror, request).await?;
        if imported.tips.iter().any(|tip| tip.commit == self.commit) {
            return Ok(());
        }
        Err(ImportError::Refused(ImportRefusal::NotBrought(self.commit.clone())).into())
    }
}

/// Points the attempt's own ref at the snapshot in `bundle`; gives its commit.
pub(super) async fn keep_snapshot(
    mirror: &Mirror,
    attempt: &Attempt,
    bundle: &GitBundle,
) -> Result<ObjectId, IntakeError> {
    let sent = SentBundle::of_attempt(attempt, bundle)?;
    let (name, commit) = (&wip_ref(attempt.id)?, &sent.commit);
    if sent.is_known(mirror).await? {
        let before = mirror.read_ref(name).await?;
        mirror
            .update_ref_cas(name, commit, before.as_ref(), CrashPoint::RefMoved)
            .await?;
    } else {
        sent.import(mirror, ImportHold::Ref { name, commit })
            .await?;
    }
    Ok(sent.commit)
}

/// Imports a bundle of an attempt's commits and returns the commit it was said to bring.
pub(super) async fn import_commit(
    mirror: &Mirror,
    attempt: &Attempt,
    bundle: &GitBundle,
) -> Result<ImportedCommit, IntakeError> {
    let sent = SentBundle::of_attempt(attempt, bundle)?;
    if sent.is_known(mirror).await? {
        return Ok(ImportedCommit {
            commit: sent.commit,
            import: None,
        });
    }
    let digest = hex::encode(Sha256::digest(&sent.bytes));
    let id = format!("{}-{}", attempt.id, &digest[..12]);
    sent.import(mirror, ImportHold::Import(&id)).await?;
    debug!(attempt.id = %attempt.id, commit = %sent.commit, bytes = sent.bytes.len(), "Imported a bundle");
    Ok(ImportedCommit {
        commit: sent.commit,
        import: Some(id),
    })
}
