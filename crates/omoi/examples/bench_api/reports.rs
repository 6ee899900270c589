//! What storing an event of a sandbox costs: reports of 1 KB by many attempts, beside a bare insert with a counter.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use omoi_server::worker::{WorkerSurface, router};
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::{postgres, sqlite};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::load::{LoadFigures, LoadPlan, put_load};
use crate::{CONNECTIONS, Fallible, Figure};

/// Attempts that report in turn: one alone is held to what an agent has to tell.
const ATTEMPTS: usize = 400;
/// Bytes of what an event says.
const EVENT_BYTES: usize = 1024;

/// Rates and slowest percents of reports, ours and bare, on both databases.
pub(crate) async fn measure_reports() -> Fallible<Vec<Figure>> {
    let mut told = Vec::new();
    for backend in ["postgres", "sqlite"] {
        let of_bare = bare_reports(backend).await?;
        let ours = own_reports(backend).await?;
        told.push((format!("{backend}_event_bare"), of_bare.per_second));
        told.push((format!("{backend}_event"), ours.per_second));
        told.push((format!("{backend}_event_p99_ms"), ours.p99_ms));
    }
    Ok(told)
}

/// An event with a new id, and what makes it 1 KB.
fn event(number: u64) -> Value {
    json!({ "events": [{
        "event_id": Uuid::now_v7(),
        "event_type": "agent.assistant_message",
        "event_data": { "number": number, "text": "x".repeat(EVENT_BYTES) },
        "summary": "said something",
    }] })
}

fn post_event(address: &str, path: &str, token: &str, number: u64) -> String {
    let body = event(number).to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn serve(servers: &mut JoinSet<()>, routes: Router) -> Fallible<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?.to_string();
    servers.spawn(async move {
        // It serves for as long as the set of servers lives.
        let _ = axum::serve(listener, routes).await;
    });
    Ok(address)
}

async fn own_reports(backend: &str) -> Fallible<LoadFigures> {
    let database = match backend {
        "postgres" => postgres::database(),
        _ => sqlite::database(),
    };
    let deployment = TestDeployment::on_database(database, |_| {}).await;
    let mut attempts = Vec::new();
    for number in 1..=ATTEMPTS {
        let task = deployment.add_task(i64::try_from(number)?, &[]).await;
        let running = deployment.run_task(task.id).await;
        let path = format!("/api/v1/sandboxes/{}/events", running.attempt.id);
        attempts.push((path, running.token));
    }
    let mut servers = JoinSet::new();
    let surface = WorkerSurface {
        egress: None,
        parts: deployment.build_part(),
        gateway: Err("no model is asked".to_owned()),
    };
    let address = serve(&mut servers, router(surface)).await?;
    let host = address.clone();
    let plan = LoadPlan::new(&address, move |number| {
        let (path, token) = &attempts[number as usize % ATTEMPTS];
        post_event(&host, path, token, number)
    });
    put_load(&plan).await
}

/// Either database with a table of events and a counter.
#[derive(Clone)]
enum EventPool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

const TABLES: &str = "create table bench_heads (id bigint primary key, head bigint not null);
    create table bench_events (seq bigint primary key, id text not null unique, kind text not null, payload text not null);
    insert into bench_heads values (1, 0)";
const COUNT: &str = "update bench_heads set head = head + 1 where id = 1 returning head";
const INSERT: &str = "insert into bench_events (seq, id, kind, payload) values ($1, $2, $3, $4)";

async fn bare_reports(backend: &str) -> Fallible<LoadFigures> {
    let folder = tempfile::tempdir()?;
    let database;
    let pool = if backend == "postgres" {
        database = postgres::database();
        let options = PgPoolOptions::new().max_connections(u32::try_from(CONNECTIONS)?);
        EventPool::Postgres(options.connect(database.url()).await?)
    } else {
        let file = SqliteConnectOptions::new()
            .filename(folder.path().join("bare.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // One connection writes, as SQLite lets one.
        let options = SqlitePoolOptions::new().max_connections(1);
        EventPool::Sqlite(options.connect_with(file).await?)
    };
    match &pool {
        EventPool::Sqlite(pool) => {
            sqlx::raw_sql(TABLES).execute(pool).await?;
        }
        EventPool::Postgres(pool) => {
            sqlx::raw_sql(TABLES).execute(pool).await?;
        }
    }
    let mut servers = JoinSet::new();
    let routes = Router::new()
        .route("/events", post(store_event))
        .with_state(pool);
    let address = serve(&mut servers, routes).await?;
    let host = address.clone();
    let plan = LoadPlan::new(&address, move |number| {
        post_event(&host, "/events", "none", number)
    });
    put_load(&plan).await
}

async fn store_event(State(pool): State<EventPool>, Json(body): Json<Value>) -> StatusCode {
    match pool.store(&body["events"][0]).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl EventPool {
    async fn store(&self, event: &Value) -> Result<(), sqlx::Error> {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let payload = event["event_data"].to_string();
        match self {
            Self::Sqlite(pool) => {
                let mut tx = pool.begin().await?;
                let head: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *tx).await?;
                let insert = sqlx::query(INSERT).bind(head).bind(text("event_id"));
                let insert = insert.bind(text("event_type")).bind(payload);
                insert.execute(&mut *tx).await?;
                tx.commit().await
            }
            Self::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                let head: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *tx).await?;
                let insert = sqlx::query(INSERT).bind(head).bind(text("event_id"));
                let insert = insert.bind(text("event_type")).bind(payload);
                insert.execute(&mut *tx).await?;
                tx.commit().await
            }
        }
    }
}
