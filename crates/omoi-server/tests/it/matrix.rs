//! Every operation of the API's description, asked by every kind of caller that may not, on both databases: who may not is refused,
//! changes no row of the organisation, and learns nothing of what is there.

mod callers;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::Method;
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::SystemRole;
use omoi_testkit::invariant::tell_row;
use serde_json::Value;

use self::callers::{Callers, LowerRole};
use self::world::MatrixWorld;
use crate::openapi::{Described, described, description};
use crate::sign_in_desk::{SignInDesk, UNKNOWN};

both!(every_operation_refuses_every_other_caller);

/// Parts of paths that name no row of an organisation.
const WORDS: [(&str, &str); 4] = [
    ("phase_id", "PHASE_DESIGN"),
    ("to_phase", "PHASE_DESIGN"),
    ("provider", "github"),
    ("document", "requirements"),
];

/// Operations that no network reaches, as they go by paths of the server's disk, and the description, which lies beside
/// the others.
const ELSEWHERE: [&str; 3] = ["/api/v1/setup", "/api/v1/trust", "/openapi.json"];

async fn every_operation_refuses_every_other_caller(desk: SignInDesk) {
    let world = MatrixWorld::lay_out(&desk).await;
    let callers = Callers::of_desk(&desk, &world).await;
    let api = description();
    let (mut table, mut n_operations) = (String::new(), 0);
    let mut leaks = Vec::new();
    let mut rows = world.own_rows(&desk).await;
    for operation in described(&api) {
        if operation.permission() == "public" || ELSEWHERE.contains(&operation.path.as_str()) {
            continue;
        }
        n_operations += 1;
        // What was looked up of keys and sessions is not believed for longer.
        desk.test.advance_clock(6);
        let asked = Asked {
            desk: &desk,
            world: &world,
            body: operation.body(&api),
            operation: &operation,
        };
        let mut line = format!("{:<80} {:<24}", operation.name(), operation.permission());
        asked.by_no_caller(&callers, &mut line, &mut leaks).await;
        asked
            .by_another_organisation(&callers, &mut line, &mut leaks)
            .await;
        asked.by_a_lower_role(&callers, &mut line, &mut leaks).await;
        asked.by_an_agent(&callers, &mut line, &mut leaks).await;
        let now = world.own_rows(&desk).await;
        if let Some(table) = changed_table(&rows, &now) {
            leaks.push(format!("{}: somebody changed `{table}`", operation.name()));
            rows = now;
        }
        let _ = writeln!(table, "{}", line.trim_end());
    }
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
    println!("{table}");
    let database = if desk.test.database_url().starts_with("sqlite:") {
        "SQLite"
    } else {
        "PostgreSQL"
    };
    tell_row(&format!(
        "S1: {n_operations} operations × 8 callers on {database}, leaks: 0"
    ));
}

/// The first table whose rows differ.
fn changed_table(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Option<String> {
    let mut tables = now.iter();
    tables
        .find(|(table, digest)| before.get(*table) != Some(*digest))
        .map(|(table, _)| table.clone())
}

/// An operation that is asked for the rows of a world.
struct Asked<'a> {
    desk: &'a SignInDesk,
    world: &'a MatrixWorld,
    operation: &'a Described,
    body: Option<Value>,
}

