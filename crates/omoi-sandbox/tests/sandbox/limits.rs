//! Each amount is proven to bite.

use std::time::Duration;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{
    ExhaustedLimit, ProgramEnd, Property, PropertyStatus, SandboxEnd, SandboxFloor, SandboxLaunch,
    SandboxLimits,
};

use crate::support::{Platform, held_status};

const MIB: u64 = 1 << 20;

/// Whether the host itself holds `property`, not the watcher.
fn held(platform: &Platform, property: Property) -> bool {
    let held = held_status(platform, property);
    println!("{property} is declared: {held:?}");
    *held == PropertyStatus::Yes
}

async fn under(platform: &Platform, limits: SandboxLimits, program: &str) -> SandboxEnd {
    let launch = platform.python(program);
    platform.run(SandboxLaunch { limits, ..launch }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_open_files_and_core_dumps() {
    let platform = Platform::new().await;
    let limits = SandboxLimits {
        file_bytes_max: 8 * MIB,
        open_files_max: 100,
        ..SandboxLimits::default()
    };
    let exit = under(
        &platform,
        limits,
        r"
import os, resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
written = 0
try:
    with open('/sandbox/big', 'wb', buffering=0) as f:
        while written < 64 << 20: written += f.write(bytes(1 << 20))
except OSError as e: print('file', written >> 20, e.errno)
files = []
try:
    while len(files) < 500: files.append(open('/dev/null'))
except OSError as e: print('files', len(files) < 100, e.errno)
files.clear()
if os.fork() == 0: os.abort()
print('dumped', os.WCOREDUMP(os.wait()[1]), [f for f in os.listdir('/sandbox') if 'core' in f])
for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
    try: resource.setrlimit(limit, (1 << 30, 1 << 30)); print('raised')
    except (ValueError, OSError): pass
",
    )
    .await;
    assert_eq!(
        exit.stdout.to_text(),
        "file 8 27\nfiles True 24\ndumped False []\n",
        "{}",
        exit.stderr.to_text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scratch_space() {
    let platform = Platform::new().await;
    let limits = SandboxLimits {
        temp_bytes: 4 * MIB,
        ..SandboxLimits::default()
    };
    let exit = under(
        &platform,
        limits,
        r"
for path in ('/tmp/x', '/home/agent/x'):
    written = 0
    try:
        with open(path, 'wb', buffering=0) as f:
            while written < 64 << 20: written += f.write(bytes(1 << 20))
    except OSError as e: print(written >> 20, e.errno)
with open('/dev/shm/x', 'wb', buffering=0) as f:
    try:
        f.truncate(10 << 30); import os; os.posix_fallocate(f.fileno(), 0, 10 << 30); print('unbounded')
    except OSError as e: print(e.errno)
",
    )
    .await;
    // 27 is the file-size limit, met before the folder's own.
    let text = exit.stdout.to_text();
    assert!(
        ["4 28\n4 28\n28\n", "4 28\n4 28\n27\n"].contains(&text.as_str()),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes() {
    let platform = Platform::new().await;
    let limits = SandboxLimits {
        processes_max: 40,
        ..SandboxLimits::default()
    };
    let program = r"
import os, time
count = 0
try:
    while count < 3000:
        if os.fork() == 0: time.sleep(60); os._exit(0)
        count += 1
except OSError as e: print('stopped', e.errno, count)
";
    let exit = under(&platform, limits, program).await;
    let text = exit.stdout.to_text();
    // Even where the count is not the tree's own, a fork bomb meets an end.
    assert!(
        text.starts_with("stopped 11 "),
        "{text}{}",
        exit.stderr.to_text()
    );
    if held(&platform, Property::ProcessCount) {
        let count: u32 = text.trim().rsplit(' ').next().unwrap().parse().unwrap();
        assert!((20..40).contains(&count), "{count} children");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    let platform = Platform::new().await;
    let limits = SandboxLimits {
        memory_bytes: 192 * MIB,
        ..SandboxLimits::default()
    };
    let one = under(
        &platform,
        limits,
        "x = bytearray(600 << 20); print('kept', len(x))",
    )
    .await;
    assert!(!one.has_succeeded(), "{}", one.stdout.to_text());
    if held(&platform, Property::Memory) {
        assert_eq!(one.ended, ProgramEnd::Signal(libc::SIGKILL));
        assert!(one.out_of_memory);
        // Together, though each for itself is below the limit.
        let program = r"
import os, sys
def child():
    pid = os.fork()
    if pid == 0:
        x = bytearray(80 << 20); print('kept', flush=True); os.read(0, 1); import time; time.sleep(1); os._exit(0)
    return pid
codes = [os.waitpid(p, 0)[1] for p in [child() for _ in range(4)]]
print('killed', sum(c == 9 for c in codes))
";
        let many = under(&platform, limits, program).await;
        assert!(many.out_of_memory, "{}", many.stdout.to_text());
    }
    let program = "
import os, time
held = os.memfd_create('held')
for _ in range(300): os.write(held, bytes(1 << 20))
time.sleep(60)
";
    let files = under(&platform, limits, program).await;
    let watched = matches!(files.exhausted, Some(ExhaustedLimit::Memory { .. }));
    assert!(watched || files.out_of_memory, "{files:?}");
    let program = "
import time
for place in ('/tmp/x', '/home/agent/x'): open(place, 'wb').write(bytes(100 << 20))
time.sleep(60)
";
    let files = under(&platform, limits, program).await;
    let watched = matches!(files.exhausted, Some(ExhaustedLimit::Memory { .. }));
    assert!(watched || files.out_of_memory, "{files:?}");
    let below = under(
        &platform,
        limits,
        "x = bytearray(60 << 20); print(len(x) >> 20)",
    )
    .await;
    assert_eq!(below.stdout.to_text(), "60\n");
    assert!(!below.out_of_memory);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processor_time() {
    let platform = Platform::new().await;
    if !held(&platform, Property::Cpu) {
        return;
    }
    let limits = SandboxLimits {
        cpu_millicores: 200,
        ..SandboxLimits::default()
    };
    let program = r"
import os, time
end = time.monotonic() + 2
pids = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        while time.monotonic() < end: pass
        os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
t = os.times()
print(round(t.children_user + t.children_system, 2))
";
    let exit = under(&platform, limits, program).await;
    let used: f64 = exit.stdout.to_text().trim().parse().unwrap();
    println!("processor time used in 2 s under a limit of 0.2 cores: {used} s");
    assert!(used < 1.0, "{used} s used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wall_time() {
    let platform = Platform::new().await;
    for (script, ended) in [
        // Asked first, and answering.
        (
            "trap 'echo saved; exit 7' TERM; while :; do sleep 0.01; done",
            ProgramEnd::Code(7),
        ),
        // Asked first, and deaf.
        (
            "trap '' TERM; echo saved; while :; do sleep 0.01; done",
            ProgramEnd::Signal(libc::SIGKILL),
        ),
    ] {
        let mut launch = platform.shell(script);
        launch.wall_timeout = Duration::from_millis(700);
        launch.grace = Duration::from_millis(700);
        let exit = platform.run(launch).await;
        assert!(exit.timed_out && !exit.has_succeeded());
        assert_eq!(
            (exit.ended, exit.stdout.to_text().as_str()),
            (ended, "saved\n")
        );
        assert!(exit.took < Duration::from_secs(10), "{:?}", exit.took);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output() {
    let platform = Platform::new().await;
    let mut launch = platform.shell("seq 1 2000000; seq 1 100 >&2");
    launch.output_bytes_max = 1 << 20;
    let exit = platform.run(launch).await;
    assert!(exit.has_succeeded());
    let out = &exit.stdout;
    assert!(out.head.starts_with(b"1\n2\n") && out.tail.ends_with(b"\n2000000\n"));
    assert_eq!((out.head.len(), out.tail.len()), (512 << 10, 512 << 10));
    assert_eq!(out.dropped_bytes, 14_888_896 - (1 << 20));
    assert_eq!(exit.stderr.to_text().lines().count(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watcher_stops_a_workspace_that_grows() {
    let platform = Platform::new().await;
    let limits = SandboxLimits {
        workspace_bytes: 4 * MIB,
        ..SandboxLimits::default()
    };
    let until_stopped = |script: &str| {
        let script =
            format!("trap 'echo saved; exit 7' TERM; {script}; while :; do sleep 0.01; done");
        let launch = platform.shell(&script);
        platform.run(SandboxLaunch { limits, ..launch })
    };
    let (open, unlinked, locked) = tokio::join!(
        until_stopped("head -c 9000000 /dev/zero >big"),
        until_stopped("exec 5>big; rm big; head -c 9000000 /dev/zero >&5"),
        until_stopped("mkdir deep; head -c 9000000 /dev/zero >deep/big; chmod 300 deep"),
    );
    for exit in [&open, &unlinked, &locked] {
        assert_eq!(
            (exit.ended, exit.stdout.to_text().as_str()),
            (ProgramEnd::Code(7), "saved\n"),
            "it could save its work: {exit:?}"
        );
        assert!(!exit.has_succeeded() && !exit.timed_out);
    }
    let is_by_size = |exit: &SandboxEnd| {
        let limit_bytes = match exit.exhausted {
            Some(ExhaustedLimit::Workspace { limit_bytes, .. }) => limit_bytes,
            _ => 0,
        };
        limit_bytes == 4 * MIB
    };
    assert!(
        is_by_size(&open) && is_by_size(&unlinked),
        "{open:?}{unlinked:?}"
    );
    let is_hidden = locked.exhausted == Some(ExhaustedLimit::HiddenFolder);
    assert!(is_by_size(&locked) || is_hidden, "{locked:?}");
    assert_eq!(
        held_status(&platform, Property::WorkspaceSize),
        &PropertyStatus::ByWatcher
    );
}

/// A plain process has no limit group where the host offers none, and is watched all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watcher_counts_the_whole_tree() {
    let platform = Platform::with_rung(SandboxRung::Process, &SandboxFloor([].into())).await;
    // Far below what the limit group of the same launch would refuse.
    let program = "
import os, time
hold = bytearray(60 << 20)
pids = []
for n in range(3):
    pid = os.fork()
    if pid == 0:
        own = bytearray(60 << 20)
        time.sleep(60)
        os._exit(0)
    pids.append(pid)
os.wait()
";
    let limits = SandboxLimits {
        memory_bytes: 150 * MIB,
        ..SandboxLimits::default()
    };
    let exit = under(&platform, limits, program).await;
    // Where the host has limit groups the kernel is faster.
    let watched = matches!(exit.exhausted, Some(ExhaustedLimit::Memory { .. }));
    assert!(watched || exit.out_of_memory, "{exit:?}");
    assert!(exit.took < Duration::from_secs(30), "{:?}", exit.took);
}
