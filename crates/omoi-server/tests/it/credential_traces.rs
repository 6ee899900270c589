//! Credentials after they were used: none of ours, of a provider or of a mail stands in a row of the database, a line of the
//! log or the text of a refusal.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use omoi_accounts::commands::browser_session::keep_session;
use omoi_accounts::providers::SignInProviders;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_integrations::oauth::github::{GithubAddresses, GithubSignIn};
use omoi_integrations::oauth::{OAuthClient, SignInProvider};
use omoi_protocol::api::TokenPair;
use omoi_server::ApiDoor;
use omoi_server::worker::WorkerSurface;
use omoi_testkit::github_server::{
    CLIENT_ID, CLIENT_SECRET, GithubAccount, GithubEmail, GithubServer,
};
use omoi_testkit::kept_log::{keep_log, new_lines};
use omoi_testkit::raw_connection::RawConnection;

use crate::api::router_of_providers;
use crate::oauth::{come_back, exchange_code, send_there};
use crate::sign_in_desk::{PASSWORD, SignInDesk, UNKNOWN};

both!(no_credential_stands_where_it_was_used);

const ADA: &str = "ada@example.org";
const NEW: &str = "new@example.org";
const HOME: &str = "https://omoi.example.org";
/// How credentials begin, ours and those of the provider, by which they are found also where nobody knows them.
const BEGINNINGS: [&str; 6] = [
    "omr_",
    "sk_live_",
    "sk_agent_",
    "gho_",
    "eyJhbGci",
    "eyJ0eXAi",
];
/// Characters behind one of them that make a credential: of keys twelve are shown to tell them apart.
const CREDENTIAL_CHARS_MIN: usize = 16;

/// What was used, and what was told of it.
struct UsedCredentials {
    desk: SignInDesk,
    github: GithubServer,
    workers: Router,
    /// Each with what it is.
    texts: Vec<(&'static str, String)>,
    refusals: Vec<String>,
}

fn github_sign_in(server: &GithubServer) -> SignInProviders {
    let client = OAuthClient {
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned().into(),
        callback: format!("{HOME}/api/v1/auth/oauth/github/callback"),
    };
    let addresses = GithubAddresses {
        authorize: format!("{}/login/oauth/authorize", server.url),
        token: format!("{}/login/oauth/access_token", server.url),
        api: server.url.clone(),
    };
    let github: Arc<dyn SignInProvider> = Arc::new(GithubSignIn::new(&client, &addresses).unwrap());
    let by_name = BTreeMap::from([(IdentityProvider::GitHub, github)]);
    SignInProviders::new(by_name, vec![HOME.to_owned()])
}

/// The value of a parameter of the address that the provider sends a browser to.
async fn code_of_click(consent: &str) -> String {
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let answer = browser.get(format!("{consent}&account=ada")).send().await;
    let answer = answer.unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    let (_, after) = location.split_once("code=").unwrap();
    after.split('&').next().unwrap().to_owned()
}

impl UsedCredentials {
    fn new(mut desk: SignInDesk) -> Self {
        let github = GithubServer::start(vec![GithubAccount {
            id: 583_231,
            login: "ada".to_owned(),
            name: None,
            addresses: vec![GithubEmail {
                email: ADA.to_owned(),
                primary: true,
                verified: true,
            }],
        }]);
        let providers = github_sign_in(&github);
        let accounts = desk.accounts.clone();
        desk.router = router_of_providers(&desk.test, accounts, providers, ApiDoor::Network);
        let workers = omoi_server::worker::router(WorkerSurface {
            egress: None,
            parts: desk.test.build_part(),
            gateway: Err("set SOME_KEY".to_owned()),
        });
        let secret = (
            "the secret of a provider's client",
            CLIENT_SECRET.to_owned(),
        );
        Self {
            desk,
            github,
            workers,
            texts: vec![secret, ("a password", PASSWORD.to_owned())],
            refusals: Vec::new(),
        }
    }

    fn note(&mut self, what: &'static str, text: impl Into<String>) {
        self.texts.push((what, text.into()));
    }

    fn note_pair(&mut self, pair: &TokenPair) {
        self.note("an access token", &pair.access_token);
        self.note("a refresh token", &pair.refresh_token);
    }

    /// Asks; what a refusal says is kept.
    async fn ask(
        &mut self,
        route: (Method, &str),
        token: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let (status, told) = self.desk.ask(route, token, body).await;
        if status >= 400 {
            self.refusals.push(told.to_string());
        }
        (status, told)
    }

