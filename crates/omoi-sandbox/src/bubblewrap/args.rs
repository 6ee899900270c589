//! Turns a [`SandboxLaunch`] into bubblewrap's options, the files it reads them from, and the mounts root
//! prepares for it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::process::Uid;

use super::protect::{PathShield, PathShields};
use crate::child::{MountStage, is_dir};
use crate::entry::EntryOrders;
use crate::mount_check::{self, canonical_source};
use crate::policy::{ReadOnlyMount, SandboxLaunch, WorkspaceAccess, inside};
use crate::process::fd_number;
use crate::provider::LaunchError;
use crate::seccomp;
use crate::second_wall::{self, SecondWall};

/// World-traversable on every host, and hidden behind the stage only in the sandbox's private mounts.
const STAGE: &CStr = c"/tmp";
/// Shared memory is scratch space too, but nothing needs much of it.
const SHM_BYTES: u64 = 256 << 20;

/// Parts of `/etc` that programs need to find libraries and trust certificates.
pub(crate) const ETC: &[&str] = &[
    "/etc/alternatives",
    "/etc/ssl",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/etc/ld.so.cache",
];
/// Folders of the system that are links into `/usr` on most hosts.
pub(crate) const SYSTEM_LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// The user and group database inside.
pub(crate) const GENERATED: &[(&str, &str)] = &[
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/usr/sbin/nologin\n\
         agent:x:1000:1000:agent:/home/agent:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("/etc/group", "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    ),
];

/// Facts about the host that a launch depends on.
pub(crate) struct LaunchSite<'a> {
    /// The user to become; set exactly when started as root.
    pub(crate) uid: Option<Uid>,
    /// Host paths that no mount may show.
    pub(crate) hidden: &'a [PathBuf],
    /// The writing end of the status pipe.
    pub(crate) status: OwnedFd,
    /// The step inside that applies Landlock, where that is to be.
    pub(crate) wall: Option<WallSite<'a>>,
}

/// How a launch comes to its second wall.
pub(crate) struct WallSite<'a> {
    pub(crate) wall: &'a SecondWall,
    /// The writing end of the pipe for its report.
    pub(crate) report: OwnedFd,
}

/// Everything needed to start bubblewrap.
pub(crate) struct LaunchPlan {
    pub(crate) args: Vec<OsString>,
    pub(crate) keep: Vec<OwnedFd>,
    pub(crate) stage: Option<MountStage>,
    /// Sources in the order of the stage, to name one that failed.
    pub(crate) sources: Vec<PathBuf>,
}

/// Plans `launch`, with `shields` over its workspace.
pub(crate) fn plan_launch(
    launch: &SandboxLaunch,
    shields: &PathShields,
    site: LaunchSite<'_>,
) -> Result<LaunchPlan, LaunchError> {
    let stage = site.uid.map(|_| MountStage::new(STAGE.to_owned()));
    let mut builder = OptionsBuilder {
        options: Vec::new(),
        keep: Vec::new(),
        stage,
        sources: Vec::new(),
        uid: site.uid,
    };
    builder.add_namespaces();
    builder.add_environment(launch);
    builder.add_system(launch)?;
    let mut mounts: Vec<&ReadOnlyMount> = launch.read_only.iter().collect();
    // Outer folders first, or they would cover the inner ones.
    mounts.sort_by(|a, b| a.inside.cmp(&b.inside));
    mounts.dedup();
    for mount in mounts {
        builder.add_read_only(mount, site.hidden)?;
    }
    builder.add_workspace(launch, shields)?;
    builder.add_socket_and_files(launch)?;
    builder.finish(launch, site)
}

struct OptionsBuilder {
    options: Vec<OsString>,
    keep: Vec<OwnedFd>,
    stage: Option<MountStage>,
    sources: Vec<PathBuf>,
    uid: Option<Uid>,
}

impl OptionsBuilder {
    fn add_options<const N: usize>(&mut self, words: [&dyn AsRef<OsStr>; N]) {
        self.options
            .extend(words.iter().map(|word| word.as_ref().to_owned()));
    }

    /// Words that hold neither paths nor values.
    fn add_words(&mut self, words: &str) {
        self.options
            .extend(words.split_whitespace().map(OsString::from));
    }

    fn add_namespaces(&mut self) {
        self.add_words(
            "--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts \
             --unshare-cgroup --disable-userns --uid 1000 --gid 1000 --cap-drop ALL \
             --die-with-parent --new-session --hostname sandbox --clearenv",
        );
    }

