//! An image of the person's own, by the name that the engine has it under or from an archive on this host; nothing is
//! downloaded. The worker runs in it, so its C library may not be older than the one of this host.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::engine::{ContainerEngine, EngineError};

const REPO: &str = "localhost/omoi-own";
/// Characters of an image's name.
const NAME_MARKS: &str = "._-/:@";
/// Where distributions have the C library; the first is Debian's of this processor.
const LIBRARIES: [&str; 5] = [
    "/lib/ARCH-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/libc.so.6",
];
/// Links that are followed to it.
const LINKS_MAX: usize = 3;
const BLOCK_BYTES: usize = 512;

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// The engine has it under this name.
    Name(String),
    /// An archive of a whole file system, in the format tar.
    Archive(PathBuf),
}

impl ImageSource {
    /// The source that `text` names: an archive by its absolute path, else an image.
    pub fn from_text(text: &str) -> Self {
        match text.starts_with('/') {
            true => Self::Archive(text.into()),
            false => Self::Name(text.to_owned()),
        }
    }
}

/// An image cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageRefusal {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("`{name}` is no name of an image")]
    BadName { name: String },
    #[error("the engine has no image `{name}`, and none is downloaded")]
    Missing { name: String },
    #[error("the archive `{}` cannot be read", path.display())]
    Archive {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the image `{image}` has no GNU C library, which the worker in it needs")]
    NoLibrary { image: String },
    #[error(
        "the image `{image}` has the GNU C library {found}, older than {own} of this host, which the worker in it needs"
    )]
    OldLibrary {
        image: String,
        found: LibraryVersion,
        own: LibraryVersion,
    },
}

impl ImageRefusal {
    /// What a person can do about it.
    pub(super) const fn image_remedy(&self) -> &'static str {
        match self {
            Self::Engine(_) => "remove the cause named in the reason",
            Self::BadName { .. } | Self::Missing { .. } => {
                "load or build it, or name another in `sandbox.image`"
            }
            Self::Archive { .. } => "name an archive that can be read in `sandbox.image`",
            Self::NoLibrary { .. } | Self::OldLibrary { .. } => {
                "use an image of a system that is not older than this host's"
            }
        }
    }
}

/// Has the engine have the image of `source`, and returns its name once its C library fits.
pub(super) async fn ensure_own_image(
    engine: &ContainerEngine,
    source: &ImageSource,
) -> Result<String, ImageRefusal> {
    let name = match source {
        ImageSource::Name(name) => named_image(engine, name).await?,
        ImageSource::Archive(path) => imported_image(engine, path).await?,
    };
    let found = image_library(engine, &name).await?;
    let shown = match source {
        ImageSource::Name(name) => name.clone(),
        ImageSource::Archive(path) => path.display().to_string(),
    };
    judge_library(shown, found, own_library())?;
    Ok(name)
}

async fn named_image(engine: &ContainerEngine, name: &str) -> Result<String, ImageRefusal> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || NAME_MARKS.contains(c);
    let name = name.to_owned();
    if name.is_empty() || name.contains("..") || !name.chars().all(is_plain) {
        return Err(ImageRefusal::BadName { name });
    }
    match engine.has_image(&name).await? {
        true => Ok(name),
        false => Err(ImageRefusal::Missing { name }),
    }
}

/// Imports the archive at `path`, unless this very file was before.
async fn imported_image(engine: &ContainerEngine, path: &Path) -> Result<String, ImageRefusal> {
    let unreadable = |source| ImageRefusal::Archive {
        path: path.to_path_buf(),
        source,
    };
    let archive = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let meta = archive.metadata().await.map_err(unreadable)?;
    let mut hasher = DefaultHasher::new();
    (
        path,
        meta.ino(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
    )
        .hash(&mut hasher);
    let tag = format!("{:016x}", hasher.finish());
    let name = format!("{REPO}:{tag}");
    if !engine.has_image(&name).await? {
        engine.import_image(REPO, &tag, archive.into()).await?;
    }
    Ok(name)
}

/// The version of the C library in `image`, read from its files: nothing of it runs.
async fn image_library(
    engine: &ContainerEngine,
    image: &str,
) -> Result<Option<LibraryVersion>, EngineError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let container = format!("omoi-image-{}-{n}", std::process::id());
    let spec = json!({ "Image": image, "Cmd": ["/"], "NetworkDisabled": true });
    engine.create_container(&container, &spec).await?;
    let found = find_library(engine, &container).await;
    engine.remove_container(&container).await?;
    found
}

async fn find_library(
    engine: &ContainerEngine,
    container: &str,
) -> Result<Option<LibraryVersion>, EngineError> {
    for library in library_paths() {
        let mut path = library;
        for _ in 0..LINKS_MAX {
            let Some(archive) = engine.container_file(container, &path).await? else {
                break;
            };
            match ArchivedFile::first_of(&archive) {
                Some(ArchivedFile::Link(to)) => {
                    path = path.parent().unwrap_or(Path::new("/")).join(to);
                }
                Some(ArchivedFile::Plain(contents)) => match LibraryVersion::in_library(contents) {
                    Some(version) => return Ok(Some(version)),
                    None => break,
                },
                None => break,
            }
        }
    }
    Ok(None)
}

fn library_paths() -> impl Iterator<Item = PathBuf> {
    LIBRARIES
        .iter()
        .map(|path| path.replace("ARCH", std::env::consts::ARCH).into())
}

