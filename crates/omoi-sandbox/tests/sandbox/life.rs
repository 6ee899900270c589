//! How sandboxes start, are stopped, die with the platform, and are cleared up after.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::files_read::{FilesRead, ReadWatch};
use omoi_sandbox::{
    GeneratedFile, LaunchError, ProbeConfig, ProgramEnd, ProtectedPath, ReadOnlyMount,
    SandboxFloor, WaitError, WorkspaceAccess, probe_host,
};

use crate::support::{Platform, until};

/// Leaves a daemon in a session of its own that touches a file for as long as it lives.
const DAEMON: &str = r"
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            open('/sandbox/beat', 'a').write('x')
            time.sleep(0.01)
    os._exit(0)
while not os.path.exists('/sandbox/beat'): time.sleep(0.01)
";

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

/// Whether nothing writes to the daemon's file any more.
async fn is_still(beat: &Path) -> bool {
    let before = size(beat);
    tokio::time::sleep(Duration::from_millis(100)).await;
    size(beat) == before
}

fn limit_groups(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let mut found = Vec::new();
    for line in mounts.lines().filter(|l| l.contains(" - cgroup")) {
        let point = PathBuf::from(line.split(' ').nth(4).unwrap());
        for below in own.lines().filter_map(|l| l.splitn(3, ':').nth(2)) {
            found.push(point.join(below.trim_start_matches('/')).join(name));
        }
    }
    found.retain(|path| path.exists());
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_ends_with_the_program() {
    let platform = Platform::new().await;
    let launch = platform.python(DAEMON);
    let beat = launch.workspace.join("beat");
    let name = launch.name.clone();
    let exit = platform.run(launch).await;
    assert!(exit.has_succeeded(), "{}", exit.stderr.to_text());
    assert!(size(&beat) > 0 && is_still(&beat).await);
    assert_eq!(limit_groups(&name), Vec::<PathBuf>::new());
    assert_eq!(
        platform.provider.list_orphans().unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_and_drop_end_the_whole_tree() {
    let platform = Platform::new().await;
    for dropped in [false, true] {
        let launch = platform.python(&format!("{DAEMON}\ntime.sleep(60)"));
        let beat = launch.workspace.join("beat");
        let name = launch.name.clone();
        let running = platform.provider.launch(launch).await.unwrap();
        until("the daemon beats", || size(&beat) > 3).await;
        assert_eq!(
            platform.provider.list_orphans().unwrap(),
            Vec::<String>::new()
        );
        if dropped {
            drop(running);
        } else {
            let control = running.control();
            let (exit, ()) = tokio::join!(running.wait(), async { control.kill_tree() });
            assert_eq!(exit.unwrap().ended, ProgramEnd::Signal(libc::SIGKILL));
            // Harmless when there is nothing left.
            control.kill_tree();
            control.interrupt_program();
        }
        let state = platform.path("state");
        until("all traces are gone", || {
            fs::read_dir(&state).unwrap().count() == 0
        })
        .await;
        assert!(is_still(&beat).await);
        assert_eq!(limit_groups(&name), Vec::<PathBuf>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_reaches_the_program_and_lets_it_save() {
    let platform = Platform::new().await;
    let launch = platform.python(
        r"
import os, signal, sys, time
def save(*_):
    open('/sandbox/saved', 'w').write('all of it')
    sys.exit(7)
signal.signal(signal.SIGTERM, save)
open('/sandbox/ready', 'w')
time.sleep(60)
",
    );
    let workspace = launch.workspace.clone();
    let running = platform.provider.launch(launch).await.unwrap();
    let control = running.control();
    let (exit, ()) = tokio::join!(running.wait(), async {
        until("it is ready", || workspace.join("ready").exists()).await;
        control.interrupt_program();
    });
    let exit = exit.unwrap();
    assert_eq!((exit.ended, exit.timed_out), (ProgramEnd::Code(7), false));
    assert_eq!(
        fs::read_to_string(workspace.join("saved")).unwrap(),
        "all of it"
    );
    // Had anything run as root, what it wrote would belong to root.
    let uid = fs::metadata(workspace.join("saved")).unwrap().uid();
    let own = rustix::process::getuid().as_raw();
    assert!(
        if own == 0 {
            (64_000..65_000).contains(&uid)
        } else {
            uid == own
        },
        "written by {uid}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endings_are_told_apart() {
    let platform = Platform::new().await;
    let ended = async |script: &str| platform.run(platform.shell(script)).await.ended;
    assert_eq!(ended("exit 0").await, ProgramEnd::Code(0));
    assert_eq!(ended("exit 1").await, ProgramEnd::Code(1));
    assert_eq!(
        ended("kill -SEGV $$").await,
        ProgramEnd::Signal(libc::SIGSEGV)
    );
    let missing = platform.launch(["/usr/bin/no-such-program"]);
    let running = platform.provider.launch(missing).await.unwrap();
    let error = running.wait().await.unwrap_err();
    let WaitError::NotStarted { message } = error else {
        panic!("{error}");
    };
    assert!(message.contains("no-such-program"), "{message}");
}

/// The kernel ties a process to the thread that started it; ours must outlive the caller's.
#[test]
fn a_sandbox_outlives_the_thread_that_asked_for_it() {
    let runtime = Arc::new(tokio::runtime::Runtime::new().unwrap());
    let platform = runtime.block_on(Platform::new());
    let launch = platform.shell("sleep 0.5; echo done");
    let (provider, inner) = (Arc::clone(&platform.provider), Arc::clone(&runtime));
    let asking = std::thread::spawn(move || inner.block_on(provider.launch(launch)).unwrap());
    let running = asking.join().unwrap();
    let exit = runtime.block_on(running.wait()).unwrap();
    assert_eq!(exit.stdout.to_text(), "done\n", "{:?}", exit.ended);
}

/// Not a test of its own: the platform that [`the_platform_is_killed`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    // Where to keep state; absent unless started by the test below.
    let Ok(dir) = fs::read_link("/proc/self/fd/0") else {
        return;
    };
    let Some(dir) = dir.to_str().and_then(|d| d.strip_suffix("/victim")) else {
        return;
    };
    let dir = Path::new(dir);
    let found = probe_host(&ProbeConfig::new(dir.join("state")))
        .await
        .unwrap();
    let provider = found
        .select_provider(&SandboxFloor::default(), None)
        .unwrap();
    let workspace = dir.join("work");
    fs::create_dir(&workspace).unwrap();
    provider.prepare_workspace(&workspace).unwrap();
    let program = format!("{DAEMON}\ntime.sleep(60)");
    let argv = ["/usr/bin/python3", "-c", &program];
    let name = format!("omoi-victim-{}", std::process::id());
    let launch = omoi_sandbox::SandboxLaunch::new(name, workspace, argv);
    provider.launch(launch).await.unwrap().wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("victim"), "").unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "life::victim"])
        .stdin(fs::File::open(dir.path().join("victim")).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let beat = dir.path().join("work/beat");
    until("the daemon beats", || size(&beat) > 3).await;
    let at = Instant::now();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let root = dir.path().join("work");
    // A process inside shows the workspace as its working directory to those who may look.
    let alive = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let cwd = fs::read_link(entry.path().join("cwd"));
            cwd.is_ok_and(|cwd| cwd == root || cwd == Path::new("/sandbox"))
                && fs::read(entry.path().join("cmdline"))
                    .is_ok_and(|c| String::from_utf8_lossy(&c).contains("/sandbox/beat"))
        })
    };
    until("everything inside is gone", || !alive()).await;
    let took = at.elapsed();
    println!("killed with the platform in {took:.1?}");
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert!(is_still(&beat).await);

    // The next life finds the name and clears up.
    let found = probe_host(&ProbeConfig::new(dir.path().join("state")))
        .await
        .unwrap();
    let provider = found
        .select_provider(&SandboxFloor::default(), None)
        .unwrap();
    let name = format!("omoi-victim-{}", victim.id());
    assert_eq!(provider.list_orphans().unwrap(), [name.as_str()]);
    assert!(provider.destroy_sandbox(&name).unwrap());
    assert!(!provider.destroy_sandbox(&name).unwrap());
    assert_eq!(provider.list_orphans().unwrap(), Vec::<String>::new());
    assert_eq!(limit_groups(&name), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn bad_launches_are_refused() {
    let platform = Platform::new().await;
    let mount = |path: &str| ReadOnlyMount::at_same_path(path);
    let refused = async |change: &dyn Fn(&mut omoi_sandbox::SandboxLaunch)| {
        let mut launch = platform.launch(["/bin/true"]);
        change(&mut launch);
        platform
            .provider
            .launch(launch)
            .await
            .err()
            .map(|e| e.to_string())
    };
    let dir = platform.dir.path().to_path_buf();
    type Change = Box<dyn Fn(&mut omoi_sandbox::SandboxLaunch)>;
    let cases: Vec<(&str, Change)> = vec![
        (
            "is not a sandbox name",
            Box::new(|l| l.name = "../x".into()),
        ),
        ("no program", Box::new(|l| l.argv.clear())),
        (
            "would cover",
            Box::new(move |l| l.read_only = vec![mount("/")]),
        ),
        (
            "would cover",
            Box::new(move |l| l.read_only = vec![mount("/home")]),
        ),
        (
            "never shown",
            Box::new(move |l| {
                l.read_only = vec![ReadOnlyMount {
                    host: "/run".into(),
                    inside: "/opt/x".into(),
                }];
            }),
        ),
        (
            "would show",
            Box::new(move |l| l.read_only = vec![ReadOnlyMount::at_same_path(&dir)]),
        ),
        (
            "could not use `/no/such`",
            Box::new(move |l| l.read_only = vec![mount("/no/such")]),
        ),
        (
            "absolute",
            Box::new(move |l| l.read_only = vec![mount("/opt/../etc")]),
        ),
        (
            "zero byte",
            Box::new(|l| l.env = vec![("A".into(), "x\0--bind\0/\0/mnt".into())]),
        ),
        (
            "generated files belong",
            Box::new(|l| {
                l.files = vec![GeneratedFile {
                    path: "/sandbox/x".into(),
                    contents: vec![],
                    mode: 0o600,
                }];
            }),
        ),
        (
            "could not protect",
            Box::new(|l| l.protected = vec![ProtectedPath::masked("../x")]),
        ),
    ];
    for (expected, change) in cases {
        let text = refused(&*change).await.unwrap_or_default();
        assert!(
            text.contains(expected),
            "expected `{expected}`, got `{text}`"
        );
    }
    if rustix::process::geteuid().is_root() {
        let mut launch = platform.launch(["/bin/true"]);
        std::os::unix::fs::chown(&launch.workspace, Some(0), Some(0)).unwrap();
        let error = platform.provider.launch(launch.clone()).await.unwrap_err();
        assert!(matches!(error, LaunchError::NotPrepared { .. }), "{error}");
        // Refusals give the name back.
        platform
            .provider
            .prepare_workspace(&launch.workspace)
            .unwrap();
        launch.name += "-again";
        assert!(platform.run(launch).await.has_succeeded());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_taken_while_they_run() {
    let platform = Platform::new().await;
    let first = platform.shell("sleep 60");
    let second = first.clone();
    let running = platform.provider.launch(first).await.unwrap();
    let error = platform.provider.launch(second.clone()).await.unwrap_err();
    assert!(matches!(error, LaunchError::NameTaken { .. }), "{error}");
    let control = running.control();
    let _ = tokio::join!(running.wait(), async { control.kill_tree() });
    let mut again = second;
    again.argv = vec!["/bin/true".into()];
    assert!(platform.run(again).await.has_succeeded());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_workspace_stays_as_it_is() {
    let platform = Platform::new().await;
    let mut launch = platform.shell(
        "cat /sandbox/file; touch /sandbox/new; echo x >/sandbox/file; touch /sandbox/.git/x",
    );
    launch.workspace = platform.workspace(|dir| {
        fs::write(dir.join("file"), "text\n").unwrap();
        fs::create_dir(dir.join(".git")).unwrap();
    });
    launch.protected = vec![ProtectedPath::read_only(".git/hooks")];
    launch.access = WorkspaceAccess::ReadOnly;
    let workspace = launch.workspace.clone();
    let exit = platform.run(launch).await;
    assert_eq!(exit.stdout.to_text(), "text\n");
    assert_eq!(
        exit.stderr
            .to_text()
            .matches("Read-only file system")
            .count(),
        3
    );
    assert_eq!(
        fs::read_to_string(workspace.join("file")).unwrap(),
        "text\n"
    );
    platform.provider.remove_workspace(&workspace).unwrap();
    assert!(!workspace.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_read_inside_are_known() {
    let platform = Platform::new().await;
    let mut launch =
        platform.shell("cat src/read >/dev/null; ls src >/dev/null; test -f src/unread");
    launch.workspace = platform.workspace(|dir| {
        fs::create_dir(dir.join("src")).unwrap();
        for name in ["src/read", "src/unread"] {
            fs::write(dir.join(name), "text").unwrap();
        }
    });
    let workspace = launch.workspace.clone();
    let paths = ["src/read", "src/unread"].map(PathBuf::from);
    let watch = ReadWatch::start(&workspace, &paths, None).unwrap();
    assert!(platform.run(launch).await.has_succeeded());
    let read = watch.finish();
    assert_eq!(read, FilesRead::Known(vec!["src/read".into()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_rung_runs_without_a_sandbox_and_says_so() {
    let platform = Platform::with_rung(SandboxRung::Process, &SandboxFloor::none()).await;
    let missing = SandboxFloor::default().missing_properties(platform.provider.held_properties());
    assert_eq!(missing.len(), 4);
    assert_eq!(platform.probe.active, Some(SandboxRung::Bubblewrap));

    let mut launch =
        platform.shell("pwd; echo $ASKED; cat \"$FILE\"; echo x >\"$TMPDIR/x\"; echo $0");
    launch.files = vec![GeneratedFile {
        path: "/run/omoi.d/context".into(),
        contents: b"context\n".to_vec(),
        mode: 0o600,
    }];
    let file = platform
        .provider
        .path_inside(&launch, Path::new("/run/omoi.d/context"));
    launch.env = vec![("FILE".into(), file.into()), ("ASKED".into(), "for".into())];
    let workspace = launch.workspace.clone();
    let exit = platform.run(launch).await;
    let expected = format!("{}\nfor\ncontext\n/bin/sh\n", workspace.display());
    assert_eq!(exit.stdout.to_text(), expected, "{}", exit.stderr.to_text());
    assert_eq!(fs::read_dir(platform.path("state")).unwrap().count(), 0);

    // The group goes with the program.
    let launch = platform.shell("sleep 61 & echo $! > pid; wait");
    let pid = launch.workspace.join("pid");
    let running = platform.provider.launch(launch).await.unwrap();
    until("the child runs", || size(&pid) > 0).await;
    drop(running);
    let pid = fs::read_to_string(pid).unwrap();
    let alive = || {
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim()));
        status.is_ok_and(|s| !s.contains("State:\tZ"))
    };
    until("the child is gone", || !alive()).await;
}
