//! Making the list anew: digests and sizes of the versions that it names, from the registries.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::AgentProgramError;
use crate::integrity::FileIntegrity;
use crate::pinned_list::{
    ChosenBuild, MachinePlatform, PinnedList, PinnedPackage, PinnedProgram, ProgramRuntime,
};
use crate::registry::{DownloadTarget, PackageRegistry, find_link};

/// The file that `npm install --package-lock-only` writes.
#[derive(Deserialize)]
struct NpmLock {
    packages: BTreeMap<String, NpmLockEntry>,
}

/// One package of an [`NpmLock`], by its folder.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NpmLockEntry {
    name: Option<String>,
    version: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    os: Vec<String>,
    #[serde(default)]
    cpu: Vec<String>,
    #[serde(default)]
    libc: Vec<String>,
}

/// Takes what a program on Node consists of from a lock of npm.
///
/// What is optional comes along only where it is the build of a needed package for one of the program's
/// platforms, named after it: `sdk-linux-x64` of `sdk`. A program can do without the rest, mostly compiled
/// extensions.
///
/// # Errors
/// [`AgentProgramError::Description`] where the lock is none.
pub fn apply_lock(program: &mut PinnedProgram, lock: &str) -> Result<(), AgentProgramError> {
    let unreadable = |what: String| AgentProgramError::Description {
        package: program.name.clone(),
        what,
    };
    let lock: NpmLock =
        serde_json::from_str(lock).map_err(|error| unreadable(error.to_string()))?;
    let entries = lock.packages.iter().filter(|(key, _)| !key.is_empty());
    let (optional, needed): (Vec<_>, Vec<_>) = entries.partition(|(_, entry)| entry.optional);
    let needed = needed.into_iter();
    let needed = needed.map(|(folder, entry)| entry.to_package(folder));
    program.packages = needed.collect::<Result<_, _>>().map_err(unreadable)?;
    let is_named_after = |folder: &str, package: &PinnedPackage| {
        let end = folder.strip_prefix(package.folder.as_str());
        end.is_some_and(|end| end.starts_with("-linux-"))
    };
    let mut of_platform = Vec::new();
    for (folder, entry) in optional {
        let mut shared = program.packages.iter();
        if shared.any(|package| is_named_after(folder, package)) {
            let package = entry.to_package(folder).map_err(unreadable)?;
            of_platform.push((entry.platforms(), package));
        }
    }
    for build in &mut program.builds {
        let mine = of_platform
            .iter()
            .filter(|(platforms, _)| platforms.contains(&build.platform));
        build.packages = mine.map(|(_, package)| package.clone()).collect();
    }
    Ok(())
}

impl NpmLockEntry {
    /// The platforms this one is made for; none where it is made for every machine or another one.
    fn platforms(&self) -> Vec<MachinePlatform> {
        let fits = |platform: &MachinePlatform| {
            let cpu = match platform {
                MachinePlatform::LinuxX64 => "x64",
                MachinePlatform::LinuxArm64 => "arm64",
            };
            self.os == ["linux"]
                && self.cpu == [cpu]
                && (self.libc.is_empty() || self.libc == ["glibc"])
        };
        let all = MachinePlatform::ALL.iter().copied();
        all.filter(fits).collect()
    }

    fn to_package(&self, folder: &str) -> Result<PinnedPackage, String> {
        let from_folder = || folder.rsplit("node_modules/").next().map(ToOwned::to_owned);
        let name = self.name.clone().or_else(from_folder);
        let missing = |what: &str| format!("`{folder}` has no {what}");
        let integrity = self.integrity.clone().ok_or_else(|| missing("integrity"))?;
        Ok(PinnedPackage {
            folder: folder.to_owned(),
            name: name.ok_or_else(|| missing("name"))?,
            version: self.version.clone().ok_or_else(|| missing("version"))?,
            integrity: FileIntegrity::try_from(integrity).map_err(|error| error.to_string())?,
        })
    }
}

/// Takes digests from the registries and sizes from what they deliver, which is checked and unpacked in `scratch`.
///
/// # Errors
/// [`AgentProgramError`].
pub async fn pin_list(
    list: &mut PinnedList,
    registry: &PackageRegistry,
    scratch: &Path,
) -> Result<(), AgentProgramError> {
    for program in &mut list.programs {
        if program.runtime == ProgramRuntime::Native {
            pin_digests(program, registry).await?;
        }
        for index in 0..program.builds.len() {
            measure_build(program, index, registry, scratch).await?;
        }
    }
    let page = registry.list_wheels(&list.node.package).await?;
    for wheel in &mut list.node.wheels {
        let link = find_link(&page, &wheel.file);
        let digest = link.and_then(|link| link.split_once("#sha256="));
        let (_, digest) = digest.ok_or_else(|| AgentProgramError::NoWheel {
            url: list.node.package.clone(),
            file: wheel.file.clone(),
        })?;
        digest.clone_into(&mut wheel.sha256);
        let path = scratch.join("wheel");
        let package = &list.node.package;
        registry
            .fetch_wheel(package, wheel, &any_length(&path))
            .await?;
        wheel.download_bytes = file_size(&path)?;
    }
    Ok(())
}

