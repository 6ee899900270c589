//! npm, pip and cargo as people run them, through the proxy.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use omoi_domain::egress::{EgressLaunch, client_variables};
use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;

use crate::fixture::{Fixture, ProxiedAttempt};
use crate::samples::{DAY, publish_crates, publish_greeter, publish_wheel};

/// A client with nothing of this machine's settings, whose only way out is the proxy.
pub(crate) struct ProxiedClient {
    proxy: String,
    certificate: String,
    folder: PathBuf,
    own_variables: Vec<(&'static str, String)>,
}

impl ProxiedClient {
    pub(crate) fn new(attempt: &ProxiedAttempt, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        Self {
            proxy: attempt.proxy_url(),
            certificate: attempt.certificate().to_owned(),
            folder: folder.to_owned(),
            own_variables: Vec::new(),
        }
    }

    /// What the person of this client set.
    pub(crate) fn with_variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.own_variables.push((name, value.into()));
        self
    }

    /// Runs a program without blocking the proxy, which lives on the runtime of the test.
    pub(crate) async fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder).env_clear();
        let kept = |name: &str| std::env::var(name).unwrap_or_default();
        let home = self.folder.join("home");
        std::fs::create_dir_all(&home).unwrap();
        // The toolchain of this machine lies below its own home.
        let toolchains = match kept("RUSTUP_HOME") {
            path if path.is_empty() => format!("{}/.rustup", kept("HOME")),
            path => path,
        };
        let launch = EgressLaunch {
            certificate: self.certificate.clone(),
            ..EgressLaunch::default()
        };
        command
            .env("PATH", kept("PATH"))
            .env("RUSTUP_HOME", toolchains)
            .env("RUSTUP_TOOLCHAIN", kept("RUSTUP_TOOLCHAIN"))
            .env("HOME", &home)
            .env("CARGO_HOME", home.join("cargo"))
            // For root, yarn has its cache outside every home, and what lies there is not fetched.
            .env("YARN_CACHE_FOLDER", home.join("yarn"))
            .envs(client_variables(&self.proxy, &launch))
            .envs(
                self.own_variables
                    .iter()
                    .map(|(name, value)| (*name, value)),
            );
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap();
        output.unwrap_or_else(|error| panic!("could not run {program}: {error}"))
    }

    pub(crate) async fn succeed(&self, program: &str, args: &[&str]) -> String {
        let output = self.run(program, args).await;
        let text = text(&output);
        assert!(output.status.success(), "{program} {args:?}: {text}");
        text
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

pub(crate) fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

pub(crate) const NODE_PROJECT: &str =
    "{\"name\":\"p\",\"version\":\"1.0.0\",\"dependencies\":{\"greeter\":\"^1.0.0\"}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn npm_installs_cold_and_again_with_the_registry_gone() {
    let mut fixture = Fixture::start().await;
    publish_greeter(&fixture.upstream, fixture.now());
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let first = ProxiedClient::new(&attempt, &fixture.folder.path().join("one"));
    first.write("package.json", NODE_PROJECT);
    first
        .succeed("npm", &["install", "--audit", "--no-fund"])
        .await;
    let lock = first.read("package-lock.json");
    assert!(
        lock.contains("https://registry.npmjs.org/greeter/-/greeter-1.0.0.tgz"),
        "{lock}"
    );
    assert!(
        lock.contains("https://registry.npmjs.org/@acme/words/-/words-2.0.0.tgz"),
        "{lock}"
    );
    assert!(
        !lock.contains("127.0.0.1") && !lock.contains("1.1.0"),
        "{lock}"
    );
    let says = first.succeed("node", &["-p", "require('greeter')"]).await;
    assert_eq!(says, "hello world\n");
    // The audit that npm makes by itself was refused, and npm went on.
    assert_eq!(attempt.reasons(), [RefusalReason::AuditRefused]);
    let names: Vec<_> = attempt
        .session
        .list_arrivals()
        .iter()
        .map(|arrival| arrival.version.to_string())
        .collect();
    assert_eq!(names, ["npm:@acme/words@2.0.0", "npm:greeter@1.0.0"]);

    fixture.upstream.go_away();
    for (number, policy) in [EgressPolicy::cache_only(), EgressPolicy::all_registries()]
        .into_iter()
        .enumerate()
    {
        let attempt = fixture.attempt(policy).await;
        let again = ProxiedClient::new(&attempt, &fixture.folder.path().join(format!("{number}")));
        again.write("package.json", NODE_PROJECT);
        again.write("package-lock.json", &lock);
        again.succeed("npm", &["ci", "--no-fund"]).await;
        assert_eq!(again.read("package-lock.json"), lock);
        for file in ["greeter/index.js", "@acme/words/index.js"] {
            let file = format!("node_modules/{file}");
            assert_eq!(again.read(&file), first.read(&file));
        }
        assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_is_told_why_what_is_not_cached_does_not_come() {
    let mut fixture = Fixture::start().await;
    publish_greeter(&fixture.upstream, fixture.now());
    let attempt = fixture.attempt(EgressPolicy::cache_only()).await;
    let client = ProxiedClient::new(&attempt, &fixture.folder.path().join("one"));
    client.write("package.json", NODE_PROJECT);
    let output = client.run("npm", &["install", "--no-fund"]).await;
    assert!(!output.status.success());
    assert!(text(&output).contains("403"), "{}", text(&output));
    assert_eq!(attempt.reasons(), [RefusalReason::NotCached]);
    let published = client
        .run("npm", &["publish", "--//registry.npmjs.org/:_authToken=x"])
        .await;
    assert!(!published.status.success());
    assert!(
        attempt.reasons().contains(&RefusalReason::PublishRefused),
        "{:?}",
        attempt.reasons()
    );
    assert!(fixture.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_that_names_another_host_is_refused_by_name() {
    let mut fixture = Fixture::start().await;
    publish_greeter(&fixture.upstream, fixture.now());
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let client = ProxiedClient::new(&attempt, &fixture.folder.path().join("one"));
    client.write("package.json", NODE_PROJECT);
    let lock_only = ["install", "--package-lock-only", "--no-fund"];
    client.succeed("npm", &lock_only).await;
    let lock = client.read("package-lock.json");
    let (ours, theirs) = (
        "https://registry.npmjs.org/greeter/",
        "https://elsewhere.example/greeter/",
    );
    assert!(lock.contains(ours), "{lock}");
    client.write("package-lock.json", &lock.replace(ours, theirs));
    let ci = ["ci", "--no-fund", "--fetch-retries=0"];
    let output = client.run("npm", &ci).await;
    assert!(!output.status.success(), "{}", text(&output));
    let refusals = attempt.session.list_refusals();
    let told: Vec<_> = refusals
        .iter()
        .map(|count| (count.refusal.reason, count.refusal.subject.as_str()))
        .collect();
    let expected = (RefusalReason::HostNotListed, "elsewhere.example:443");
    assert_eq!(told, [expected]);
    let line = refusals[0].refusal.remedy_line();
    assert_eq!(
        line.as_deref(),
        Some("egress.hosts: [\"elsewhere.example\"]")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pip_installs_cold_and_again_with_the_registry_gone() {
    let mut fixture = Fixture::start().await;
    let (old, young) = (fixture.now() - DAY * 30, fixture.now() - DAY);
    publish_wheel(
        &fixture.upstream,
        "chimes",
        "Requires-Dist: bells>=2\n",
        &[("1.0", old), ("1.1", young)],
    );
    publish_wheel(&fixture.upstream, "bells", "", &[("2.0", old)]);
    let mut installed = Vec::new();
    for (number, policy) in [EgressPolicy::all_registries(), EgressPolicy::cache_only()]
        .into_iter()
        .enumerate()
    {
        let attempt = fixture.attempt(policy).await;
        let client = ProxiedClient::new(&attempt, &fixture.folder.path().join(format!("{number}")));
        let args = [
            "-m",
            "pip",
            "install",
            "--no-cache-dir",
            "--target",
            "site",
            "chimes",
        ];
        client.succeed("python3", &args).await;
        installed.push((client.read("site/chimes.py"), client.read("site/bells.py")));
        assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
        let arrivals = attempt.session.list_arrivals();
        let versions: Vec<_> = arrivals
            .iter()
            .map(|arrival| arrival.version.to_string())
            .collect();
        assert!(
            versions.contains(&"pypi:chimes@1.0".to_owned()),
            "{versions:?}"
        );
        fixture.upstream.go_away();
    }
    let expected = (
        "VERSION = '1.0'\n".to_owned(),
        "VERSION = '2.0'\n".to_owned(),
    );
    assert_eq!(installed, [expected.clone(), expected]);
}

const RUST_MANIFEST: &str = "[package]\nname = \"p\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nabacus = \"0.3\"\n\n[workspace]\n";

#[tokio::test(flavor = "multi_thread")]
async fn cargo_builds_cold_and_again_with_the_registry_gone() {
    let mut fixture = Fixture::start().await;
    publish_crates(&fixture.upstream, fixture.now());
    let mut locks = Vec::new();
    for (number, policy) in [EgressPolicy::all_registries(), EgressPolicy::cache_only()]
        .into_iter()
        .enumerate()
    {
        let attempt = fixture.attempt(policy).await;
        let client = ProxiedClient::new(&attempt, &fixture.folder.path().join(format!("{number}")));
        client.write("Cargo.toml", RUST_MANIFEST);
        client.write(
            "src/main.rs",
            "fn main() { println!(\"{}\", abacus::two()); }\n",
        );
        let says = client.succeed("cargo", &["run", "-q"]).await;
        assert_eq!(says, "2\n");
        assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
        locks.push(client.read("Cargo.lock"));
        fixture.upstream.go_away();
    }
    assert_eq!(locks[0], locks[1]);
    let source = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    assert!(
        locks[0].contains(source) && locks[0].contains("version = \"0.3.0\""),
        "{}",
        locks[0]
    );
}
