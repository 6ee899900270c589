//! What the API costs, beside bare axum and sqlx with the same statements and the same JSON, and without signing in.
//!
//! Given the program to measure, it starts `omoi up` on PostgreSQL and on SQLite, each with rows of its own, and beside
//! each a bare server in a process of its own (`bare.rs`). Both are asked over 16 connections from here. Prints one
//! line of `key=value`; `cargo xtask bench api` shows them in its table.

#![allow(
    clippy::disallowed_methods,
    reason = "it starts the programs that it measures, as the person at the keyboard would"
)]

mod bare;
mod live;
mod load;
mod platform;
mod reports;
mod seed;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::load::{LoadFigures, LoadPlan, put_load};
use self::platform::{BarePlatform, BenchedServer, MAIL, PASSWORD};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Connections that ask at once.
const CONNECTIONS: usize = 16;
/// How long each load is put.
const LOAD: Duration = Duration::from_secs(5);
/// Connections that sign in at once: as many as hash at once, and as many that wait.
const SIGN_INS: usize = 4;

#[tokio::main]
async fn main() -> Fallible<()> {
    if cfg!(debug_assertions) {
        return Err(
            "a debug build measures nothing that people meet: cargo xtask bench api".into(),
        );
    }
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().ok_or("name the program to measure")?;
    if first == "bare" {
        let url = arguments.next().ok_or("name the database")?;
        let project = arguments.next().ok_or("name the project")?;
        let project = project.to_string_lossy().parse()?;
        return bare::serve_until_killed(&url.to_string_lossy(), project).await;
    }
    let program = PathBuf::from(first);
    let mut told = Vec::new();
    for backend in ["postgres", "sqlite"] {
        told.extend(measure_backend(&program, backend).await?);
    }
    told.extend(reports::measure_reports().await?);
    told.extend(live::measure_live(&program).await?);
    let told = told.iter().map(|(key, value)| format!("{key}={value:.4}"));
    println!("{}", told.collect::<Vec<_>>().join(" "));
    Ok(())
}

/// A figure by its name.
type Figure = (String, f64);

/// The rows that are the same on both databases.
async fn measure_backend(program: &Path, backend: &str) -> Fallible<Vec<Figure>> {
    let server = BenchedServer::start(program, backend).await?;
    let projects = seed::seed_projects(&server).await?;
    let bare = BarePlatform::start(&server.database_url, &projects.small).await?;
    let mut told = Vec::new();
    let mut add = |name: &str, value: f64| told.push((format!("{backend}_{name}"), value));

    let of_bare = put_load(&get(&bare.address, "/health", None)).await?;
    let ours = put_load(&get(&server.address, "/health", None)).await?;
    add("health_bare", of_bare.per_second);
    add("health", ours.per_second);

    let key = Some(server.key.as_str());
    let list =
        |project: &str, limit: usize| format!("/api/v1/tickets?project_id={project}&limit={limit}");
    let of_bare = put_load(&get(&bare.address, "/tickets", None)).await?;
    let ten = get(&server.address, &list(&projects.small, 10), key);
    let ours = put_load(&ten).await?;
    add("list_bare", of_bare.per_second);
    add("list", ours.per_second);

    let board = format!("/api/v1/board/view?project_id={}", projects.board);
    let of_board = put_load(&get(&server.address, &board, key).over_one_line()).await?;
    add("board_p95_ms", of_board.p95_ms);
    let fifty = get(&server.address, &list(&projects.large, 50), key).over_one_line();
    add("million_p95_ms", put_load(&fifty).await?.p95_ms);

    let unsigned = put_load(&get(&server.address, "/health", None).over_one_line()).await?;
    // The key may read nothing but tickets: the answer is a refusal, once the key and its permissions are known.
    let refused = get(&server.address, "/api/v1/costs/budgets", key).over_one_line();
    let refused = put_load(&refused.expecting_status(403)).await?;
    add("check_p95_ms", (refused.p95_ms - unsigned.p95_ms).max(0.0));

    let quiet = put_load(&ten.clone().over_one_line()).await?;
    let of_bare = put_load(&sign_ins(&bare.address, "/login")).await?;
    let (busy, ours) = lists_during_sign_ins(&server, ten.clone().over_one_line()).await?;
    add("sign_in_bare", of_bare.per_second);
    add("sign_in", ours.per_second);
    add("list_quiet_p95_ms", quiet.p95_ms);
    add("list_busy_p95_ms", busy.p95_ms);
    Ok(told)
}

async fn lists_during_sign_ins(
    server: &BenchedServer,
    list: LoadPlan,
) -> Fallible<(LoadFigures, LoadFigures)> {
    let sign_ins = sign_ins(&server.address, "/api/v1/auth/login");
    let (lists, sign_ins) = tokio::join!(put_load(&list), put_load(&sign_ins));
    Ok((lists?, sign_ins?))
}

/// Requests for `path`, the same each time.
fn get(address: &str, path: &str, key: Option<&str>) -> LoadPlan {
    let credential = key.map(|key| format!("authorization: Bearer {key}\r\n"));
    let credential = credential.unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{credential}\r\n");
    LoadPlan::new(address, move |_| request.clone())
}

/// Sign-ins, each from another address.
fn sign_ins(address: &str, path: &str) -> LoadPlan {
    let body = format!(r#"{{"email":"{MAIL}","password":"{PASSWORD}"}}"#);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    let plan = LoadPlan::new(address, move |number: u64| {
        let [_, a, b, c] = (number as u32).to_be_bytes();
        format!("{head}x-forwarded-for: 100.{a}.{b}.{c}\r\n\r\n{body}")
    });
    plan.with_connections(SIGN_INS)
}
