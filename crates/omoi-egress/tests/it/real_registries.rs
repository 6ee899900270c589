//! Clients and registries that others made, with the proxy between them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::registry::RegistrySite;
use omoi_egress::sites::PrivateRegistry;
use omoi_testkit::agent_programs::node_program;
use omoi_testkit::registry_tools::{go_program, verdaccio_script};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::clients::ProxiedClient;
use crate::fixture::Fixture;
use crate::samples::{DAY, publish_module};
use crate::upstream::Upstream;

const NPM: &str = "registry.npmjs.org";
const PRIVATE: &str = "npm.corp.example";

/// What [`Verdaccio::publish_samples`] publishes.
const SAMPLES: [&str; 3] = [
    "npm:@corp/secret@1.0.0",
    "npm:greeter@1.0.0",
    "npm:words@1.0.0",
];

const CONFIG: &str = "storage: ./storage
auth:
  htpasswd: {file: ./htpasswd, max_users: 10}
packages:
  '@corp/*': {access: $authenticated, publish: $authenticated}
  '**': {access: $all, publish: $authenticated}
web: {enable: false}
log: {type: stdout, format: json, level: info}
https: {key: ./leaf.key, cert: ./leaf.pem}
";

/// A registry of npm packages; it ends with this value.
struct Verdaccio {
    server: Child,
    address: SocketAddr,
    folder: PathBuf,
    /// Open as long as it may write there.
    _output: BufReader<ChildStdout>,
}

