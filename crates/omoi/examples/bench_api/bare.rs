//! The baseline: axum and sqlx with the statements of the list, the same JSON, and argon2id; no sign-in, no permissions.

use std::io::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use omoi_accounts::password_pool::PasswordPool;
use omoi_runtime::rng::Rng;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::platform::PASSWORD;
use crate::{CONNECTIONS, Fallible, values};

/// The statements of `GET /tickets?project_id=…&limit=10`, with the tickets of the page in place of `MARKS`.
const NAMES: &str = "select * from projects where org_id = $1 order by created_at, id";
const PAGE: &str = "select * from tickets where org_id = $1 and project_id = $2
    order by created_at desc, id desc limit 11";
const AROUND: &str =
    "select k.id as id, s.number as spec_number, s.kind as spec_kind, f.number as followed_number,
         exists (select 1 from criteria c where c.spec_id = k.spec_id) as has_criteria,
         (select count(*) from tasks t where t.ticket_id = k.id and t.status <> 'cancelled') as n_tasks,
         (select count(*) from tasks t where t.ticket_id = k.id and t.status = 'completed') as n_completed,
         (select count(*) from comments c
              where c.org_id = k.org_id and c.ticket_id = k.id and c.deleted_at is null) as n_comments
     from tickets k left join specs s on s.id = k.spec_id left join specs f on f.id = k.follows_spec_id
     where k.org_id = $1 and k.id in (MARKS)";
const EDGES: &str =
    "select d.ticket_id, d.depends_on_id, w.number as waiting_number, p.number as prerequisite_number
     from ticket_dependencies d join tickets w on w.id = d.ticket_id join tickets p on p.id = d.depends_on_id
     where d.org_id = $1 and (d.ticket_id in (MARKS) or d.depends_on_id in (MARKS))
     order by w.number, p.number";
/// What holds the organisation of a laptop.
const ORGANISATION: &str = "01930000-0000-7000-8000-000000000001";

/// A pool of either database.
#[derive(Clone)]
enum BarePool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

#[derive(Clone)]
struct BareState {
    pool: BarePool,
    organisation: Uuid,
    project: Uuid,
    passwords: Arc<PasswordPool>,
    stored: Arc<str>,
}

/// Serves on a free port, which it prints, for as long as the process lives.
pub(crate) async fn serve_until_killed(url: &str, project: Uuid) -> Fallible<()> {
    let connections = u32::try_from(CONNECTIONS)?;
    let pool = match url.starts_with("sqlite:") {
        true => {
            let options = SqlitePoolOptions::new().max_connections(connections);
            BarePool::Sqlite(options.connect(url).await?)
        }
        false => {
            let options = PgPoolOptions::new().max_connections(connections);
            BarePool::Postgres(options.connect(url).await?)
        }
    };
    let passwords = PasswordPool::new(Rng::from_os()?);
    let stored = passwords
        .hash_password(SecretString::from(PASSWORD))
        .await?;
    let state = BareState {
        organisation: ORGANISATION.parse()?,
        pool,
        project,
        passwords: Arc::new(passwords),
        stored: stored.into(),
    };
    let router = Router::new()
        .route("/health", get(tell_health))
        .route("/tickets", get(list_tickets))
        .route("/login", post(sign_in))
        .with_state(state);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    Ok(axum::serve(listener, router).await?)
}

async fn tell_health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

async fn sign_in(State(state): State<BareState>, Json(body): Json<Value>) -> StatusCode {
    let password = body["password"].as_str().unwrap_or_default();
    let password = SecretString::from(password.to_owned());
    let stored = Some(state.stored.to_string());
    match state.passwords.verify_password(password, stored).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn list_tickets(State(state): State<BareState>) -> Result<Json<Value>, StatusCode> {
    let listed = state.list().await;
    listed
        .map(Json)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

impl BareState {
    async fn list(&self) -> Result<Value, sqlx::Error> {
        let names = self.pool.rows(NAMES, &[self.organisation]).await?;
        let page = [self.organisation, self.project];
        let mut items = self.pool.rows(PAGE, &page).await?;
        items.truncate(10);
        let ids = items
            .iter()
            .filter_map(|item| item["id"].as_str()?.parse().ok());
        let values: Vec<Uuid> = std::iter::once(self.organisation).chain(ids).collect();
        let marks: Vec<String> = (2..=values.len()).map(|n| format!("${n}")).collect();
        let marks = marks.join(", ");
        let around = self
            .pool
            .rows(&AROUND.replace("MARKS", &marks), &values)
            .await?;
        let edges = self
            .pool
            .rows(&EDGES.replace("MARKS", &marks), &values)
            .await?;
        let name = names.first().and_then(|name| name.get("name")).cloned();
        for item in &mut items {
            let around = around.iter().find(|around| around["id"] == item["id"]);
            let waits = edges.iter().filter(|edge| edge["ticket_id"] == item["id"]);
            let waits: Vec<_> = waits
                .map(|edge| edge["prerequisite_number"].clone())
                .collect();
            let around = around.cloned().map_or(Value::Null, Value::Object);
            item.insert("name".to_owned(), name.clone().unwrap_or_default());
            item.insert(
                "dependencies".to_owned(),
                json!({ "blocked_by": waits, "blocks": [] }),
            );
            item.insert(
                "task_counts".to_owned(),
                json!({
                    "total": around["n_tasks"], "completed": around["n_completed"]
                }),
            );
            item.insert("n_comments".to_owned(), around["n_comments"].clone());
        }
        Ok(json!({ "items": items, "next_cursor": "next" }))
    }
}

impl BarePool {
    async fn rows(&self, sql: &str, ids: &[Uuid]) -> Result<Vec<Map<String, Value>>, sqlx::Error> {
        match self {
            Self::Postgres(pool) => {
                let query = sqlx::query(AssertSqlSafe(sql));
                let query = ids.iter().fold(query, |query, id| query.bind(*id));
                let rows = query.fetch_all(pool).await?;
                rows.iter().map(values::of_postgres).collect()
            }
            Self::Sqlite(pool) => {
                let query = sqlx::query(AssertSqlSafe(sql));
                let query = ids
                    .iter()
                    .fold(query, |query, id| query.bind(id.to_string()));
                let rows = query.fetch_all(pool).await?;
                rows.iter().map(values::of_sqlite).collect()
            }
        }
    }
}
