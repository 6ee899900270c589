//! Every operation that is not public, asked with every credential that opens nothing: none of them is served, reads a body
//! or changes a row.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request};
use futures::stream;
use serde_json::json;

use omoi_accounts::access_token::AccessClaims;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_runtime::clock::Clock as _;
use omoi_server::ApiDoor;

use crate::api::router_with;
use crate::credentials::forge_tokens;
use crate::matrix::{KeptRows, RowsOf, changed_tables};
use crate::openapi::{Described, described, description};
use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(no_operation_is_opened_by_a_bad_credential);

const ADA: &str = "ada@example.org";
/// The header that keys may come by.
const KEY_HEADER: &str = "x-api-key";
/// Fewest operations that want a credential, and fewest kinds of bad ones: a sweep over less shows nothing.
const N_OPERATIONS_MIN: usize = 180;
const N_CREDENTIALS_MIN: usize = 18;

/// Operations that the network does not have: the door of the machine refuses there instead.
const OF_LOOPBACK: [&str; 3] = [
    "GET /api/v1/trust",
    "POST /api/v1/setup",
    "POST /api/v1/trust",
];
/// What opens the door of the machine, and no other.
const FOLDER: &str = "the folder's token, from the network";

/// A credential that opens nothing, as a request bears it.
struct BadCredential {
    kind: &'static str,
    header: (&'static str, String),
}

impl BadCredential {
    fn bearer(kind: &'static str, token: &str) -> Self {
        let header = (AUTHORIZATION.as_str(), format!("Bearer {token}"));
        Self { kind, header }
    }

    /// A key, which may come by either of two headers.
    fn key(kind: &'static str, key: &str) -> [Self; 2] {
        let header = (KEY_HEADER, key.to_owned());
        [Self::bearer(kind, key), Self { kind, header }]
    }
}

/// A key for a day, with its id.
async fn key_of_a_day(desk: &SignInDesk, token: &str) -> (String, String) {
    let body = json!({ "name": "ci", "scopes": ["spec:read"], "expires_in_days": 1 });
    let route = (Method::POST, "/auth/api-keys");
    let (status, made) = desk.ask(route, Some(token), Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (text(&made["key"]), text(&made["api_key"]["id"]))
}

/// Credentials that were good once, and such that never were.
async fn bad_credentials(desk: &SignInDesk) -> Vec<BadCredential> {
    let member = [(OrgId::LOCAL, SystemRole::Owner)];
    let user = desk.add_user(ADA, &member).await;
    let first = desk.sign_in(ADA, PASSWORD).await.access_token;
    let (expired_key, _) = key_of_a_day(desk, &first).await;
    desk.test.advance_clock(24 * 3_600);
    let pair = desk.sign_in(ADA, PASSWORD).await;
    let (revoked_key, id) = key_of_a_day(desk, &pair.access_token).await;
    let ended = desk.sign_in(ADA, PASSWORD).await;
    for (method, path, token) in [
        (
            Method::DELETE,
            format!("/auth/api-keys/{id}"),
            &pair.access_token,
        ),
        (Method::POST, "/auth/logout".to_owned(), &ended.access_token),
    ] {
        let said = desk.code_of((method, &path), token, None).await;
        assert_eq!(said.0, 204, "{said:?}");
    }
    let claims = AccessClaims {
        user,
        session: pair.session_id,
        epoch: 0,
    };
    let forged = forge_tokens(desk, &claims, desk.test.clock.now());
    let task = desk.test.add_task(2, &[]).await;
    let attempts = desk.test.run_task(task.id).await.token;
    desk.test.leaves_open_attempts();
    // They are what they seem: what they were made beside opens what it should.
    for token in [&forged.good, &pair.access_token] {
        let said = desk.code_of((Method::GET, "/specs"), token, None).await;
        assert_eq!(said.0, 200, "{said:?}");
    }
    let mut bad = Vec::new();
    for (kind, token) in [
        ("an attempt's token", &attempts),
        ("a refresh token", &pair.refresh_token),
        ("a token of a session that ended", &ended.access_token),
        ("a refresh token of that session", &ended.refresh_token),
    ] {
        bad.push(BadCredential::bearer(kind, token));
    }
    bad.extend(BadCredential::key("a revoked key", &revoked_key));
    bad.extend(BadCredential::key("a key that ran out", &expired_key));
    // No row says what a forged token is: one database is enough.
    if desk.test.database_url().starts_with("sqlite:") {
        let forged = forged.bad.iter();
        bad.extend(forged.map(|(kind, token)| BadCredential::bearer(kind, token)));
        assert!(bad.len() >= N_CREDENTIALS_MIN);
    }
    bad
}

/// What `operation` answers to `bad`, with a body that never comes: nobody waits for it.
async fn ask_with(desk: &SignInDesk, operation: &Described, bad: &BadCredential) -> (u16, String) {
    let (name, value) = &bad.header;
    let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::builder()
        .method(&operation.method)
        .uri(operation.asked("SPEC-1", "TSK-001"))
        .header(HOST, "127.0.0.1:8000")
        .header(CONTENT_TYPE, "application/json")
        .header(*name, value)
        .extension(ConnectInfo(SocketAddr::from((desk.next_address(), 40_000))));
    let (status, told) = desk.send(request.body(never).unwrap()).await;
    let code = told["error"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

/// Asks all of `operations` with all of `bad`, and gives what was answered otherwise than by a refusal of the credential.
async fn opened_by(
    desk: &SignInDesk,
    operations: &[&Described],
    bad: &[BadCredential],
) -> Vec<String> {
    let mut opened = Vec::new();
    for operation in operations {
        for bad in bad {
            let said = ask_with(desk, operation, bad).await;
            if said != (401, "unauthenticated".to_owned()) {
                opened.push(format!("{} by {}: {said:?}", operation.name(), bad.kind));
            }
        }
    }
    opened
}

async fn no_operation_is_opened_by_a_bad_credential(mut desk: SignInDesk) {
    desk.test.add_task(1, &[]).await;
    let bad = bad_credentials(&desk).await;
    let mut operations = described(&description());
    operations.retain(|operation| operation.permission() != "public");
    assert!(operations.len() >= N_OPERATIONS_MIN);
    let mut rows = KeptRows::copy_all(desk.test.database_url()).await;
    let before = rows.read_digests().await;
    let head = desk.events_head().await;
    let (of_loopback, of_network): (Vec<&Described>, Vec<&Described>) = operations
        .iter()
        .partition(|operation| OF_LOOPBACK.contains(&operation.name().as_str()));
    assert_eq!(of_loopback.len(), OF_LOOPBACK.len());
    let mut opened = opened_by(&desk, &of_network, &bad).await;
    let accounts = desk.accounts.clone();
    desk.router = router_with(&desk.test, accounts, ApiDoor::Loopback);
    let mut bad = bad;
    bad.retain(|bad| bad.kind != FOLDER);
    opened.append(&mut opened_by(&desk, &of_loopback, &bad).await);
    assert!(opened.is_empty(), "{}", opened.join("\n"));
    let after = rows.read_digests().await;
    let changed = changed_tables(&before, &after, RowsOf::Everybody);
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(desk.events_head().await, head);
}
