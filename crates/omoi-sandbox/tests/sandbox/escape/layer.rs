//! A workspace laid over a prepared folder, where the rung can, and what must not become of either.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use omoi_sandbox::Provider;

use super::bait::fill;
use crate::support::Platform;

/// The row that is judged by what became of the layer.
const CHANGED_ROW: &str = "\tchange the layer below by way of the workspace\t";

/// A workspace, the folder that it is laid over, and a neighbour over the same one.
pub(crate) struct LaidLayer {
    pub(crate) workspace: PathBuf,
    pub(crate) neighbour: PathBuf,
    pub(crate) lower: PathBuf,
    before: BTreeMap<PathBuf, String>,
    provider: Arc<dyn Provider>,
}

impl LaidLayer {
    /// Laid over the layer, or a copy of it where this rung or this user cannot.
    pub(super) fn lay(platform: &Platform) -> Self {
        let lower = platform.path("lower");
        fs::create_dir(&lower).unwrap();
        fill(&lower);
        let make = |name: &str| {
            let dir = platform.path(name);
            fs::create_dir(&dir).unwrap();
            match platform.provider.overlay_support() {
                Ok(()) => platform.provider.lay_workspace(&dir, &[&lower]).unwrap(),
                Err(_) => fill(&dir),
            }
            platform.provider.prepare_workspace(&dir).unwrap();
            dir
        };
        let (workspace, neighbour) = (make("laid"), make("neighbour"));
        // Of root's on an overlay, which is copied up: it lies in what changed.
        fs::write(neighbour.join("changed"), "by the neighbour").unwrap();
        Self {
            before: tree_facts(&lower),
            provider: Arc::clone(&platform.provider),
            workspace,
            neighbour,
            lower,
        }
    }

    /// Where a program would find what the workspaces are made of.
    pub(super) fn to_facts(&self, platform: &Platform) -> String {
        let listed = |places: &[PathBuf]| {
            let places = places
                .iter()
                .map(|place| format!("\"{}\"", place.display()));
            places.collect::<Vec<_>>().join(", ")
        };
        let parts = |dir: &Path| ["upper", "work", "lower"].map(|part| dir.join(part));
        let changed = ["changed", "upper/changed"].map(|path| self.neighbour.join(path));
        let beside = ["state", "lower", "neighbour"].map(|name| platform.path(name));
        format!(
            r#"{{"lower": "{}", "own": [{}], "other": [{}], "beside": [{}]}}"#,
            self.lower.display(),
            listed(&parts(&self.workspace)),
            listed(&changed),
            listed(&beside),
        )
    }

    /// The rows with the one that only the platform can judge.
    pub(crate) fn judge_table(&self, table: &str) -> String {
        let has_changed = tree_facts(&self.lower) != self.before;
        let judged = |line: &str| match line.contains(CHANGED_ROW) && has_changed {
            true => line.replace("\theld\t", "\tESCAPED\t"),
            false => line.to_owned(),
        };
        table.lines().map(|line| judged(line) + "\n").collect()
    }
}

impl Drop for LaidLayer {
    /// Takes the mounts away, which would outlive the test.
    fn drop(&mut self) {
        for dir in [&self.workspace, &self.neighbour] {
            let _ = self.provider.remove_workspace(dir);
        }
    }
}

/// Contents, owners, modes and names of everything in a folder.
fn tree_facts(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut facts = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = match meta.is_file() {
                true => fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            let fact = format!(
                "{} {} {:o} {} {content:?}",
                meta.uid(),
                meta.gid(),
                meta.mode(),
                meta.nlink()
            );
            if meta.is_dir() {
                folders.push(path.clone());
            }
            facts.insert(path, fact);
        }
    }
    facts
}
