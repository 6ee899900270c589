//! The way out of a sandbox: a package of a registry on loopback comes in through the proxy, everything
//! else is refused, and people see both.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::story;
use crate::world::World;

const REGISTRY: &str = "npm.example";

/// Serves one package over TLS, on a free port that it prints.
const SERVER: &str = r#"
import base64, hashlib, http.server, json, ssl, sys
tarball = b"the files of left-pad"
sum = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
dist = {"tarball": "https://npm.example/left-pad/-/left-pad-1.3.0.tgz", "integrity": sum}
packument = {"name": "left-pad", "dist-tags": {"latest": "1.3.0"},
    "time": {"1.3.0": "2020-01-01T00:00:00.000Z"},
    "versions": {"1.3.0": {"name": "left-pad", "version": "1.3.0", "dist": dist}}}
answers = {"/left-pad": json.dumps(packument).encode(), "/left-pad/-/left-pad-1.3.0.tgz": tarball}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = answers.get(self.path.split("?")[0])
        self.send_response(200 if body else 404)
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")
    def log_message(self, *words):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// Fetches the package, and tries a host that nobody lists.
const CLIENT: &str = "import urllib.request as web; \
    print(web.urlopen('https://npm.example/left-pad/-/left-pad-1.3.0.tgz').read()); \
    web.urlopen('https://elsewhere.example/')";

/// Takes what the task before it fetched, and tries to fetch more.
const CACHED_CLIENT: &str = "import urllib.request as web; \
    print(web.urlopen('https://npm.example/left-pad/-/left-pad-1.3.0.tgz').read()); \
    web.urlopen('https://npm.example/other/-/other-1.0.0.tgz')";

/// The registry; it ends with this value.
pub(crate) struct Registry {
    server: Child,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Registry {
    /// The registry of one package.
    fn start(folder: &Path) -> Self {
        Self::start_script(folder, &[REGISTRY], SERVER)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What `script` serves as `hosts`, with a certificate that is signed by `folder/root.pem`.
    pub(crate) fn start_script(folder: &Path, hosts: &[&str], script: &str) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(Vec::<String>::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = root.self_signed(&root_key).unwrap();
        fs::write(folder.join("root.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(root, root_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(
            hosts
                .iter()
                .map(|host| (*host).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let (leaf_file, key_file) = (folder.join("leaf.pem"), folder.join("leaf.key"));
        fs::write(&leaf_file, leaf.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        let mut server = Command::new("python3")
            .args(["-c", script])
            .args([&leaf_file, &key_file])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let printed = server.stdout.take().unwrap();
        BufReader::new(printed).read_line(&mut port).unwrap();
        let address = format!("127.0.0.1:{}", port.trim());
        Self { server, address }
    }
}

/// The scenario whose agents use the network before they write their files. The plan of the first names a lock file.
fn fetching(mut scenario: String) -> String {
    for (task, client) in [("TSK-001", CLIENT), ("TSK-002", CACHED_CLIENT)] {
        let rule = format!("  - when: {{role: implementer, task: {task}, turn: 0}}\n    reply:\n");
        assert!(scenario.contains(&rule));
        let command = format!("python3 -c \"{client}\"");
        let input = serde_json::json!({ "command": command });
        let fetch = format!("      - tool:\n          name: shell\n          input: {input}\n");
        scenario = scenario.replace(&rule, &format!("{rule}{fetch}"));
    }
    let files = "files_to_create: [bye.py]";
    assert!(scenario.contains(files));
    scenario.replace(files, "files_to_create: [bye.py, requirements.lock]")
}

#[test]
fn a_package_comes_in_where_a_lock_file_is_planned_and_a_stranger_does_not() {
    let world = World::two_tasks_with(fetching);
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(folder.path());
    let config = world.beside("config.yaml");
    let row = format!(
        "host={REGISTRY}; site=npm; address={}; certificate={}",
        registry.address,
        folder.path().join("root.pem").display()
    );
    // That a person lists the registry gives nobody more of it.
    let text = format!("egress:\n  hosts: [{REGISTRY}]\n  registries: [\"{row}\"]\n");
    fs::write(&config, text).unwrap();
    let mut run = world.run(&["--yes"]);
    run.arg("--config").arg(&config);
    let said = world.start(run).wait().exited(0);
    let told = "refused elsewhere.example:443";
    assert!(
        said.stderr.contains(told) || said.stdout.contains("sandbox.egress_denied"),
        "{said:?}"
    );
    let entries =
        "select group_concat(outcome || ' ' || target || ' ' || coalesce(reason, ''), '\n')
         from (select * from egress_entries order by outcome, target)";
    let expected = "came_in npm:left-pad@1.3.0 \ncame_in npm:left-pad@1.3.0 \n\
        refused elsewhere.example:443 host_not_listed\nrefused npm:other (other-1.0.0.tgz) not_cached";
    assert_eq!(
        story::one(&world.database(), entries).as_deref(),
        Some(expected)
    );
    // The list of what came in stands on the receipts of both tasks.
    let receipts =
        "select count(*) from receipts where stage = 'task' and packages like '%\"n_files\":1,%'";
    assert_ne!(
        story::one(&world.database(), receipts).as_deref(),
        Some("0")
    );

    let log = world.command(&["egress", "log", "SPEC-1", "--json"]);
    let said = world.start(log).wait().exited(0);
    let log: Value = serde_json::from_str(&said.stdout).unwrap();
    let came = &log.as_array().unwrap()[0];
    assert_eq!(came["task_ref"], "TSK-001", "{log:#}");
    assert_eq!(came["detail"], "left-pad-1.3.0.tgz", "{log:#}");
    let mut refused = log.as_array().unwrap().iter();
    let refused = refused.find(|entry| entry["subject"] == "elsewhere.example:443");
    let refused = refused.unwrap();
    let line = format!("project={}; host=elsewhere.example", world.repo_name());
    let remedy = format!("egress.hosts: [\"{line}\"]");
    assert_eq!(refused["remedy"], remedy, "{log:#}");

    let trace = world.command(&["trace", "SPEC-1", "--json"]);
    let said = world.start(trace).wait().exited(0);
    let trace: Value = serde_json::from_str(&said.stdout).unwrap();
    let package = format!(
        "npm:left-pad@1.3.0 sha256:{}",
        came["digest"].as_str().unwrap()
    );
    assert_eq!(trace["packages"], serde_json::json!([package]), "{trace:#}");

    let mut needless = world.command(&["egress", "allow", REGISTRY]);
    needless.arg("--config").arg(&config);
    let said = world.start(needless).wait().exited(2);
    assert!(said.stderr.contains("is a registry"), "{said:?}");

    let mut allow = world.command(&["egress", "allow", "elsewhere.example"]);
    allow.arg("--config").arg(&config);
    world.start(allow).wait().exited(0);
    let written = fs::read_to_string(&config).unwrap();
    // By its whole path.
    let line = format!("/{}; host=elsewhere.example", world.repo_name());
    assert!(written.contains(&line), "{written}");
    assert!(written.contains(&row), "{written}");
}