async fn pin_digests(
    program: &mut PinnedProgram,
    registry: &PackageRegistry,
) -> Result<(), AgentProgramError> {
    for package in program
        .builds
        .iter_mut()
        .flat_map(|build| &mut build.packages)
    {
        let described = registry
            .describe_package(&package.name, &package.version)
            .await?;
        let unclear = |what: String| AgentProgramError::Description {
            package: package.name.clone(),
            what,
        };
        let digest = described["dist"]["integrity"].as_str();
        let digest = digest.ok_or_else(|| unclear("it has no integrity".to_owned()))?;
        let digest = FileIntegrity::try_from(digest.to_owned());
        package.integrity = digest.map_err(|error| unclear(error.to_string()))?;
    }
    Ok(())
}

/// Downloads each package, which checks it, and unpacks it, which counts its bytes.
async fn measure_build(
    program: &mut PinnedProgram,
    index: usize,
    registry: &PackageRegistry,
    scratch: &Path,
) -> Result<(), AgentProgramError> {
    let path = scratch.join("package");
    let folder = scratch.join("unpacked");
    let mut size = crate::archive::UnpackedSize::default();
    let mut download_bytes = 0;
    let Some(build) = program.builds.get(index) else {
        return Ok(());
    };
    let chosen = ChosenBuild { program, build };
    for (number, package) in chosen.all_packages().enumerate() {
        registry.fetch_package(package, &any_length(&path)).await?;
        download_bytes += file_size(&path)?;
        let file =
            std::fs::File::open(&path).map_err(AgentProgramError::file_error("read", &path))?;
        let target = folder.join(number.to_string());
        crate::archive::unpack_tarball(file, &target, &mut size).map_err(|source| {
            AgentProgramError::Archive {
                package: package.name.clone(),
                source,
            }
        })?;
    }
    if folder.exists() {
        crate::archive::remove_closed(&folder)
            .map_err(AgentProgramError::file_error("remove", &folder))?;
    }
    if let Some(build) = program.builds.get_mut(index) {
        (build.download_bytes, build.unpacked_bytes) = (download_bytes, size.bytes);
    }
    Ok(())
}

fn file_size(path: &Path) -> Result<u64, AgentProgramError> {
    let found = std::fs::metadata(path).map_err(AgentProgramError::file_error("read", path))?;
    Ok(found.len())
}

/// A download whose length is not known yet.
fn any_length(path: &Path) -> DownloadTarget<'_> {
    DownloadTarget {
        path,
        bytes_max: u64::MAX,
        on_bytes: &|_| {},
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_lock_gives_what_is_needed_and_what_is_built_for_the_platform() {
        let digest = format!("sha512-{}==", "A".repeat(86));
        let entry =
            |more: &str| format!("{{\"version\":\"1.0.0\",\"integrity\":\"{digest}\"{more}}}");
        let linux = "\"optional\":true,\"os\":[\"linux\"],\"cpu\"";
        let lock = format!(
            "{{\"packages\":{{\"\":{{}},\"node_modules/@a/b\":{},\"node_modules/@a/b/node_modules/c\":{},\
             \"node_modules/@a/b-linux-x64\":{},\"node_modules/@a/b-linux-x64-musl\":{},\"node_modules/@a/b-linux-arm64\":{},\
             \"node_modules/extra\":{},\"node_modules/other-linux-x64\":{}}}}}",
            entry(""),
            entry(",\"peer\":true"),
            entry(&format!(",{linux}:[\"x64\"],\"libc\":[\"glibc\"]")),
            entry(&format!(",{linux}:[\"x64\"],\"libc\":[\"musl\"]")),
            entry(&format!(",{linux}:[\"arm64\"]")),
            entry(",\"optional\":true"),
            entry(&format!(",{linux}:[\"x64\"]")),
        );
        let mut program = PinnedList::load_embedded()
            .unwrap()
            .find_program("claude-agent-acp")
            .unwrap()
            .clone();
        apply_lock(&mut program, &lock).unwrap();
        let named = |packages: &[PinnedPackage]| -> Vec<String> {
            let named = packages.iter();
            named.map(|p| format!("{} {}", p.folder, p.name)).collect()
        };
        assert_eq!(
            named(&program.packages),
            [
                "node_modules/@a/b @a/b",
                "node_modules/@a/b/node_modules/c c"
            ]
        );
        let of = |platform| {
            let found = program.builds.iter().find(|b| b.platform == platform);
            named(&found.unwrap().packages)
        };
        assert_eq!(
            of(MachinePlatform::LinuxX64),
            ["node_modules/@a/b-linux-x64 @a/b-linux-x64"]
        );
        assert_eq!(
            of(MachinePlatform::LinuxArm64),
            ["node_modules/@a/b-linux-arm64 @a/b-linux-arm64"]
        );
        let bare = "{\"packages\":{\"node_modules/x\":{\"version\":\"1\"}}}";
        let refused = apply_lock(&mut program, bare).unwrap_err();
        assert!(
            refused.to_string().contains("has no integrity"),
            "{refused}"
        );
    }
}