impl Asked<'_> {
    /// Its path with the ids of the world, or with one that no row has where `is_unknown`.
    fn path(&self, is_unknown: bool) -> String {
        let mut path = self.operation.path.clone();
        for name in self.path_names() {
            let word = WORDS.iter().find(|(place, _)| *place == name);
            let value = match (word, is_unknown) {
                (Some((_, word)), _) => word,
                (None, true) => UNKNOWN,
                (None, false) => self.world.row_id(&name),
            };
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let path = path.strip_prefix("/api/v1").unwrap_or(&path).to_owned();
        let demanded = self.operation.parameters().iter().filter(|parameter| {
            parameter["in"] == "query"
                && (parameter["required"] == true || parameter["name"] == "once")
        });
        let pairs = demanded.map(|parameter| {
            let name = parameter["name"].as_str().unwrap();
            let value = match parameter["example"].as_str() {
                _ if self.world.has_row(name) && !is_unknown => self.world.row_id(name).to_owned(),
                Some(text) => text.to_owned(),
                None => parameter["example"].to_string(),
            };
            format!("{name}={value}")
        });
        match pairs.collect::<Vec<_>>() {
            pairs if pairs.is_empty() => path,
            pairs => format!("{path}?{}", pairs.join("&")),
        }
    }

    /// What its path names.
    fn path_names(&self) -> Vec<String> {
        let parts = self.operation.path.split('{').skip(1);
        let names = parts.filter_map(|part| part.split_once('}'));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether its path names a row of an organisation.
    fn names_a_row(&self) -> bool {
        let is_word = |name: &String| WORDS.iter().any(|(place, _)| place == name);
        self.path_names().iter().any(|name| !is_word(name))
    }

    /// Whether the path names a row of people, not of organisations.
    fn is_about_oneself(&self) -> bool {
        Permission::parse(self.operation.permission()).is_none()
    }

    /// Its example with the ids of the world where a field names one of its rows.
    fn body(&self) -> Option<Value> {
        let mut body = self.body.clone()?;
        for (name, value) in body.as_object_mut()? {
            if self.world.has_row(name) && value.is_string() {
                *value = Value::from(self.world.row_id(name));
            }
        }
        Some(body)
    }

    async fn ask(&self, token: Option<&str>, is_unknown: bool) -> (u16, Value) {
        let path = self.path(is_unknown);
        let method: Method = self.operation.method.clone();
        self.desk.ask((method, &path), token, self.body()).await
    }

    /// Credentials that are none: nobody is let in by them.
    async fn by_no_caller(&self, callers: &Callers, line: &mut String, leaks: &mut Vec<String>) {
        for (caller, token) in callers.refused() {
            let (status, told) = self.ask(token, false).await;
            if status != 401 {
                leaks.push(format!(
                    "{}: {caller} got {status}: {told}",
                    self.operation.name()
                ));
            }
            let _ = write!(line, " {caller} {status}");
        }
    }

    /// The owner of another organisation: its rows are as if they were not there.
    async fn by_another_organisation(
        &self,
        callers: &Callers,
        line: &mut String,
        leaks: &mut Vec<String>,
    ) {
        let (status, told) = self.ask(Some(&callers.foreign), false).await;
        let _ = write!(line, " foreign {status}");
        let name = self.operation.name();
        if let Some(row) = self.world.told_row(&told) {
            let is_asked_for = self.path(false).contains(row) || self.sends(row);
            if !is_asked_for || status < 400 {
                leaks.push(format!(
                    "{name}: another organisation is told of {row}: {told}"
                ));
            }
        }
        if self.is_about_oneself() || !self.names_a_row() {
            return;
        }
        let (unknown_status, unknown) = self.ask(Some(&callers.foreign), true).await;
        let same = self.without_ids(&told) == self.without_ids(&unknown);
        if status < 400 || status != unknown_status || !same {
            leaks.push(format!(
                "{name}: another organisation got {status} {told}, of an unknown row {unknown_status} {unknown}"
            ));
        }
    }

    fn sends(&self, row: &str) -> bool {
        self.body()
            .is_some_and(|body| body.to_string().contains(row))
    }

    /// An answer without what differs between two requests: its number, and the ids that were asked for.
    fn without_ids(&self, told: &Value) -> String {
        let mut told = told.clone();
        if told.is_object() {
            told["request_id"] = Value::Null;
        }
        let mut text = told.to_string();
        for name in self.path_names() {
            text = text.replace(self.world.row_id(&name), "ID");
        }
        text.replace(UNKNOWN, "ID")
    }

    /// A role of the organisation that has every permission but the one that is needed.
    async fn by_a_lower_role(&self, callers: &Callers, line: &mut String, leaks: &mut Vec<String>) {
        let name = self.operation.name();
        let needed = Permission::parse(self.operation.permission());
        let (status, told) = match needed {
            Some(needed) => {
                let LowerRole { role, key } = &callers.lower;
                self.world.set_role(self.desk, *role, needed).await;
                self.ask(Some(key), false).await
            }
            None if self.operation.permission() == "staff" => {
                self.ask(Some(&callers.owner), false).await
            }
            None => {
                line.push_str(" lower   -");
                return;
            }
        };
        let _ = write!(line, " lower {status}");
        let is_named = needed.is_none_or(|needed| told["permission"] == needed.as_str());
        // What the example names need not be there: that is told before what is lacking.
        let is_absent = status == 404 && !self.world.has_rows(&self.path_names());
        if !(status == 403 && is_named || is_absent) {
            leaks.push(format!(
                "{name}: a role without the permission got {status}: {told}"
            ));
        }
    }

    /// The key of an agent, where its role has not what is needed.
    async fn by_an_agent(&self, callers: &Callers, line: &mut String, leaks: &mut Vec<String>) {
        let own = SystemRole::AgentExecutor.permission_set();
        let is_let_in = match Permission::parse(self.operation.permission()) {
            Some(needed) => own.contains(needed),
            None => self.operation.permission() == "signed-in",
        };
        if is_let_in {
            line.push_str(" agent may");
            return;
        }
        let (status, told) = self.ask(Some(&callers.agent), false).await;
        let _ = write!(line, " agent {status}");
        if !matches!(status, 403 | 404 | 422) {
            let name = self.operation.name();
            leaks.push(format!("{name}: the key of an agent got {status}: {told}"));
        }
    }
}
