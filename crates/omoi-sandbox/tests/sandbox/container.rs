//! The rung `container`, with Debian's Podman and `runc` on a private socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{
    ProgramEnd, Property, PropertyStatus, SandboxFloor, SandboxLaunch, WaitError, probe_host,
};

use crate::support::{Platform, held_status, probe_config};

/// An engine of root's is needed, and only root can start one of its own here.
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

/// An engine that answers as Podman of an ordinary user does, until `dir` goes.
fn mapping_engine(dir: &Path) -> PathBuf {
    let socket = dir.join("rootless.sock");
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
                true => r#"{"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]}"#,
                false => {
                    r#"{"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}"#
                }
            };
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let answer = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    socket
}

/// Why the rung `container` is refused with an engine of an ordinary user, and what to do.
pub(crate) async fn refusal_of_mapped_users() -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = probe_config(&dir.path().join("state"));
    config.container_sockets = vec![mapping_engine(dir.path())];
    let probe = probe_host(&config).await.unwrap();
    let mut tried = probe.tried.iter();
    let tried = tried.find(|tried| tried.rung == SandboxRung::Container);
    let refused = tried.unwrap().outcome.as_ref().unwrap_err();
    (refused.reason.clone(), refused.remedy.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_maps_users_is_refused_by_name() {
    let (reason, remedy) = refusal_of_mapped_users().await;
    assert!(
        reason.contains("Podman Engine 4.3.1 maps users"),
        "{reason}"
    );
    assert!(remedy.contains("the engine of root"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_meet_the_default_floor_and_end_like_other_sandboxes() {
    if !is_root() {
        return;
    }
    let floor = SandboxFloor::default();
    let platform = Platform::with_rung(SandboxRung::Container, &floor).await;
    assert!(matches!(
        held_status(&platform, Property::Memory),
        PropertyStatus::YesBy(_)
    ));
    let exit = platform
        .run(platform.shell("echo out; echo err >&2; echo kept >file; (sleep 60 &) ; exit 3"))
        .await;
    assert_eq!(exit.ended, ProgramEnd::Code(3));
    assert_eq!(
        (exit.stdout.to_text(), exit.stderr.to_text()),
        ("out\n".into(), "err\n".into())
    );

    let missing = platform.launch(["/usr/bin/no-such-program"]);
    let running = platform.provider.launch(missing).await.unwrap();
    let WaitError::NotStarted { message } = running.wait().await.unwrap_err() else {
        panic!("it is not there");
    };
    assert!(message.contains("no-such-program"), "{message}");

    let saving = platform.shell("trap 'echo saved; exit 7' TERM; while :; do sleep 0.01; done");
    let launch = SandboxLaunch {
        wall_timeout: Duration::from_millis(600),
        grace: Duration::from_secs(5),
        ..saving
    };
    let exit = platform.run(launch).await;
    assert!(exit.timed_out);
    assert_eq!(
        (exit.ended, exit.stdout.to_text().as_str()),
        (ProgramEnd::Code(7), "saved\n")
    );

    let running = platform.provider.launch(platform.shell("sleep 60")).await;
    let running = running.unwrap();
    let control = running.control();
    let (exit, ()) = tokio::join!(running.wait(), async { control.kill_tree() });
    assert_eq!(exit.unwrap().ended, ProgramEnd::Signal(libc::SIGKILL));

    let hungry = platform.python("x = bytearray(200 << 20)");
    let mut limits = hungry.limits;
    limits.memory_bytes = 64 << 20;
    let exit = platform.run(SandboxLaunch { limits, ..hungry }).await;
    assert_eq!(exit.ended, ProgramEnd::Signal(libc::SIGKILL));
    assert!(platform.provider.list_orphans().unwrap().is_empty());
    assert_eq!(platform.containers(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_of_an_earlier_life_are_found_and_destroyed() {
    if !is_root() {
        return;
    }
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
