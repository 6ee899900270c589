//! Installing a program: download, check, unpack, and one rename.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::agent_folder::{AgentFolder, InstalledProgram, ProgramManifest, UnfinishedProgram};
use crate::archive::{ArchiveError, UnpackedSize, unpack_tarball, unpack_wheel};
use crate::error::AgentProgramError;
use crate::node::{NODE_NAME, NODE_PROGRAM, is_part_of_node};
use crate::pinned_list::{
    ChosenBuild, NodeWheel, PinnedNode, PinnedPackage, ProgramRuntime, folder_digest,
};
use crate::registry::{ByteCounter, DownloadTarget, PackageRegistry};

/// A wheel of Node unpacks to at most this many times its size.
const WHEEL_GROWTH: u64 = 4;
/// Bytes that a download may be longer than all that is pinned; its sum tells that it is another.
const DOWNLOAD_SLACK: u64 = 1 << 20;

/// Told of the bytes that came, of all that will come.
pub trait ProgressSink: Send + Sync {
    /// `done` of `total` bytes are there.
    fn bytes_came(&self, done: u64, total: u64);
}

/// What an installation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallOutcome {
    /// The program.
    pub program: InstalledProgram,
    /// Whether it was there before.
    pub was_there: bool,
}

/// Where programs come from and go to.
#[derive(Clone, Copy)]
pub struct ProgramInstaller<'a> {
    /// Where they go to.
    pub folder: &'a AgentFolder,
    /// Where they come from.
    pub registry: &'a PackageRegistry,
    /// Who is told.
    pub progress: &'a dyn ProgressSink,
}

/// What is to be installed.
struct WantedContent<'a> {
    digest: String,
    download_bytes: u64,
    unpacked_bytes: u64,
    /// Without what is known only once it is unpacked.
    manifest: ProgramManifest,
    source: ContentSource<'a>,
}

#[derive(Clone, Copy)]
enum ContentSource<'a> {
    Packages(ChosenBuild<'a>),
    Wheel {
        package: &'a str,
        wheel: &'a NodeWheel,
    },
}

