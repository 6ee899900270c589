//! Whether the disk has room for the suite. The platform begins no work on a low one, so tests that wait for work would
//! hang until their time is up.

use std::env::temp_dir;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::process::{self, command};

const GIB: u64 = 1 << 30;
/// The part of a disk that must be free for the platform to begin work, as `omoi-sandbox` has it.
const BEGIN_SHARE: u64 = 20;
/// More than this need not be free, however large the disk is: `sandbox.workspace_bytes`.
const FLOOR_MAX: u64 = 10 * GIB;
/// What the tests themselves have on the disk at once.
const SUITE_BYTES: u64 = 2 * GIB;

/// The disk below a folder, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DiskSpace {
    size: u64,
    free: u64,
}

/// Refuses to begin where the disk of the temporary folder, where tests have their data folders, has no room.
///
/// # Errors
/// Names the folder, what is free there, what has to be, and what to do.
pub(super) fn expect_room() -> Result<()> {
    let folder = temp_dir();
    let space = disk_space(&folder)?;
    match room_refusal(&folder, space) {
        Some(refusal) => bail!(refusal),
        None => Ok(()),
    }
}

fn room_refusal(folder: &Path, space: DiskSpace) -> Option<String> {
    let floor = (space.size / BEGIN_SHARE).min(FLOOR_MAX);
    let needed = floor + SUITE_BYTES;
    let gib = |bytes: u64| bytes as f64 / GIB as f64;
    (space.free < needed).then(|| {
        format!(
            "{:.1} GiB are free below `{}`, and the tests need {:.1}: below {:.1} the platform begins no work, and they \
             would wait for it\nhint: free some space there, or name a folder on another disk with TMPDIR",
            gib(space.free),
            folder.display(),
            gib(needed),
            gib(floor),
        )
    })
}

fn disk_space(folder: &Path) -> Result<DiskSpace> {
    let mut df = command("df");
    df.args(["--block-size=1", "--output=size,avail"])
        .arg(folder);
    let said = process::output(&mut df)?;
    let said = String::from_utf8_lossy(&said.stdout);
    parse_space(&said).with_context(|| format!("could not read what `df` says: {said}"))
}

/// Reads the line below the headings.
fn parse_space(said: &str) -> Option<DiskSpace> {
    let mut numbers = said.lines().nth(1)?.split_whitespace();
    let mut number = || numbers.next()?.parse().ok();
    Some(DiskSpace {
        size: number()?,
        free: number()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    #[test]
    fn the_suite_begins_where_work_would() {
        let folder = Path::new("/var/tmp");
        for (size_gib, free_gib, is_refused) in [
            (100, 7, false),
            (100, 6, true),
            (2_000, 12, false),
            (2_000, 11, true),
            // A disk in memory.
            (8, 3, false),
            (8, 2, true),
        ] {
            let space = DiskSpace {
                size: size_gib * GIB,
                free: free_gib * GIB,
            };
            let refusal = room_refusal(folder, space);
            assert_eq!(refusal.is_some(), is_refused, "{size_gib} {free_gib}");
        }
        let space = DiskSpace {
            size: 100 * GIB,
            free: 3 * GIB,
        };
        assert_eq!(
            room_refusal(folder, space).unwrap(),
            "3.0 GiB are free below `/var/tmp`, and the tests need 7.0: below 5.0 the platform begins no work, and they \
             would wait for it\nhint: free some space there, or name a folder on another disk with TMPDIR"
        );
    }

    #[test]
    fn the_disk_below_a_folder_is_read() {
        let said = "     1B-blocks        Avail\n1000000000000 400000000000\n";
        let expected = DiskSpace {
            size: 1_000_000_000_000,
            free: 400_000_000_000,
        };
        assert_eq!(parse_space(said), Some(expected));
        assert_eq!(parse_space("df: no such file\n"), None);
        let own = disk_space(&temp_dir()).unwrap();
        assert!(own.size >= own.free && own.size > 0, "{own:?}");
    }
}
