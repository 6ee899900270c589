//! Scenes of accounts, sign-ins, organisations and machines.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_accounts::commands::member::{MemberAuthority, add_member};
use omoi_accounts::commands::register::{Registration, register_user};
use omoi_accounts::context::{AccountContext, RequestSource};
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::id::OrgId;
use omoi_integrations::oauth::ProviderProfile;
use omoi_server::ApiDoor;

use super::{Scene, Stage, id_of};
use crate::api::TOKEN;
use crate::matrix::world::{GUEST, MEMBER, OWNER, STAFF};
use crate::sign_in_desk::{ELSEWHERE, PASSWORD};

/// A page of the team's server.
const TEAM: &str = "https://omoi.example.org";
/// A page of the laptop's server.
const LAPTOP: &str = "http://127.0.0.1:8000";
/// What staff do only in an organisation that they entered.
const OF_ENTERED: [&str; 9] = [
    "leave_organization",
    "get_organization_agents",
    "list_initial_tasks",
    "get_phase_progression",
    "list_pending_tasks",
    "list_running_tasks",
    "get_phase_gates",
    "list_phase_tasks",
    "clear_tracked_sandboxes",
];

pub(super) async fn set_scene(stage: &Stage<'_>, id: &str) -> Option<Scene> {
    if let Some(scene) = set_sign_in(stage, id).await {
        return Some(scene);
    }
    let organisation = format!("/organizations/{}", OrgId::LOCAL);
    Some(match id {
        "approve_waiting" => {
            let waiting = add_waiting(stage).await;
            Scene::plain().with("user_id", waiting)
        }
        "revoke_api_key" => {
            let new = json!({ "name": "ci", "scopes": ["spec:read"] });
            let made = stage
                .ask_as_owner(Method::POST, "/auth/api-keys", Some(new))
                .await;
            Scene::plain().with("key_id", id_of(&made["api_key"]))
        }
        "accept_invitation" => {
            let invited = json!({ "email": GUEST, "role_id": stage.world.row_id("role_id") });
            let path = format!("{organisation}/invitations");
            stage.ask_as_owner(Method::POST, &path, Some(invited)).await;
            let token = stage.desk.mailed_token(GUEST).await;
            Scene::plain().with("token", token).asked_by(GUEST)
        }
        "change_member" => Scene::plain().meant_for("\"0\""),
        "delete_account" => Scene::plain().asked_by(GUEST),
        "restore_organization" => {
            stage
                .ask_as_owner(Method::DELETE, &organisation, None)
                .await;
            Scene {
                has_dead_keys: true,
                ..Scene::plain()
            }
        }
        "offer_ownership" => Scene::plain().with("user_id", stage.world.row_id("member_user")),
        "withdraw_offer" | "accept_ownership" => {
            let offer = json!({ "user_id": stage.world.row_id("member_user") });
            let path = format!("{organisation}/transfer");
            stage.ask_as_owner(Method::POST, &path, Some(offer)).await;
            match id {
                "accept_ownership" => Scene::plain().asked_by(MEMBER),
                _ => Scene::plain(),
            }
        }
        "revoke_grant" => {
            let member = stage.world.row_id("member_id");
            let path = format!("{organisation}/members/{member}/grants");
            let grant = json!({ "project_id": stage.world.row_id("project_id"), "permission": "spec:approve" });
            stage.ask_as_owner(Method::POST, &path, Some(grant)).await;
            Scene::plain()
        }
        "remove_provider_key" => {
            let provider = stage.world.row_id("provider_name");
            let path = format!("{organisation}/provider-keys/{provider}");
            let key = json!({ "key": "sk-example-0123456789-x4f9" });
            stage.ask_as_owner(Method::PUT, &path, Some(key)).await;
            Scene::plain()
        }
        "add_member" => {
            meet_guest(stage).await;
            Scene::plain()
        }
        _ if OF_ENTERED.contains(&id) => {
            enter_as_staff(stage).await;
            Scene::plain()
        }
        _ => return None,
    })
}

/// Has staff say why they enter the organisation of the world.
async fn enter_as_staff(stage: &Stage<'_>) {
    let token = stage.token_of(STAFF).await;
    let path = format!("/organizations/{}/staff-entries", OrgId::LOCAL);
    let body = json!({ "reason": "a run stands still" });
    stage
        .ask_as(&token, (Method::POST, &path), Some(body))
        .await;
}

/// Has the owner know the guest from another organisation.
async fn meet_guest(stage: &Stage<'_>) {
    let operator = MemberAuthority::of_operator(ELSEWHERE.parse().unwrap());
    let guest = stage.world.row_id("user_id").parse().unwrap();
    for user in [stage.world.owner, guest] {
        let viewer = MemberRole::System(SystemRole::Viewer);
        let joined = add_member(&stage.desk.accounts, operator, user, viewer).await;
        joined.unwrap();
    }
}

