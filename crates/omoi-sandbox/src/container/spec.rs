//! Turns a [`SandboxLaunch`] into what a container engine is asked to make.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::RungBase;
use crate::bubblewrap::args::{ETC, SYSTEM_LINKS};
use crate::bubblewrap::protect::{PathShield, PathShields};
use crate::entry::{EntryOrders, EntryProgram, OwnUser};
use crate::mount_check;
use crate::policy::{SandboxLaunch, WorkspaceAccess, inside};
use crate::provider::LaunchError;
use crate::seccomp::FilterScope;
use crate::second_wall;

/// Shared memory is scratch space too, but nothing needs much of it.
const SHM_BYTES: u64 = 256 << 20;
/// Nothing can be written there; it holds places for mounts.
const RUN_BYTES: u64 = 64 << 10;
/// Where the entry step finds its orders and leaves its report.
const ORDERS: &str = "/run/omoi-entry.d/orders";
const REPORT: &str = "/run/omoi-entry.d/report";

/// Who the program is where root inside is the platform's user: an ordinary user in a user space of its own.
const SANDBOX_USER: u32 = 1_000;

/// How users inside a container are those outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineUsers {
    /// They have the same numbers.
    Shared,
    /// Root inside is the platform's user, whose own engine it is.
    OwnIsRoot,
}

/// What a launch is made with.
pub(super) struct ContainerSite<'a> {
    pub(super) base: &'a RungBase,
    pub(super) image: &'a str,
    /// Whether programs and libraries are the image's.
    pub(super) is_own_image: bool,
    pub(super) entry: &'a EntryProgram,
    /// Landlock's version, where it can be used.
    pub(super) abi: Option<i32>,
    /// User and group outside.
    pub(super) uid: u32,
    /// How users inside are those outside.
    pub(super) users: EngineUsers,
    /// Files of this launch on the host.
    pub(super) scratch: &'a Path,
}

/// Files that the launch needs on the host, to be written below its scratch folder.
pub(super) struct ContainerPlan {
    pub(super) spec: Value,
    pub(super) files: Vec<PlannedFile>,
}

/// One of them.
pub(super) struct PlannedFile {
    pub(super) path: PathBuf,
    pub(super) contents: Vec<u8>,
    pub(super) mode: u32,
}

/// The report of the entry step, on the host.
pub(super) fn report_path(scratch: &Path) -> PathBuf {
    scratch.join("report")
}

/// Plans `launch` with `shields` over its workspace.
pub(super) fn plan_container(
    launch: &SandboxLaunch,
    shields: &PathShields,
    site: &ContainerSite<'_>,
) -> Result<ContainerPlan, LaunchError> {
    let mut builder = SpecBuilder {
        binds: Vec::new(),
        files: Vec::new(),
        scratch: site.scratch.to_path_buf(),
        host_mounts: mount_check::host_mounts(),
    };
    if !site.is_own_image {
        builder.add_system()?;
    }
    builder.add_mounts(launch, site)?;
    builder.add_workspace(launch, shields)?;
    builder.add_handed_in(launch)?;
    builder.add_entry(launch, site)?;
    let mut argv: Vec<OsString> = vec![inside::ENTRY.into()];
    argv.extend(site.entry.args.iter().cloned());
    argv.extend([ORDERS.into(), REPORT.into()]);
    argv.extend(launch.argv.iter().cloned());
    let argv: Vec<&str> = argv
        .iter()
        .map(|word| utf8(word))
        .collect::<Result<_, _>>()?;
    let user = match site.users {
        EngineUsers::Shared => site.uid,
        EngineUsers::OwnIsRoot => 0,
    };
    let user = format!("{user}:{user}");
    let spec = json!({
        "Image": site.image,
        "Entrypoint": [],
        "Cmd": argv,
        "Env": [],
        "User": user,
        "WorkingDir": utf8(launch.cwd.as_os_str())?,
        "Hostname": "sandbox",
        "AttachStdout": true,
        "AttachStderr": true,
        "Tty": false,
        "NetworkDisabled": true,
        "Labels": { "omoi.sandbox": launch.name },
        "HostConfig": host_config(launch, site.users, builder.binds),
    });
    Ok(ContainerPlan {
        spec,
        files: builder.files,
    })
}

