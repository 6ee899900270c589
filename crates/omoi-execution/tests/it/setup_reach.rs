//! How far a set-up reaches: the base commit's to the registries, a task's no further than its agent.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_domain::egress::EgressMode::{self, Cached, Registries};
use omoi_domain::merge::MergeState;
use omoi_domain::sandbox::SandboxRung;
use omoi_egress::listing::SharedListing;
use omoi_egress::refusal::{Refusal, RefusalReason};
use omoi_execution::command::CommandRun;
use omoi_execution::egress::work_setup_mode;
use omoi_execution::sandbox_egress::SandboxEgress;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_execution::setup::{
    OpenRegistries, PackageSetup, RegistriesInUse, SetupError, SetupSubject, SetupWay,
};
use omoi_git::object::ObjectId;
use omoi_runtime::rng::Rng;
use omoi_sandbox::{ProbeConfig, SandboxFloor, probe_host};
use omoi_store::Json;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::sample_rows;

use crate::checkout_check::CheckAt;

/// Stands for the worker: it runs the commands without carrying connections for them.
const WORKER: &str = "while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"";

/// Registries that nobody reaches; they remember who asked for a way, and tell what it is refused.
#[derive(Clone, Default)]
struct AskedRegistries {
    modes: Arc<Mutex<Vec<EgressMode>>>,
    refused: Arc<Mutex<Vec<Refusal>>>,
}

struct AskedWay {
    _listener: UnixListener,
    refused: Vec<Refusal>,
}

impl OpenRegistries for AskedRegistries {
    fn open_registries<'a>(
        &'a self,
        way: SetupWay<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn RegistriesInUse>>> {
        Box::pin(async move {
            self.modes.lock().unwrap().push(way.mode);
            let listener = UnixListener::bind(way.socket)?;
            std::fs::set_permissions(way.socket, Permissions::from_mode(0o666))?;
            let way = AskedWay {
                _listener: listener,
                refused: self.refused.lock().unwrap().clone(),
            };
            Ok(Box::new(way) as Box<dyn RegistriesInUse>)
        })
    }
}

impl RegistriesInUse for AskedWay {
    fn packages_in(&self) -> Vec<String> {
        Vec::new()
    }

    fn lists_hosts(&self) -> bool {
        false
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.refused.clone()
    }
}

/// A deployment whose set-ups ask `registries`, with what it lies in.
async fn with_registries(registries: &AskedRegistries) -> (TestDeployment, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let worker = state.path().join("worker");
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o755);
    let mut file = options.open(&worker).unwrap();
    write!(file, "#!/bin/sh\n{WORKER}\n").unwrap();
    drop(file);
    let config = ProbeConfig::new(state.path().join("run"));
    let found = probe_host(&config).await.unwrap();
    let floor = SandboxFloor(std::collections::BTreeSet::new());
    let provider = found.select_provider(&floor, Some(SandboxRung::Bubblewrap));
    let provider = provider.unwrap();
    let it = TestDeployment::with_parts(|parts| {
        parts.sandbox = Some(provider);
        parts.worker = worker;
        parts.registries = Some(Arc::new(registries.clone()));
        parts.egress = Some(SandboxEgress {
            certificates: "".into(),
            host_certificates: "".into(),
            go_proxies: Vec::new(),
            private_modules: Vec::new(),
            listing: SharedListing::default(),
        });
        // The host's control groups are named by it.
        parts.rng = Rng::seeded(u64::from(std::process::id()));
    })
    .await;
    std::fs::create_dir_all(it.deployment.data.work_folder()).unwrap();
    (it, state)
}

/// Has `it` run a check at `commit`, for a task whose set-up reaches as far as `setup_mode`.
async fn check_at(it: &TestDeployment, commit: &ObjectId, setup_mode: EgressMode) -> CommandRun {
    let toolbox = SandboxToolchain {
        setup: vec!["sh install.sh".to_owned()],
        ..SandboxToolchain::default()
    };
    let check = CheckAt {
        commit,
        command: "cat deps/a",
        toolbox: &toolbox,
        setup_mode,
    };
    check.run(it).await
}

#[tokio::test]
async fn only_the_base_and_a_plan_that_names_a_lock_file_open_the_registries() {
    let registries = AskedRegistries::default();
    let (mut it, _state) = with_registries(&registries).await;
    let installs = Some("mkdir -p deps && echo x >deps/a\n");
    let base = it.commit_on(&it.base, "install.sh", installs).await;
    it.spec.base_sha = base.as_str().to_owned();
    let own = it.commit_on(&base, "requirements.txt", Some("a==1\n"));
    let own = own.await;
    let other = it.commit_on(&own, "requirements.txt", Some("a==2\n"));
    let other = other.await;
    let code = it.commit_on(&base, "code.py", Some("x = 1\n")).await;
    for (commit, mode, opened) in [
        // Work that changes no lock file is given what the base commit is given.
        (&code, Cached, &[Registries][..]),
        (&own, Cached, &[Cached]),
        (&other, Registries, &[Registries]),
        // They are installed.
        (&own, Registries, &[]),
        (&base, Registries, &[]),
    ] {
        let ran = check_at(&it, commit, mode).await;
        assert_eq!(ran.output, "x\n", "{commit}");
        let asked = std::mem::take(&mut *registries.modes.lock().unwrap());
        assert_eq!(asked, opened, "{commit} {mode}");
    }
}