    /// Signs in by password and by the provider, and goes on with each.
    async fn sign_in(&mut self) -> TokenPair {
        let pair = self.desk.sign_in(ADA, PASSWORD).await;
        self.note_pair(&pair);
        let refresh = json!({ "refresh_token": pair.refresh_token });
        let (_, next) = self
            .ask((Method::POST, "/auth/refresh"), None, Some(refresh))
            .await;
        let pair: TokenPair = serde_json::from_value(next).unwrap();
        self.note_pair(&pair);
        let connect = (Method::POST, "/auth/oauth/github/connect?return_to=/here");
        let url = (Method::GET, "/auth/oauth/github/url?return_to=/here");
        for (route, token) in [(connect, Some(pair.access_token.as_str())), (url, None)] {
            let sent = send_there(&self.desk, route, token).await;
            let code = code_of_click(&sent.consent).await;
            let (status, location) = come_back(&self.desk, &sent, &code, &sent.cookie).await;
            assert_eq!(status, 303, "{location}");
            self.note("a provider's token", format!("gho_{code}"));
            self.note("a provider's code", code);
            self.note("a state", &sent.state);
            self.note("a cookie of a way", sent.cookie.split_once('=').unwrap().1);
            let Some(code) = location.strip_prefix("/here#code=") else {
                continue;
            };
            let (status, told) = exchange_code(&self.desk, code, &sent.cookie).await;
            assert_eq!(status, 200, "{told}");
            self.note_pair(&serde_json::from_value(told).unwrap());
            self.note("a code of a way", code);
            let (_, again) = exchange_code(&self.desk, code, &sent.cookie).await;
            self.refusals.push(again.to_string());
        }
        assert_eq!(self.github.n_tokens(), 2);
        pair
    }

    /// Makes keys, tickets, a cookie and links of mails, and uses them.
    async fn make_others(&mut self, pair: &TokenPair) {
        let token = Some(pair.access_token.as_str());
        let organization = format!("/organizations/{}/api-keys", OrgId::LOCAL);
        let project = self.desk.test.spec.project_id;
        let scopes = json!(["spec:read"]);
        for (path, body) in [
            ("/auth/api-keys", json!({ "name": "ci", "scopes": scopes })),
            (
                organization.as_str(),
                json!({ "name": "ci", "scopes": scopes, "role_id": SystemRole::Member.role_id() }),
            ),
            (
                organization.as_str(),
                json!({ "name": "agent", "scopes": scopes, "project_id": project }),
            ),
        ] {
            let (status, told) = self.ask((Method::POST, path), token, Some(body)).await;
            assert_eq!(status, 201, "{path}: {told}");
            let key = told["key"].as_str().unwrap().to_owned();
            let list = format!("/specs?project_id={project}");
            let said = self.ask((Method::GET, &list), Some(&key), None).await;
            assert_eq!(said.0, 200, "{}", said.1);
            self.note("a key", key);
        }
        let (_, told) = self
            .ask((Method::POST, "/auth/ws-ticket"), token, None)
            .await;
        self.note("a ticket", told["ticket"].as_str().unwrap());
        let kept = keep_session(&self.desk.accounts, pair.session_id).await;
        self.note("a cookie", kept.unwrap().cookie.expose_secret());
        let register = json!({ "email": NEW, "password": PASSWORD });
        let forgot = json!({ "email": NEW });
        for (path, body) in [
            ("/auth/register", register),
            ("/auth/forgot-password", forgot),
        ] {
            let said = self.ask((Method::POST, path), None, Some(body)).await;
            assert_eq!(said.0, 202, "{}", said.1);
            let mailed = self.desk.mailed_token(NEW).await;
            self.note("a token of a mail", mailed);
        }
    }

    /// Reports of a sandbox, by its token.
    async fn report(&mut self) {
        let task = self.desk.test.add_task(1, &[]).await;
        let live = self.desk.test.run_task(task.id).await;
        self.desk.test.leaves_open_attempts();
        let alive = json!({ "sequence_number": 1, "status": "running" });
        let events = json!({ "events": [{
            "event_id": UNKNOWN, "event_type": "agent.tool_result", "event_data": { "tool": "shell" }, "summary": "cargo test",
        }] });
        for (route, body) in [
            ("/heartbeat", alive),
            ("/events", events),
            ("/done", json!({ "unknown": 1 })),
            ("/events", json!({ "unknown": 1 })),
        ] {
            let path = format!("/api/v1/sandboxes/{}{route}", live.attempt.id);
            let asked = (&Method::POST, path.as_str());
            let body = Body::from(body.to_string());
            let said = crate::ask::ask(&self.workers, asked, Some(&live.token), body).await;
            self.refusals.push(said.1);
        }
        self.note("an attempt's token", live.token);
    }

