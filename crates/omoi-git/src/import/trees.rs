//! Sizes, counts, depths and names of what is in quarantine.

use std::collections::{BTreeSet, HashMap};

use super::{ImportError, ImportLimits, ImportRefusal, ImportRequest, ImportedTip, Quarantine};
use crate::object::{ObjectId, RepoPath};

/// Checks every new object of `quarantine` against the request's limits.
pub(super) async fn check_objects(
    quarantine: &mut Quarantine<'_>,
    request: &ImportRequest<'_>,
    tips: &[ImportedTip],
) -> Result<(), ImportError> {
    let limits = request.limits;
    let objects = quarantine.new_objects().await?;
    let (mut commits, mut trees, mut structure) = (Vec::new(), Vec::new(), 0_u64);
    for object in objects {
        match object.kind.as_str() {
            "blob" if object.bytes > limits.blob_bytes_max => {
                return Err(ImportRefusal::FileTooLarge {
                    path: quarantine.path_of(&object.id, tips).await?,
                    bytes: object.bytes,
                    bytes_max: limits.blob_bytes_max,
                }
                .into());
            }
            "blob" => {}
            "commit" => {
                structure += object.bytes;
                commits.push(object.id);
            }
            "tree" => {
                structure += object.bytes;
                trees.push(object.id);
            }
            _ => {
                return Err(ImportRefusal::Malformed(
                    "an object that is no file, folder or commit",
                )
                .into());
            }
        }
    }
    let commits_max = limits.commits_max as u64;
    ImportRefusal::check_limit("new commits", commits.len() as u64, commits_max)?;
    let structure_max = limits.structure_bytes_max as u64;
    ImportRefusal::check_limit("bytes of folders and commits", structure, structure_max)?;

    let mut forest = LoadedTrees::default();
    forest.load_trees(quarantine, &trees, limits).await?;
    check_names(quarantine, &forest, request.base).await?;
    let roots = root_trees(quarantine, &commits, limits).await?;
    let base_root = quarantine.known_tree(request.base).await?;
    forest
        .load_below(quarantine, &roots, &base_root, limits)
        .await?;
    let base_files = forest.measure_tree(&base_root, usize::MAX)?.files;
    for root in roots {
        let files = forest.measure_tree(&root, limits.depth_max)?.files;
        let files_max = limits.files_max.saturating_add(base_files);
        ImportRefusal::check_limit("files of one commit", files, files_max)?;
    }
    Ok(())
}

/// One line of a tree object.
pub(super) struct TreeEntry {
    pub(super) name: Vec<u8>,
    kind: TreeEntryKind,
}

enum TreeEntryKind {
    Folder(ObjectId),
    Symlink,
    Other,
}

#[derive(Clone, Copy)]
struct TreeSize {
    files: u64,
    height: usize,
}

/// Trees by name, and what was found out about them.
#[derive(Default)]
struct LoadedTrees {
    trees: HashMap<ObjectId, Vec<TreeEntry>>,
    sizes: HashMap<ObjectId, TreeSize>,
}

impl LoadedTrees {
    async fn load_trees(
        &mut self,
        quarantine: &mut Quarantine<'_>,
        ids: &[ObjectId],
        limits: &ImportLimits,
    ) -> Result<(), ImportError> {
        let contents = quarantine.read_all(ids, "tree", limits).await?;
        for (id, content) in ids.iter().zip(contents) {
            let entries =
                parse_tree(&content).ok_or(ImportRefusal::Malformed("a broken folder"))?;
            self.trees.insert(id.clone(), entries);
        }
        Ok(())
    }

    /// Loads what `roots` and `base` reach and is not loaded, one layer at a time.
    async fn load_below(
        &mut self,
        quarantine: &mut Quarantine<'_>,
        roots: &BTreeSet<ObjectId>,
        base: &ObjectId,
        limits: &ImportLimits,
    ) -> Result<(), ImportError> {
        let mut seen: BTreeSet<ObjectId> = roots.clone();
        seen.insert(base.clone());
        let mut layer: Vec<ObjectId> = seen.iter().cloned().collect();
        while !layer.is_empty() {
            let absent: Vec<ObjectId> = layer
                .iter()
                .filter(|id| !self.trees.contains_key(*id))
                .cloned()
                .collect();
            self.load_trees(quarantine, &absent, limits).await?;
            let mut next = Vec::new();
            for entry in layer.iter().filter_map(|id| self.trees.get(id)).flatten() {
                if let TreeEntryKind::Folder(id) = &entry.kind
                    && seen.insert(id.clone())
                {
                    next.push(id.clone());
                }
            }
            layer = next;
        }
        Ok(())
    }

