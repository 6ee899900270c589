//! What is known of a layer.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use serde::{Deserialize, Serialize};

use super::packages::PackageRecord;
use crate::object::ObjectId;

/// Longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 8 << 20;
/// The unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// What a manifest tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerManifest {
    pub(super) project: String,
    pub(super) content: LayerContent,
    /// The boot that it is believed in; none when it was forced onto the disk.
    pub(super) boot: Option<String>,
    pub(super) bytes: u64,
}

/// What a layer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LayerContent {
    /// The files of a commit.
    Checkout { commit: ObjectId },
    /// What a set-up added to a checkout.
    Packages(PackageRecord),
}

impl LayerContent {
    /// What is known of packages; an error for a checkout.
    pub(super) fn package_record(&self) -> io::Result<&PackageRecord> {
        match self {
            Self::Packages(record) => Ok(record),
            Self::Checkout { .. } => Err(io::Error::other("a checkout is no layer of packages")),
        }
    }
}

impl LayerManifest {
    pub(super) fn to_text(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// None when the file holds no manifest.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes).ok())
    }

    pub(super) fn is_believed(&self, boot: &str) -> bool {
        self.boot.as_deref().is_none_or(|made_in| made_in == boot)
    }

    pub(super) fn is_checkout_of(&self, project: &str) -> bool {
        self.project == project && matches!(self.content, LayerContent::Checkout { .. })
    }
}

/// Makes the manifest's time of change that of its last use.
pub(super) fn mark_used(manifest: &File) -> io::Result<()> {
    let now = |nanoseconds| Timespec {
        tv_sec: 0,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: now(UTIME_OMIT),
        last_modification: now(UTIME_NOW),
    };
    Ok(rustix::fs::futimens(manifest, &times)?)
}

/// What the files below `dir` take on the disk.
pub(super) fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += meta.blocks() * BLOCK_BYTES;
        if meta.is_dir() {
            bytes += disk_bytes(&entry.path())?;
        }
    }
    Ok(bytes)
}

/// What tells one boot of the machine from another.
pub(super) fn boot_id() -> io::Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}
