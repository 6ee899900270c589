//! The texts of a repository's files, to hold claims about it against.

use std::path::Path;

use super::SurveyError;
use super::listing::FileListing;
use crate::mirror::Mirror;
use crate::object::ObjectId;

/// Files read, shallow ones first.
const FILES_MAX: usize = 4_000;
/// Longest file that is read; what is longer is mostly data.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Bytes read from all files together.
const TOTAL_BYTES_MAX: u64 = 32 << 20;
/// Bytes of `git cat-file` around each content.
const HEADER_BYTES: usize = 128;

/// The text files of a repository's own code.
#[derive(Clone, Debug, Default)]
pub struct RepositoryTexts {
    /// Path and text, in order of path.
    pub files: Vec<(String, String)>,
    /// Whether every file of the project's own code was read.
    pub is_complete: bool,
}

/// The texts at `commit`.
///
/// # Errors
/// When the commit cannot be read.
pub async fn texts_of_commit(
    mirror: &Mirror,
    commit: &ObjectId,
) -> Result<RepositoryTexts, SurveyError> {
    let entries = mirror.list_tree(commit).await?;
    let listing = FileListing::of_commit(&entries);
    let (chosen, is_complete) = own_texts(&listing);
    let ids: Vec<&ObjectId> = chosen
        .iter()
        .map(|n| &entries[listing.files[*n].source].id)
        .collect();
    let bytes_max = usize::try_from(TOTAL_BYTES_MAX).unwrap_or(usize::MAX);
    let bytes_max = bytes_max.saturating_add(ids.len().saturating_mul(HEADER_BYTES));
    let contents = mirror.read_blobs(&ids, bytes_max).await?;
    Ok(collect_texts(&listing, &chosen, contents, is_complete))
}

/// The texts of the files under `dir` that its ignore files do not exclude.
///
/// # Errors
/// When the folder cannot be read at all.
pub fn texts_of_dir(dir: &Path) -> Result<RepositoryTexts, SurveyError> {
    std::fs::read_dir(dir).map_err(|_| SurveyError::Unreadable {
        dir: dir.to_path_buf(),
    })?;
    let mut listing = FileListing::of_dir(dir);
    let (chosen, is_complete) = own_texts(&listing);
    let contents = listing.read_files(dir, &chosen);
    Ok(collect_texts(&listing, &chosen, contents, is_complete))
}

/// The files to read, in order of path, and whether all of the project's own code is among them.
/// Other people's code and long data files are left out.
fn own_texts(listing: &FileListing) -> (Vec<usize>, bool) {
    let own = listing
        .files
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.vendored);
    let (short, long): (Vec<_>, Vec<_>) = own.partition(|(_, f)| f.bytes <= FILE_BYTES_MAX);
    let mut is_complete = long.iter().all(|(_, file)| file.language.is_none());
    let mut chosen: Vec<usize> = short.into_iter().map(|(n, _)| n).collect();
    chosen.sort_by_key(|n| (listing.files[*n].depth, *n));
    let mut bytes = 0;
    let within = chosen.iter().take(FILES_MAX).take_while(|n| {
        bytes += listing.files[**n].bytes;
        bytes <= TOTAL_BYTES_MAX
    });
    let n_within = within.count();
    is_complete &= n_within == chosen.len();
    chosen.truncate(n_within);
    chosen.sort_unstable();
    (chosen, is_complete)
}

fn collect_texts(
    listing: &FileListing,
    chosen: &[usize],
    contents: Vec<Vec<u8>>,
    is_complete: bool,
) -> RepositoryTexts {
    let texts = chosen.iter().zip(contents);
    let texts = texts.filter(|(_, content)| !content.contains(&0));
    let files = texts.map(|(n, content)| {
        let text = String::from_utf8_lossy(&content).into_owned();
        (listing.files[*n].path.clone(), text)
    });
    RepositoryTexts {
        files: files.collect(),
        is_complete,
    }
}