    /// Files in `tree` and the folders below it; each tree is looked at once however often it
    /// occurs, so a tree that unfolds to billions of files costs nothing.
    fn measure_tree(
        &mut self,
        tree: &ObjectId,
        depth_max: usize,
    ) -> Result<TreeSize, ImportRefusal> {
        let too_deep = |height: usize| {
            ImportRefusal::check_limit("folders within folders", height as u64, depth_max as u64)
        };
        if let Some(size) = self.sizes.get(tree) {
            too_deep(size.height)?;
            return Ok(*size);
        }
        too_deep(1)?;
        let mut size = TreeSize {
            files: 0,
            height: 1,
        };
        let entries = self.trees.remove(tree).unwrap_or_default();
        for entry in &entries {
            match &entry.kind {
                TreeEntryKind::Folder(id) => {
                    let below = self.measure_tree(id, depth_max - 1)?;
                    size.files = size.files.saturating_add(below.files);
                    size.height = size.height.max(below.height + 1);
                }
                TreeEntryKind::Symlink | TreeEntryKind::Other => {
                    size.files = size.files.saturating_add(1);
                }
            }
        }
        self.sizes.insert(tree.clone(), size);
        Ok(size)
    }
}

/// Refuses names that are harmful, unless the base has them: those are the user's.
async fn check_names(
    quarantine: &Quarantine<'_>,
    forest: &LoadedTrees,
    base: &ObjectId,
) -> Result<(), ImportError> {
    let mut tolerated: Option<BTreeSet<Vec<u8>>> = None;
    for entry in forest.trees.values().flatten() {
        let Some(why) = name_fault(entry) else {
            continue;
        };
        if tolerated.is_none() {
            let mut names = BTreeSet::new();
            for entry in quarantine.mirror.list_tree(base).await? {
                let parts = entry.path.as_bytes().split(|b| *b == b'/');
                names.extend(parts.filter(|n| has_control(n)).map(<[u8]>::to_vec));
            }
            tolerated = Some(names);
        }
        if !tolerated.iter().any(|names| names.contains(&entry.name)) {
            return Err(ImportRefusal::BadName {
                name: RepoPath::from_git(&entry.name),
                why,
            }
            .into());
        }
    }
    Ok(())
}

/// What is wrong with an entry. Git's own checks catch most of this; these do not depend on them.
fn name_fault(entry: &TreeEntry) -> Option<&'static str> {
    let name = entry.name.as_slice();
    let trimmed = name.trim_ascii_end();
    let trimmed = trimmed.strip_suffix(b".").unwrap_or(trimmed);
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        Some("leaves its folder")
    } else if trimmed.eq_ignore_ascii_case(b".git") || trimmed.eq_ignore_ascii_case(b"git~1") {
        Some("poses as a git directory")
    } else if name.eq_ignore_ascii_case(b".gitmodules")
        && matches!(entry.kind, TreeEntryKind::Symlink)
    {
        Some("is a symbolic link")
    } else if has_control(name) {
        Some("holds a control character")
    } else {
        None
    }
}

fn has_control(name: &[u8]) -> bool {
    name.iter().any(u8::is_ascii_control)
}

/// `<mode> <name> NUL <20 bytes>`, repeated.
pub(super) fn parse_tree(mut bytes: &[u8]) -> Option<Vec<TreeEntry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ')?;
        let end = bytes.iter().position(|b| *b == 0)?;
        let name = bytes.get(space + 1..end)?.to_vec();
        let raw = bytes.get(end + 1..end + 21)?;
        let kind = match bytes[..space].trim_ascii() {
            b"40000" | b"040000" => TreeEntryKind::Folder(ObjectId::from_raw(raw)?),
            b"120000" => TreeEntryKind::Symlink,
            _ => TreeEntryKind::Other,
        };
        entries.push(TreeEntry { name, kind });
        bytes = &bytes[end + 21..];
    }
    Some(entries)
}

async fn root_trees(
    quarantine: &mut Quarantine<'_>,
    commits: &[ObjectId],
    limits: &ImportLimits,
) -> Result<BTreeSet<ObjectId>, ImportError> {
    let contents = quarantine.read_all(commits, "commit", limits).await?;
    let roots: Option<BTreeSet<ObjectId>> = contents
        .iter()
        .map(|content| ObjectId::from_bytes(content.strip_prefix(b"tree ")?.get(..40)?))
        .collect();
    Ok(roots.ok_or(ImportRefusal::Malformed("a broken commit"))?)
}