fn host_config(launch: &SandboxLaunch, users: EngineUsers, binds: Vec<Value>) -> Value {
    let limits = &launch.limits;
    // For the entry step alone, which gives it up with everything else.
    let capabilities: &[&str] = match users {
        EngineUsers::Shared => &[],
        EngineUsers::OwnIsRoot => &["SETFCAP"],
    };
    let tmpfs = format!("rw,exec,nosuid,nodev,size={},mode=1777", limits.temp_bytes);
    let ulimit = |name: &str, value: u64| json!({ "Name": name, "Soft": value, "Hard": value });
    json!({
        "NetworkMode": "none",
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "ReadonlyRootfs": true,
        "Privileged": false,
        "CapDrop": ["ALL"],
        "CapAdd": capabilities,
        "SecurityOpt": ["no-new-privileges"],
        "Mounts": binds,
        // Every one that an engine would mount by itself, without a limit, where the root is read-only.
        "Tmpfs": {
            inside::TEMP: tmpfs,
            inside::HOME: tmpfs,
            "/var/tmp": tmpfs,
            "/run": format!("rw,nosuid,nodev,size={RUN_BYTES},mode=755"),
        },
        "ShmSize": SHM_BYTES.min(limits.memory_bytes),
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "PidsLimit": limits.processes_max,
        "NanoCpus": limits.cpu_millicores * 1_000_000,
        "Ulimits": [
            ulimit("nofile", limits.open_files_max),
            ulimit("fsize", limits.file_bytes_max),
            ulimit("core", 1),
            ulimit("nproc", crate::base::user_processes_max(limits, rustix::process::geteuid().is_root())),
        ],
        "LogConfig": { "Type": "none" },
    })
}

struct SpecBuilder {
    binds: Vec<Value>,
    files: Vec<PlannedFile>,
    scratch: PathBuf,
    /// Where file systems of the host are mounted, in order of path.
    host_mounts: Vec<PathBuf>,
}

impl SpecBuilder {
    /// Binds `host`; read-only with every file system below it, which engines leave writable by themselves.
    fn add_bind(&mut self, host: &Path, at: &Path, is_read_only: bool) -> Result<(), LaunchError> {
        self.add_one(host, at, is_read_only)?;
        let below = self.host_mounts.iter().filter(|_| is_read_only);
        let below = below.filter(|mount| mount.starts_with(host) && *mount != host);
        let below: Vec<PathBuf> = below.cloned().collect();
        for mount in below {
            if let Ok(path) = mount.strip_prefix(host) {
                self.add_one(&mount, &at.join(path), true)?;
            }
        }
        Ok(())
    }

    fn add_one(&mut self, host: &Path, at: &Path, is_read_only: bool) -> Result<(), LaunchError> {
        self.binds.push(json!({
            "Type": "bind",
            "Source": utf8(host.as_os_str())?,
            "Target": utf8(at.as_os_str())?,
            "ReadOnly": is_read_only,
        }));
        Ok(())
    }

    /// Plans a file below the scratch folder and returns its place.
    fn add_file(&mut self, name: &str, contents: &[u8], mode: u32) -> PathBuf {
        let path = self.scratch.join(name);
        self.files.push(PlannedFile {
            path: path.clone(),
            contents: contents.to_vec(),
            mode,
        });
        path
    }

    fn add_system(&mut self) -> Result<(), LaunchError> {
        self.add_bind(Path::new("/usr"), Path::new("/usr"), true)?;
        for name in SYSTEM_LINKS {
            let path = Path::new("/").join(name);
            if path.is_dir() && !path.is_symlink() {
                self.add_bind(&path, &path, true)?;
            }
        }
        for path in ETC.iter().map(Path::new).filter(|path| path.exists()) {
            self.add_bind(path, path, true)?;
        }
        if Path::new("/etc/ssl/private").is_dir() {
            let empty = self.scratch.join("empty");
            self.add_bind(&empty, Path::new("/etc/ssl/private"), true)?;
        }
        Ok(())
    }

    fn add_mounts(
        &mut self,
        launch: &SandboxLaunch,
        site: &ContainerSite<'_>,
    ) -> Result<(), LaunchError> {
        let uid = rustix::process::Uid::from_raw(site.uid);
        let mut mounts: Vec<_> = launch.read_only.iter().collect();
        mounts.sort_by(|a, b| a.inside.cmp(&b.inside));
        mounts.dedup();
        for mount in mounts {
            let host = mount_check::check_mount(mount, &site.base.hidden, Some(uid))?;
            self.add_bind(&host, &mount.inside, true)?;
        }
        Ok(())
    }

    fn add_workspace(
        &mut self,
        launch: &SandboxLaunch,
        shields: &PathShields,
    ) -> Result<(), LaunchError> {
        let host = mount_check::canonical_source(&launch.workspace)?;
        let is_read_only = launch.access == WorkspaceAccess::ReadOnly;
        self.add_bind(&host, Path::new(inside::WORK), is_read_only)?;
        for (path, shield) in shields {
            let (from, at) = (host.join(path), Path::new(inside::WORK).join(path));
            match shield {
                PathShield::Hold => self.add_bind(&from, &at, false)?,
                PathShield::ReadOnly => self.add_bind(&from, &at, true)?,
                PathShield::EmptyDir => self.add_bind(&self.scratch.join("empty"), &at, true)?,
                PathShield::EmptyFile => {
                    let empty = self.add_file("empty-file", b"", 0o444);
                    self.add_bind(&empty, &at, true)?;
                }
            }
        }
        Ok(())
    }

