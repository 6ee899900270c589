//! The map of a commit's files for a task, from tags kept beside the mirror.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use omoi_domain::crash::CrashPoint;
use omoi_git::mirror::{EntryKind, Mirror};
use omoi_git::object::ObjectId;
use omoi_git::process::GitError;
use omoi_repository_map::file_ranking::{MapQuestion, TreeFile, rank_files};
use omoi_repository_map::language::SourceLanguage;
use omoi_repository_map::map_text::render_map;
use omoi_repository_map::source_tags::{FileTags, SOURCE_BYTES_MAX, TagReader};
use omoi_repository_map::tag_cache::{BlobId, TagCache};
use omoi_runtime::files::replace_file;
use omoi_runtime::telemetry::error_chain;
use tokio::task::{JoinError, spawn_blocking};
use tracing::{debug, warn};

/// Tags of a project's files, in the folder of its mirror.
const CACHE_FILE: &str = "omoi-tags";
/// Files read anew for one map; a start does not wait for more. The next map reads on.
const READ_FILES_MAX: usize = 8_000;
/// Bytes read anew for one map.
const READ_BYTES_MAX: u64 = 96 << 20;
/// Bytes that name an object before its content.
const OBJECT_HEAD_BYTES: usize = 64;
/// Threads that read sources.
const READERS_MAX: usize = 4;

