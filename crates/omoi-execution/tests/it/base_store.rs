//! Which commits a sandbox can read.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use omoi_domain::crash::CrashPoint;
use omoi_domain::egress::EgressMode;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::spec::SpecStatus;
use omoi_execution::FromParts as _;
use omoi_execution::dispatcher::Dispatcher;
use omoi_execution::reaper::Reaper;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_git::mirror::base_stores;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::clock::Clock as _;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{ProbeConfig, SandboxFloor, probe_host};
use omoi_store::{attempts, specs};
use omoi_testkit::blocking::without_blocking_thread;
use omoi_testkit::deployment::{TestDeployment, tick_once};

use crate::checkout_check::CheckAt;

/// A platform whose sandboxes are real, and whose worker runs `script` in its workspace.
async fn with_worker(script: &str) -> (TestDeployment, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let worker = state.path().join("worker");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&worker)
        .unwrap();
    write!(file, "#!/bin/sh\n{script}\n").unwrap();
    drop(file);
    let found = probe_host(&ProbeConfig::new(state.path().join("run")))
        .await
        .unwrap();
    let floor = SandboxFloor(std::collections::BTreeSet::new());
    let provider = found
        .select_provider(&floor, Some(SandboxRung::Bubblewrap))
        .unwrap();
    let it = TestDeployment::with_parts(|parts| {
        parts.sandbox = Some(provider);
        parts.worker = worker;
        // The host's control groups are named by it.
        parts.rng = Rng::seeded(u64::from(std::process::id()));
    })
    .await;
    std::fs::create_dir_all(it.deployment.data.work_folder()).unwrap();
    let socket = it.deployment.data.worker_socket();
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(socket, Permissions::from_mode(0o666)).unwrap();
    (it, state)
}

/// A commit that another attempt handed in, held as its snapshot.
async fn snapshot_of_another(it: &TestDeployment) -> ObjectId {
    let snapshot = it.commit_work("secret.txt").await;
    let mirror = it.project_mirror().await;
    let held_by = RefName::parse("refs/omoios/wip/another").unwrap();
    mirror
        .create_ref(&held_by, &snapshot, CrashPoint::RefMoved)
        .await
        .unwrap();
    snapshot
}

/// Says which of the two it can read, and how long its own history is.
fn look(own: &ObjectId, other: &ObjectId) -> String {
    format!(
        "export HOME=/tmp
         reads() {{ git cat-file -e $1 2>/dev/null && echo yes || echo no; }}
         echo \"own $(reads {own}) other $(reads {other}) log $(git log --format=%s | wc -l)\" >&2"
    )
}

#[tokio::test]
async fn a_check_reads_its_own_history_and_no_snapshot_of_an_attempt() {
    let (it, _state) = with_worker("").await;
    let other = snapshot_of_another(&it).await;
    let own = it.commit_on(&it.base, "own.txt", Some("own\n")).await;
    let check = CheckAt {
        commit: &own,
        command: &look(&own, &other),
        toolbox: &SandboxToolchain::default(),
        setup_mode: EgressMode::Closed,
    };
    let ran = check.run(&it).await;
    assert_eq!(ran.output.trim(), "own yes other no log 2");
}

#[tokio::test]
async fn an_attempt_reads_its_own_history_and_no_snapshot_of_another() {
    let script = "cd /sandbox && . ./look";
    let (it, _state) = with_worker(script).await;
    let other = snapshot_of_another(&it).await;
    let task = it.add_task(1, &[]).await;
    let own = it
        .commit_on(&it.base, "look", Some(&look(&it.base, &other)))
        .await;
    let mirror = it.project_mirror().await;
    let branch = RefName::from_branch(&task.branch).unwrap();
    mirror
        .create_ref(&branch, &own, CrashPoint::RefMoved)
        .await
        .unwrap();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    tick_once(&mut dispatcher, it.clock.now()).await;
    it.deployment.running.wait_drained().await;
    let mut tx = it.read_tx().await;
    let tried = attempts::of_task(&mut tx, task.id).await.unwrap();
    // A worker that ends without a word of its own is told with what it printed.
    let told = tried[0].error_message.clone().unwrap();
    assert!(told.contains("own yes other no log 2"), "{told}");
}

#[tokio::test]
async fn the_history_set_apart_for_a_spec_goes_with_it() {
    let (it, _state) = with_worker("").await;
    let mirror = it.project_mirror().await;
    let other = it.commit_work("other.txt").await;
    for commit in [&it.base, &other] {
        drop(mirror.base_store(commit).await.unwrap());
    }
    let mut reaper = Reaper::from_parts(&it.deployment);
    tick_once(&mut reaper, it.clock.now()).await;
    assert_eq!(
        base_stores(mirror.dir()).unwrap(),
        std::slice::from_ref(&it.base)
    );
    it.commit(async |tx| {
        let mut spec = specs::get(tx, it.spec.id).await?;
        specs::transition(tx, &mut spec, SpecStatus::Cancelled, None).await
    })
    .await
    .unwrap();
    tick_once(&mut reaper, it.clock.now()).await;
    assert_eq!(base_stores(mirror.dir()).unwrap(), []);
}

#[test]
fn a_base_store_is_removed_off_the_threads_that_serve_others() {
    let (runtime, thread) = without_blocking_thread();
    runtime.block_on(async {
        let it = TestDeployment::new().await;
        let dir = it.deployment.data.mirror_path(it.spec.project_id);
        let store = dir.join("omoi-bases").join("a".repeat(40));
        std::fs::create_dir_all(&store).unwrap();
        let mut reaper = Reaper::from_parts(&it.deployment);
        let pass = tick_once(&mut reaper, it.clock.now());
        let waits = async {
            while !it
                .deployment
                .lifecycle
                .running_names()
                .iter()
                .any(|name| name == "remove base stores")
            {
                tokio::task::yield_now().await;
            }
            assert!(store.exists());
            thread.release();
            std::future::pending::<()>().await;
        };
        tokio::select! { _ = pass => {} () = waits => {} }
        assert!(!store.exists());
        assert!(thread.is_released(), "the reaper removed it itself");
    });
}

#[tokio::test]
async fn an_agent_is_told_that_its_packages_are_missing() {
    // What the worker is given ends on its standard error, and so in the message of the attempt.
    let (it, _state) = with_worker("cat \"$3\" >&2").await;
    let task = it.add_task(1, &[]).await;
    let asks = Some(
        "surely-no-such-package==1
",
    );
    let own = it.commit_on(&it.base, "requirements.txt", asks).await;
    let mirror = it.project_mirror().await;
    let branch = RefName::from_branch(&task.branch).unwrap();
    let made = mirror.create_ref(&branch, &own, CrashPoint::RefMoved);
    made.await.unwrap();
    let mut dispatcher = Dispatcher::from_parts(&it.deployment);
    tick_once(&mut dispatcher, it.clock.now()).await;
    it.deployment.running.wait_drained().await;
    let mut tx = it.read_tx().await;
    let tried = attempts::of_task(&mut tx, task.id).await.unwrap();
    let told = tried[0].error_message.clone().unwrap();
    for part in [
        "## Packages are missing",
        "> set-up `python3 -m venv",
        "The checks run without",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
