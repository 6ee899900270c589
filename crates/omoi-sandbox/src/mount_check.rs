//! What no launch may show, whatever shows it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::process::Uid;

use crate::policy::{GeneratedFile, ReadOnlyMount};
use crate::provider::LaunchError;

/// Host places no project list may show, even read-only: sockets, devices, kernel state.
const NEVER_SHOWN: &[&str] = &["/proc", "/sys", "/dev", "/run", "/var/run"];
/// Places of our own inside that no mount may cover or reach into.
const RESERVED: &[&str] = &["/proc", "/dev", "/run", "/sys", "/sandbox"];
/// Places of our own inside that no mount may cover.
const UNCOVERED: &[&str] = &["/usr", "/etc", "/tmp", "/home/agent", "/var/tmp"];
/// Where generated files may be.
const FILE_PLACES: [&str; 3] = ["/run", "/home/agent", "/tmp"];

/// The source of `mount` without links; `uid` is the user to become where there is one.
pub(crate) fn check_mount(
    mount: &ReadOnlyMount,
    hidden: &[PathBuf],
    uid: Option<Uid>,
) -> Result<PathBuf, LaunchError> {
    let at = &mount.inside;
    let refuse = |why| LaunchError::Path {
        path: at.clone(),
        why,
    };
    if !at.is_absolute() || at.components().any(|c| c == Component::ParentDir) {
        return Err(refuse("it must be absolute and without `..`"));
    }
    if RESERVED
        .iter()
        .any(|own| at.starts_with(own) || Path::new(own).starts_with(at))
        || UNCOVERED.iter().any(|own| Path::new(own).starts_with(at))
    {
        return Err(refuse("it would cover a place of the sandbox itself"));
    }
    let host = canonical_source(&mount.host)?;
    if NEVER_SHOWN.iter().any(|never| host.starts_with(never)) {
        return Err(refuse("sockets, devices and kernel state are never shown"));
    }
    if let Some(secret) = hidden.iter().find(|secret| secret.starts_with(&host)) {
        return Err(LaunchError::Exposes {
            path: mount.host.clone(),
            hidden: secret.clone(),
        });
    }
    let needed = if host.is_dir() { 0o005 } else { 0o004 };
    if !user_has_bits(&host, uid, needed) {
        return Err(LaunchError::Unreadable { path: host });
    }
    Ok(host)
}

/// Refuses a program's file that the sandbox's user could not run.
pub(crate) fn check_readable(host: &Path, uid: Option<Uid>) -> Result<(), LaunchError> {
    match user_has_bits(host, uid, 0o005) {
        true => Ok(()),
        false => Err(LaunchError::Unreadable { path: host.into() }),
    }
}

/// Refuses a socket that the sandbox's user could not connect to.
pub(crate) fn check_socket(host: &Path, uid: Option<Uid>) -> Result<(), LaunchError> {
    match user_has_bits(host, uid, 0o002) {
        true => Ok(()),
        false => Err(LaunchError::Socket { path: host.into() }),
    }
}

/// Refuses a generated file outside of the places for such.
pub(crate) fn check_file(file: &GeneratedFile) -> Result<(), LaunchError> {
    let path = &file.path;
    let plain = path.is_absolute() && !path.components().any(|c| c == Component::ParentDir);
    if plain && FILE_PLACES.iter().any(|own| path.starts_with(own)) {
        return Ok(());
    }
    Err(LaunchError::Path {
        path: path.clone(),
        why: "generated files belong under /run, /home/agent or /tmp",
    })
}

/// `path` without links.
pub(crate) fn canonical_source(path: &Path) -> Result<PathBuf, LaunchError> {
    fs::canonicalize(path).map_err(|source| LaunchError::Source {
        path: path.into(),
        source,
    })
}

/// Whether the user to become has `bits` on `host` itself, as its owner or as one of the others.
fn user_has_bits(host: &Path, uid: Option<Uid>, bits: u32) -> bool {
    let Some(uid) = uid else { return true };
    let Ok(stat) = rustix::fs::stat(host) else {
        return false;
    };
    let shift = if stat.st_uid == uid.as_raw() { 6 } else { 0 };
    (stat.st_mode >> shift) & bits == bits
}

/// The outermost folder above `host` that `uid` cannot walk through, or that is `covered`.
pub(crate) fn blocking_ancestor(host: &Path, uid: Uid, covered: &Path) -> Option<PathBuf> {
    let mut above: Vec<&Path> = host.ancestors().skip(1).collect();
    above.reverse();
    let blocks = |dir: &&Path| *dir == covered || !user_has_bits(dir, Some(uid), 0o001);
    above.into_iter().find(blocks).map(Path::to_path_buf)
}

/// Where file systems are mounted on this host, in order of path; those that this process cannot reach are left out.
pub(crate) fn host_mounts() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut mounts = mount_points(&table);
    mounts.retain(|path| fs::symlink_metadata(path).is_ok());
    mounts
}

/// The places of a mount table, whose spaces and the like are written in octal digits.
fn mount_points(table: &str) -> Vec<PathBuf> {
    let places = table.lines().filter_map(|line| line.split(' ').nth(4));
    let mut places: Vec<PathBuf> = places.map(|text| unescape_octal(text).into()).collect();
    places.sort();
    places.dedup();
    places
}

/// `text` of a mount table with what is written in octal digits.
pub(crate) fn unescape_octal(text: &str) -> OsString {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits = rest
            .get(1..4)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, code) {
            (b'\\', Some(code)) => {
                bytes.push(code);
                rest = &rest[4..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_mounts_are_read_with_their_spaces() {
        let table = "22 1 8:1 / / rw - ext4 /dev/sda rw\n30 22 0:1 / /opt/a\\040b\\134c rw shared:1 - tmpfs t rw\n\
            31 22 0:1 /x /opt rw - tmpfs t rw\nodd\n32 22 0:1 / /opt rw - tmpfs t rw\n";
        let expected = ["/", "/opt", "/opt/a b\\c"].map(PathBuf::from);
        assert_eq!(mount_points(table), expected);
    }
}