impl ProgramInstaller<'_> {
    /// Makes sure that `build` is installed. A whole one is left alone, a damaged one is replaced.
    ///
    /// # Errors
    /// [`AgentProgramError`]; nothing is left behind then.
    pub async fn install(
        self,
        build: ChosenBuild<'_>,
    ) -> Result<InstallOutcome, AgentProgramError> {
        build.check_loader()?;
        self.install_content(WantedContent {
            digest: build.content_digest(),
            download_bytes: build.build.download_bytes,
            unpacked_bytes: build.build.unpacked_bytes,
            manifest: ProgramManifest {
                name: build.program.name.clone(),
                agent: build.program.agent.clone(),
                version: build.program.version.clone(),
                runtime: build.program.runtime,
                program: build.build.program.clone(),
                files: 0,
                bytes: 0,
            },
            source: ContentSource::Packages(build),
        })
        .await
    }

    /// Makes sure that the pinned Node is installed.
    ///
    /// # Errors
    /// [`AgentProgramError`]; nothing is left behind then.
    pub async fn install_node(
        self,
        node: &PinnedNode,
    ) -> Result<InstallOutcome, AgentProgramError> {
        let wheel = node.wheel_for_machine()?;
        self.install_content(WantedContent {
            digest: wheel.content_digest(),
            download_bytes: wheel.download_bytes,
            unpacked_bytes: wheel.download_bytes * WHEEL_GROWTH,
            manifest: ProgramManifest {
                name: NODE_NAME.to_owned(),
                agent: NODE_NAME.to_owned(),
                version: node.version.clone(),
                runtime: ProgramRuntime::Native,
                program: NODE_PROGRAM.to_owned(),
                files: 0,
                bytes: 0,
            },
            source: ContentSource::Wheel {
                package: &node.package,
                wheel,
            },
        })
        .await
    }

    async fn install_content(
        self,
        wanted: WantedContent<'_>,
    ) -> Result<InstallOutcome, AgentProgramError> {
        if let Some(there) = self.find_whole(&wanted.digest)? {
            return Ok(there);
        }
        let folder = self.folder.clone();
        let _lock = run_blocking(move || folder.lock()).await?;
        // Another process may have been at it while this one waited.
        if let Some(there) = self.find_whole(&wanted.digest)? {
            return Ok(there);
        }
        self.folder.remove_digest(&wanted.digest)?;
        self.check_room(wanted.download_bytes + wanted.unpacked_bytes)?;
        let unfinished = self.folder.begin(&wanted.digest)?;
        let size = self.fill(&wanted, &unfinished).await?;
        let mut manifest = wanted.manifest;
        (manifest.files, manifest.bytes) = (size.files, size.bytes);
        unfinished.finish(&manifest)?;
        let program = self.folder.find_digest(&wanted.digest)?;
        let program = program.ok_or_else(|| AgentProgramError::NotInstalled {
            name: manifest.name,
            folder: self.folder.folder_path().to_owned(),
        })?;
        Ok(InstallOutcome {
            program,
            was_there: false,
        })
    }

    /// Downloads and unpacks.
    async fn fill(
        self,
        wanted: &WantedContent<'_>,
        unfinished: &UnfinishedProgram,
    ) -> Result<UnpackedSize, AgentProgramError> {
        let total = wanted.download_bytes;
        let done = AtomicU64::new(0);
        let on_bytes = |bytes: u64| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.progress.bytes_came(done.min(total), total);
        };
        match wanted.source {
            ContentSource::Packages(build) => {
                let mut size = UnpackedSize::default();
                for package in build.all_packages() {
                    let place = PackagePlace {
                        download: unfinished.download_path(),
                        bytes_max: total + DOWNLOAD_SLACK,
                        folder: unfinished.content_folder().join(&package.folder),
                    };
                    size = self.add_package(package, place, &on_bytes, size).await?;
                }
                Ok(size)
            }
            ContentSource::Wheel { package, wheel } => {
                let (path, folder) = (unfinished.download_path(), unfinished.content_folder());
                let target = DownloadTarget {
                    path: &path,
                    bytes_max: total + DOWNLOAD_SLACK,
                    on_bytes: &on_bytes,
                };
                self.registry.fetch_wheel(package, wheel, &target).await?;
                let unpack = move || {
                    let file = open_download(&path)?;
                    Ok(unpack_wheel(file, &folder, is_part_of_node))
                };
                self.unpacked(package, run_blocking(unpack).await?)
            }
        }
    }

    async fn add_package(
        self,
        package: &PinnedPackage,
        place: PackagePlace,
        on_bytes: ByteCounter<'_>,
        before: UnpackedSize,
    ) -> Result<UnpackedSize, AgentProgramError> {
        let PackagePlace {
            download,
            bytes_max,
            folder,
        } = place;
        let target = DownloadTarget {
            path: &download,
            bytes_max,
            on_bytes,
        };
        self.registry.fetch_package(package, &target).await?;
        let unpack = move || {
            let file = open_download(&download)?;
            let mut size = before;
            Ok(unpack_tarball(file, &folder, &mut size).map(|()| size))
        };
        self.unpacked(&package.name, run_blocking(unpack).await?)
    }

    fn unpacked(
        self,
        package: &str,
        outcome: Result<UnpackedSize, ArchiveError>,
    ) -> Result<UnpackedSize, AgentProgramError> {
        outcome.map_err(|source| match source.is_no_space() {
            true => AgentProgramError::NoSpace {
                folder: self.folder.folder_path().to_owned(),
                needed_bytes: None,
            },
            false => AgentProgramError::Archive {
                package: package.to_owned(),
                source,
            },
        })
    }

    fn find_whole(self, digest: &str) -> Result<Option<InstallOutcome>, AgentProgramError> {
        let found = self.folder.find_digest(digest)?;
        let whole = found.filter(|program| program.find_damage().is_none());
        Ok(whole.map(|program| InstallOutcome {
            program,
            was_there: true,
        }))
    }

    fn check_room(self, needed_bytes: u64) -> Result<(), AgentProgramError> {
        match self.folder.free_bytes() {
            Some(free) if free < needed_bytes => Err(AgentProgramError::NoSpace {
                folder: self.folder.folder_path().to_owned(),
                needed_bytes: Some(needed_bytes - free),
            }),
            _ => Ok(()),
        }
    }
}

/// Where a package goes.
struct PackagePlace {
    download: PathBuf,
    bytes_max: u64,
    folder: PathBuf,
}

impl NodeWheel {
    /// Names what is taken of it.
    pub(crate) fn content_digest(&self) -> String {
        folder_digest(&format!("{NODE_PROGRAM}\0{}\n", self.sha256))
    }
}

fn open_download(path: &PathBuf) -> Result<File, AgentProgramError> {
    File::open(path).map_err(AgentProgramError::file_error("read", path))
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AgentProgramError> + Send + 'static,
) -> Result<T, AgentProgramError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(AgentProgramError::Interrupted)?
}
