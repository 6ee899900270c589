//! Sessions, passwords and keys of one's own, over HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::RETRY_AFTER;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_protocol::api::TokenPair;

use crate::sign_in_desk::{PASSWORD, SignInDesk, UNKNOWN, refused};

both!(
    a_session_is_shown_renewed_and_ended,
    a_password_is_changed_by_whoever_knows_it,
    a_key_is_made_used_and_revoked,
    a_link_is_followed_once_and_for_its_purpose,
    the_sixth_sign_in_of_a_minute_is_told_to_wait,
);

const ADA: &str = "ada@example.org";
const MEMBER: [(OrgId, SystemRole); 1] = [(OrgId::LOCAL, SystemRole::Member)];
const SPECS: (Method, &str) = (Method::GET, "/specs");
const SESSIONS: (Method, &str) = (Method::GET, "/auth/sessions");
const KEYS: &str = "/auth/api-keys";

/// Whether a token opens what a member sees.
async fn is_let_in(desk: &SignInDesk, token: &str) -> bool {
    match desk.code_of(SPECS, token, None).await {
        (200, _) => true,
        said => {
            assert_eq!(said, refused(401, "unauthenticated"));
            false
        }
    }
}

async fn refresh(desk: &SignInDesk, token: &str) -> Result<TokenPair, (u16, String)> {
    let body = json!({ "refresh_token": token });
    let (status, told) = desk
        .ask((Method::POST, "/auth/refresh"), None, Some(body))
        .await;
    match status {
        200 => Ok(serde_json::from_value(told).unwrap()),
        _ => Err((status, told["error"].as_str().unwrap().to_owned())),
    }
}

async fn a_session_is_shown_renewed_and_ended(desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    desk.add_user("eve@example.org", &MEMBER).await;
    let eve = desk.sign_in("eve@example.org", PASSWORD).await;
    let (one, two) = (
        desk.sign_in(ADA, PASSWORD).await,
        desk.sign_in(ADA, PASSWORD).await,
    );
    assert_eq!((one.token_type.as_str(), one.expires_in), ("bearer", 900));
    let (status, told) = desk.ask(SESSIONS, Some(&one.access_token), None).await;
    let items = told["items"].as_array().unwrap();
    let current: Vec<&Value> = items
        .iter()
        .filter(|item| item["current"] == true)
        .collect();
    assert_eq!((status, items.len(), current.len()), (200, 2, 1), "{told}");
    assert_eq!(current[0]["id"], json!(one.session_id), "{told}");
    // A session is nobody else's to end.
    let path = format!("/auth/sessions/{}", two.session_id);
    let end = (Method::DELETE, path.as_str());
    let said = desk.code_of(end.clone(), &eve.access_token, None).await;
    assert_eq!(said, refused(404, "not_found"));
    let said = desk.code_of(end.clone(), &one.access_token, None).await;
    assert_eq!(said.0, 204, "{said:?}");
    assert!(!is_let_in(&desk, &two.access_token).await);
    let said = desk.code_of(end, &one.access_token, None).await;
    assert_eq!(said, refused(404, "not_found"));
    let ended = refresh(&desk, &two.refresh_token).await;
    assert_eq!(ended.unwrap_err(), refused(401, "unauthenticated"));
    // A refresh goes on, twice at once to the same successor; ten seconds later the token is a copy.
    let next = refresh(&desk, &one.refresh_token).await.unwrap();
    assert_ne!(next.refresh_token, one.refresh_token);
    let same = refresh(&desk, &one.refresh_token).await.unwrap();
    assert_eq!(same.refresh_token, next.refresh_token);
    assert!(is_let_in(&desk, &next.access_token).await);
    desk.test.advance_clock(10);
    let copy = refresh(&desk, &one.refresh_token).await;
    assert_eq!(copy.unwrap_err(), refused(401, "token_reused"));
    assert!(!is_let_in(&desk, &next.access_token).await);
    let three = desk.sign_in(ADA, PASSWORD).await;
    let all = (Method::POST, "/auth/logout-all");
    let said = desk.code_of(all, &three.access_token, None).await;
    assert_eq!(said.0, 204, "{said:?}");
    assert!(!is_let_in(&desk, &three.access_token).await);
    assert!(is_let_in(&desk, &eve.access_token).await);
    // An access token ends by itself, and its session goes on.
    desk.test.advance_clock(16 * 60);
    assert!(!is_let_in(&desk, &eve.access_token).await);
    let next = refresh(&desk, &eve.refresh_token).await.unwrap();
    assert!(is_let_in(&desk, &next.access_token).await);
}

