//! One operation, asked by each caller in the scene that is set for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use axum::http::{Method, Request};
use serde_json::Value;
use tower::ServiceExt as _;

use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::SystemRole;
use omoi_domain::audit::AuditAction;

use super::callers::{Callers, LowerRole};
use super::named_request::NamedRequest;
use super::scenes::{RightCaller, Scene, Stage};
use super::told_acts::LogBefore;
use super::world::{MatrixWorld, OWNER, STAFF};
use crate::api::TOKEN;
use crate::event_receiver::Served;
use crate::openapi::Described;
use crate::sign_in_desk::{SignInDesk, UNKNOWN};

/// Parts of paths that name no row of an organisation.
const WORDS: [(&str, &str); 4] = [
    ("phase_id", "PHASE_DESIGN"),
    ("to_phase", "PHASE_DESIGN"),
    ("provider", "github"),
    ("document", "requirements"),
];
/// A commit that no repository has.
const UNKNOWN_COMMIT: &str = "2222222222222222222222222222222222222222";
/// The status of a line that becomes a socket.
const SWITCHED: u16 = 101;

/// Whether a value names one row of all.
pub(super) fn is_id(value: &str) -> bool {
    unknown_of(value) != value
}

/// A value of the same form that names nothing.
fn unknown_of(value: &str) -> &str {
    match value.len() {
        36 if value.matches('-').count() == 4 => UNKNOWN,
        40 if value.bytes().all(|byte| byte.is_ascii_hexdigit()) => UNKNOWN_COMMIT,
        _ => value,
    }
}

/// What went wrong, and the line of the table.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) line: String,
    pub(super) leaks: Vec<String>,
    /// What the audit log told of the right caller.
    pub(super) acts: BTreeSet<AuditAction>,
    /// The request of the right caller, where it was named by a key.
    pub(super) named: Option<NamedRequest>,
    /// Operations whose request was sent again with its key.
    pub(super) n_repeated: usize,
    /// What went wrong where one was.
    pub(super) repeats: Vec<String>,
}

impl Findings {
    fn note(&mut self, caller: &str, status: u16) {
        self.line += &format!(" {caller} {status}");
    }
}

/// An operation that is asked for the rows of a world.
pub(crate) struct Asked<'a> {
    pub(super) stage: Stage<'a>,
    pub(super) operation: &'a Described,
    pub(super) scene: Scene,
    /// The example of its body.
    pub(super) example: Option<Value>,
}

impl<'a> Asked<'a> {
    /// An operation in no scene, with a body that a test makes of its example.
    pub(crate) fn of_world(
        desk: &'a SignInDesk,
        world: &'a MatrixWorld,
        (operation, example): (&'a Described, Option<Value>),
    ) -> Self {
        Self {
            stage: Stage { desk, world },
            operation,
            scene: Scene::plain(),
            example,
        }
    }
}

impl Asked<'_> {
    /// Its path below the root of the API, with ids as those of [`Self::path`].
    pub(crate) fn path_below_root(&self, is_unknown: bool) -> String {
        let path = self.path(is_unknown);
        path.strip_prefix("/api/v1").unwrap_or(&path).to_owned()
    }

    /// The value of what operations call `name`, in this scene.
    fn value_of(&self, name: &str) -> Option<&str> {
        let own = self.scene.own_value(name);
        own.or_else(|| self.stage.world.find_row(name))
    }

    /// The first name of its path and of its query for which there is no value.
    pub(super) fn unknown_parameter(&self) -> Option<String> {
        let mut names = self.operation.path_names().into_iter();
        names.find(|name| word_of(name).is_none() && self.value_of(name).is_none())
    }