/// A map, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryMap {
    /// A line per file, best first; empty where nothing has tags.
    pub text: String,
    /// Source files of the commit.
    pub n_files: usize,
    /// Files whose tags had to be read.
    pub n_read: usize,
    /// Files whose tags are still missing: they are ranked by their paths.
    pub n_unread: usize,
}

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The commit cannot be read.
    #[error("could not read the files for the repository map")]
    Git(#[from] GitError),
    /// A reader of sources ended before its work did.
    #[error("could not read sources for the repository map")]
    Reader(#[from] JoinError),
}

/// The map of `commit` for `question`: its best files with their foremost definitions.
///
/// Equal trees and questions give equal maps once every file has been read; until then files that are not
/// read yet stand by their paths, and those that the question points at are read first.
///
/// # Errors
/// When the mirror cannot be read.
pub async fn map_of_commit(
    mirror: &Mirror,
    commit: &ObjectId,
    question: MapQuestion,
) -> Result<RepositoryMap, MapError> {
    let sources = MapSources::of_commit(mirror, commit).await?;
    let cache_file = mirror.dir().join(CACHE_FILE);
    let (mut work, wanted) = spawn_blocking(move || {
        let cache = load_cache(&cache_file);
        let wanted = sources.choose_unread(&cache, &question);
        let work = MapWork {
            sources,
            cache,
            cache_file,
            question,
        };
        (work, wanted)
    })
    .await?;
    if wanted.is_empty() {
        return Ok(spawn_blocking(move || work.draw_map(0)).await?);
    }
    let ids: Vec<&ObjectId> = wanted.iter().map(|file| &work.sources.ids[*file]).collect();
    let room = READ_BYTES_MAX as usize + SOURCE_BYTES_MAX + ids.len() * OBJECT_HEAD_BYTES;
    let contents = mirror.read_blobs(&ids, room).await?;
    let map = spawn_blocking(move || {
        work.read_contents(&wanted, &contents);
        work.save_cache();
        work.draw_map(wanted.len())
    });
    Ok(map.await?)
}

/// The source files of a commit.
struct MapSources {
    files: Vec<TreeFile>,
    ids: Vec<ObjectId>,
    bytes: Vec<u64>,
}

impl MapSources {
    async fn of_commit(mirror: &Mirror, commit: &ObjectId) -> Result<Self, GitError> {
        let mut sources = Self {
            files: Vec::new(),
            ids: Vec::new(),
            bytes: Vec::new(),
        };
        for entry in mirror.list_tree(commit).await? {
            let is_file = matches!(entry.kind, EntryKind::File | EntryKind::Executable);
            let Some(path) = entry.path.as_str().filter(|_| is_file) else {
                continue;
            };
            // Longer ones were made by a program, and are none of a map.
            let is_source =
                SourceLanguage::of_path(path).is_some() && entry.bytes <= SOURCE_BYTES_MAX as u64;
            let Some(blob) = blob_id(&entry.id).filter(|_| is_source) else {
                continue;
            };
            sources.files.push(TreeFile {
                path: path.to_owned(),
                blob,
            });
            sources.ids.push(entry.id);
            sources.bytes.push(entry.bytes);
        }
        Ok(sources)
    }

    /// Files whose tags `cache` does not have, within what one map reads; the likeliest first when there are more.
    fn choose_unread(&self, cache: &TagCache, question: &MapQuestion) -> Vec<usize> {
        let mut seen = HashSet::new();
        let mut unread: Vec<usize> = (0..self.files.len())
            .filter(|file| {
                let blob = &self.files[*file].blob;
                !cache.has_tags(blob) && seen.insert(*blob)
            })
            .collect();
        if unread.len() > READ_FILES_MAX {
            let unread_set: HashSet<usize> = unread.iter().copied().collect();
            let ranking = rank_files(cache, &self.files, question);
            unread = ranking.order;
            unread.retain(|file| unread_set.contains(file));
            unread.truncate(READ_FILES_MAX);
        }
        let mut room = READ_BYTES_MAX;
        unread.retain(|file| {
            let bytes = self.bytes[*file];
            let fits = bytes <= room;
            room -= if fits { bytes } else { 0 };
            fits
        });
        unread
    }
}

/// What a map is drawn from.
struct MapWork {
    sources: MapSources,
    cache: TagCache,
    cache_file: PathBuf,
    question: MapQuestion,
}

impl MapWork {
    /// Takes the tags of the files `wanted` from their `contents`.
    fn read_contents(&mut self, wanted: &[usize], contents: &[Vec<u8>]) {
        let files = &self.sources.files;
        let jobs: Vec<(&TreeFile, &[u8])> = wanted
            .iter()
            .zip(contents)
            .map(|(file, content)| (&files[*file], content.as_slice()))
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = jobs.len().div_ceil(threads.min(READERS_MAX)).max(1);
        let tags: Vec<(BlobId, FileTags)> = std::thread::scope(|scope| {
            let readers: Vec<_> = jobs
                .chunks(share)
                .map(|jobs| scope.spawn(|| read_sources(jobs)))
                .collect();
            let ended = readers.into_iter().map(|reader| match reader.join() {
                Ok(tags) => tags,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            ended.flatten().collect()
        });
        for (blob, tags) in &tags {
            self.cache.insert_tags(*blob, tags);
        }
        // Contents of commits that nobody asks about any more.
        if self.cache.n_blobs() > 2 * files.len() + READ_FILES_MAX {
            let kept = files.iter().map(|file| file.blob).collect();
            self.cache = self.cache.retain_blobs(&kept);
        }
    }

    /// Keeps the tags for the next map, which can do without them.
    fn save_cache(&self) {
        let bytes = self.cache.to_bytes();
        if let Err(error) = replace_file(CrashPoint::FileReplaced, &self.cache_file, &bytes, 0o600)
        {
            let error = error_chain(&error);
            warn!(%error, "Could not keep the tags of the repository map: {error}");
        }
    }

    fn draw_map(&self, n_read: usize) -> RepositoryMap {
        let files = &self.sources.files;
        let ranking = rank_files(&self.cache, files, &self.question);
        let has_tags = |file: &&TreeFile| self.cache.has_tags(&file.blob);
        let map = RepositoryMap {
            text: render_map(&self.cache, files, &ranking),
            n_files: files.len(),
            n_read,
            n_unread: files.len() - files.iter().filter(has_tags).count(),
        };
        let RepositoryMap {
            n_files, n_unread, ..
        } = map;
        debug!(n_files, n_read, n_unread, "Drew the repository map");
        map
    }
}

fn read_sources(jobs: &[(&TreeFile, &[u8])]) -> Vec<(BlobId, FileTags)> {
    let mut reader = TagReader::default();
    let tags = jobs.iter().filter_map(|(file, content)| {
        let language = SourceLanguage::of_path(&file.path)?;
        Some((file.blob, reader.read_tags(language, content)))
    });
    tags.collect()
}

/// The tags kept so far; none where there is no cache, or one of another version.
fn load_cache(file: &Path) -> TagCache {
    match std::fs::read(file) {
        Ok(bytes) => TagCache::from_bytes(&bytes).unwrap_or_default(),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                warn!(%error, file = %file.display(), "Could not read the tags of the repository map: {error}");
            }
            TagCache::default()
        }
    }
}

fn blob_id(id: &ObjectId) -> Option<BlobId> {
    hex::decode(id.as_str()).ok()?.try_into().ok()
}
