//! How long npm, cargo and pip take to install through the proxy when everything is in its cache, beside the
//! same registries on loopback behind a tunnel that copies bytes and looks at nothing.
//!
//! Prints one line of `key=value` in milliseconds; `cargo xtask bench` shows them in its table. Each run
//! starts with an empty folder and without the client's own cache, so that every file comes over the wire.
#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot be taken ends the program"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "clients are programs, and their folders are made here"
)]

#[path = "../tests/it/archives.rs"]
mod archives;
#[path = "../tests/it/fixture.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod fixture;
#[path = "../tests/it/samples.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod samples;
#[path = "../tests/it/upstream.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod upstream;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use omoi_domain::egress::{EgressLaunch, client_variables};
use omoi_egress::policy::EgressPolicy;
use serde_json::{Map, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use fixture::Fixture;
use samples::{DAY, NpmSample, publish_crate, publish_npm, publish_wheel};

const PACKAGES: usize = 40;
const MODULE_BYTES: usize = 100_000;
const RUNS: usize = 7;
const WARM_UP: usize = 2;

/// A client of a registry: the files of its project and the command that installs.
struct Client {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    command: &'static [&'static str],
}

/// Where requests go and which authority is trusted.
struct WayOut {
    proxy: String,
    certificate: PathBuf,
}

#[tokio::main]
async fn main() {
    let mut fixture = Fixture::start().await;
    publish_packages(&fixture);
    let attempt = fixture.attempt(EgressPolicy::all_registries()).await;
    let ours = WayOut {
        proxy: attempt.proxy_url(),
        certificate: attempt.certificate().into(),
    };
    let baseline = WayOut {
        proxy: format!("http://{}", serve_tunnels(fixture.upstream.address).await),
        certificate: fixture.folder.path().join("root.pem"),
    };
    std::fs::write(&baseline.certificate, pem_of(&fixture.upstream.root)).unwrap();
    let mut figures = format!("runs={RUNS} warm_up={WARM_UP} packages={PACKAGES}");
    for mut client in clients() {
        let folder = fixture.folder.path().join(client.name);
        lock_versions(&mut client, &folder, &ours).await;
        let mut times = [Vec::new(), Vec::new()];
        for run in 0..WARM_UP + RUNS {
            for (times, way) in times.iter_mut().zip([&ours, &baseline]) {
                let took = install(&client, &folder, way).await;
                if run >= WARM_UP {
                    times.push(took);
                }
            }
        }
        let [ours, baseline] = times.map(median);
        let name = client.name;
        write!(
            figures,
            " {name}_ms={ours:.1} {name}_baseline_ms={baseline:.1}"
        )
        .unwrap();
    }
    println!("{figures}");
}

fn package_name(number: usize) -> String {
    format!("part{number:02}")
}

/// The same number of packages in each registry, a month old.
fn publish_packages(fixture: &Fixture) {
    let upstream = &fixture.upstream;
    let published_at = fixture.now() - DAY * 30;
    let config = json!({"dl": "https://static.crates.io/crates", "api": "https://crates.io"});
    upstream.put(
        "index.crates.io",
        "/config.json",
        upstream::StubAnswer::json(&config),
    );
    for number in 0..PACKAGES {
        let name = package_name(number);
        let module = noise(number as u64);
        let sample = NpmSample {
            name: &name,
            version: "1.0.0",
            module: &module,
            dependencies: json!({}),
            published_at,
        };
        publish_npm(upstream, &[sample]);
        let source = format!("// {module}\n");
        publish_crate(upstream, &name, "", &source, &[("1.0.0", published_at)]);
        publish_wheel(upstream, &name, "", &[("1.0", published_at)]);
    }
}

/// Text that no archive makes much smaller.
fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::with_capacity(MODULE_BYTES);
    while text.len() < MODULE_BYTES {
        // Xorshift, by Marsaglia (2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let _ = write!(text, "{state:016x}");
    }
    text
}

fn clients() -> Vec<Client> {
    let names: Vec<String> = (0..PACKAGES).map(package_name).collect();
    let needed: Map<_, _> = names
        .iter()
        .map(|name| (name.clone(), json!("1.0.0")))
        .collect();
    let package = json!({"name": "project", "version": "1.0.0", "dependencies": needed});
    let mut manifest =
        "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n".to_owned();
    let mut requirements = String::new();
    for name in &names {
        manifest.push_str(&format!("{name} = \"1\"\n"));
        requirements.push_str(&format!("{name}==1.0\n"));
    }
    vec![
        Client {
            name: "npm",
            files: vec![("package.json", package.to_string())],
            command: &["npm", "ci", "--no-fund", "--cache", "npm-cache"],
        },
        Client {
            name: "cargo",
            files: vec![
                ("Cargo.toml", manifest),
                ("src/main.rs", "fn main() {}\n".to_owned()),
            ],
            command: &["cargo", "fetch", "--quiet", "--locked"],
        },
        Client {
            name: "pip",
            files: vec![("requirements.txt", requirements)],
            command: &[
                "python3",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-cache-dir",
                "--target",
                "site",
                "--requirement",
                "requirements.txt",
            ],
        },
    ]
}

/// Adds the lock file that the measured commands want, which also fills the cache.
async fn lock_versions(client: &mut Client, folder: &Path, way: &WayOut) {
    let (lock, command): (_, &[&str]) = match client.name {
        "npm" => (
            "package-lock.json",
            &["npm", "install", "--no-fund", "--package-lock-only"],
        ),
        "cargo" => ("Cargo.lock", &["cargo", "generate-lockfile", "--quiet"]),
        _ => return,
    };
    empty_project(client, folder);
    run(command, folder, way).await;
    let text = std::fs::read_to_string(folder.join(lock)).unwrap();
    client.files.push((lock, text));
}

fn empty_project(client: &Client, folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    for (file, text) in &client.files {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Milliseconds of one installation into an empty project.
async fn install(client: &Client, folder: &Path, way: &WayOut) -> f64 {
    empty_project(client, folder);
    let began = Instant::now();
    run(client.command, folder, way).await;
    began.elapsed().as_secs_f64() * 1e3
}

/// Runs a client with nothing of this machine's settings.
async fn run(words: &[&str], folder: &Path, way: &WayOut) {
    let kept = |name: &str| std::env::var(name).unwrap_or_default();
    let home = folder.join("home");
    std::fs::create_dir_all(&home).unwrap();
    // The toolchain of this machine lies below its own home.
    let toolchains = match kept("RUSTUP_HOME") {
        path if path.is_empty() => format!("{}/.rustup", kept("HOME")),
        path => path,
    };
    let launch = EgressLaunch {
        certificate: way.certificate.to_str().unwrap().to_owned(),
        ..EgressLaunch::default()
    };
    let mut command = tokio::process::Command::from(Command::new(words[0]));
    command
        .args(&words[1..])
        .current_dir(folder)
        .env_clear()
        .env("PATH", kept("PATH"))
        .env("RUSTUP_HOME", toolchains)
        .env("RUSTUP_TOOLCHAIN", kept("RUSTUP_TOOLCHAIN"))
        .env("CARGO_HOME", home.join("cargo"))
        .env("HOME", home)
        .envs(client_variables(&way.proxy, &launch));
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
}

/// Copies the bytes of every tunnel to the registries on loopback, whatever name was asked for.
async fn serve_tunnels(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await?);
                }
                let mut registry = TcpStream::connect(upstream).await?;
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                copy_bidirectional(&mut client, &mut registry).await
            });
        }
    });
    address
}

fn pem_of(certificate: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(certificate);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
