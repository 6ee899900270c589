//! The platform's end of the way out, whole or with a wall gone.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use omoi_domain::attempt::{AgentRole, AttemptOutcome, AttemptStopReason, AttemptSubject};
use omoi_domain::egress::EgressMode;
use omoi_domain::phase::Phase;
use omoi_egress::authority::EgressAuthority;
use omoi_egress::cache::RegistryCache;
use omoi_egress::listing::{ListedEntries, SharedListing};
use omoi_egress::project_hosts::ProjectHosts;
use omoi_egress::proxy::{EgressProxy, ProxyParts};
use omoi_egress::resolve::CheckedResolver;
use omoi_egress::service::RegistryService;
use omoi_egress::sites::RegistrySites;
use omoi_egress::upstream::{UpstreamRegistries, UpstreamSettings};
use omoi_execution::attempt::{CreatedAttempt, insert_attempt};
use omoi_execution::intake;
use omoi_execution::setup::{OpenRegistries as _, RegistriesInUse, SetupWay};
use omoi_runtime::clock::{Clock as _, Clocked, ManualClock, SystemClock};
use omoi_sandbox::SandboxEnd;
use omoi_server::egress::{AttemptProxy, EgressLists};
use omoi_server::setup_egress::SetupProxy;
use omoi_server::worker::WorkerSurface;
use omoi_server::worker_socket::serve_workers;
use omoi_store::attempts::Attempt;
use omoi_testkit::deployment::{TestDeployment, ended_report};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::outside::{Outside, RecordedNames};
use crate::rung::Rung;

/// What is gone of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingWall {
    /// Nothing.
    None,
    /// Whoever has the socket is let in, as a set-up is.
    Token,
    /// The list of hosts, which names everybody's.
    List,
    /// What is no public address is listed.
    Addresses,
    /// There is no proxy: who asks for a tunnel has one.
    Proxy,
}

/// Attempts, a socket and hosts outside.
pub(crate) struct WayOut {
    missing: MissingWall,
    test: TestDeployment,
    outside: Outside,
    names: Arc<RecordedNames>,
    attempts: Attempts,
    authority: PathBuf,
    socket: PathBuf,
    /// Serve the socket; they end with this.
    serving: JoinSet<()>,
    _setup: Option<Box<dyn RegistriesInUse>>,
}

/// Whose tokens a program may have got hold of.
struct Attempts {
    own: CreatedAttempt,
    other: CreatedAttempt,
    over: CreatedAttempt,
    closing: CreatedAttempt,
    planner: CreatedAttempt,
    check: CreatedAttempt,
}

impl Attempts {
    async fn begin(test: &TestDeployment) -> Self {
        let mut tasks = Vec::new();
        for number in 1..=4 {
            let task = test.add_task(number, &[]).await;
            tasks.push(test.run_task(task.id).await);
        }
        let check = AttemptSubject::TaskChecks {
            task_id: tasks[0].attempt.subject.task_id().unwrap(),
        };
        let planner = AttemptSubject::SpecPhase { phase: Phase::Prd };
        let [own, other, over, closing] = tasks.try_into().ok().unwrap();
        end_attempt(test, &over.attempt).await;
        Self {
            planner: begin_attempt(test, planner).await,
            check: begin_attempt(test, check).await,
            own,
            other,
            over,
            closing,
        }
    }

    fn to_facts(&self) -> Value {
        let fact = |of: &CreatedAttempt| json!({ "id": of.attempt.id, "token": of.token });
        json!({
            "own": fact(&self.own), "other": fact(&self.other), "over": fact(&self.over),
            "closing": fact(&self.closing), "planner": fact(&self.planner), "check": fact(&self.check),
        })
    }
}

async fn begin_attempt(test: &TestDeployment, subject: AttemptSubject) -> CreatedAttempt {
    let created = test.commit(async |tx| {
        let new = test.new_attempt(subject, AgentRole::Planner);
        insert_attempt(tx, &test.build_part(), new).await
    });
    created.await.unwrap()
}

async fn end_attempt(test: &TestDeployment, attempt: &Attempt) {
    let end = ended_report(AttemptOutcome::Interrupted, AttemptStopReason::Interrupt);
    let attempt = test.attempt_now(attempt).await;
    intake::complete_attempt(&test.build_part(), &attempt, end)
        .await
        .unwrap();
}

impl WayOut {
    /// Opens the way in the folder `dir` of the platform.
    pub(crate) async fn open(dir: &Path, missing: MissingWall) -> Self {
        let test = TestDeployment::new().await;
        test.leaves_open_attempts();
        let (outside, attempts) = (Outside::start().await, Attempts::begin(&test).await);
        let names = outside.names();
        let (proxy, authority) = attempt_proxy(dir, missing, &outside, &names);
        let authority_copy = dir.join("authority.pem");
        fs::copy(&authority, &authority_copy).unwrap();
        fs::set_permissions(&authority_copy, fs::Permissions::from_mode(0o644)).unwrap();
        let socket = dir.join("way.sock");
        let mut serving = JoinSet::new();
        let mut setup = None;
        match missing {
            MissingWall::Token => setup = Some(setup_socket(&test, proxy, &socket).await),
            MissingWall::Proxy => {
                let listener = UnixListener::bind(&socket).unwrap();
                serving.spawn(splice_all(listener, outside.listed));
            }
            MissingWall::None | MissingWall::List | MissingWall::Addresses => {
                let surface = WorkerSurface {
                    parts: test.build_part(),
                    gateway: Err("none".to_owned()),
                    egress: Some(proxy),
                };
                let listener = UnixListener::bind(&socket).unwrap();
                serving.spawn(serve_workers(listener, surface, std::future::pending()));
            }
        }
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        Self {
            missing,
            test,
            outside,
            names,
            attempts,
            authority: authority_copy,
            socket,
            serving,
            _setup: setup,
        }
    }

