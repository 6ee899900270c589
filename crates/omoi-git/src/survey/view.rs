//! The files of a repository by path, with the texts that were read: the input of every rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::listing::{FileInfo, FileListing};

/// At most this many projects of one kind get commands of their own.
const PROJECTS_MAX: usize = 5;

pub(super) struct SurveyView<'a> {
    listing: &'a FileListing,
    texts: BTreeMap<&'a str, String>,
    /// The project's own files by name, as places in the listing.
    by_name: HashMap<&'a str, Vec<usize>>,
    binary: u64,
}

impl<'a> SurveyView<'a> {
    pub(super) fn new(
        listing: &'a FileListing,
        chosen: Vec<usize>,
        contents: Vec<Vec<u8>>,
    ) -> Self {
        let mut view = Self {
            listing,
            texts: BTreeMap::new(),
            by_name: HashMap::new(),
            binary: 0,
        };
        let own = |f: &FileInfo| !f.aside && !f.is_test();
        for (n, file) in listing.files.iter().enumerate().filter(|(_, f)| own(f)) {
            view.by_name.entry(file.file_name()).or_default().push(n);
        }
        for (n, content) in chosen.into_iter().zip(contents) {
            if content.contains(&0) {
                view.binary += 1;
                continue;
            }
            let text = String::from_utf8_lossy(&content).into_owned();
            view.texts.insert(&listing.files[n].path, text);
        }
        view
    }

    pub(super) fn files(&self) -> &'a [FileInfo] {
        &self.listing.files
    }

    pub(super) fn has_file(&self, path: &str) -> bool {
        self.find_file(path).is_some()
    }

    pub(super) fn find_file(&self, path: &str) -> Option<&'a FileInfo> {
        let files = self.files();
        let found = files.binary_search_by(|f| f.path.as_str().cmp(path)).ok()?;
        files.get(found)
    }

    /// The text of a file that was read.
    pub(super) fn file_text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Every text that was read, by path.
    pub(super) fn all_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (*path, text.as_str()))
    }

    /// The files below folder `dir`; the empty name is the root.
    pub(super) fn files_below(&self, dir: &str) -> impl Iterator<Item = &'a FileInfo> {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let start = self
            .files()
            .partition_point(|f| f.path.as_str() < prefix.as_str());
        let rest = self.files()[start..].iter();
        rest.take_while(move |f| f.path.starts_with(&prefix))
    }

    /// Whether folder `dir` has any file.
    pub(super) fn has_dir(&self, dir: &str) -> bool {
        self.files_below(dir).next().is_some()
    }

    /// Where projects with one of these manifests are: the root if it has one, for it speaks for
    /// what is below; else the shallowest few folders.
    pub(super) fn project_dirs(&self, manifests: &[&str]) -> Vec<&'a str> {
        let mut dirs: BTreeSet<(usize, &str)> = BTreeSet::new();
        for n in manifests
            .iter()
            .filter_map(|name| self.by_name.get(name))
            .flatten()
        {
            let file = &self.listing.files[*n];
            let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
            dirs.insert((file.depth, dir));
        }
        let mut chosen: Vec<&str> = Vec::new();
        for (_, dir) in dirs {
            let spoken_for =
                |outer: &&str| outer.is_empty() || dir.starts_with(&format!("{outer}/"));
            if chosen.len() < PROJECTS_MAX && !chosen.iter().any(spoken_for) {
                chosen.push(dir);
            }
        }
        chosen
    }

    /// The first of `names` that folder `dir` has, as a path.
    pub(super) fn first_in(&self, dir: &str, names: &[&str]) -> Option<String> {
        names
            .iter()
            .map(|name| join_path(dir, name))
            .find(|path| self.has_file(path))
    }

    pub(super) fn binary_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.binary > 0 {
            notes.push(format!(
                "Manifests that are no text and were not read: {}.",
                self.binary
            ));
        }
        notes
    }

    /// Says when files are kept in Git LFS, where a checkout has pointers only.
    pub(super) fn unfetched_lfs(&self) -> Option<String> {
        let mut texts = self.all_texts();
        let (path, _) = texts
            .find(|(path, text)| path.ends_with(".gitattributes") && text.contains("filter=lfs"))?;
        Some(format!(
            "files that `{path}` keeps in Git LFS are not fetched, agents see their pointers"
        ))
    }
}

/// `name` in folder `dir`.
pub(super) fn join_path(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}
