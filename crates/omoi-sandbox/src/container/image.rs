//! The image of containers that a person named none for: folders to mount on, and nothing that could be out of date. It is made of
//! this host's own layout, so no registry is asked and no C library but the host's is ever inside.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use super::engine::{ContainerEngine, EngineError};
use crate::bubblewrap::args::{GENERATED, SYSTEM_LINKS};

const REPO: &str = "localhost/omoi-sandbox";
const FOLDERS: [&str; 10] = [
    "usr", "etc", "etc/ssl", "dev", "proc", "sys", "run", "var", "home", "sandbox",
];
/// Scratch space is mounted there; some engines give the mount the mode of what it covers.
const SCRATCH: [&str; 3] = ["tmp", "home/agent", "var/tmp"];
const BLOCK_BYTES: usize = 512;

/// Makes the image where the engine does not have it, and returns its name.
pub(super) async fn ensure_image(engine: &ContainerEngine) -> Result<String, EngineError> {
    let tar = image_tar();
    let mut hasher = DefaultHasher::new();
    tar.hash(&mut hasher);
    let tag = format!("{:016x}", hasher.finish());
    let name = format!("{REPO}:{tag}");
    if !engine.has_image(&name).await? {
        engine.import_image(REPO, &tag, tar.into()).await?;
    }
    Ok(name)
}

fn image_tar() -> Vec<u8> {
    let mut tar = Vec::new();
    for folder in FOLDERS {
        push_entry(&mut tar, folder, &TarEntry::Folder);
    }
    for folder in SCRATCH {
        push_entry(&mut tar, folder, &TarEntry::Scratch);
    }
    for name in SYSTEM_LINKS {
        let path = Path::new("/").join(name);
        match fs::read_link(&path) {
            Ok(target) => {
                let target = target.to_string_lossy().into_owned();
                push_entry(&mut tar, name, &TarEntry::Link(target));
            }
            Err(_) if path.is_dir() => push_entry(&mut tar, name, &TarEntry::Folder),
            Err(_) => {}
        }
    }
    for (path, text) in GENERATED {
        let path = path.trim_start_matches('/');
        push_entry(&mut tar, path, &TarEntry::File(text.as_bytes()));
    }
    tar.resize(tar.len() + 2 * BLOCK_BYTES, 0);
    tar
}

enum TarEntry<'a> {
    Folder,
    Scratch,
    Link(String),
    File(&'a [u8]),
}

/// One header of the format `ustar`, and the contents.
fn push_entry(tar: &mut Vec<u8>, name: &str, entry: &TarEntry<'_>) {
    let (kind, mode, link, contents) = match entry {
        TarEntry::Folder => (b'5', "0000755", "", [].as_slice()),
        TarEntry::Scratch => (b'5', "0001777", "", [].as_slice()),
        TarEntry::Link(target) => (b'2', "0000777", target.as_str(), [].as_slice()),
        TarEntry::File(contents) => (b'0', "0000644", "", *contents),
    };
    let mut header = [0_u8; BLOCK_BYTES];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, mode);
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", contents.len()));
    put(136, "00000000000");
    // The sum counts its own field as blanks.
    put(148, "        ");
    put(157, link);
    put(257, "ustar\u{0}00");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\u{0} ").as_bytes());
    tar.extend(header);
    tar.extend(contents);
    tar.resize(tar.len().next_multiple_of(BLOCK_BYTES), 0);
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;

    #[test]
    fn tar_reads_the_image_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("image.tar");
        fs::write(&file, image_tar()).unwrap();
        let listed = std::process::Command::new("tar")
            .arg("-tvf")
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&listed.stdout);
        assert!(listed.status.success(), "{listed:?}");
        for part in ["sandbox", "var/tmp", "etc/passwd", "home/agent"] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
        assert_eq!(image_tar(), image_tar(), "its name tells its contents");
    }
}
