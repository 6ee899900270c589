//! The rows of one organisation that operations are asked for, and what is counted to see that nobody changed them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::http::Method;
use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::permission::Permission;
use omoi_domain::id::{OrgId, RoleId, UserId};
use omoi_store::{Json, Tx, roles};
use omoi_testkit::raw_connection::RawConnection;
use serde_json::{Value, json};

use crate::sign_in_desk::{PASSWORD, SignInDesk, UNKNOWN};

/// Rows that refused requests write: what was tried, how often, and when a key was used last.
const UNCOUNTED: [&str; 6] = [
    "audit_log",
    "audit_heads",
    "sign_in_limits",
    "request_keys",
    "kept_answers",
    "api_keys",
];

/// Who owns the organisation of the world.
pub(super) const OWNER: &str = "ada@example.org";

/// Rows of the laptop's organisation, by what operations call them.
pub(super) struct MatrixWorld {
    ids: BTreeMap<String, String>,
    /// The owner of the organisation.
    pub(super) owner: UserId,
    tables: Vec<String>,
}

impl MatrixWorld {
    /// Makes a row of each kind.
    pub(super) async fn lay_out(desk: &SignInDesk) -> Self {
        use omoi_domain::access::role::SystemRole::Owner;
        let task = desk.test.add_task(1, &[]).await;
        let later = desk.test.add_task(2, &[task.id]).await;
        let owner = desk.add_user(OWNER, &[(OrgId::LOCAL, Owner)]).await;
        let pair = desk.sign_in(OWNER, PASSWORD).await;
        let token = pair.access_token;
        let mut ids = BTreeMap::new();
        let mut keep = |name: &str, id: String| drop(ids.insert(name.to_owned(), id));
        keep("spec_id", desk.test.spec.id.to_string());
        keep("project_id", desk.test.spec.project_id.to_string());
        keep("organization_id", OrgId::LOCAL.to_string());
        keep("task_id", later.id.to_string());
        keep("depends_on_task_id", task.id.to_string());
        keep("ticket_id", later.ticket_id.to_string());
        keep("dependency_id", task.ticket_id.to_string());
        keep("session_id", pair.session_id.to_string());
        let made = async |path: String, body: Value| {
            let asked = desk.ask((Method::POST, &path), Some(&token), Some(body));
            let (status, told) = asked.await;
            assert!(status == 200 || status == 201, "{path}: {status} {told}");
            told["id"].as_str().unwrap().to_owned()
        };
        let organisation = format!("/organizations/{}", OrgId::LOCAL);
        let comment = json!({ "content": "Seen." });
        keep(
            "comment_id",
            made(format!("/tickets/{}/comments", later.ticket_id), comment).await,
        );
        let role = json!({ "name": "Readers", "permissions": ["spec:read"] });
        keep("role_id", made(format!("{organisation}/roles"), role).await);
        let budget = json!({ "scope_type": "project", "scope_id": desk.test.spec.project_id, "limit": "5.00" });
        keep("budget_id", made("/costs/budgets".to_owned(), budget).await);
        let event = desk.ask((Method::GET, "/events?limit=1"), Some(&token), None);
        let event = event.await.1["items"][0]["event_id"]
            .as_str()
            .map(ToOwned::to_owned);
        keep("event_id", event.unwrap());
        let members = format!("{organisation}/members");
        let members = desk.ask((Method::GET, &members), Some(&token), None).await;
        let member = members.1["items"][0]["id"].as_str().map(ToOwned::to_owned);
        keep("member_id", member.unwrap());
        let tables = own_tables(desk).await;
        Self { ids, owner, tables }
    }

    /// The id of the row that operations call `name`; one of no row where the world has none.
    pub(super) fn row_id(&self, name: &str) -> &str {
        self.ids.get(name).map_or(UNKNOWN, String::as_str)
    }

    /// Whether the world has a row that operations call `name`.
    pub(super) fn has_row(&self, name: &str) -> bool {
        self.ids.contains_key(name)
    }

    /// Whether it has all of them, or words that are no rows.
    pub(super) fn has_rows(&self, names: &[String]) -> bool {
        let is_word = |name: &str| super::WORDS.iter().any(|(place, _)| *place == name);
        names.iter().all(|name| is_word(name) || self.has_row(name))
    }

    /// A row of the world that an answer tells of.
    pub(super) fn told_row(&self, told: &Value) -> Option<&str> {
        let text = told.to_string();
        let found = self.ids.values().find(|id| text.contains(id.as_str()));
        found.map(String::as_str)
    }

    /// A digest of the organisation's rows in each table.
    pub(super) async fn own_rows(&self, desk: &SignInDesk) -> BTreeMap<String, u64> {
        let mut conn = RawConnection::open(desk.test.database_url()).await.unwrap();
        let mut digests = BTreeMap::new();
        for table in &self.tables {
            let sql = format!("select * from {table} where org_id = '{}'", OrgId::LOCAL);
            let mut rows = conn.rows(&sql).await.unwrap();
            rows.sort();
            let mut digest = DefaultHasher::new();
            rows.hash(&mut digest);
            digests.insert(table.clone(), digest.finish());
        }
        conn.close().await.unwrap();
        digests
    }

    /// Gives `role` every permission but `needed`.
    pub(super) async fn set_role(&self, desk: &SignInDesk, role: RoleId, needed: Permission) {
        let others = Permission::ALL.iter().filter(|one| **one != needed);
        let others = others
            .map(|one| one.as_str().parse().unwrap())
            .collect::<Vec<PermissionPattern>>();
        let change = async |tx: &mut Tx| {
            let mut row = roles::get(tx, role).await?;
            row.permissions = Json(others.clone());
            roles::save(tx, &mut row).await
        };
        desk.test.commit(change).await.unwrap();
    }
}

/// Tables whose rows belong to organisations and are written by nobody who is refused.
async fn own_tables(desk: &SignInDesk) -> Vec<String> {
    let url = desk.test.database_url();
    let sql = match url.starts_with("sqlite:") {
        true => {
            "select m.name from sqlite_master m join pragma_table_info(m.name) c
             where m.type = 'table' and c.name = 'org_id' order by m.name"
        }
        false => {
            "select table_name::text from information_schema.columns
             where table_schema = 'public' and column_name = 'org_id' order by table_name"
        }
    };
    let mut conn = RawConnection::open(url).await.unwrap();
    let mut tables = conn.texts(sql).await.unwrap();
    conn.close().await.unwrap();
    tables.retain(|table| !UNCOUNTED.contains(&table.as_str()));
    // The role that lacks a permission is changed by the test itself.
    tables.retain(|table| table != "roles");
    assert!(tables.len() > 25, "{tables:?}");
    tables
}