    fn add_environment(&mut self, launch: &SandboxLaunch) {
        for (key, value) in crate::base::launch_environment(launch, inside::HOME.as_ref()) {
            self.add_options([&"--setenv", &key, &value]);
        }
    }

    fn add_system(&mut self, launch: &SandboxLaunch) -> Result<(), LaunchError> {
        self.add_words("--perms 0755 --dir /etc --perms 0755 --dir /run --perms 0755 --dir /var");
        self.add_words("--ro-bind /usr /usr --symlink ../tmp /var/tmp");
        for name in SYSTEM_LINKS {
            let path = Path::new("/").join(name);
            match fs::read_link(&path) {
                Ok(target) => self.add_options([&"--symlink", &target, &path]),
                Err(_) if path.is_dir() => self.add_options([&"--ro-bind", &path, &path]),
                Err(_) => {}
            }
        }
        for path in ETC.iter().filter(|path| Path::new(path).exists()) {
            self.add_options([&"--ro-bind", path, path]);
        }
        if Path::new("/etc/ssl/private").is_dir() {
            self.add_words("--tmpfs /etc/ssl/private --remount-ro /etc/ssl/private");
        }
        for (path, text) in GENERATED {
            self.add_file(Path::new(path), text.as_bytes(), 0o644)?;
        }
        // The host's kernel settings could be opened for writing inside without the second mount.
        self.add_words("--proc /proc --ro-bind /proc/sys /proc/sys");
        self.add_words(&format!(
            "--dev /dev --perms 1777 --size {SHM_BYTES} --tmpfs /dev/shm --remount-ro /dev"
        ));
        let size = launch.limits.temp_bytes;
        self.add_words(&format!(
            "--perms 1777 --size {size} --tmpfs /tmp --perms 0700 --size {size} --tmpfs /home/agent"
        ));
        Ok(())
    }

    fn add_read_only(
        &mut self,
        mount: &ReadOnlyMount,
        hidden: &[PathBuf],
    ) -> Result<(), LaunchError> {
        let at = &mount.inside;
        let host = mount_check::check_mount(mount, hidden, self.uid)?;
        let source = self.stage_source(&host)?;
        self.add_options([&"--ro-bind", &source, at]);
        Ok(())
    }

    fn add_workspace(
        &mut self,
        launch: &SandboxLaunch,
        shields: &PathShields,
    ) -> Result<(), LaunchError> {
        let host = canonical_source(&launch.workspace)?;
        let source = self.stage_source(&host)?;
        let bind = match launch.access {
            WorkspaceAccess::ReadWrite => "--bind",
            WorkspaceAccess::ReadOnly => "--ro-bind",
        };
        self.add_options([&bind, &source, &inside::WORK]);
        for (path, shield) in shields {
            let (from, at) = (source.join(path), Path::new(inside::WORK).join(path));
            match shield {
                PathShield::Hold => self.add_options([&"--bind", &from, &at]),
                PathShield::ReadOnly => self.add_options([&"--ro-bind", &from, &at]),
                PathShield::EmptyDir => {
                    self.add_options([&"--perms", &"0555", &"--tmpfs", &at, &"--remount-ro", &at]);
                }
                PathShield::EmptyFile => {
                    let fd = self.data_fd(&at, b"")?;
                    self.add_options([&"--perms", &"0444", &"--ro-bind-data", &fd, &at]);
                }
            }
        }
        Ok(())
    }

