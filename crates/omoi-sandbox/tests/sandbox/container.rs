//! The rung `container`, with Debian's Podman and `runc` on a private socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{
    ProgramEnd, Property, PropertyStatus, SandboxFloor, SandboxLaunch, WaitError, probe_host,
};

use crate::support::{Platform, held_status, probe_config, until};

/// Whether the engine is root's, which alone can limit.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_engine_the_reason_and_the_remedy_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = probe_config(&dir.path().join("state"));
    config.container_sockets = vec![dir.path().join("nobody.sock")];
    let probe = probe_host(&config).await.unwrap();
    let mut tried = probe.tried.iter();
    let tried = tried.find(|tried| tried.rung == SandboxRung::Container);
    let unavailable = tried.unwrap().outcome.as_ref().unwrap_err();
    assert!(
        unavailable.reason.contains("no container engine"),
        "{unavailable:?}"
    );
    assert!(
        unavailable.remedy.contains("apt install podman"),
        "{unavailable:?}"
    );
    // Somebody who is no engine.
    let listener = std::os::unix::net::UnixListener::bind(dir.path().join("mute.sock")).unwrap();
    config.container_sockets = vec![dir.path().join("mute.sock")];
    config.state_dir = dir.path().join("other");
    let answering = std::thread::spawn(move || drop(listener.accept()));
    let probe = probe_host(&config).await.unwrap();
    answering.join().unwrap();
    let mut tried = probe.tried.iter();
    let tried = tried.find(|tried| tried.rung == SandboxRung::Container);
    let unavailable = tried.unwrap().outcome.as_ref().unwrap_err();
    assert!(
        unavailable.reason.contains("does not answer"),
        "{unavailable:?}"
    );
}

/// An engine that answers as Docker with mapped users does, until `dir` goes.
fn mapping_engine(dir: &Path) -> PathBuf {
    let socket = dir.join("mapping.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            let mut path = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                if path.is_empty() {
                    line.split(' ')
                        .nth(1)
                        .unwrap_or_default()
                        .clone_into(&mut path);
                }
                line.clear();
            }
            let body = match path.ends_with("version") {
                true => r#"{"Components": [{"Name": "Engine", "Version": "20.10.24"}]}"#,
                false => r#"{"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]}"#,
            };
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let answer = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_maps_users_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = probe_config(&dir.path().join("state"));
    config.container_sockets = vec![mapping_engine(dir.path())];
    config.wanted = Some(SandboxRung::Container);
    let probe = probe_host(&config).await.unwrap();
    let mut tried = probe.tried.iter();
    let tried = tried.find(|tried| tried.rung == SandboxRung::Container);
    let refused = tried.unwrap().outcome.as_ref().unwrap_err();
    let told = (refused.reason.as_str(), refused.remedy.as_str());
    assert!(told.0.contains("Engine 20.10.24 maps users"), "{told:?}");
    assert!(told.1.contains("an engine of the user"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_meet_the_default_floor_and_end_like_other_sandboxes() {
    let floor = SandboxFloor::default();
    let platform = Platform::with_rung(SandboxRung::Container, &floor).await;
    let is_limited = matches!(
        held_status(&platform, Property::Memory),
        PropertyStatus::YesBy(_)
    );
    assert_eq!(is_limited, is_root());
    let exit = platform
        .run(platform.shell("echo out; echo err >&2; echo kept >file; (sleep 60 &) ; exit 3"))
        .await;
    assert_eq!(exit.ended, ProgramEnd::Code(3));
    assert_eq!(
        (exit.stdout.to_text(), exit.stderr.to_text()),
        ("out\n".into(), "err\n".into())
    );
    let launch = platform.shell("id -u; echo kept >file");
    let (workspace, user) = (launch.workspace.clone(), rustix::process::geteuid());
    let exit = platform.run(launch).await;
    assert_ne!(exit.stdout.to_text(), "0\n", "nobody is root inside");
    let owner = std::fs::metadata(workspace.join("file")).unwrap().uid();
    assert_eq!(owner == user.as_raw(), !is_root(), "{owner}");

    let missing = platform.launch(["/usr/bin/no-such-program"]);
    let running = platform.provider.launch(missing).await.unwrap();
    let WaitError::NotStarted { message } = running.wait().await.unwrap_err() else {
        panic!("it is not there");
    };
    assert!(message.contains("no-such-program"), "{message}");

    let saving =
        platform.shell("trap 'echo saved; exit 7' TERM; echo >ready; while :; do sleep 0.01; done");
    let ready = saving.workspace.join("ready");
    let running = platform.provider.launch(saving).await.unwrap();
    let control = running.control();
    let (exit, ()) = tokio::join!(running.wait(), async {
        until("it can be interrupted", || ready.exists()).await;
        control.interrupt_program();
    });
    let exit = exit.unwrap();
    assert_eq!(
        (exit.ended, exit.stdout.to_text().as_str()),
        (ProgramEnd::Code(7), "saved\n")
    );

    let running = platform.provider.launch(platform.shell("sleep 60")).await;
    let running = running.unwrap();
    let control = running.control();
    let (exit, ()) = tokio::join!(running.wait(), async { control.kill_tree() });
    assert_eq!(exit.unwrap().ended, ProgramEnd::Signal(libc::SIGKILL));

    let hungry = platform.python("import time; x = b'x' * (200 << 20); time.sleep(60)");
    let mut limits = hungry.limits;
    limits.memory_bytes = 64 << 20;
    let exit = platform.run(SandboxLaunch { limits, ..hungry }).await;
    match is_root() {
        true => assert_eq!(exit.ended, ProgramEnd::Signal(libc::SIGKILL)),
        // No group of the kernel's holds it there, and so each process is refused more.
        false => assert!(exit.stderr.to_text().contains("MemoryError"), "{exit:?}"),
    }
    assert!(platform.provider.list_orphans().unwrap().is_empty());
    assert_eq!(platform.containers(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_an_earlier_life_are_found_and_destroyed() {
    let platform = Platform::with_rung(SandboxRung::Container, &SandboxFloor::none()).await;
    let launch = platform.shell("sleep 60");
    let name = launch.name.clone();
    let running = platform.provider.launch(launch).await.unwrap();
    // As a crash leaves it: nobody clears up.
    std::mem::forget(running);
    let mut config = probe_config(&platform.path("state"));
    config.container_sockets = platform.engine_sockets();
    config.wanted = Some(SandboxRung::Container);
    let next = probe_host(&config).await.unwrap();
    let next = next.provider_of(SandboxRung::Container).unwrap();
    assert_eq!(next.list_orphans().unwrap(), [name.as_str()]);
    assert!(next.destroy_sandbox(&name).unwrap());
    assert!(next.list_orphans().unwrap().is_empty());
    assert_eq!(platform.containers(), "");
}
