//! Packages made by the tests: archives as npm, cargo and pip read them.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// A file of an archive.
pub(crate) struct ArchiveFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) content: &'a [u8],
}

/// A packed tape archive.
pub(crate) fn tar_gz(files: &[ArchiveFile<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, file.path, file.content)
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// An archive as a wheel is.
pub(crate) fn zip_stored(files: &[ArchiveFile<'_>]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for file in files {
        archive.start_file(file.path, options).unwrap();
        archive.write_all(file.content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