/// The version of this host's C library, which this program was started with.
fn own_library() -> Option<LibraryVersion> {
    let mut read = library_paths().filter_map(|path| std::fs::read(path).ok());
    read.find_map(|contents| LibraryVersion::in_library(&contents))
}

/// Whether a worker of this host runs with the C library `found`.
fn judge_library(
    image: String,
    found: Option<LibraryVersion>,
    own: Option<LibraryVersion>,
) -> Result<(), ImageRefusal> {
    match (found, own) {
        (None, _) => Err(ImageRefusal::NoLibrary { image }),
        (Some(found), Some(own)) if found < own => {
            Err(ImageRefusal::OldLibrary { image, found, own })
        }
        // A host without one runs a worker that needs none.
        (Some(_), _) => Ok(()),
    }
}

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LibraryVersion {
    major: u32,
    minor: u32,
}

impl std::fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl LibraryVersion {
    /// What the library with these bytes says of itself: `GNU C Library (…) stable release version 2.36.`
    fn in_library(contents: &[u8]) -> Option<Self> {
        let after = |bytes: &[u8], word: &str| {
            let mut windows = bytes.windows(word.len());
            let at = windows.position(|window| window == word.as_bytes())?;
            Some(at + word.len())
        };
        let name = after(contents, "GNU C Library")?;
        let line: Vec<u8> = contents[name..].iter().copied().take(200).collect();
        let version = after(&line, "release version ")?;
        let text = String::from_utf8_lossy(&line[version..]);
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
        })
    }
}

/// What the first entry of an archive in the format tar is.
#[derive(Debug, PartialEq, Eq)]
enum ArchivedFile<'a> {
    Plain(&'a [u8]),
    Link(PathBuf),
}

impl<'a> ArchivedFile<'a> {
    fn first_of(archive: &'a [u8]) -> Option<Self> {
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|byte| *byte == 0);
            String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
        };
        let mut rest = archive;
        loop {
            let header = rest.get(..BLOCK_BYTES)?;
            let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).ok()?;
            let body = &rest[BLOCK_BYTES..];
            match header[156] {
                b'0' | 0 => return body.get(..size).map(Self::Plain),
                b'2' => return Some(Self::Link(text(&header[157..257]).into())),
                // Further names and times of the entry that follows.
                b'x' | b'g' => rest = body.get(size.next_multiple_of(BLOCK_BYTES)..)?,
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn version(text: &str) -> Option<LibraryVersion> {
        let contents = [b"\x7fELF\0\xff".as_slice(), text.as_bytes(), b"\0more"].concat();
        LibraryVersion::in_library(&contents)
    }

    #[test]
    fn a_library_is_held_against_that_of_the_host() {
        let debian = "GNU C Library (Debian GLIBC 2.36-9+deb12u13) stable release version 2.36.\n";
        let host = version(debian);
        assert_eq!(host.unwrap().to_string(), "2.36");
        assert_eq!(version("musl libc (x86_64)"), None);
        assert_eq!(version("GNU C Library, unversioned"), None);
        for (found, refused) in [
            ("2.36", None),
            ("2.100", None),
            ("3.0", None),
            ("2.9", Some("has the GNU C library 2.9, older than 2.36")),
            ("1.99", Some("has the GNU C library 1.99")),
        ] {
            let found = version(&format!(
                "GNU C Library (x) development release version {found}, by x"
            ));
            assert!(found.is_some());
            let told = judge_library("i".to_owned(), found, host)
                .err()
                .map(|e| e.to_string());
            let is_so = match refused {
                None => told.is_none(),
                Some(says) => told.as_deref().is_some_and(|told| told.contains(says)),
            };
            assert!(is_so, "{told:?}");
        }
        let none = judge_library("i".to_owned(), None, host).unwrap_err();
        assert!(
            none.to_string().contains("`i` has no GNU C library"),
            "{none}"
        );
        assert!(own_library().is_some(), "the tests were linked to one");
    }

    #[test]
    fn an_archive_names_what_it_holds_first() {
        let entry = |kind: u8, link: &str, contents: &[u8]| {
            let mut bytes = vec![0; BLOCK_BYTES];
            bytes[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
            bytes[156] = kind;
            bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
            bytes.extend(contents);
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
            bytes
        };
        let link = entry(b'2', "libc-2.31.so", b"");
        let named = [
            entry(b'x', "", b"17 path=long/name\n"),
            entry(b'0', "", b"library"),
        ]
        .concat();
        let first = |bytes: &[u8]| match ArchivedFile::first_of(bytes) {
            Some(ArchivedFile::Plain(contents)) => String::from_utf8_lossy(contents).into_owned(),
            Some(ArchivedFile::Link(to)) => format!("-> {}", to.display()),
            None => "nothing".to_owned(),
        };
        assert_eq!(first(&link), "-> libc-2.31.so");
        assert_eq!(first(&named), "library");
        for broken in [&[][..], &[0; 600], &named[..700], &entry(b'5', "", b"")] {
            assert_eq!(first(broken), "nothing");
        }
    }

    #[test]
    fn a_path_is_an_archive_and_all_else_a_name() {
        assert_eq!(
            ImageSource::from_text("/x/y.tar"),
            ImageSource::Archive("/x/y.tar".into())
        );
        let name = "localhost/tools:1";
        assert_eq!(
            ImageSource::from_text(name),
            ImageSource::Name(name.to_owned())
        );
    }
}
