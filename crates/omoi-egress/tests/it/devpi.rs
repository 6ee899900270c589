//! pip before devpi-server: an index at a path of its own, whose links are relative.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use omoi_egress::policy::EgressPolicy;
use omoi_egress::refusal::RefusalReason;
use omoi_egress::registry::RegistrySite;
use omoi_egress::sites::PrivateRegistry;
use omoi_testkit::registry_tools::devpi_modules;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::clients::ProxiedClient;
use crate::fixture::Fixture;
use crate::real_registries::listing;
use crate::samples::wheel_bytes;

const HOST: &str = "pypi.corp.example";
const INDEX: &str = "/ann/dev/+simple/";
const PASSWORD: &str = "a-long-password-1";
/// `ann` with her password.
const CREDENTIAL: &str = "Basic YW5uOmEtbG9uZy1wYXNzd29yZC0x";

/// Both programs of devpi-server, with what they would say on the other stream.
const INIT: &str = "import sys; from devpi_server.init import init; sys.exit(init())";
const SERVE: &str =
    "import os, sys; os.dup2(1, 2); from devpi_server.main import main; sys.exit(main())";
/// Its passwords protect nothing: hashing them may be cheap.
const CHEAP: [&str; 3] = [
    "--argon2-memory-cost=8",
    "--argon2-time-cost=1",
    "--argon2-parallelism=1",
];

/// A registry of Python packages; it ends with this value.
struct Devpi {
    server: Child,
    address: SocketAddr,
    /// Open as long as it may write there.
    _output: BufReader<ChildStdout>,
}

impl Drop for Devpi {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Devpi {
    fn start(folder: &Path) -> Self {
        let python = |program: &str| {
            let mut command = Command::new("python3");
            command.args(["-W", "ignore", "-c", program]);
            command.arg("--serverdir").arg(folder);
            command.env("PYTHONPATH", devpi_modules());
            command
        };
        let made = python(INIT)
            .args(["--no-root-pypi", "--root-passwd", PASSWORD])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        // Free a moment ago: it takes no port of its own choice.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut server = python(SERVE)
            .args(["--host=127.0.0.1", "--offline-mode", "--threads=4"])
            .arg(format!("--port={}", address.port()))
            .args(CHEAP)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Serving on") {
            line.clear();
            let n_read = output.read_line(&mut line).unwrap();
            assert_ne!(n_read, 0, "devpi-server ended at its start");
        }
        Self {
            server,
            address,
            _output: output,
        }
    }

    fn ask(&self, method: Method, path: &str, user: &str) -> RequestBuilder {
        let client = Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, format!("http://{}{path}", self.address));
        request.basic_auth(user, Some(PASSWORD))
    }

    /// An index of `ann` with two packages, one of which needs the other.
    async fn publish_samples(&self) {
        let user = json!({"password": PASSWORD});
        let index = json!({"type": "stage", "bases": [], "volatile": false});
        for (path, body) in [("/ann", user), ("/ann/dev", index)] {
            let made = self.ask(Method::PUT, path, "root").body(body.to_string());
            let made = made.header("content-type", "application/json").send();
            let made = made.await.unwrap();
            assert!(made.status().is_success(), "{path}: {made:?}");
        }
        for (name, needs) in [("words", ""), ("greeter", "Requires-Dist: words>=1\n")] {
            let wheel = wheel_bytes(name, "1.0", needs);
            let form = UploadForm::of_wheel(name, "1.0", &wheel);
            let sent = self
                .ask(Method::POST, "/ann/dev/", "ann")
                .header("content-type", form.content_type)
                .body(form.body)
                .send()
                .await
                .unwrap();
            assert!(sent.status().is_success(), "{name}: {sent:?}");
        }
    }
}

/// An upload as the programs of Python make it.
struct UploadForm {
    content_type: String,
    body: Vec<u8>,
}

