//! How Go sums a module up: a digest of the digests of its files, whatever their packing.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::digest;

/// Files that the archive of a module may have.
const FILES_MAX: usize = 100_000;
/// Bytes of all its files, unpacked: as many as Go takes.
const BYTES_MAX: u64 = 500 << 20;

/// A file of a module: its name, and SHA-256 of its bytes in hexadecimal digits.
pub(crate) struct SummedFile {
    pub(crate) name: String,
    pub(crate) digest: String,
}

/// The digest of `files` in the order of their names.
pub(crate) fn sum_files(mut files: Vec<SummedFile>) -> Vec<u8> {
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let mut sum = digest::Context::new(&digest::SHA256);
    for file in &files {
        sum.update(format!("{}  {}\n", file.digest, file.name).as_bytes());
    }
    sum.finish().as_ref().to_vec()
}

/// The digest of a `go.mod` whose bytes have the digest `content`.
pub(crate) fn sum_go_mod(content: &str) -> Vec<u8> {
    sum_files(vec![SummedFile {
        name: "go.mod".to_owned(),
        digest: content.to_owned(),
    }])
}

/// The digest of the archive at `path`.
///
/// # Errors
/// When it is no archive, or a larger one than Go takes.
pub(crate) fn sum_archive(path: &Path) -> io::Result<Vec<u8>> {
    let invalid = |says: &str| io::Error::new(io::ErrorKind::InvalidData, says.to_owned());
    let mut archive = zip::ZipArchive::new(File::open(path)?).map_err(io::Error::other)?;
    if archive.len() > FILES_MAX {
        return Err(invalid("too many files"));
    }
    let mut files = Vec::with_capacity(archive.len());
    let mut left = BYTES_MAX;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(io::Error::other)?;
        let name = file.name().map_err(io::Error::other)?.into_owned();
        if name.contains('\n') {
            return Err(invalid("a name of two lines"));
        }
        let mut sum = digest::Context::new(&digest::SHA256);
        let mut chunk = vec![0; 64 << 10];
        loop {
            let bytes = file.read(&mut chunk)?;
            if bytes == 0 {
                break;
            }
            left = left
                .checked_sub(bytes as u64)
                .ok_or_else(|| invalid("too large"))?;
            sum.update(&chunk[..bytes]);
        }
        let digest = hex::encode(sum.finish());
        files.push(SummedFile { name, digest });
    }
    Ok(sum_files(files))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;
    use crate::package::sha256_hex;

    /// Lines of the public database.
    #[test]
    fn sums_are_those_of_the_public_database() {
        for (module, expected) in [
            (
                "golang.org/x/text",
                "NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=",
            ),
            (
                "github.com/pmezard/go-difflib",
                "iKH77koFhYxTK1pcRnkKkqfTogsbg7gZNVY4sRDYZ/4=",
            ),
            (
                "github.com/davecgh/go-spew",
                "J7Y8YcW2NihsgmVo/mv3lAwl/skON4iLHjSsI+c5H38=",
            ),
        ] {
            let content = sha256_hex(format!("module {module}\n").as_bytes());
            assert_eq!(BASE64_STANDARD.encode(sum_go_mod(&content)), expected);
        }
    }
}

/// Fuzz target: archives of modules.
#[cfg(test)]
mod fuzz {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands, and its files are thrown away"
    )]

    use omoi_testkit::fuzz::FuzzTarget;

    use super::*;

    /// An archive has one sum, or is none.
    #[test]
    fn go_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("module.zip");
        FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "go_archive").run(|input| {
            std::fs::write(&path, input).unwrap();
            if let Ok(sum) = sum_archive(&path) {
                assert_eq!(sum.len(), 32);
                assert_eq!(sum_archive(&path).unwrap(), sum);
            }
        });
    }
}
