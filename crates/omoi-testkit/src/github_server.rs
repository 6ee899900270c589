//! GitHub's sign-in after its documented API: the web application flow with PKCE, the user and the addresses.
//!
//! As GitHub does, it refuses codes with status 200, wants a `User-Agent`, and answers a form where no JSON is asked for.

#![expect(clippy::unwrap_used, reason = "a test fails where its server does")]

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, LOCATION, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use url::form_urlencoded;

/// The client that the server knows.
pub const CLIENT_ID: &str = "Iv1.omoi-test";
/// Its secret.
pub const CLIENT_SECRET: &str = "github-client-secret";

/// An account of the server.
#[derive(Clone, Debug)]
pub struct GithubAccount {
    /// The number that never changes.
    pub id: u64,
    /// The name in addresses of pages.
    pub login: String,
    /// The name that the person shows, if any.
    pub name: Option<String>,
    /// Addresses, each with whether it is the primary one and whether it is verified.
    pub addresses: Vec<GithubEmail>,
}

/// An address of an account.
#[derive(Clone, Debug)]
pub struct GithubEmail {
    /// The address.
    pub email: String,
    /// Whether GitHub writes to it.
    pub primary: bool,
    /// Whether the person has shown that it is theirs.
    pub verified: bool,
}

/// A server that lives as long as the test's process.
#[derive(Clone, Debug)]
pub struct GithubServer {
    /// Its root.
    pub url: String,
    state: Arc<Mutex<GithubState>>,
}

#[derive(Debug, Default)]
struct GithubState {
    accounts: BTreeMap<String, GithubAccount>,
    /// What each code was given out for; a code that was used is gone.
    codes: HashMap<String, GithubGrant>,
    /// Whom each token is of, and what it may read.
    tokens: HashMap<String, GithubGrant>,
    n_codes: u32,
}

#[derive(Clone, Debug)]
struct GithubGrant {
    login: String,
    challenge: String,
    callback: String,
    scopes: String,
}

type Shared = State<Arc<Mutex<GithubState>>>;

impl GithubServer {
    /// Starts one on a free port, with these accounts.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(accounts: Vec<GithubAccount>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let named = accounts.into_iter().map(|one| (one.login.clone(), one));
        let state = Arc::new(Mutex::new(GithubState {
            accounts: named.collect(),
            ..GithubState::default()
        }));
        let router = Router::new()
            .route("/login/oauth/authorize", get(authorize))
            .route("/login/oauth/access_token", post(exchange_code))
            .route("/user", get(read_user))
            .route("/user/emails", get(list_addresses))
            .with_state(Arc::clone(&state));
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { url, state }
    }

    /// Tokens that it gave out and that still work.
    ///
    /// # Panics
    /// When a handler of the server panicked.
    pub fn n_tokens(&self) -> usize {
        self.state.lock().unwrap().tokens.len()
    }
}

fn pairs(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// The page of consent. The parameter `account`, which a test adds, is the person's click: the login, or nothing for
/// somebody who declines.
async fn authorize(State(state): Shared, RawQuery(query): RawQuery) -> Response {
    let query = pairs(&query.unwrap_or_default());
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    if of("client_id") != CLIENT_ID || of("code_challenge_method") != "S256" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut state = state.lock().unwrap();
    let mut back = vec![("state", of("state"))];
    if state.accounts.contains_key(&of("account")) {
        state.n_codes += 1;
        let code = format!("code{:016}", state.n_codes);
        let grant = GithubGrant {
            login: of("account"),
            challenge: of("code_challenge"),
            callback: of("redirect_uri"),
            scopes: of("scope"),
        };
        state.codes.insert(code.clone(), grant);
        back.push(("code", code));
    } else {
        back.push(("error", "access_denied".to_owned()));
    }
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(back)
        .finish();
    let location = format!("{}?{query}", of("redirect_uri"));
    (StatusCode::FOUND, [(LOCATION, location)]).into_response()
}

async fn exchange_code(State(state): Shared, headers: HeaderMap, body: String) -> Response {
    let body = pairs(&body);
    let of = |name: &str| body.get(name).map_or("", String::as_str);
    let mut state = state.lock().unwrap();
    let wants_json = headers
        .get(ACCEPT)
        .is_some_and(|kind| kind == "application/json");
    if !wants_json {
        return "access_token=&scope=&token_type=bearer".into_response();
    }
    if (of("client_id"), of("client_secret")) != (CLIENT_ID, CLIENT_SECRET) {
        return refuse("incorrect_client_credentials");
    }
    let Some(grant) = state.codes.remove(of("code")) else {
        return refuse("bad_verification_code");
    };
    if grant.callback != of("redirect_uri") {
        return refuse("redirect_uri_mismatch");
    }
    if pkce_challenge(of("code_verifier")) != grant.challenge {
        return refuse("bad_verification_code");
    }
    let token = format!("gho_{}", of("code"));
    let scope = grant.scopes.replace(' ', ",");
    state.tokens.insert(token.clone(), grant);
    json_answer(&json!({"access_token": token, "scope": scope, "token_type": "bearer"}))
}

fn refuse(error: &str) -> Response {
    json_answer(&json!({
        "error": error,
        "error_description": "as documented",
        "error_uri": "https://docs.github.com",
    }))
}

fn json_answer(value: &Value) -> Response {
    (
        [("content-type", "application/json; charset=utf-8")],
        value.to_string(),
    )
        .into_response()
}

fn pkce_challenge(verifier: &str) -> String {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use sha2::{Digest as _, Sha256};
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The account behind the token, when it may read what `scope` names.
fn account_of(
    state: &GithubState,
    headers: &HeaderMap,
    scope: &str,
) -> Result<GithubAccount, StatusCode> {
    if !headers.contains_key(USER_AGENT) {
        return Err(StatusCode::FORBIDDEN);
    }
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|text| text.to_str().ok());
    let token = bearer.and_then(|text| text.strip_prefix("Bearer "));
    let grant = token.and_then(|token| state.tokens.get(token));
    let grant = grant.ok_or(StatusCode::UNAUTHORIZED)?;
    if !grant.scopes.split(' ').any(|granted| granted == scope) {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(state.accounts[&grant.login].clone())
}

async fn read_user(State(state): Shared, headers: HeaderMap) -> Response {
    match account_of(&state.lock().unwrap(), &headers, "read:user") {
        Err(status) => status.into_response(),
        // The address of the public profile is not a verified one.
        Ok(account) => json_answer(&json!({
            "id": account.id,
            "login": account.login,
            "name": account.name,
            "email": "public@example.org",
            "type": "User",
        })),
    }
}

async fn list_addresses(State(state): Shared, headers: HeaderMap) -> Response {
    match account_of(&state.lock().unwrap(), &headers, "user:email") {
        Err(status) => status.into_response(),
        Ok(account) => {
            let addresses = account.addresses.iter().map(|address| {
                json!({
                    "email": address.email,
                    "primary": address.primary,
                    "verified": address.verified,
                    "visibility": null,
                })
            });
            json_answer(&Value::Array(addresses.collect()))
        }
    }
}