/// Ways in: mails, providers, browsers and machines.
async fn set_sign_in(stage: &Stage<'_>, id: &str) -> Option<Scene> {
    Some(match id {
        "refresh_tokens" => {
            let pair = stage.desk.sign_in(OWNER, PASSWORD).await;
            Scene::plain().with("refresh_token", pair.refresh_token)
        }
        "register_account" => Scene::plain(),
        "verify_email" => {
            let new = json!({ "email": "new@example.org", "password": PASSWORD });
            ask_public(stage, "/auth/register", new).await;
            let token = stage.desk.mailed_token("new@example.org").await;
            Scene::plain().with("token", token)
        }
        "reset_password" => {
            ask_public(stage, "/auth/forgot-password", json!({ "email": OWNER })).await;
            Scene::plain().with("token", stage.desk.mailed_token(OWNER).await)
        }
        "unlock_account" => Scene::plain().with("token", unlock_token(stage).await),
        "ask_device_login" => {
            let told = ask_public(stage, "/auth/device", json!({ "machine": "a" })).await;
            Scene::plain().with("device_code", told["device_code"].as_str().unwrap())
        }
        "get_device_login" | "decide_device_login" => {
            let told = ask_public(stage, "/auth/device", json!({ "machine": "a" })).await;
            Scene::plain().with("user_code", told["user_code"].as_str().unwrap())
        }
        "create_local_link" => Scene {
            door: ApiDoor::Loopback,
            ..Scene::plain().asked_in_folder()
        },
        "follow_local_link" => {
            let headers = vec![("origin", LAPTOP.to_owned())];
            Scene {
                door: ApiDoor::Loopback,
                headers,
                ..Scene::plain().with("code", link_code(stage).await)
            }
        }
        "keep_browser_session" => Scene {
            headers: vec![("origin", TEAM.to_owned())],
            ..Scene::plain()
        },
        "end_provider_sign_in" | "exchange_sign_in_code" | "unlink_provider" => {
            set_provider(stage, id).await
        }
        _ => return None,
    })
}

/// The answer to anybody who asks, who must be let in.
async fn ask_public(stage: &Stage<'_>, path: &str, body: Value) -> Value {
    let (status, told) = stage.desk.ask((Method::POST, path), None, Some(body)).await;
    assert!((200..300).contains(&status), "{path}: {status} {told}");
    told
}

/// The code of a link that signs in a browser of the laptop.
async fn link_code(stage: &Stage<'_>) -> String {
    let request = Request::post("/api/v1/auth/local-link")
        .header("host", "127.0.0.1:8000")
        .header("authorization", format!("Bearer {TOKEN}"));
    let router = stage.world.router_behind(ApiDoor::Loopback);
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await;
    let text = to_bytes(response.unwrap().into_body(), 1 << 20)
        .await
        .unwrap();
    let told: Value = serde_json::from_slice(&text).unwrap();
    let url = told["url"].as_str().unwrap();
    url.split_once('#').unwrap().1.to_owned()
}

/// The token of the mail to somebody whose account strangers tried too often.
async fn unlock_token(stage: &Stage<'_>) -> String {
    for _ in 0..200 {
        let wrong = json!({ "email": MEMBER, "password": "Not-The-One-1" });
        let login = (Method::POST, "/auth/login");
        let (status, _) = stage.desk.ask(login, None, Some(wrong)).await;
        if status != 401 {
            break;
        }
    }
    stage.desk.mailed_token(MEMBER).await
}

/// An account that waits for staff.
async fn add_waiting(stage: &Stage<'_>) -> String {
    let accounts = AccountContext {
        registration: RegistrationMode::Waitlist,
        ..stage.desk.accounts.clone()
    };
    let email = "new@example.org";
    let new = Registration {
        email: email.to_owned(),
        password: PASSWORD.into(),
        full_name: None,
        invitation: None,
    };
    let source = RequestSource {
        ip: "198.51.100.1".parse().unwrap(),
        user_agent: String::new(),
    };
    register_user(&accounts, new, &source).await.unwrap();
    let token = json!({ "token": stage.desk.mailed_token(email).await });
    ask_public(stage, "/auth/verify-email", token).await;
    let staff = stage.token_of(STAFF).await;
    let waiting = stage.ask_as(&staff, (Method::GET, "/auth/waitlist"), None);
    id_of(&waiting.await["items"][0])
}

/// A way to a provider and back, as far as `id` needs it.
async fn set_provider(stage: &Stage<'_>, id: &str) -> Scene {
    let mut path = "/api/v1/auth/oauth/github/url".to_owned();
    let mut request = Request::builder();
    if id == "unlink_provider" {
        "/api/v1/auth/oauth/github/connect".clone_into(&mut path);
        let bearer = format!("Bearer {}", stage.token_of(OWNER).await);
        request = request.method(Method::POST).header("authorization", bearer);
    }
    let request = request.uri(path).body(Body::empty()).unwrap();
    let response = stage.desk.router.clone().oneshot(request).await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let told: Value = serde_json::from_slice(&text).unwrap();
    let who = ProviderProfile {
        provider: IdentityProvider::GitHub,
        provider_user_id: "7".to_owned(),
        username: Some("ada".to_owned()),
        full_name: None,
        address: Some(OWNER.parse().unwrap()),
    };
    let github = Arc::clone(&stage.world.github);
    let code = github.consent_as(told["auth_url"].as_str().unwrap(), who);
    let state = told["state"].as_str().unwrap().to_owned();
    if id == "end_provider_sign_in" {
        return Scene {
            headers: vec![("cookie", cookie)],
            ..Scene::plain().with("state", state).with("code", code)
        };
    }
    let back = format!("/api/v1/auth/oauth/github/callback?state={state}&code={code}");
    let request = Request::get(back).header("cookie", &cookie);
    let request = request.body(Body::empty()).unwrap();
    let response = stage.desk.router.clone().oneshot(request).await.unwrap();
    let to = response.headers()[LOCATION].to_str().unwrap().to_owned();
    match to.split_once("#code=") {
        Some((_, code)) => Scene {
            headers: vec![("cookie", cookie)],
            ..Scene::plain().with("code", code)
        },
        None => Scene::plain(),
    }
}
