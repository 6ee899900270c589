//! A merge whose conflicts are settled by taking one side of each file.

use std::collections::BTreeSet;
use std::ops::Bound;

use omoi_domain::merge::ConflictSide;

use super::merge::{ConflictedPath, MergeTree};
use super::read::FileEntry;
use super::{Mirror, MirrorError};
use crate::object::ObjectId;

/// The two commits of a merge.
#[derive(Clone, Copy, Debug)]
pub struct MergedCommits<'a> {
    /// What landed before.
    pub ours: &'a ObjectId,
    /// What comes in.
    pub theirs: &'a ObjectId,
}

/// Where the files lie that a conflict is about, and the side that is taken there.
struct ConflictPlace<'a> {
    path: &'a [u8],
    side: ConflictSide,
}

impl ConflictPlace<'_> {
    fn holds(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

impl Mirror {
    /// The tree of the merge of `commits` in which each path in conflict is as one side has it, or gone where that side does not
    /// have it: `taken` is the side of each of `merged.conflicts`, in their order. A file that the other side renamed is taken
    /// under its new name. None where the sides do not fit together, as a file and a folder of the same name.
    ///
    /// # Errors
    /// When git or the disk refuses.
    pub async fn take_sides(
        &self,
        merged: &MergeTree,
        commits: MergedCommits<'_>,
        taken: &[ConflictSide],
    ) -> Result<Option<ObjectId>, MirrorError> {
        let ours = self.list_tree(commits.ours).await?;
        let theirs = self.list_tree(commits.theirs).await?;
        let unmerged = self.list_tree(&merged.tree).await?;
        let mut places: Vec<ConflictPlace<'_>> = Vec::new();
        for (conflict, &side) in merged.conflicts.iter().zip(taken) {
            let path = conflict.path.as_bytes();
            places.push(ConflictPlace { path, side });
            let is_known = ours
                .iter()
                .chain(&theirs)
                .any(|e| e.path.as_bytes() == path);
            let beside = beside_folder(path).filter(|_| !is_known);
            places.extend(beside.map(|path| ConflictPlace { path, side }));
        }
        let mut changes = TreeChanges::default();
        for entry in &unmerged {
            match place_of(&places, entry) {
                Some(_) => changes.remove_file(entry),
                None => changes.keep_file(entry),
            }
        }
        for (side, entries) in [(ConflictSide::Ours, &ours), (ConflictSide::Theirs, &theirs)] {
            let is_taken =
                |entry: &&FileEntry| place_of(&places, entry).is_some_and(|p| p.side == side);
            for entry in entries.iter().filter(is_taken) {
                let (mode, path) = (entry.kind.tree_mode(), entry.path.as_bytes());
                changes.put_file(mode, &entry.id, path);
            }
        }
        for (conflict, &side) in merged.conflicts.iter().zip(taken) {
            let entries = match side {
                ConflictSide::Ours => &ours,
                ConflictSide::Theirs => &theirs,
            };
            changes.put_renamed(conflict, side, entries);
        }
        match changes.fit_together() {
            true => Ok(Some(self.changed_tree(&merged.tree, &changes.lines).await?)),
            false => Ok(None),
        }
    }
}

/// The name of a file that met a folder of its name: git puts it beside, with a suffix that neither side has.
fn beside_folder(path: &[u8]) -> Option<&[u8]> {
    let suffix = path.iter().rposition(|byte| *byte == b'~')?;
    Some(&path[..suffix])
}

/// The narrowest place that an entry is at or below.
fn place_of<'p, 'a>(
    places: &'p [ConflictPlace<'a>],
    entry: &FileEntry,
) -> Option<&'p ConflictPlace<'a>> {
    let holding = places.iter().filter(|p| p.holds(entry.path.as_bytes()));
    holding.max_by_key(|place| place.path.len())
}

/// What a merged tree is changed by, and the paths that are there then.
#[derive(Default)]
struct TreeChanges<'a> {
    /// Lines of `update-index --index-info`.
    lines: Vec<u8>,
    kept: BTreeSet<&'a [u8]>,
    put: Vec<&'a [u8]>,
}

impl<'a> TreeChanges<'a> {
    fn keep_file(&mut self, entry: &'a FileEntry) {
        self.kept.insert(entry.path.as_bytes());
    }

    fn remove_file(&mut self, entry: &FileEntry) {
        let line = format!("0 {}", "0".repeat(40));
        self.push_line(&line, entry.path.as_bytes());
    }

    fn put_file(&mut self, mode: &str, id: &ObjectId, path: &'a [u8]) {
        self.push_line(&format!("{mode} {id}"), path);
        self.put.push(path);
    }

    /// Puts the file of a conflict whose side has it under another name, which the other side changed.
    fn put_renamed(
        &mut self,
        conflict: &'a ConflictedPath,
        side: ConflictSide,
        entries: &[FileEntry],
    ) {
        let staged = match side {
            ConflictSide::Ours => conflict.ours.as_ref(),
            ConflictSide::Theirs => conflict.theirs.as_ref(),
        };
        let path = conflict.path.as_bytes();
        let mut places = [Some(path), beside_folder(path)].into_iter().flatten();
        let has_own = places.any(|path| {
            let place = ConflictPlace { path, side };
            entries
                .iter()
                .any(|entry| place.holds(entry.path.as_bytes()))
        });
        if let Some(staged) = staged.filter(|_| !has_own) {
            self.put_file(&staged.mode, &staged.id, path);
        }
    }

    fn push_line(&mut self, line: &str, path: &[u8]) {
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\t');
        self.lines.extend_from_slice(path);
        self.lines.push(0);
    }

    /// Whether no file is where a folder has to be.
    fn fit_together(&self) -> bool {
        let mut all = self.kept.clone();
        all.extend(&self.put);
        let is_free = |path: &&[u8]| {
            let mut folders = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let folder = [*path, b"/"].concat();
            let below: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Excluded(&folder), Bound::Unbounded);
            let mut after = all.range::<[u8], _>(below);
            !folders.any(|(at, _)| all.contains(&path[..at]))
                && !after.next().is_some_and(|next| next.starts_with(&folder))
        };
        self.put.iter().all(is_free)
    }
}