    fn add_socket_and_files(&mut self, launch: &SandboxLaunch) -> Result<(), LaunchError> {
        if let Some(socket) = &launch.socket {
            let host = canonical_source(socket)?;
            mount_check::check_socket(&host, self.uid)?;
            let source = self.stage_source(&host)?;
            self.add_options([&"--bind", &source, &inside::SOCKET]);
        }
        if let Some(worker) = &launch.worker {
            let host = canonical_source(worker)?;
            mount_check::check_readable(&host, self.uid)?;
            let source = self.stage_source(&host)?;
            self.add_options([&"--ro-bind", &source, &inside::WORKER]);
        }
        for file in &launch.files {
            mount_check::check_file(file)?;
            self.add_file(&file.path, &file.contents, file.mode)?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        launch: &SandboxLaunch,
        site: LaunchSite<'_>,
    ) -> Result<LaunchPlan, LaunchError> {
        let filter = seccomp::filter_bytes().map_err(LaunchError::Filter)?;
        let filter = self.data_fd(Path::new("the system-call filter"), filter)?;
        let status_fd = fd_number(&site.status).to_string();
        self.keep.push(site.status);
        let argv = match site.wall {
            Some(site) => self.add_entry(launch, site)?,
            None => launch.argv.clone(),
        };
        // Last, so that nothing but workspace and scratch space can be written.
        self.add_words("--remount-ro /");
        self.add_options([&"--chdir", &launch.cwd]);
        self.add_options([&"--seccomp", &filter, &"--json-status-fd", &status_fd]);
        // One zero byte inside a value would start an option of somebody else's choice.
        if self.options.iter().any(|o| o.as_bytes().contains(&0)) {
            return Err(LaunchError::ZeroByte);
        }
        let text = self.options.join(OsStr::new("\0"));
        let options = self.data_fd(Path::new("the options"), text.as_bytes())?;
        let mut args: Vec<OsString> = vec!["--args".into(), options.into(), "--".into()];
        args.extend(argv);
        Ok(LaunchPlan {
            args,
            keep: self.keep,
            stage: self.stage,
            sources: self.sources,
        })
    }

    /// Shows the entry program and returns the words that make it run the launch's own.
    fn add_entry(
        &mut self,
        launch: &SandboxLaunch,
        WallSite { wall, report }: WallSite<'_>,
    ) -> Result<Vec<OsString>, LaunchError> {
        let host = canonical_source(&wall.entry.program)?;
        mount_check::check_readable(&host, self.uid)?;
        let source = self.stage_source(&host)?;
        self.add_options([&"--ro-bind", &source, &inside::ENTRY]);
        let orders = EntryOrders {
            landlock: Some(second_wall::rules_for(wall.abi, launch)),
            filter: None,
            env: None,
            own_user: None,
        };
        let what = Path::new("the orders of the entry step");
        let orders = orders_file(&orders).map_err(|source| LaunchError::Source {
            path: what.into(),
            source,
        })?;
        let (orders_fd, report_fd) = (fd_number(&orders), fd_number(&report));
        self.keep.extend([orders, report]);
        let shown = OsString::from(inside::ENTRY);
        Ok(wall
            .entry
            .entry_words(shown, orders_fd, report_fd, &launch.argv))
    }

    fn add_file(&mut self, path: &Path, contents: &[u8], mode: u32) -> Result<(), LaunchError> {
        let fd = self.data_fd(path, contents)?;
        let mode = format!("{:04o}", mode & 0o777);
        self.add_options([&"--perms", &mode, &"--file", &fd, &path]);
        Ok(())
    }

    /// A descriptor, by number, from which bubblewrap reads `contents`.
    fn data_fd(&mut self, what: &Path, contents: &[u8]) -> Result<String, LaunchError> {
        let fd = memory_file(contents).map_err(|source| LaunchError::Source {
            path: what.into(),
            source,
        })?;
        let name = fd_number(&fd).to_string();
        self.keep.push(fd);
        Ok(name)
    }

    /// Where bubblewrap finds `host`, which must be canonical.
    fn stage_source(&mut self, host: &Path) -> Result<PathBuf, LaunchError> {
        let Some(stage) = &mut self.stage else {
            return Ok(host.to_path_buf());
        };
        let fail = |source| LaunchError::Source {
            path: host.into(),
            source,
        };
        let at =
            Path::new(OsStr::from_bytes(STAGE.to_bytes())).join(self.sources.len().to_string());
        let directory = is_dir(host).map_err(fail)?;
        let c = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
        stage.add_source(c(host).map_err(fail)?, c(&at).map_err(fail)?, directory);
        self.sources.push(host.into());
        Ok(at)
    }
}

/// A descriptor from which the entry step reads `orders`.
pub(crate) fn orders_file(orders: &EntryOrders) -> io::Result<OwnedFd> {
    memory_file(&serde_json::to_vec(orders)?)
}

fn memory_file(contents: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("omoi", MemfdFlags::CLOEXEC)?;
    let mut rest = contents;
    while !rest.is_empty() {
        let n = rustix::io::write(&fd, rest)?;
        rest = &rest[n..];
    }
    rustix::fs::seek(&fd, SeekFrom::Start(0))?;
    Ok(fd)
}