    /// Gives each of them where another is wanted.
    async fn use_wrongly(&mut self) {
        for (_, text) in self.texts.clone() {
            let in_query = format!("/ws/events?token={text}");
            for (route, body) in [
                ((Method::GET, "/specs"), None),
                ((Method::GET, in_query.as_str()), None),
                (
                    (Method::POST, "/auth/refresh"),
                    Some(json!({ "refresh_token": text })),
                ),
                (
                    (Method::POST, "/auth/verify-email"),
                    Some(json!({ "token": text })),
                ),
                (
                    (Method::POST, "/auth/login"),
                    Some(json!({ "email": "nobody@example.org", "password": text })),
                ),
            ] {
                let request = Request::builder()
                    .method(route.0)
                    .uri(format!("/api/v1{}", route.1))
                    .header(HOST, "127.0.0.1:8000")
                    .header(CONTENT_TYPE, "application/json")
                    .header(AUTHORIZATION, format!("Bearer {text}x"))
                    .extension(ConnectInfo(SocketAddr::from((
                        self.desk.next_address(),
                        40_000,
                    ))));
                let body = body.map_or_else(Body::empty, |body: Value| body.to_string().into());
                let (status, told) = self.desk.send(request.body(body).unwrap()).await;
                if status >= 400 {
                    self.refusals.push(told.to_string());
                }
            }
        }
    }

    /// The credentials that stand in `text`, as they are or encoded, and where.
    fn found_in(&self, place: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let digits = text.to_ascii_lowercase();
        for (what, secret) in &self.texts {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            // Without the characters that depend on what follows.
            let encoded = STANDARD_NO_PAD.encode(&secret.as_bytes()[..secret.len() / 3 * 3]);
            if text.contains(secret) || digits.contains(&hex) || text.contains(&encoded) {
                found.push(format!("{what} in {place}"));
            }
        }
        let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        for begin in BEGINNINGS {
            for (at, _) in text.match_indices(begin) {
                let after = text[at + begin.len()..].bytes();
                let length = after.take_while(|byte| is_of_token(*byte)).count();
                if length >= CREDENTIAL_CHARS_MIN {
                    found.push(format!("`{begin}…` in {place}"));
                }
            }
        }
        found
    }
}

async fn no_credential_stands_where_it_was_used(desk: SignInDesk) {
    let folder = tempfile::tempdir().unwrap();
    let mut log = keep_log(folder.path(), "trace");
    desk.add_user(ADA, &[(OrgId::LOCAL, SystemRole::Owner)])
        .await;
    let mut used = UsedCredentials::new(desk);
    let pair = used.sign_in().await;
    used.make_others(&pair).await;
    used.report().await;
    used.use_wrongly().await;
    assert!(used.texts.len() > 20, "{}", used.texts.len());

    let url = used.desk.test.database_url();
    let mut database = RawConnection::open(url).await.unwrap();
    let dump = database.dump_rows().await.unwrap();
    database.close().await.unwrap();
    let lines = new_lines(&mut log);
    let logged = serde_json::to_string(&lines).unwrap();
    // It was looked at what there is.
    assert!(dump.contains(ADA) && dump.contains("login_success"));
    assert!(logged.contains("/api/v1/auth/refresh") && logged.contains("/heartbeat"));
    assert!(used.refusals.len() > 100);
    let mut found = Vec::new();
    for (place, text) in [
        ("a row", &dump),
        ("the log", &logged),
        ("a refusal", &used.refusals.join("\n")),
    ] {
        found.extend(used.found_in(place, text));
    }
    assert!(found.is_empty(), "{found:#?}");
    // They would be seen.
    for (what, text) in &used.texts {
        let mut hex = String::from("X'");
        hex.extend(text.bytes().map(|byte| format!("{byte:02X}")));
        let seen = [text, &hex].map(|text| used.found_in("its own text", text));
        assert!(seen.iter().all(|seen| !seen.is_empty()), "{what}");
    }
}
