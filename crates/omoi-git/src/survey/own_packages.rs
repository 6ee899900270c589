//! Names of the Python packages that a repository is itself the source of.

use std::collections::BTreeSet;

use super::SurveyError;
use super::listing::FileListing;
use super::text::read_setting;
use crate::mirror::Mirror;
use crate::object::ObjectId;

/// Manifests that are read, the nearest to the top first.
const MANIFESTS_MAX: usize = 30;
/// Longest manifest that is read.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// All of them together, with what git writes around each.
const TEXTS_BYTES_MAX: usize = 32 << 20;
/// Manifests, with the section that has the name.
const MANIFESTS: [(&str, &str); 4] = [
    ("pyproject.toml", "project"),
    ("pyproject.toml", "tool.poetry"),
    ("setup.cfg", "metadata"),
    ("setup.py", ""),
];

/// Names of the Python packages whose source is in `commit`, as their manifests write them.
///
/// # Errors
/// When the commit cannot be read.
pub async fn own_python_packages(
    mirror: &Mirror,
    commit: &ObjectId,
) -> Result<BTreeSet<String>, SurveyError> {
    let entries = mirror.list_tree(commit).await?;
    let listing = FileListing::of_commit(&entries);
    let is_read = |name: &str| MANIFESTS.iter().any(|(manifest, _)| *manifest == name);
    let files = listing.files.iter();
    let mut files: Vec<_> = files
        .filter(|f| !f.aside && is_read(f.file_name()) && f.bytes <= TEXT_BYTES_MAX)
        .collect();
    files.sort_by_key(|f| f.path.split('/').count());
    files.truncate(MANIFESTS_MAX);
    let ids: Vec<&ObjectId> = files.iter().map(|f| &entries[f.source].id).collect();
    let contents = mirror.read_blobs(&ids, TEXTS_BYTES_MAX).await?;
    let mut names = BTreeSet::new();
    for (file, content) in files.into_iter().zip(contents) {
        let text = String::from_utf8_lossy(&content);
        names.extend(declared_names(file.file_name(), &text));
    }
    Ok(names)
}

/// The names that a manifest gives its package.
fn declared_names(manifest: &str, text: &str) -> impl Iterator<Item = String> {
    let rows = MANIFESTS.iter().filter(move |(name, _)| *name == manifest);
    rows.filter_map(move |(_, section)| match *section {
        "" => keyword_name(text),
        section => read_setting(text, section, "name").map(str::to_owned),
    })
}

/// `name="x"` of a call of `setup`.
fn keyword_name(text: &str) -> Option<String> {
    let mut calls = text.split("name").skip(1).filter_map(|rest| {
        let value = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value[1..].split(quote).next()
    });
    calls.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manifest_has_its_way_to_name_a_package() {
        for (manifest, text, expected) in [
            ("pyproject.toml", "[project]\nname = \"a-b\"\n", Some("a-b")),
            ("pyproject.toml", "[tool.poetry]\nname = 'p'\n", Some("p")),
            ("setup.cfg", "[metadata]\nname = c\n", Some("c")),
            ("setup.py", "setup(\n    name = 'd',\n)", Some("d")),
            ("setup.py", "setup(**values)", None),
            ("pyproject.toml", "[build-system]\nname = \"x\"\n", None),
        ] {
            let names: Vec<String> = declared_names(manifest, text).collect();
            assert_eq!(names, Vec::from_iter(expected.map(str::to_owned)), "{text}");
        }
    }
}
