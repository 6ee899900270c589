#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::io::{Cursor, Write as _};
use std::os::unix::fs::MetadataExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::*;

/// One entry: kind, name as it stands in the archive, mode, content or target of a link.
struct Entry<'a>(EntryType, &'a str, u32, &'a str);

fn file(name: &str) -> Entry<'_> {
    Entry(EntryType::Regular, name, 0o644, "text")
}

/// An archive of these entries; names are written as they are, which `tar` itself would refuse.
fn tarball(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for Entry(kind, name, mode, content) in entries {
        let mut header = Header::new_gnu();
        let bytes = name.as_bytes();
        header.as_gnu_mut().unwrap().name[..bytes.len()].copy_from_slice(bytes);
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        let content = match kind {
            EntryType::Regular => *content,
            _ => {
                let target = content.as_bytes();
                header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target);
                ""
            }
        };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn unpack(entries: &[Entry<'_>]) -> (tempfile::TempDir, Result<UnpackedSize, ArchiveError>) {
    let top = tempfile::tempdir().unwrap();
    let mut size = UnpackedSize::default();
    let folder = top.path().join("in");
    let unpacked = unpack_tarball(&tarball(entries)[..], &folder, &mut size);
    (top, unpacked.map(|()| size))
}

#[test]
fn a_package_is_unpacked_without_its_first_folder_and_nobody_may_write_it() {
    let (top, size) = unpack(&[
        Entry(EntryType::Directory, "package/", 0o777, ""),
        Entry(EntryType::Regular, "package/bin/run", 0o6755, "#!/bin/sh\n"),
        Entry(EntryType::Regular, "other/data.txt", 0o666, "four"),
        Entry(EntryType::Regular, "./package/./deep/x", 0o000, ""),
    ]);
    let size = size.unwrap();
    assert_eq!((size.files, size.bytes), (3, 14));
    let mode = |name: &str| {
        fs::metadata(top.path().join("in").join(name))
            .unwrap()
            .mode()
            & 0o7777
    };
    // Neither the right to write nor `set-uid` comes along.
    assert_eq!(
        (mode("bin/run"), mode("data.txt"), mode("deep/x")),
        (0o555, 0o444, 0o444)
    );
    close_folders(&top.path().join("in")).unwrap();
    assert_eq!((mode("bin"), mode("")), (0o555, 0o555));
    remove_closed(&top.path().join("in")).unwrap();
    assert!(!top.path().join("in").exists());
}

#[test]
fn hostile_entries_are_refused_and_nothing_is_outside() {
    let check = |entries: &[Entry<'_>], expected: &str| {
        let (top, refused) = unpack(entries);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}: {expected}");
        let beside: Vec<_> = fs::read_dir(top.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name != "in")
            .collect();
        assert!(beside.is_empty(), "{beside:?}");
    };
    let outside = "leads out of the folder";
    check(&[file("package/../../escaped")], outside);
    check(&[file("../escaped")], outside);
    check(&[file("/escaped")], outside);
    check(&[file("package/..")], outside);
    check(
        &[Entry(EntryType::Directory, "package/../../x/", 0o755, "")],
        outside,
    );
    let kind = "neither a file nor a folder";
    check(
        &[Entry(EntryType::Symlink, "package/a", 0o777, "/etc")],
        kind,
    );
    check(&[Entry(EntryType::Symlink, "package/a", 0o777, "b")], kind);
    check(
        &[Entry(EntryType::Link, "package/a", 0o777, "package/b")],
        kind,
    );
    check(&[Entry(EntryType::Fifo, "package/a", 0o777, "")], kind);
    check(&[Entry(EntryType::Char, "package/a", 0o777, "")], kind);
    check(&[Entry(EntryType::Block, "package/a", 0o777, "")], kind);
    check(
        &[
            Entry(EntryType::Symlink, "package/a", 0o777, ".."),
            file("package/a/escaped"),
        ],
        kind,
    );
    check(&[file("package/a"), file("package/a")], "is there twice");
    check(&[file("package/a"), file("other/a")], "is there twice");
    // A file in the way of a folder.
    check(&[file("package/a"), file("package/a/b")], "could not write");
}

#[test]
fn cut_and_foreign_archives_are_damaged() {
    let whole = tarball(&[file("package/a"), file("package/b")]);
    for archive in [&whole[..whole.len() / 2], b"no archive", &[]] {
        let top = tempfile::tempdir().unwrap();
        let mut size = UnpackedSize::default();
        let refused = unpack_tarball(archive, top.path(), &mut size).unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged(_)), "{refused}");
    }
}

#[test]
fn an_archive_without_end_is_stopped() {
    let mut size = UnpackedSize {
        bytes: BYTES_MAX - 2,
        ..UnpackedSize::default()
    };
    let top = tempfile::tempdir().unwrap();
    let archive = tarball(&[file("package/a")]);
    let refused = unpack_tarball(&archive[..], top.path(), &mut size).unwrap_err();
    assert!(matches!(refused, ArchiveError::TooLarge), "{refused}");
    size.entries = ENTRIES_MAX;
    let refused = unpack_tarball(&archive[..], top.path(), &mut size).unwrap_err();
    assert!(matches!(refused, ArchiveError::TooLarge), "{refused}");
}

/// A wheel of these names, each with its mode.
fn wheel(entries: &[(&str, u32)]) -> Cursor<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        writer.start_file(*name, options).unwrap();
        writer.write_all(b"text").unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn of_a_wheel_only_what_is_wanted_is_unpacked() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("in");
    let archive = wheel(&[("a/bin/node", 0o4755), ("a/share/doc", 0o644), ("b", 0o644)]);
    let size = unpack_wheel(archive, &folder, |name| name.starts_with("a/bin/")).unwrap();
    assert_eq!((size.files, size.bytes), (1, 4));
    let mode = fs::metadata(folder.join("a/bin/node")).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o555);
    assert!(!folder.join("a/share").exists() && !folder.join("b").exists());
    for name in ["a/../../escaped", "/escaped", "../escaped"] {
        let refused = unpack_wheel(wheel(&[(name, 0o644)]), &folder, |_| true).unwrap_err();
        assert!(matches!(refused, ArchiveError::Outside(_)), "{refused}");
    }
    assert!(!top.path().join("escaped").exists());
    let refused = unpack_wheel(Cursor::new(b"x"), &folder, |_| true).unwrap_err();
    assert!(matches!(refused, ArchiveError::Damaged(_)), "{refused}");
}