#[tokio::test]
async fn what_the_cache_lacked_is_told_and_tried_again_by_who_reaches_further() {
    let registries = AskedRegistries::default();
    let (mut it, _state) = with_registries(&registries).await;
    it.spec.base_sha = it.base.as_str().to_owned();
    let installs = Some("test -e ok && mkdir -p deps && echo x >deps/a\n");
    let commit = it.commit_on(&it.base, "install.sh", installs).await;
    let commit = it.commit_on(&commit, "requirements.txt", Some("a==1\n"));
    let commit = commit.await;
    let refusal = Refusal::new(RefusalReason::NotCached, "pypi:a@1");
    registries.refused.lock().unwrap().push(refusal);
    let asked = || registries.modes.lock().unwrap().clone();
    let ran = check_at(&it, &commit, Cached).await;
    let told = "[not run: set-up `sh install.sh` failed: it ended with code 1 ([packages come from the cache alone, \
        for the plan of the task names no lock file])]\n";
    assert_eq!(ran.output, told);
    let n_asked = asked().len();
    // It stands for a while, for who reaches as far.
    check_at(&it, &commit, Cached).await;
    assert_eq!(asked().len(), n_asked);
    check_at(&it, &commit, Registries).await;
    assert_eq!(asked()[n_asked..], [Registries]);
}

#[tokio::test]
async fn a_registry_that_is_away_is_waited_for() {
    let registries = AskedRegistries::default();
    let (mut it, state) = with_registries(&registries).await;
    let installs = Some("mkdir -p deps && echo x >deps/a\n");
    let base = it.commit_on(&it.base, "install.sh", installs).await;
    it.spec.base_sha = base.as_str().to_owned();
    let away = Refusal::new(RefusalReason::RegistryUnreachable, "pypi.org");
    registries.refused.lock().unwrap().push(away);
    let worker = state.path().join("worker");
    let answers = std::fs::read(&worker).unwrap();
    std::fs::write(&worker, "#!/bin/sh\nexit 1\n").unwrap();
    let n_asked = || registries.modes.lock().unwrap().len();
    // Whoever asks for a set-up is told at once.
    let mirror = it.project_mirror().await;
    let store = mirror.base_store(&base).await.unwrap();
    let toolbox = SandboxToolchain {
        setup: vec!["sh install.sh".to_owned()],
        ..SandboxToolchain::default()
    };
    let setup: PackageSetup = it.build_part();
    let provider = it.deployment.sandbox.clone().unwrap();
    let subject = SetupSubject::at_base(&store, &toolbox);
    match setup.retry_packages(&provider, subject).await {
        Err(SetupError::RegistryAway(failure)) => {
            let told = failure.cause.to_string();
            assert_eq!(told, "`pypi.org`: the registry does not answer");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(n_asked(), 1);
    // Work waits, and is not tried while the failure stands.
    let waits = async {
        for minute in 0..2 {
            it.clock.wait_for_sleepers(1).await;
            assert_eq!(n_asked(), 1 + minute);
            if minute == 1 {
                std::fs::write(&worker, &answers).unwrap();
                registries.refused.lock().unwrap().clear();
            }
            it.clock.advance(Duration::from_secs(30));
        }
    };
    let (ran, ()) = tokio::join!(check_at(&it, &base, Cached), waits);
    assert_eq!(ran.output, "x\n");
    assert_eq!(n_asked(), 3);
}

#[tokio::test]
async fn the_plan_of_the_task_decides_how_far_its_set_up_reaches() {
    let it = TestDeployment::new().await;
    let (plain, locked) = (it.add_task(1, &[]).await, it.add_task(2, &[]).await);
    let write = it
        .deployment
        .store
        .write(CrashPoint::TaskMoved, async |tx| {
            let mut task = omoi_store::tasks::get(tx, locked.id).await?;
            task.files = Json(vec!["web/package-lock.json".to_owned()]);
            omoi_store::tasks::save(tx, &mut task).await
        });
    write.await.unwrap();
    let mode_of = async |task| {
        let mut tx = it.read_tx().await;
        work_setup_mode(&mut tx, it.spec.id, task).await.unwrap()
    };
    for (task, expected) in [
        (None, Cached),
        (Some(plain.id), Cached),
        (Some(locked.id), Registries),
    ] {
        assert_eq!(mode_of(task).await, expected);
    }
    // Merged work reaches as far as the farthest of those that it is the work of.
    for (task, expected) in [(plain.id, Cached), (locked.id, Registries)] {
        let queue = it
            .deployment
            .store
            .write(CrashPoint::TaskMoved, async |tx| {
                let task = omoi_store::tasks::get(tx, task).await?;
                let merge = sample_rows::merge(tx, &task, MergeState::Pending, "0123");
                omoi_store::merges::insert(tx, &merge).await
            });
        queue.await.unwrap();
        assert_eq!(mode_of(None).await, expected);
    }
}