async fn a_password_is_changed_by_whoever_knows_it(desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    let pair = desk.sign_in(ADA, PASSWORD).await;
    let change = async |old: &str, new: &str| {
        let body = json!({ "current_password": old, "new_password": new });
        let route = (Method::POST, "/auth/change-password");
        desk.ask(route, Some(&pair.access_token), Some(body)).await
    };
    let (status, told) = change("Opal-Harbour-8", "Basalt-Meadow-4").await;
    assert_eq!(
        (status, &told["error"]),
        (401, &json!("invalid_credentials"))
    );
    let (status, told) = change(PASSWORD, "short").await;
    assert_eq!((status, &told["error"]), (422, &json!("validation_failed")));
    let fields = told["fields"].as_array().unwrap();
    assert!(
        fields.len() > 2 && fields.iter().all(|field| field["path"] == "/new_password"),
        "{told}"
    );
    let (status, told) = change(PASSWORD, "Basalt-Meadow-4").await;
    assert_eq!(status, 200, "{told}");
    let next: TokenPair = serde_json::from_value(told).unwrap();
    assert!(!is_let_in(&desk, &pair.access_token).await);
    assert!(is_let_in(&desk, &next.access_token).await);
    // Five failures lock the account to that network and to no other.
    let home = Ipv4Addr::new(203, 0, 113, 1);
    let try_from = async |ip: Ipv4Addr, password: &str| {
        let body = json!({ "email": ADA, "password": password });
        let route = (Method::POST, "/auth/login");
        desk.ask_from(ip, route, None, Some(body)).await
    };
    for _ in 0..5 {
        let (status, told) = try_from(home, PASSWORD).await;
        assert_eq!(
            (status, &told["error"]),
            (401, &json!("invalid_credentials"))
        );
    }
    let (status, told) = try_from(home, "Basalt-Meadow-4").await;
    assert_eq!((status, &told["error"]), (423, &json!("account_locked")));
    assert_eq!(told["retry_after"], 15 * 60, "{told}");
    let abroad = Ipv4Addr::new(192, 0, 2, 77);
    assert_eq!(try_from(abroad, "Basalt-Meadow-4").await.0, 200);
    for (body, field) in [
        (json!({ "email": ADA }), ""),
        (json!({ "email": ADA, "password": 7 }), "/password"),
        (
            json!({ "email": ADA, "password": PASSWORD, "is_super_admin": true }),
            "/is_super_admin",
        ),
    ] {
        let route = (Method::POST, "/auth/login");
        let (status, told) = desk.ask(route, None, Some(body)).await;
        assert_eq!(
            (status, &told["fields"][0]["path"]),
            (422, &json!(field)),
            "{told}"
        );
    }
}