    /// Makes the tries called `names`, or all, in a sandbox of `rung`; returns what is printed of them.
    pub(crate) async fn try_probes(mut self, rung: &Rung, names: &[&str]) -> String {
        let asks_no_token = matches!(self.missing, MissingWall::Token | MissingWall::Proxy);
        let (outside, attempts) = (&self.outside, self.attempts.to_facts());
        let mut launch = rung.probes_launch(&self.socket, &self.authority, |places| {
            let facts = json!({
                "socket": places.socket, "work": places.work, "certificate": places.certificate,
                "listed": outside.listed.port(), "inside": outside.inside.port(),
                "attempts": attempts, "asks_no_token": asks_no_token,
                // Where the wall is gone nothing comes, however long one waits.
                "patience": if asks_no_token { 1 } else { 30 },
            });
            facts.to_string()
        });
        launch.argv.extend(names.iter().map(Into::into));
        let sign = launch.workspace.join("tunnel-is-open");
        let workspace = launch.workspace.clone();
        let closing = async {
            while !sign.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            end_attempt(&self.test, &self.attempts.closing.attempt).await;
            std::future::pending::<()>().await;
        };
        let end: SandboxEnd = tokio::select! {
            end = rung.run(launch) => end,
            () = closing => unreachable!(),
        };
        assert!(
            end.has_succeeded(),
            "{:?}: {}\n{}",
            end.ended,
            end.stderr.to_text(),
            end.stdout.to_text()
        );
        rung.provider.remove_workspace(&workspace).unwrap();
        self.serving.shutdown().await;
        let told = self.names.were_told();
        let lines = end.stdout.to_text();
        let judged =
            lines.lines().map(
                |line| match line.contains("as a name that is looked up") && told {
                    true => line.replace("\theld\t", "\tESCAPED\t"),
                    false => line.to_owned(),
                },
            );
        judged.map(|line| line + "\n").collect()
    }
}

/// The proxy as `missing` leaves it, and the certificate of its authority.
fn attempt_proxy(
    dir: &Path,
    missing: MissingWall,
    outside: &Outside,
    names: &Arc<RecordedNames>,
) -> (AttemptProxy, PathBuf) {
    // Clients hold certificates against the time of the machine.
    let clock: Clocked = Arc::new(ManualClock::new(SystemClock.now()));
    let sites = RegistrySites::default();
    let resolver = CheckedResolver::new(names.clone(), clock.clone());
    let settings = UpstreamSettings::default();
    let upstream = UpstreamRegistries::new(resolver.clone(), settings, clock.clone()).unwrap();
    let cache = RegistryCache::open(dir.join("cache"), 1 << 30, clock.clone()).unwrap();
    let hosts = sites.registry_hosts("local");
    let authority = EgressAuthority::open(&dir.join("authority"), &hosts, clock.now()).unwrap();
    let certificate = authority.certificate_path().to_owned();
    let proxy = EgressProxy::new(ProxyParts {
        service: RegistryService::new(cache, upstream, sites, clock.clone()),
        authority,
        resolver,
        clock: clock.clone(),
    });
    let (listed, inside) = (outside.listed.port(), outside.inside.port());
    let mut allow = vec![
        format!("listed.example:{listed}"),
        format!("127.0.0.1:{listed}"),
        format!("inside.example:{inside}"),
    ];
    if matches!(missing, MissingWall::List | MissingWall::Addresses) {
        allow.push(format!("127.0.0.1:{inside}"));
    }
    match missing {
        MissingWall::List => allow.extend([
            format!("**.other.example:{inside}"),
            format!("listed.example:{inside}"),
        ]),
        MissingWall::Addresses => allow.push(format!("localhost:{inside}")),
        _ => {}
    }
    let lists = EgressLists {
        listing: SharedListing::new(ListedEntries {
            hosts: ProjectHosts::parse(&allow).unwrap(),
            ..ListedEntries::default()
        }),
        ..EgressLists::default()
    };
    (AttemptProxy::new(proxy, lists, clock), certificate)
}

/// The socket of a set-up, which asks for no token.
async fn setup_socket(
    test: &TestDeployment,
    proxy: AttemptProxy,
    socket: &Path,
) -> Box<dyn RegistriesInUse> {
    let setup = SetupProxy {
        proxy,
        store: test.deployment.store.store().clone(),
        mask: test.deployment.mask.clone(),
        lifecycle: test.deployment.lifecycle.clone(),
    };
    let way = SetupWay {
        socket,
        mode: EgressMode::Registries,
        lock_files: &[],
        org: test.deployment.store.org(),
        project: test.spec.project_id,
        packages_layer: "layer",
    };
    setup.open_registries(way).await.unwrap()
}

/// Leads every connection to `host`, whatever it asks for.
async fn splice_all(listener: UnixListener, host: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(async move {
            // A client that goes away is no matter of this.
            let _ = splice(stream, host).await;
        });
    }
}

async fn splice(mut client: UnixStream, host: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let mut host = TcpStream::connect(host).await?;
    match head.starts_with(b"CONNECT ") {
        true => client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?,
        false => host.write_all(&head).await?,
    }
    copy_bidirectional(&mut client, &mut host).await.map(drop)
}