    fn add_handed_in(&mut self, launch: &SandboxLaunch) -> Result<(), LaunchError> {
        if let Some(socket) = &launch.socket {
            let host = mount_check::canonical_source(socket)?;
            self.add_bind(&host, Path::new(inside::SOCKET), false)?;
        }
        if let Some(worker) = &launch.worker {
            let host = mount_check::canonical_source(worker)?;
            self.add_bind(&host, Path::new(inside::WORKER), true)?;
        }
        for (n, file) in launch.files.iter().enumerate() {
            mount_check::check_file(file)?;
            let host = self.add_file(&format!("file-{n}"), &file.contents, file.mode);
            self.add_bind(&host, &file.path, true)?;
        }
        Ok(())
    }

    /// The entry step gives the program exactly the environment asked for; engines add some of their own.
    fn add_entry(
        &mut self,
        launch: &SandboxLaunch,
        site: &ContainerSite<'_>,
    ) -> Result<(), LaunchError> {
        let program = mount_check::canonical_source(&site.entry.program)?;
        self.add_bind(&program, Path::new(inside::ENTRY), true)?;
        let env = crate::base::launch_environment(launch, inside::HOME.as_ref());
        let env: Result<Vec<(String, String)>, LaunchError> = env
            .iter()
            .map(|(key, value)| Ok((utf8(key)?.to_owned(), utf8(value)?.to_owned())))
            .collect();
        let rules = |abi| match site.is_own_image {
            true => second_wall::rules_in_image(abi, launch),
            false => second_wall::rules_for(abi, launch),
        };
        let orders = EntryOrders {
            landlock: site.abi.map(rules),
            filter: Some(FilterScope::OwnSpaces),
            env: Some(env?),
            own_user: match site.users {
                EngineUsers::Shared => None,
                // Podman of an ordinary user takes no limits of processes.
                EngineUsers::OwnIsRoot => Some(OwnUser {
                    id: SANDBOX_USER,
                    file_bytes_max: launch.limits.file_bytes_max,
                    open_files_max: launch.limits.open_files_max,
                    processes_max: crate::base::user_processes_max(&launch.limits, false),
                    data_bytes_max: launch.limits.memory_bytes,
                }),
            },
        };
        let text = serde_json::to_vec(&orders).map_err(|source| LaunchError::Record {
            name: launch.name.clone(),
            source: source.into(),
        })?;
        let orders = self.add_file("orders", &text, 0o400);
        self.add_bind(&orders, Path::new(ORDERS), true)?;
        let report = report_path(&self.scratch);
        self.files.push(PlannedFile {
            path: report.clone(),
            contents: Vec::new(),
            mode: 0o600,
        });
        self.add_bind(&report, Path::new(REPORT), false)
    }
}

/// What an engine takes over HTTP is text.
fn utf8(word: &OsStr) -> Result<&str, LaunchError> {
    let text = word.to_str().ok_or_else(|| LaunchError::Path {
        path: word.into(),
        why: "a container engine takes UTF-8 only",
    })?;
    match text.contains('\0') {
        true => Err(LaunchError::ZeroByte),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn file_systems_below_a_read_only_folder_are_read_only_too() {
        let mut builder = SpecBuilder {
            binds: Vec::new(),
            files: Vec::new(),
            scratch: "/scratch".into(),
            host_mounts: [
                "/",
                "/opt/tools",
                "/opt/tools/b",
                "/opt/tools/b/c",
                "/opt/tools2",
            ]
            .map(PathBuf::from)
            .to_vec(),
        };
        let (host, at) = (Path::new("/opt/tools"), Path::new("/tools"));
        builder.add_bind(host, at, true).unwrap();
        let of = |binds: &[Value]| -> Vec<(String, bool)> {
            let row = |bind: &Value| {
                let target = bind["Target"].as_str().unwrap().to_owned();
                (target, bind["ReadOnly"].as_bool().unwrap())
            };
            binds.iter().map(row).collect()
        };
        let read_only = ["/tools", "/tools/b", "/tools/b/c"].map(|path| (path.to_owned(), true));
        assert_eq!(of(&builder.binds), read_only);
        builder.binds.clear();
        builder.add_bind(host, at, false).unwrap();
        assert_eq!(of(&builder.binds), [("/tools".to_owned(), false)]);
    }
}