async fn a_key_is_made_used_and_revoked(desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    let task = desk.test.add_task(1, &[]).await.id;
    let ada = desk.sign_in(ADA, PASSWORD).await.access_token;
    let body = json!({ "name": "ci", "scopes": ["spec:read"], "expires_in_days": 1 });
    let (status, told) = create_key(&desk, &ada, body.clone()).await;
    assert_eq!(status, 201, "{told}");
    let key = told["key"].as_str().unwrap().to_owned();
    assert_eq!(told["api_key"]["key_prefix"], key[..12], "{told}");
    let cancel = format!("/tasks/{task}/cancel");
    for (route, want) in [
        (SPECS, refused(200, "")),
        (
            (Method::POST, cancel.as_str()),
            refused(403, "insufficient_scope"),
        ),
        ((Method::GET, "/auth/me"), refused(200, "")),
        // No key makes keys or ends sessions.
        ((Method::POST, KEYS), refused(403, "insufficient_scope")),
        (SESSIONS, refused(403, "insufficient_scope")),
        (
            (Method::POST, "/auth/logout-all"),
            refused(403, "insufficient_scope"),
        ),
    ] {
        let said = desk.code_of(route.clone(), &key, Some(body.clone())).await;
        assert_eq!(said, want, "{route:?}");
    }
    keys_beyond_their_owner_are_refused(&desk, &ada).await;
    let (_, told) = desk.ask((Method::GET, KEYS), Some(&ada), None).await;
    let items = told["items"].as_array().unwrap();
    assert!(
        items.len() == 1 && items[0]["last_used_at"].is_string(),
        "{told}"
    );
    assert!(!told.to_string().contains(&key), "a key is told once");
    let path = format!("{KEYS}/{}", items[0]["id"].as_str().unwrap());
    let revoke = (Method::DELETE, path.as_str());
    // A key revokes itself, and no other.
    let (status, other) = create_key(&desk, &ada, json!({ "name": "laptop" })).await;
    assert_eq!(status, 201, "{other}");
    let other = other["key"].as_str().unwrap();
    let said = desk.code_of(revoke.clone(), other, None).await;
    assert_eq!(said, refused(403, "forbidden"));
    let said = desk.code_of(revoke.clone(), &key, None).await;
    assert_eq!(said.0, 204, "{said:?}");
    assert!(!is_let_in(&desk, &key).await);
    let said = desk.code_of(revoke, &ada, None).await;
    assert_eq!(said, refused(404, "not_found"));
    a_key_of_a_day_ends(&desk, &ada).await;
}

async fn create_key(desk: &SignInDesk, token: &str, body: Value) -> (u16, Value) {
    desk.ask((Method::POST, KEYS), Some(token), Some(body))
        .await
}

async fn keys_beyond_their_owner_are_refused(desk: &SignInDesk, ada: &str) {
    for (body, want) in [
        (
            json!({ "name": "x", "scopes": ["org:write"] }),
            (403, "privilege_escalation"),
        ),
        (
            json!({ "name": "x", "scopes": ["*:*"] }),
            (403, "privilege_escalation"),
        ),
        (
            json!({ "name": "x", "scopes": ["made:up"] }),
            (422, "validation_failed"),
        ),
        (
            json!({ "name": "x", "expires_in_days": 366 }),
            (422, "validation_failed"),
        ),
        (json!({ "name": "" }), (422, "validation_failed")),
        (
            json!({ "name": "x", "organization_id": UNKNOWN }),
            (404, "not_found"),
        ),
        (
            json!({ "name": "x", "role_id": UNKNOWN }),
            (422, "unknown_field"),
        ),
    ] {
        let (status, told) = create_key(desk, ada, body.clone()).await;
        let code = told["error"].as_str().unwrap_or_default();
        assert_eq!((status, code), want, "{body}");
    }
}

/// A key with everything needs a password given lately, and one that ran out opens nothing.
async fn a_key_of_a_day_ends(desk: &SignInDesk, ada: &str) {
    let (_, told) = create_key(desk, ada, json!({ "name": "day", "expires_in_days": 1 })).await;
    let day = told["key"].as_str().unwrap().to_owned();
    assert!(is_let_in(desk, &day).await);
    desk.test.advance_clock(11 * 60);
    let (status, told) = create_key(desk, ada, json!({ "name": "x", "scopes": ["*:*"] })).await;
    assert_eq!((status, &told["error"]), (403, &json!("reauth_required")));
    desk.test.advance_clock(24 * 3_600);
    assert!(!is_let_in(desk, &day).await);
}

