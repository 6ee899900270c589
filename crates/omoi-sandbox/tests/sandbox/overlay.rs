//! Workspaces laid over a prepared folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::files_read::{FilesRead, ReadWatch};
use omoi_sandbox::{OverlayRefusal, ProgramEnd, ProtectedPath, SandboxFloor, SandboxLaunch};

use crate::rustix_is_root;
use crate::support::{Platform, until};
use omoi_testkit::podman::PodmanService;

const FILES: [(&str, &str); 5] = [
    ("src/a.txt", "a\n"),
    ("src/deep/b.txt", "b\n"),
    ("c.txt", "c\n"),
    ("idle.txt", "i\n"),
    ("run.sh", "#!/bin/sh\necho ran\n"),
];

fn fill(dir: &Path) {
    for (path, text) in FILES {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.join("run.sh"), mode).unwrap();
}

fn read_all(dir: &Path) -> Vec<(String, String)> {
    FILES
        .map(|(path, _)| (path.to_owned(), fs::read_to_string(dir.join(path)).unwrap()))
        .into()
}

/// A workspace laid over the filled folder `lower`, made ready with a file of the platform's.
fn laid(platform: &Platform, name: &str) -> PathBuf {
    let lower = platform.path("lower");
    if !lower.exists() {
        fs::create_dir(&lower).unwrap();
        fill(&lower);
    }
    let dir = platform.path(name);
    fs::create_dir(&dir).unwrap();
    platform.provider.lay_workspace(&dir, &[&lower]).unwrap();
    fs::create_dir(dir.join("ours")).unwrap();
    fs::write(dir.join("ours/x"), "x").unwrap();
    platform.provider.prepare_workspace(&dir).unwrap();
    dir
}

const SCRIPT: &str = "cat src/a.txt && echo more >>src/deep/b.txt && rm c.txt && ./run.sh && \
    echo new >src/new && echo y >>ours/x && mv src/deep src/moved && \
    /usr/bin/python3 -c 'import os; os.rename(\"src\", \"dst\"); os.rename(\"dst\", \"src\")'";

#[tokio::test]
async fn what_is_changed_in_an_overlay_stays_in_it() {
    if !rustix_is_root() {
        return;
    }
    for rung in [SandboxRung::Bubblewrap, SandboxRung::Landlock] {
        let floor = SandboxFloor::default();
        let floor = match rung {
            SandboxRung::Landlock => SandboxFloor::none(),
            _ => floor,
        };
        let platform = Platform::with_rung(rung, &floor).await;
        let (dir, other) = (laid(&platform, "one"), laid(&platform, "two"));
        let mut launch = platform.shell(SCRIPT);
        launch.workspace.clone_from(&dir);
        let end = platform.run(launch).await;
        assert_eq!(end.ended, ProgramEnd::Code(0), "{rung}: {end:?}");
        assert_eq!(end.stdout.to_text(), "a\nran\n", "{rung}");
        let text = fs::read_to_string(dir.join("src/moved/b.txt")).unwrap();
        assert_eq!(text, "b\nmore\n");
        let expected: Vec<_> = FILES.map(|(p, t)| (p.to_owned(), t.to_owned())).into();
        assert_eq!(read_all(&platform.path("lower")), expected, "{rung}");
        assert_eq!(read_all(&other), expected, "{rung}");
        let (one, two) = (fs::metadata(&dir).unwrap(), fs::metadata(&other).unwrap());
        assert!(one.uid() != two.uid() && one.uid() >= 64_000);
        for dir in [dir, other] {
            platform.provider.remove_workspace(&dir).unwrap();
            assert!(!dir.exists());
        }
        assert_eq!(read_all(&platform.path("lower")), expected, "{rung}");
    }
}

