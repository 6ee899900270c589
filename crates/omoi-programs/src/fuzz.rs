//! Fuzz targets: what registries hand out as packages, wheels and lists of files.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use omoi_testkit::fuzz::FuzzTarget;

use crate::archive::{UnpackedSize, unpack_tarball, unpack_wheel};
use crate::registry::find_link;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// Unpacks into a folder below one that must stay empty but for it, and holds that only plain files came.
fn hold_unpacked(unpack: impl FnOnce(&Path)) {
    let top = tempfile::tempdir().unwrap();
    unpack(&top.path().join("in"));
    let beside = fs::read_dir(top.path()).unwrap();
    let beside: Vec<_> = beside.map(|entry| entry.unwrap().file_name()).collect();
    assert!(beside.iter().all(|name| name == "in"), "{beside:?}");
    let mut open = vec![top.path().join("in")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry.unwrap();
            let (meta, path) = (entry.metadata().unwrap(), entry.path());
            assert!(meta.is_dir() || meta.is_file(), "{}", path.display());
            let mode = meta.permissions().mode();
            assert!(
                meta.is_dir() || mode & 0o7222 == 0,
                "{mode:o} {}",
                path.display()
            );
            open.extend(meta.is_dir().then_some(path));
        }
    }
}

/// Changes are made of the archive itself, for hardly any of the packed bytes would be unpacked.
#[test]
fn tarball() {
    FuzzTarget::new(CRATE, "tarball").run(|input| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(input).unwrap();
        let packed = packed.finish().unwrap();
        hold_unpacked(|folder| {
            let mut size = UnpackedSize::default();
            let _ = unpack_tarball(&packed[..], folder, &mut size);
            assert!(size.bytes <= input.len() as u64, "{size:?}");
        });
    });
}

#[test]
fn packed_tarball() {
    FuzzTarget::new(CRATE, "packed_tarball").run(|input| {
        hold_unpacked(|folder| {
            let _ = unpack_tarball(input, folder, &mut UnpackedSize::default());
        });
    });
}

#[test]
fn wheel() {
    FuzzTarget::new(CRATE, "wheel").run(|input| {
        hold_unpacked(|folder| {
            let _ = unpack_wheel(Cursor::new(input), folder, |name| !name.contains("skip"));
        });
    });
}

/// A link that is found names the file.
#[test]
fn wheel_list() {
    const FILE: &str = "node-22.12.0-py3-none-any.whl";
    FuzzTarget::new(CRATE, "wheel_list").run(|input| {
        let page = String::from_utf8_lossy(input);
        if let Some(link) = find_link(&page, FILE) {
            assert!(link.contains(FILE) && !link.contains('"'), "{link:?}");
        }
    });
}