impl UploadForm {
    fn of_wheel(name: &str, version: &str, wheel: &[u8]) -> Self {
        const EDGE: &str = "edge-of-a-part";
        let mut body = Vec::new();
        for (field, value) in [
            (":action", "file_upload"),
            ("metadata_version", "2.1"),
            ("filetype", "bdist_wheel"),
            ("pyversion", "py3"),
            ("name", name),
            ("version", version),
        ] {
            let part = format!(
                "--{EDGE}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            );
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--{EDGE}\r\nContent-Disposition: form-data; name=\"content\"; \
             filename=\"{name}-{version}-py3-none-any.whl\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(wheel);
        body.extend_from_slice(format!("\r\n--{EDGE}--\r\n").as_bytes());
        Self {
            content_type: format!("multipart/form-data; boundary={EDGE}"),
            body,
        }
    }
}

/// The proxy before `devpi`, which speaks no TLS itself.
async fn fixture_before(devpi: &Devpi) -> Fixture {
    let mut fixture = Fixture::with_private(vec![PrivateRegistry {
        host: HOST.to_owned(),
        site: RegistrySite::PypiIndex,
        organisation: "ours".to_owned(),
        credential: Some(SecretString::from(CREDENTIAL)),
        index: None,
        modules: Vec::new(),
        simple_path: Some(INDEX.to_owned()),
    }])
    .await;
    let acceptor = TlsAcceptor::from(fixture.upstream.tls.clone());
    let address = devpi.address;
    let pass_on = move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut outer) = acceptor.accept(stream).await else {
                return;
            };
            if let Ok(mut inner) = TcpStream::connect(address).await {
                let _ = copy_bidirectional(&mut outer, &mut inner).await;
            }
        }
    };
    fixture.serve_host(HOST, pass_on).await;
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn pip_installs_from_devpi_cold_and_again_with_it_gone() {
    let folder = tempfile::tempdir().unwrap();
    let devpi = Devpi::start(&folder.path().join("devpi"));
    devpi.publish_samples().await;
    let mut fixture = fixture_before(&devpi).await;
    let page = format!("https://{HOST}{INDEX}words/");
    // What nobody lists is as young as its file.
    let strict = listing(&[], EgressPolicy::all_registries());
    let strict = fixture.attempt(strict).await;
    let shown = strict.get(&page).await.text();
    let link = shown.split('"').find(|part| part.contains("/+f/")).unwrap();
    assert!(
        link.starts_with("https://pypi.corp.example/ann/dev/+f/"),
        "{shown}"
    );
    let young = strict.get(link.split('#').next().unwrap()).await;
    assert_eq!(young.reason, Some(RefusalReason::VersionTooYoung));
    // No page lists these.
    for path in [
        "/ann/dev/+f/000/0000000000000/words-1.0-py3-none-any.whl",
        "/root/words-2.0.tar.gz",
    ] {
        assert_eq!(
            strict.get(&format!("https://{HOST}{path}")).await.status,
            404,
            "{path}"
        );
    }
    let mut devpi = Some(devpi);
    for (number, policy) in [EgressPolicy::all_registries(), EgressPolicy::cache_only()]
        .into_iter()
        .enumerate()
    {
        let versions = ["pypi:words@1.0", "pypi:greeter@1.0"];
        let attempt = fixture.attempt(listing(&versions, policy)).await;
        let client = ProxiedClient::new(&attempt, &folder.path().join(format!("{number}")));
        let index = format!("--index-url=https://{HOST}{INDEX}");
        let target = ["--no-cache-dir", "--target", "site", "greeter"];
        let args = [&["-m", "pip", "install", &index], &target[..]].concat();
        client.succeed("python3", &args).await;
        for module in ["words", "greeter"] {
            assert_eq!(
                client.read(&format!("site/{module}.py")),
                "VERSION = '1.0'\n"
            );
        }
        assert!(attempt.reasons().is_empty(), "{:?}", attempt.reasons());
        let arrivals = attempt.session.list_arrivals();
        let mut came: Vec<_> = arrivals.iter().map(|of| of.version.to_string()).collect();
        came.sort();
        assert_eq!(came, ["pypi:greeter@1.0", "pypi:words@1.0"]);
        // The registry is gone from now on.
        drop(devpi.take());
    }
}