impl Drop for Verdaccio {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Verdaccio {
    /// Starts one that is all the hosts of `upstream`.
    async fn start(folder: &Path, upstream: &Upstream) -> Self {
        fs::create_dir_all(folder).unwrap();
        let [leaf, key] = &upstream.leaf_pem;
        for (name, text) in [
            ("config.yaml", CONFIG),
            ("leaf.pem", leaf),
            ("leaf.key", key),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        // Free a moment ago: it takes no port of its own choice.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new(node_program().await);
        command.arg(verdaccio_script());
        command.args([
            "--config",
            "config.yaml",
            "--listen",
            &format!("https://{address}"),
        ]);
        command
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut server = command.spawn().unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("http address") {
            line.clear();
            assert_ne!(
                output.read_line(&mut line).unwrap(),
                0,
                "verdaccio ended at its start"
            );
        }
        Self {
            server,
            address,
            folder: folder.to_owned(),
            _output: output,
        }
    }

    /// Makes a user; returns the value of `authorization`.
    async fn add_user(&self) -> String {
        let user = json!({"name": "ann", "password": "a-long-password-1"});
        let answer = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .unwrap()
            .put(format!(
                "https://{}/-/user/org.couchdb.user:ann",
                self.address
            ))
            .header("content-type", "application/json")
            .body(user.to_string())
            .send()
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        format!("Bearer {}", body["token"].as_str().unwrap())
    }

    /// Two packages that anybody may read, and one of the scope.
    fn publish_samples(&self, key: &str) {
        self.publish("words", &json!({}), "module.exports = 'hello world'", key);
        let greeter = "module.exports = require('words')";
        self.publish("greeter", &json!({"words": "^1.0.0"}), greeter, key);
        let secret = "module.exports = 'inside'";
        self.publish("@corp/secret", &json!({}), secret, key);
    }

    /// Publishes a package as people do.
    fn publish(&self, name: &str, dependencies: &Value, says: &str, authorization: &str) {
        let folder = self.folder.join("published").join(name);
        fs::create_dir_all(&folder).unwrap();
        let manifest = json!({"name": name, "version": "1.0.0", "main": "index.js", "dependencies": dependencies});
        fs::write(folder.join("package.json"), manifest.to_string()).unwrap();
        fs::write(folder.join("index.js"), says).unwrap();
        let token = authorization.strip_prefix("Bearer ").unwrap();
        let published = Command::new("npm")
            .args(["publish", "--access=public", "--strict-ssl=false"])
            .arg(format!("--registry=https://{}/", self.address))
            .arg(format!("--//{}/:_authToken={token}", self.address))
            .current_dir(&folder)
            .env("npm_config_cache", self.folder.join("cache"))
            .output()
            .unwrap();
        assert!(published.status.success(), "{published:?}");
    }
}

/// The registry of the scope `@corp`, which wants `credential`.
fn private_npm(credential: &str) -> PrivateRegistry {
    PrivateRegistry {
        host: PRIVATE.to_owned(),
        site: RegistrySite::Npm,
        organisation: "ours".to_owned(),
        credential: Some(SecretString::from(credential)),
        index: None,
        modules: Vec::new(),
        simple_path: None,
    }
}

/// Lets versions in that were published a moment ago.
pub(crate) fn listing(versions: &[&str], policy: EgressPolicy) -> EgressPolicy {
    EgressPolicy {
        listed_versions: versions
            .iter()
            .map(|version| version.parse().unwrap())
            .collect(),
        organisation: Some("ours".to_owned()),
        ..policy
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_installs_from_verdaccio_cold_and_warm_and_with_a_credential() {
    // The credential comes from a registry whose certificate comes from a fixture.
    let first = Fixture::with_private(vec![private_npm("none")]).await;
    let place = first.folder.path().join("verdaccio");
    let verdaccio = Verdaccio::start(&place, &first.upstream).await;
    let key = verdaccio.add_user().await;
    verdaccio.publish_samples(&key);
    let mut fixture = Fixture::with_upstream(vec![private_npm(&key)], first.upstream.clone()).await;
    for host in [NPM, PRIVATE] {
        fixture.names.put(host, verdaccio.address);
    }
    let manifest = json!({"name": "p", "version": "1.0.0",
        "dependencies": {"greeter": "^1.0.0", "@corp/secret": "^1.0.0"}});
    // What nobody lists is as young as it is.
    let strict = fixture.attempt(EgressPolicy::all_registries()).await;
    let young = strict
        .get("https://registry.npmjs.org/words/-/words-1.0.0.tgz")
        .await;
    assert_eq!(young.reason, Some(RefusalReason::VersionTooYoung));
    let mut verdaccio = Some(verdaccio);
    let mut locks = Vec::new();
    for (number, policy) in [EgressPolicy::all_registries(), EgressPolicy::cache_only()]
        .into_iter()
        .enumerate()
    {
        let attempt = fixture.attempt(listing(&SAMPLES, policy)).await;
        let folder = fixture.folder.path().join(format!("client-{number}"));
        let client = ProxiedClient::new(&attempt, &folder);
        client.write("package.json", &manifest.to_string());
        client.write(".npmrc", &format!("@corp:registry=https://{PRIVATE}/\n"));
        client.succeed("npm", &["install", "--no-fund"]).await;
        let script = "console.log(require('greeter'), require('@corp/secret'))";
        let says = client.succeed("node", &["-e", script]).await;
        assert_eq!(says, "hello world inside\n");
        let arrivals = attempt.session.list_arrivals();
        let mut came: Vec<_> = arrivals.iter().map(|of| of.version.to_string()).collect();
        came.sort();
        assert_eq!(came, SAMPLES);
        assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
        locks.push(client.read("package-lock.json"));
        // The registry is gone from now on.
        drop(verdaccio.take());
    }
    assert_eq!(locks[0], locks[1]);
    for address in [
        "https://registry.npmjs.org/words/-/",
        "https://npm.corp.example/@corp/secret/-/",
    ] {
        assert!(locks[0].contains(address), "{}", locks[0]);
    }
    assert!(!locks[0].contains("127.0.0.1") && !locks[0].contains("token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn go_builds_cold_and_again_with_the_proxy_of_modules_gone() {
    let mut fixture = Fixture::start().await;
    let old = fixture.now() - DAY * 30;
    for module in ["example.com/greet", "example.com/words"] {
        publish_module(&fixture.upstream, module, "v1.0.0", old);
    }
    let program = go_program();
    let go = program.to_str().unwrap();
    let go_mod = "module p\n\ngo 1.21\n\nrequire (\n\texample.com/greet v1.0.0\n\texample.com/words v1.0.0\n)\n";
    // No program: the library of Go itself need not be built for it.
    let source = "package p\n\nimport (\n\t_ \"example.com/greet\"\n\t_ \"example.com/words\"\n)\n";
    let mut sums = Vec::new();
    for (number, policy) in [EgressPolicy::all_registries(), EgressPolicy::cache_only()]
        .into_iter()
        .enumerate()
    {
        let attempt = fixture.attempt(policy).await;
        let folder = fixture.folder.path().join(format!("go-{number}"));
        let home = folder.join("home").display().to_string();
        let client = ProxiedClient::new(&attempt, &folder)
            .with_variable("GOFLAGS", "-mod=mod -modcacherw")
            .with_variable("GOTOOLCHAIN", "local")
            .with_variable("GOPATH", format!("{home}/go"))
            .with_variable("GOCACHE", format!("{home}/cache"))
            // The stub cannot sign as the public database does; the proxy checks the sums.
            .with_variable("GOSUMDB", "off");
        client.write("go.mod", go_mod);
        client.write("p.go", source);
        client.succeed(go, &["mod", "download", "all"]).await;
        client.succeed(go, &["build", "./..."]).await;
        assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
        let arrivals = attempt.session.list_arrivals();
        let zips = arrivals
            .iter()
            .filter(|arrival| arrival.file == "v1.0.0.zip");
        assert_eq!(zips.count(), 2, "{arrivals:?}");
        sums.push(client.read("go.sum"));
        fixture.upstream.go_away();
    }
    assert_eq!(sums[0], sums[1]);
    assert!(
        sums[0].contains("example.com/greet v1.0.0 h1:"),
        "{}",
        sums[0]
    );
}