#[tokio::test]
async fn an_overlay_is_protected_like_a_copy_and_goes_after_a_crash() {
    if !rustix_is_root() {
        return;
    }
    let platform = Platform::new().await;
    let dir = laid(&platform, "one");
    let mut launch = platform.shell("echo x >src/a.txt; echo x >ours/new; mv src other; echo $?");
    launch.protected = vec![
        ProtectedPath::read_only("src/a.txt"),
        ProtectedPath::read_only("ours"),
    ];
    launch.workspace.clone_from(&dir);
    let end = platform.run(launch).await;
    assert_eq!(end.stdout.to_text(), "1\n", "{end:?}");
    assert_eq!(fs::read_to_string(dir.join("src/a.txt")).unwrap(), "a\n");
    assert!(!dir.join("ours/new").exists());
    // Another process, which never laid it.
    let later = Platform::new().await;
    later.provider.remove_workspace(&dir).unwrap();
    assert!(!dir.exists());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&*dir.to_string_lossy()), "{mounts}");
}

const READS: &str = "cat src/a.txt; ./run.sh; ls -R; find . -newer idle.txt; mkdir copy && \
    ln src/deep/b.txt copy/b && cat copy/b && rm copy/b && /usr/bin/python3 -c \
    'import mmap; f = open(\"c.txt\", \"r+b\"); print(mmap.mmap(f.fileno(), 0)[0])'";

/// A file system of its own, whose room nobody else uses; it goes with this value.
struct OwnDisk(PathBuf);

impl OwnDisk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m,mode=700", "disk"]);
        assert!(mount.arg(&at).status().unwrap().success());
        Self(at)
    }

    fn free_bytes(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        stat.f_bfree * stat.f_frsize
    }
}

impl Drop for OwnDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn the_room_of_a_removed_overlay_is_free_while_a_neighbour_lives() {
    if !rustix_is_root() {
        return;
    }
    for rung in [SandboxRung::Bubblewrap, SandboxRung::Landlock] {
        let platform = Platform::with_rung(rung, &SandboxFloor::none()).await;
        let disk = OwnDisk::mount(platform.path("disk"));
        fs::create_dir(disk.0.join("lower")).unwrap();
        fill(&disk.0.join("lower"));
        let before = disk.free_bytes();
        let lay = |name: &str| {
            let dir = disk.0.join(name);
            fs::create_dir(&dir).unwrap();
            let lower = disk.0.join("lower");
            platform.provider.lay_workspace(&dir, &[&lower]).unwrap();
            platform.provider.prepare_workspace(&dir).unwrap();
            dir
        };
        let (removed, living) = (lay("one"), lay("two"));
        // The neighbour starts while the other is there, and outlives it.
        let mut launch = platform.shell("echo up >up; sleep 600");
        launch.workspace.clone_from(&living);
        let running = platform.provider.launch(launch).await.unwrap();
        until("the neighbour is up", || living.join("up").exists()).await;
        fs::write(removed.join("large"), vec![1; 32 << 20]).unwrap();
        platform.provider.remove_workspace(&removed).unwrap();
        until("the room is free", || {
            before.saturating_sub(disk.free_bytes()) < 8 << 20
        })
        .await;
        // It still has its own.
        assert_eq!(read_all(&living), read_all(&disk.0.join("lower")), "{rung}");
        running.control().kill_tree();
        running.wait().await.unwrap();
        platform.provider.remove_workspace(&living).unwrap();
    }
}

#[tokio::test]
async fn an_engine_that_does_not_see_our_mounts_gets_no_overlay_and_says_why() {
    if !rustix_is_root() {
        return;
    }
    let (apart, floor) = (PodmanService::start_apart(), SandboxFloor::none());
    for (sockets, is_seen) in [(Some(apart.engine_socket()), false), (None, true)] {
        let rung = SandboxRung::Container;
        let platform = Platform::with_config(rung, &floor, |config| {
            config.container_sockets = sockets
                .into_iter()
                .chain(config.container_sockets.clone())
                .collect();
        })
        .await;
        let support = platform.provider.overlay_support();
        let (lower, dir) = (platform.path("lower"), platform.path("one"));
        fs::create_dir(&lower).unwrap();
        fill(&lower);
        fs::create_dir(&dir).unwrap();
        let laid = platform.provider.lay_workspace(&dir, &[&lower]);
        match is_seen {
            true => {
                support.unwrap();
                laid.unwrap();
            }
            false => {
                for refused in [support.unwrap_err(), laid.unwrap_err()] {
                    assert!(matches!(refused, OverlayRefusal::Unseen(_)), "{refused}");
                }
                assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
            }
        }
        platform.provider.remove_workspace(&dir).unwrap();
    }
}

