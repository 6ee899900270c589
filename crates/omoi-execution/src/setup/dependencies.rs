//! Which versions of packages a commit asks for, and which of them another commit changed.

use std::collections::BTreeSet;

use omoi_domain::lock_file::LockFileKind;
use omoi_egress::lock_file::{locked_places, locked_versions};
use omoi_git::layer::{DependencyFacts, NodePlace, NodePlaces};
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;
use omoi_git::survey::own_python_packages;

use super::SetupError;

use crate::egress::{LockFile, LockFileSet};

/// What the lock files of one commit list and those of another do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencyDiff {
    /// Versions that only the later one lists, as `npm:left-pad@1.3.0`.
    pub added: Vec<String>,
    /// Versions that only the earlier one lists.
    pub removed: Vec<String>,
}

impl DependencyDiff {
    fn between(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Self {
        Self {
            added: after.difference(before).cloned().collect(),
            removed: before.difference(after).cloned().collect(),
        }
    }

    /// Whether both list the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// What the lock files of `after` list otherwise than those of `before`.
///
/// # Errors
/// When git cannot read one of the commits.
pub async fn dependency_diff(
    mirror: &Mirror,
    before: &ObjectId,
    after: &ObjectId,
) -> Result<DependencyDiff, GitError> {
    let before = LockFileSet::read(mirror, before, &[]).await?;
    let after = LockFileSet::read(mirror, after, &before.files).await?;
    let (before, after) = (locked_names(&before.files), locked_names(&after.files));
    Ok(DependencyDiff::between(&before, &after))
}

/// What says which installed packages of `after` may differ from those of `before`. What `after` does not show that it
/// took away stays.
pub(super) async fn dependency_facts(
    mirror: &Mirror,
    before: &ObjectId,
    after: &ObjectId,
) -> Result<DependencyFacts, SetupError> {
    let (own_before, own_after) = (
        own_python_packages(mirror, before).await?,
        own_python_packages(mirror, after).await?,
    );
    let before = LockFileSet::read(mirror, before, &[]).await?;
    let after = LockFileSet::read(mirror, after, &before.files).await?;
    let stays: Vec<&LockFile> = after
        .files
        .iter()
        .chain(after.hidden_files(&before))
        .collect();
    Ok(DependencyFacts {
        listed_before: locked_names(&before.files),
        listed_after: locked_names(stays.iter().copied()),
        places_before: node_places(&before.files),
        places_after: node_places(stays),
        arrived: BTreeSet::new(),
        own_before,
        own_after,
    })
}

/// Where npm puts packages by these lock files. Of two in one folder it takes the one that is published.
fn node_places<'a>(files: impl IntoIterator<Item = &'a LockFile>) -> NodePlaces {
    let is_published =
        |file: &LockFile| LockFileKind::of_path(&file.path) == Some(LockFileKind::NpmShrinkwrap);
    let mut files: Vec<&LockFile> = files.into_iter().collect();
    files.sort_by_key(|file| !is_published(file));
    let (mut places, mut known) = (NodePlaces::default(), BTreeSet::new());
    for file in files {
        let root = file.path.rsplit_once('/').map_or("", |(root, _)| root);
        let Some(found) = locked_places(&file.path, &file.content) else {
            continue;
        };
        if known.insert(root) {
            let named = found.into_iter().map(|place| {
                let there = NodePlace {
                    package: place.package,
                    link: place.link,
                    is_optional: place.is_optional,
                };
                (place.folder, there)
            });
            places.add_lock_file(root, named);
        }
    }
    places
}

fn locked_names<'a>(files: impl IntoIterator<Item = &'a LockFile>) -> BTreeSet<String> {
    let listed = files.into_iter().flat_map(|file| {
        let versions = locked_versions(&file.path, &file.content);
        versions.into_iter().map(|version| version.to_string())
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(path: &str, text: &str) -> LockFile {
        LockFile {
            path: path.to_owned(),
            content: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn versions_of_all_lock_files_are_compared() {
        let crates = |version: &str| {
            let source = "registry+https://github.com/rust-lang/crates.io-index";
            let text = format!(
                "[[package]]\nname = \"a\"\nversion = \"{version}\"\nsource = \"{source}\"\n"
            );
            lock("rust/Cargo.lock", &text)
        };
        let python = |text: &str| lock("requirements.txt", text);
        let before = locked_names(&[crates("1.0.0"), python("b==1.0 --hash=sha256:00\nc==1.0\n")]);
        let after = locked_names(&[crates("1.0.1"), python("b==1.0 --hash=sha256:00\nd>=2\n")]);
        let diff = DependencyDiff::between(&before, &after);
        assert_eq!(diff.added, ["crates:a@1.0.1"]);
        assert_eq!(diff.removed, ["crates:a@1.0.0", "pypi:c@1.0"]);
        assert!(!diff.is_empty() && DependencyDiff::between(&after, &after).is_empty());
    }
}