async fn a_link_is_followed_once_and_for_its_purpose(desk: SignInDesk) {
    let registration = json!({ "email": ADA, "password": PASSWORD });
    let (status, _) = desk
        .ask((Method::POST, "/auth/register"), None, Some(registration))
        .await;
    assert_eq!(status, 202);
    let verify = desk.mailed_token(ADA).await;
    let asked = json!({ "email": ADA });
    let (status, _) = desk
        .ask((Method::POST, "/auth/forgot-password"), None, Some(asked))
        .await;
    assert_eq!(status, 202);
    let reset = desk.mailed_token(ADA).await;
    let ada = desk.sign_in(ADA, PASSWORD).await;
    let said = desk.code_of(SPECS, &ada.access_token, None).await;
    assert_eq!(said, refused(403, "email_not_verified"));
    let follow = async |path: &str, token: &str, password: Option<&str>| {
        let mut body = json!({ "token": token });
        if let Some(password) = password {
            body["new_password"] = json!(password);
        }
        let (status, told) = desk.ask((Method::POST, path), None, Some(body)).await;
        (
            status,
            told["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (verify_at, reset_at) = ("/auth/verify-email", "/auth/reset-password");
    let next = Some("Basalt-Meadow-4");
    let gone = refused(400, "invalid_token");
    for (path, token, password) in [
        (verify_at, "made up", None),
        (verify_at, reset.as_str(), None),
        ("/auth/unlock", &verify, None),
        (reset_at, &verify, next),
    ] {
        assert_eq!(follow(path, token, password).await, gone, "{path} {token}");
    }
    assert_eq!(follow(verify_at, &verify, None).await.0, 204);
    assert_eq!(follow(verify_at, &verify, None).await, gone);
    // Verified, and a member of nothing.
    let said = desk.code_of(SPECS, &ada.access_token, None).await;
    assert_eq!(said, refused(403, "forbidden"));
    let weak = follow(reset_at, &reset, Some("short")).await;
    assert_eq!(weak, refused(422, "validation_failed"));
    assert_eq!(follow(reset_at, &reset, next).await.0, 204);
    assert_eq!(follow(reset_at, &reset, next).await, gone);
    let said = desk.code_of(SPECS, &ada.access_token, None).await;
    assert_eq!(said, refused(401, "unauthenticated"));
    desk.sign_in(ADA, "Basalt-Meadow-4").await;
}

async fn the_sixth_sign_in_of_a_minute_is_told_to_wait(desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    let home = Ipv4Addr::new(203, 0, 113, 1);
    let try_from = async |ip: Ipv4Addr| {
        let body = json!({ "email": ADA, "password": PASSWORD }).to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/auth/login")
            .header("content-type", "application/json")
            .extension(ConnectInfo(SocketAddr::from((ip, 40_000))));
        let request = request.body(Body::from(body)).unwrap();
        desk.router.clone().oneshot(request).await.unwrap()
    };
    for n in 1..=5 {
        assert_eq!(try_from(home).await.status(), 200, "{n}");
    }
    desk.test.advance_clock(20);
    let sixth = try_from(home).await;
    let waits = sixth.headers()[RETRY_AFTER].to_str().unwrap().to_owned();
    assert_eq!((sixth.status().as_u16(), waits.as_str()), (429, "40"));
    let text = to_bytes(sixth.into_body(), 1 << 20).await.unwrap();
    let told: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        (&told["error"], &told["retry_after"]),
        (&json!("rate_limited"), &json!(40)),
        "{told}"
    );
    // The address has to wait, the account does not; and it is let in when it has waited as it was told.
    let abroad = Ipv4Addr::new(192, 0, 2, 77);
    assert_eq!(try_from(abroad).await.status(), 200);
    desk.test.advance_clock(40);
    assert_eq!(try_from(home).await.status(), 200);
}