/// A default of the host for overlays, which is as it was once this value goes.
struct HostDefault {
    path: PathBuf,
    before: String,
}

impl HostDefault {
    /// Switches it on.
    fn switch_on(name: &str) -> io::Result<Self> {
        let path = Path::new("/sys/module/overlay/parameters").join(name);
        let before = fs::read_to_string(&path)?.trim().to_owned();
        fs::write(&path, "Y")?;
        Ok(Self { path, before })
    }
}

impl Drop for HostDefault {
    fn drop(&mut self) {
        let _ = fs::write(&self.path, &self.before);
    }
}

#[tokio::test]
async fn no_default_of_the_host_decides_how_an_overlay_behaves() {
    if !rustix_is_root() {
        return;
    }
    let platform = Platform::new().await;
    // Where the host has these on, an overlay whose options leave them out has them on as well.
    let switched = ["index", "metacopy"].map(HostDefault::switch_on);
    let is_fixed = |error: &io::Error| {
        use ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
        matches!(
            error.kind(),
            NotFound | PermissionDenied | ReadOnlyFilesystem
        )
    };
    if switched
        .iter()
        .filter_map(|one| one.as_ref().err())
        .any(is_fixed)
    {
        return;
    }
    let switched = switched.map(Result::unwrap);
    let dir = laid(&platform, "one");
    drop(switched);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts
        .lines()
        .find(|line| line.contains(&*dir.to_string_lossy()));
    let mount = mount.unwrap();
    for option in ["index=on", "metacopy=on", "nfs_export=on"] {
        assert!(!mount.contains(option), "{mount}");
    }
    platform.provider.remove_workspace(&dir).unwrap();
}

#[tokio::test]
async fn files_read_are_the_same_in_an_overlay_and_in_a_copy() {
    if !rustix_is_root() {
        return;
    }
    let platform = Platform::new().await;
    let paths: Vec<PathBuf> = FILES.map(|(path, _)| path.into()).into();
    let mut answers = Vec::new();
    let copy = platform.workspace(fill);
    for dir in [laid(&platform, "one"), copy] {
        let changes = platform.provider.changed_files(&dir);
        let watch = ReadWatch::start(&dir, &paths, changes).unwrap();
        let name = format!("omoi-reads-{}-{}", std::process::id(), answers.len());
        let launch = SandboxLaunch::new(name, &dir, ["/bin/sh", "-c", READS]);
        assert_eq!(platform.run(launch).await.ended, ProgramEnd::Code(0));
        answers.push(watch.finish());
        // A mount would outlive the test.
        platform.provider.remove_workspace(&dir).unwrap();
    }
    // Read by another name in a folder that nobody watched, and read from memory alone.
    let expected = ["src/a.txt", "src/deep/b.txt", "c.txt", "run.sh"].map(PathBuf::from);
    let expected = FilesRead::Known(expected.into());
    assert_eq!(answers, [expected.clone(), expected]);
}

#[tokio::test]
async fn a_refused_overlay_leaves_an_empty_folder_and_says_why() {
    let platform = Platform::new().await;
    let (dir, lower) = (platform.path("one"), platform.path("missing"));
    fs::create_dir(&dir).unwrap();
    let refused = platform
        .provider
        .lay_workspace(&dir, &[&lower])
        .unwrap_err();
    match rustix_is_root() {
        true => assert!(
            matches!(refused, OverlayRefusal::System { .. }),
            "{refused}"
        ),
        false => assert!(matches!(refused, OverlayRefusal::NotRoot), "{refused}"),
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    if rustix_is_root() {
        let foreign = platform.path("foreign");
        fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::chown(&foreign, Some(54_321), None).unwrap();
        let refused = platform
            .provider
            .lay_workspace(&dir, &[&foreign])
            .unwrap_err();
        assert!(
            matches!(refused, OverlayRefusal::OtherOwner { .. }),
            "{refused}"
        );
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }
}
