//! What single operations need beside the rows of the world, so that the right caller succeeds with their example.
//!
//! A new operation needs nothing here where its path and body name rows of the world, and its example holds for them as they
//! are. One that needs more, such as a task that failed, gets an arm in [`set_scene`].

mod account_scenes;
mod plan_scenes;
mod work_scenes;

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, ETAG};
use axum::http::{Method, Request};
use omoi_server::ApiDoor;
use omoi_testkit::raw_connection::RawConnection;
use serde_json::Value;
use tower::ServiceExt as _;

use super::world::MatrixWorld;
use crate::sign_in_desk::{PASSWORD, SignInDesk};

/// Who an operation is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RightCaller {
    /// Whoever its permission says: the owner, staff, or nobody in particular.
    AsDescribed,
    /// Whoever has the token of the data folder.
    FolderOwner,
    /// The account of this address.
    Account(&'static str),
}

/// How an operation is asked, by everybody.
pub(super) struct Scene {
    /// Values of parameters and fields of bodies, by their names, in place of those of the world. A parameter of a query that
    /// may be left out is sent where it has one.
    values: BTreeMap<&'static str, String>,
    pub(super) right: RightCaller,
    pub(super) door: ApiDoor,
    pub(super) headers: Vec<(&'static str, String)>,
    /// What is sent where the body is bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether no key of the organisation is good any more.
    pub(super) has_dead_keys: bool,
}

impl Scene {
    pub(super) fn plain() -> Self {
        Self {
            values: BTreeMap::new(),
            right: RightCaller::AsDescribed,
            door: ApiDoor::Network,
            headers: Vec::new(),
            bytes: Vec::new(),
            has_dead_keys: false,
        }
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.insert(name, value.to_string());
        self
    }

    fn asked_by(mut self, email: &'static str) -> Self {
        self.right = RightCaller::Account(email);
        self
    }

    fn asked_in_folder(mut self) -> Self {
        (self.right, self.door) = (RightCaller::FolderOwner, ApiDoor::Folder);
        self
    }

    fn meant_for(mut self, version: impl Into<String>) -> Self {
        self.headers.push(("if-match", version.into()));
        self
    }

    /// The value of `name` in this scene alone.
    pub(super) fn own_value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// The deployment of a matrix while its scenes are set.
pub(super) struct Stage<'a> {
    pub(super) desk: &'a SignInDesk,
    pub(super) world: &'a MatrixWorld,
}

/// What the operation called `id` needs, below a path with these `names`.
pub(super) async fn set_scene(stage: &Stage<'_>, id: &str, names: &[String]) -> Scene {
    let account = account_scenes::set_scene(stage, id).await;
    let plan = match account {
        Some(scene) => return scene,
        None => plan_scenes::set_scene(stage, id, names).await,
    };
    match plan {
        Some(scene) => scene,
        None => work_scenes::set_scene(stage, id).await,
    }
}

impl Stage<'_> {
    /// The answer to the owner, who must be let in.
    async fn ask_as_owner(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let token = self.token_of(super::world::OWNER).await;
        self.ask_as(&token, (method, path), body).await
    }

    /// The answer to whoever has `token`, who must be let in.
    async fn ask_as(&self, token: &str, route: (Method, &str), body: Option<Value>) -> Value {
        let path = route.1.to_owned();
        let (status, told) = self.desk.ask(route, Some(token), body).await;
        assert!((200..300).contains(&status), "{path}: {status} {told}");
        told
    }

    /// The `ETag` of what the owner reads at `path`.
    async fn etag_of(&self, path: &str) -> String {
        let bearer = format!("Bearer {}", self.token_of(super::world::OWNER).await);
        let request = Request::get(format!("/api/v1{path}")).header(AUTHORIZATION, bearer);
        let request = request.body(Body::empty()).unwrap();
        let response = self.desk.router.clone().oneshot(request).await.unwrap();
        response.headers()[ETAG].to_str().unwrap().to_owned()
    }

    /// An access token of the account of `email`.
    pub(super) async fn token_of(&self, email: &str) -> String {
        self.desk.sign_in(email, PASSWORD).await.access_token
    }

    /// Changes rows past the commands that guard them, where a test cannot wait for what brings them there.
    async fn write_rows(&self, sql: &str) {
        let url = self.desk.test.database_url();
        let mut conn = RawConnection::open(url).await.unwrap();
        conn.execute(sql).await.unwrap();
        conn.close().await.unwrap();
    }
}

/// The id in an answer.
fn id_of(told: &Value) -> String {
    told["id"].as_str().unwrap().to_owned()
}
