//! Releases of packages as folders, and the source files of one.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use omoi_repository_map::file_ranking::TreeFile;
use omoi_repository_map::language::SourceLanguage;
use omoi_repository_map::source_tags::TagReader;
use omoi_repository_map::tag_cache::{BlobId, TagCache};

use crate::Fallible;

/// Folders of what a package was built to, and of what it brings along.
const BUILT: [&str; 5] = ["dist", "build", "es", "node_modules", "vendor"];

/// One release, unpacked.
pub(crate) struct UnpackedRelease {
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) folder: PathBuf,
}

/// The releases of `releases.txt`: registry, package, version and digest of each line.
pub(crate) fn list_releases(folder: &Path) -> Fallible<Vec<UnpackedRelease>> {
    let list = std::fs::read_to_string(folder.join("releases.txt"))?;
    let releases = list.lines().filter_map(|line| {
        let [registry, package, version, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(UnpackedRelease {
            package: package.to_owned(),
            version: version.to_owned(),
            folder: folder.join(registry).join(format!("{package}-{version}")),
        })
    });
    Ok(releases.collect())
}

/// The source files of a release with their texts and tags.
pub(crate) struct ReleaseTree {
    pub(crate) files: Vec<TreeFile>,
    pub(crate) texts: Vec<String>,
    pub(crate) cache: TagCache,
}

impl ReleaseTree {
    pub(crate) fn read(folder: &Path) -> Fallible<Self> {
        let mut paths = Vec::new();
        collect_sources(folder, "", &mut paths)?;
        paths.sort();
        let mut reader = TagReader::default();
        let mut tree = Self {
            files: Vec::new(),
            texts: Vec::new(),
            cache: TagCache::default(),
        };
        for path in paths {
            let bytes = std::fs::read(folder.join(&path))?;
            let (Ok(text), Some(language)) =
                (String::from_utf8(bytes), SourceLanguage::of_path(&path))
            else {
                continue;
            };
            let blob = content_name(&path, &text);
            tree.cache
                .insert_tags(blob, &reader.read_tags(language, text.as_bytes()));
            tree.files.push(TreeFile { path, blob });
            tree.texts.push(text);
        }
        Ok(tree)
    }

    /// Indices of files that `newer` has changed or removed.
    pub(crate) fn changed_files(&self, newer: &Path) -> HashSet<usize> {
        let changed = self.files.iter().enumerate().filter(|(n, file)| {
            let text = std::fs::read_to_string(newer.join(&file.path));
            text.is_ok_and(|text| text != self.texts[*n]) || !newer.join(&file.path).exists()
        });
        changed.map(|(n, _)| n).collect()
    }
}

fn collect_sources(folder: &Path, below: &str, paths: &mut Vec<String>) -> Fallible<()> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match below {
            "" => name.clone(),
            below => format!("{below}/{name}"),
        };
        let kind = entry.file_type()?;
        if kind.is_dir() && !BUILT.contains(&name.as_str()) {
            collect_sources(folder, &path, paths)?;
        } else if kind.is_file() && SourceLanguage::of_path(&path).is_some() {
            paths.push(path);
        }
    }
    Ok(())
}

fn content_name(path: &str, text: &str) -> BlobId {
    let mut name = [0; 20];
    for (n, part) in name.chunks_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (n, path, text).hash(&mut hasher);
        let hash = hasher.finish().to_be_bytes();
        part.copy_from_slice(&hash[..part.len()]);
    }
    name
}
