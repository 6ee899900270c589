//! What kind of error kept an attempt from starting: its class decides whether it is tried again.

use std::error::Error;
use std::io;

use omoi_domain::id::SpecId;
use omoi_domain::retry::ErrorClass;
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_git::refname::BadRefName;
use omoi_sandbox::{GuardRefusal, LaunchError};
use omoi_store::{StoreError, Tenant, specs};

use crate::repository_folders::RepositoryFolders;
use crate::sandbox_toolchain::UnreadableToolbox;
use crate::setup::SetupError;

/// The class of what kept work on a spec from starting, where the error says `class`. Git says in
/// words alone that a commit is not there, so the mirror is asked for the one that every start needs.
pub(crate) async fn class_of_start(
    store: &Tenant,
    folders: &RepositoryFolders,
    spec: SpecId,
    class: ErrorClass,
) -> ErrorClass {
    if class != ErrorClass::ProvisionFailed {
        return class;
    }
    match has_base(store, folders, spec).await {
        Some(false) => ErrorClass::RepoMissing,
        Some(true) | None => class,
    }
}

/// Whether the mirror holds the spec's base commit; none when it cannot be asked.
async fn has_base(store: &Tenant, folders: &RepositoryFolders, spec: SpecId) -> Option<bool> {
    let spec = store.read(async |tx| specs::get(tx, spec).await);
    let spec = spec.await.ok()?;
    let base = ObjectId::parse(&spec.base_sha).ok()?;
    let mirror = folders.project_mirror(spec.project_id).await.ok()?;
    mirror.has_commit(&base).await.ok()
}

/// The class of `error`, by the first of its causes that has one.
pub(crate) fn class_of(error: &(dyn Error + 'static)) -> ErrorClass {
    let causes = std::iter::successors(Some(error), |&cause| cause.source());
    let mut classes = causes.filter_map(class_of_cause);
    classes.next().unwrap_or(ErrorClass::ProvisionFailed)
}

fn class_of_cause(cause: &(dyn Error + 'static)) -> Option<ErrorClass> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return class_of_io(error.kind());
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return match error {
            StoreError::NoSpace(_) => Some(ErrorClass::ResourceExhausted),
            StoreError::Corrupt { .. } | StoreError::NotFound { .. } => {
                Some(ErrorClass::InvalidTask)
            }
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<LaunchError>() {
        return match error {
            LaunchError::Exposes { .. } | LaunchError::Path { .. } => {
                Some(ErrorClass::PolicyViolation)
            }
            _ => None,
        };
    }
    if cause.is::<GuardRefusal>() {
        return Some(ErrorClass::PolicyViolation);
    }
    if let Some(SetupError::RegistryAway(_)) = cause.downcast_ref::<SetupError>() {
        return Some(ErrorClass::Network);
    }
    if let Some(GitError::Deadline { .. }) = cause.downcast_ref::<GitError>() {
        return Some(ErrorClass::Timeout);
    }
    let is_malformed = cause.is::<BadObjectId>()
        || cause.is::<BadRefName>()
        || cause.is::<UnreadableToolbox>()
        || cause.is::<serde_json::Error>();
    is_malformed.then_some(ErrorClass::InvalidTask)
}

fn class_of_io(kind: io::ErrorKind) -> Option<ErrorClass> {
    match kind {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::OutOfMemory
        | io::ErrorKind::FileTooLarge => Some(ErrorClass::ResourceExhausted),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some(ErrorClass::PermissionDenied)
        }
        io::ErrorKind::TimedOut => Some(ErrorClass::Timeout),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Some(ErrorClass::Network),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use omoi_git::mirror::MirrorError;
    use omoi_git::refname::RefName;

    use super::*;

    fn of_io(kind: io::ErrorKind) -> ErrorClass {
        // Under a layer that has no class of its own.
        class_of(&MirrorError::Io {
            dir: PathBuf::from("/mirrors/x.git"),
            source: kind.into(),
        })
    }

    #[test]
    fn each_cause_of_a_failed_start_has_its_class() {
        for (kind, expected) in [
            (io::ErrorKind::StorageFull, ErrorClass::ResourceExhausted),
            (io::ErrorKind::QuotaExceeded, ErrorClass::ResourceExhausted),
            (
                io::ErrorKind::PermissionDenied,
                ErrorClass::PermissionDenied,
            ),
            (
                io::ErrorKind::ReadOnlyFilesystem,
                ErrorClass::PermissionDenied,
            ),
            (io::ErrorKind::TimedOut, ErrorClass::Timeout),
            (io::ErrorKind::ConnectionRefused, ErrorClass::Network),
            (io::ErrorKind::InvalidData, ErrorClass::ProvisionFailed),
        ] {
            assert_eq!(of_io(kind), expected, "{kind:?}");
        }
        let exposes = LaunchError::Exposes {
            path: PathBuf::from("/"),
            hidden: PathBuf::from("/home"),
        };
        assert_eq!(class_of(&exposes), ErrorClass::PolicyViolation);
        let guarded = GuardRefusal {
            path: PathBuf::from("/home"),
            reason: "it holds a home".to_owned(),
        };
        let command = crate::command::CommandError::from(guarded);
        assert_eq!(class_of(&command), ErrorClass::PolicyViolation);
        let malformed: [Option<Box<dyn Error>>; 2] = [
            ObjectId::parse("no commit").err().map(Into::into),
            RefName::from_branch("..").err().map(Into::into),
        ];
        for error in malformed.into_iter().flatten() {
            assert_eq!(class_of(error.as_ref()), ErrorClass::InvalidTask, "{error}");
        }
        let gone = StoreError::NotFound {
            what: "merge",
            key: "x".to_owned(),
        };
        assert_eq!(class_of(&gone), ErrorClass::InvalidTask);
        let deadline = GitError::Deadline {
            command: "clone",
            seconds: 60,
        };
        assert_eq!(class_of(&deadline), ErrorClass::Timeout);
    }
}