    /// Its path with the ids of the scene, or with such that no row has where `is_unknown`.
    fn path(&self, is_unknown: bool) -> String {
        let mut path = self.operation.path.clone();
        let chosen = |value: &str| match is_unknown {
            true => unknown_of(value).to_owned(),
            false => value.to_owned(),
        };
        for name in self.operation.path_names() {
            let value = word_of(&name).or_else(|| self.value_of(&name));
            let value = chosen(value.unwrap_or(UNKNOWN));
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for parameter in self.operation.parameters() {
            let name = parameter["name"].as_str().unwrap();
            let is_asked = parameter["in"] == "query"
                && (parameter["required"] == true
                    || name == "once"
                    || self.scene.own_value(name).is_some());
            if !is_asked {
                continue;
            }
            let example = &parameter["example"];
            let example = example.as_str().map(ToOwned::to_owned);
            let value = match self.value_of(name) {
                Some(value) => chosen(value),
                None => example.unwrap_or_else(|| parameter["example"].to_string()),
            };
            pairs.append_pair(name, &value);
        }
        match pairs.finish() {
            query if query.is_empty() => path,
            query => format!("{path}?{query}"),
        }
    }

    /// Whether its path names a row of an organisation.
    fn names_a_row(&self) -> bool {
        let names = self.operation.path_names();
        names.iter().any(|name| word_of(name).is_none())
    }

    /// Whether it is about the caller, not about an organisation.
    pub(super) fn is_about_oneself(&self) -> bool {
        Permission::parse(self.operation.permission()).is_none()
    }

    /// Whether strangers change nothing at all by it: they have no rows of their own that it is about.
    pub(super) fn is_closed_to_strangers(&self) -> bool {
        !self.is_about_oneself() && self.names_a_row()
    }

    /// Its example with the values of the scene where a field is called like one of them.
    fn body(&self) -> Option<Value> {
        let mut body = self.example.clone()?;
        self.fill_in(&mut body);
        Some(body)
    }

    fn fill_in(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    match (self.value_of(name), &*value) {
                        (Some(known), Value::String(_)) => *value = Value::from(known),
                        (Some(known), Value::Array(items))
                            if items.iter().all(Value::is_string) =>
                        {
                            *value = Value::from(vec![known]);
                        }
                        _ => self.fill_in(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill_in(item)),
            _ => {}
        }
    }

    pub(super) fn request(&self, token: Option<&str>, is_unknown: bool) -> Request<Body> {
        let media = self.operation.body_media();
        let ip = self.stage.desk.next_address();
        let mut request = Request::builder()
            .method(&self.operation.method)
            .uri(self.path(is_unknown))
            .header(HOST, "127.0.0.1:8000")
            // Whoever a request says that it is of, it is of whoever's credential it has.
            .header("x-agent-id", UNKNOWN)
            .header("x-user-id", UNKNOWN)
            .extension(ConnectInfo(SocketAddr::from((ip, 40_000))));
        if let Some(media) = media {
            let more = if media.starts_with("multipart/") {
                "; boundary=x"
            } else {
                ""
            };
            request = request.header(CONTENT_TYPE, format!("{media}{more}"));
        }
        for (name, value) in &self.scene.headers {
            request = request.header(*name, value);
        }
        let mut parameters = self.operation.parameters().iter();
        let is_versioned = parameters.any(|parameter| parameter["name"] == "If-Match");
        let is_told = self
            .scene
            .headers
            .iter()
            .any(|(name, _)| *name == "if-match");
        if is_versioned && !is_told {
            // Whatever version there is.
            request = request.header(IF_MATCH, "*");
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match self.body() {
            Some(body) => Body::from(body.to_string()),
            None => Body::from(self.scene.bytes.clone()),
        };
        request.body(body).unwrap()
    }

    pub(crate) async fn ask(&self, token: Option<&str>, is_unknown: bool) -> (u16, Value) {
        let world = self.stage.world;
        let router = world.router_of(&self.operation.path, self.scene.door);
        let response = router.oneshot(self.request(token, is_unknown)).await;
        let response = response.unwrap();
        let status = response.status().as_u16();
        let text = to_bytes(response.into_body(), 1 << 23).await.unwrap();
        (status, serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    /// Credentials that are none: nobody is let in by them.
    pub(super) async fn by_no_caller(&self, callers: &Callers, findings: &mut Findings) {
        for (caller, token) in callers.refused() {
            let (status, told) = self.ask(token, false).await;
            if status != 401 {
                let name = self.operation.name();
                findings
                    .leaks
                    .push(format!("{name}: {caller} got {status}: {told}"));
            }
            findings.note(caller, status);
        }
    }

    /// The owner of another organisation: its rows are as if they were not there.
    pub(super) async fn by_another_organisation(&self, callers: &Callers, found: &mut Findings) {
        let (status, told) = self.ask(Some(&callers.foreign), false).await;
        found.note("foreign", status);
        let name = self.operation.name();
        // The description has examples, of which one is the organisation of every laptop.
        let told_row = self.stage.world.told_row(&told);
        if let Some(row) = told_row.filter(|_| self.operation.path != "/openapi.json") {
            let is_asked_for = self.path(false).contains(row) || self.sends(row);
            if !is_asked_for || status < 400 {
                let says = format!("{name}: another organisation is told of {row}: {told}");
                found.leaks.push(says);
            }
        }
        if !self.is_closed_to_strangers() {
            return;
        }
        let (unknown_status, unknown) = self.ask(Some(&callers.foreign), true).await;
        let same = self.without_ids(&told) == self.without_ids(&unknown);
        if status < 400 || status != unknown_status || !same {
            found.leaks.push(format!(
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
        let names = self.operation.path_names();
        let values = names.iter().filter_map(|name| self.value_of(name));
        for id in values.filter(|value| is_id(value)) {
            text = text.replace(id, "ID").replace(unknown_of(id), "ID");
        }
        text
    }

    /// A role of the organisation that has every permission but the one that is needed.
    pub(super) async fn by_a_lower_role(&self, callers: &Callers, found: &mut Findings) {
        let name = self.operation.name();
        let needed = Permission::parse(self.operation.permission());
        let LowerRole { key, .. } = &callers.lower;
        let (status, told) = match needed {
            Some(_) => self.ask(Some(key), false).await,
            None if self.operation.permission() == "staff" => {
                self.ask(Some(&callers.owner), false).await
            }
            None => {
                found.line.push_str(" lower   -");
                return;
            }
        };
        found.note("lower", status);
        let is_named = needed.is_none_or(|needed| told["permission"] == needed.as_str());
        let is_dead = self.scene.has_dead_keys && status == 401;
        if !(status == 403 && is_named || is_dead) {
            let says = format!("{name}: a role without the permission got {status}: {told}");
            found.leaks.push(says);
        }
    }

    /// The key of an agent, where its role has not what is needed.
    pub(super) async fn by_an_agent(&self, callers: &Callers, found: &mut Findings) {
        let own = SystemRole::AgentExecutor.permission_set();
        let is_let_in = match Permission::parse(self.operation.permission()) {
            Some(needed) => own.contains(needed),
            None => self.operation.permission() == "signed-in",
        };
        if is_let_in {
            found.line.push_str(" agent may");
            return;
        }
        let (status, told) = self.ask(Some(&callers.agent), false).await;
        found.note("agent", status);
        let is_dead = self.scene.has_dead_keys && status == 401;
        if !(matches!(status, 403 | 404 | 422) || is_dead) {
            let name = self.operation.name();
            let says = format!("{name}: the key of an agent got {status}: {told}");
            found.leaks.push(says);
        }
    }

    /// Whoever it is meant for: they must be let in, and served.
    pub(super) async fn by_the_right_caller(&self, callers: &Callers, found: &mut Findings) {
        let permission = Permission::parse(self.operation.permission());
        // Nobody changes an organisation by a key.
        let has_key = permission.is_some_and(|needed| !needed.as_str().starts_with("org:"));
        let token = match (&self.scene.right, self.operation.permission()) {
            (RightCaller::FolderOwner, _) => Some(TOKEN.to_owned()),
            (RightCaller::Account(email), _) => Some(self.stage.token_of(email).await),
            (RightCaller::AsDescribed, "public") => None,
            (RightCaller::AsDescribed, "staff") => Some(self.stage.token_of(STAFF).await),
            (RightCaller::AsDescribed, _) if has_key => Some(callers.owner.clone()),
            (RightCaller::AsDescribed, _) => Some(self.stage.token_of(OWNER).await),
        };
        let desk = self.stage.desk;
        let log = LogBefore::read(desk, self.operation, &self.scene.right).await;
        let promised = self.operation.promised_statuses();
        let (status, told) = match promised.contains(&SWITCHED) {
            true => (self.open_line(token.as_deref()).await, Value::Null),
            false => match token.as_deref().filter(|_| self.operation.takes_keys()) {
                Some(token) => {
                    let (status, told, named) = self.ask_named(token).await;
                    found.named = Some(named);
                    (status, told)
                }
                None => self.ask(token.as_deref(), false).await,
            },
        };
        found.note("right", status);
        if let Some(log) = log {
            let (mut acts, mut wrong) = log.compare(desk, self.operation).await;
            found.acts.append(&mut acts);
            found.leaks.append(&mut wrong);
        }
        if status == 202 {
            self.wait_for_end(&told).await;
        }
        if !promised.contains(&status) {
            let (name, path) = (self.operation.name(), self.path(false));
            let body = self.body().unwrap_or_default();
            found.leaks.push(format!(
                "{name}: the right caller got {status}: {told}\n    for {path} {body}"
            ));
        }
    }

    /// Waits until what was begun is done: it writes rows of its own.
    async fn wait_for_end(&self, begun: &Value) {
        let Some(id) = begun["id"].as_str().filter(|_| begun["kind"].is_string()) else {
            return;
        };
        let (desk, token) = (self.stage.desk, self.stage.token_of(OWNER).await);
        let path = format!("/operations/{id}");
        for _ in 0..10_000 {
            let asked = desk.ask((Method::GET, &path), Some(&token), None);
            let status = asked.await.1["status"].clone();
            if status != "pending" && status != "running" {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{path} does not end");
    }

    /// The status of a line that is asked to become a socket, over a network.
    async fn open_line(&self, token: Option<&str>) -> u16 {
        let desk = self.stage.desk;
        let served = Served::new(&desk.test, &desk.accounts, self.scene.door).await;
        let request = served.request("", token);
        match tokio_tungstenite::connect_async(request).await {
            Ok((_, answer)) => answer.status().as_u16(),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn word_of(name: &str) -> Option<&'static str> {
    let mut words = WORDS.iter();
    words
        .find(|(place, _)| *place == name)
        .map(|(_, word)| *word)
}
