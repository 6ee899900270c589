//! Accounts over HTTP: made by everybody, by the invited or by who waits, changed and given up.

use axum::http::Method;
use serde_json::{Value, json};

use omoi_accounts::commands::register::{NewUser, add_user};
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_server::ApiDoor;

use crate::api::{router_with, router_without_mail};
use crate::sign_in_desk::{PASSWORD, SignInDesk, refused};

both!(
    a_registration_tells_nobody_who_has_an_account,
    an_invitation_leads_a_stranger_into_an_organisation,
    an_account_waits_is_changed_and_given_up,
);

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";
const LOCAL: &str = "/organizations/01930000-0000-7000-8000-000000000001";
const REGISTER: (Method, &str) = (Method::POST, "/auth/register");
const OWNER: [(OrgId, SystemRole); 1] = [(OrgId::LOCAL, SystemRole::Owner)];

/// Status and code of a request without a credential.
async fn code_of(desk: &SignInDesk, route: (Method, &str), body: Value) -> (u16, String) {
    let (status, told) = desk.ask(route, None, Some(body)).await;
    let code = told["error"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

async fn set_mode(desk: &mut SignInDesk, mode: RegistrationMode) {
    desk.accounts.registration = mode;
    desk.router = router_with(&desk.test, desk.accounts.clone(), ApiDoor::Network);
}

async fn a_registration_tells_nobody_who_has_an_account(mut desk: SignInDesk) {
    desk.add_user(ADA, &OWNER).await;
    let ask =
        async |path: &str, body: Value| desk.ask((Method::POST, path), None, Some(body)).await;
    let with = |email: &str| json!({ "email": email, "password": PASSWORD });
    let only = |email: &str| json!({ "email": email });
    for (path, known, unknown) in [
        ("/auth/register", with(ADA), with(BOB)),
        ("/auth/forgot-password", only(ADA), only("eve@example.org")),
        (
            "/auth/resend-verification",
            only(BOB),
            only("eve@example.org"),
        ),
    ] {
        let (known, unknown) = (ask(path, known).await, ask(path, unknown).await);
        assert_eq!(known.0, 202, "{path}: {}", known.1);
        assert_eq!(known, unknown, "{path}");
    }
    let named =
        json!({ "email": "c@example.org", "password": PASSWORD, "full_name": "C\r\nBcc: x" });
    assert_eq!(ask("/auth/register", named).await.0, 202);
    let (_, weak) = ask(
        "/auth/register",
        json!({ "email": "d@example.org", "password": "x" }),
    )
    .await;
    assert_eq!(weak["fields"][0]["path"], "/password", "{weak}");
    for (change, code) in [
        (json!({ "is_super_admin": true }), "unknown_field"),
        (json!({ "role_id": "x" }), "unknown_field"),
        (
            json!({ "email": "x\r\nBcc: y@example.org" }),
            "validation_failed",
        ),
        (json!({ "full_name": "" }), "validation_failed"),
    ] {
        let mut body = with("d@example.org");
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        assert_eq!(
            code_of(&desk, REGISTER, body).await,
            refused(422, code),
            "{change}"
        );
    }
    set_mode(&mut desk, RegistrationMode::Invite).await;
    let closed = code_of(&desk, REGISTER, with("d@example.org")).await;
    assert_eq!(closed, refused(403, "registration_closed"));
    desk.accounts.registration = RegistrationMode::Open;
    desk.router = router_without_mail(&desk.test, desk.accounts.clone());
    for (path, body) in [
        ("/auth/register", with("d@example.org")),
        ("/auth/forgot-password", only(ADA)),
        ("/auth/resend-verification", only(BOB)),
    ] {
        let said = code_of(&desk, (Method::POST, path), body).await;
        assert_eq!(said, refused(503, "mail_not_configured"), "{path}");
    }
    let ada = desk.sign_in(ADA, PASSWORD).await.access_token;
    let invitation = json!({ "email": BOB, "role_id": SystemRole::Viewer.role_id() });
    let route = format!("{LOCAL}/invitations");
    let said = desk.code_of((Method::POST, &route), &ada, Some(invitation));
    assert_eq!(said.await, refused(503, "mail_not_configured"));
}

async fn an_invitation_leads_a_stranger_into_an_organisation(mut desk: SignInDesk) {
    set_mode(&mut desk, RegistrationMode::Invite).await;
    desk.add_user(ADA, &OWNER).await;
    desk.add_user("max@example.org", &[(OrgId::LOCAL, SystemRole::Member)])
        .await;
    let ada = desk.sign_in(ADA, PASSWORD).await.access_token;
    let max = desk.sign_in("max@example.org", PASSWORD).await.access_token;
    let route = format!("{LOCAL}/invitations");
    let with = |email: &str, role: SystemRole| json!({ "email": email, "role_id": role.role_id() });
    let refusal = desk.code_of(
        (Method::POST, &route),
        &max,
        Some(with(BOB, SystemRole::Viewer)),
    );
    assert_eq!(refusal.await, refused(403, "forbidden"));
    let none = desk.code_of(
        (Method::POST, &route),
        &ada,
        Some(with("x", SystemRole::Viewer)),
    );
    assert_eq!(none.await, refused(422, "validation_failed"));
    let (status, made) = desk
        .ask(
            (Method::POST, &route),
            Some(&ada),
            Some(with(BOB, SystemRole::Viewer)),
        )
        .await;
    assert_eq!((status, &made["email"]), (201, &json!(BOB)), "{made}");
    let (_, listed) = desk.ask((Method::GET, &route), Some(&ada), None).await;
    assert_eq!(listed["items"][0]["id"], made["id"]);
    let token = desk.mailed_token(BOB).await;
    assert!(
        !format!("{made}{listed}").contains(&token),
        "only the mail tells it"
    );
    let body = |email: &str, token: &str| json!({ "email": email, "password": PASSWORD, "invitation_token": token });
    for other in [body("eve@example.org", &token), body(BOB, "made up")] {
        let said = code_of(&desk, REGISTER, other).await;
        assert_eq!(said, refused(400, "invalid_token"));
    }
    assert_eq!(code_of(&desk, REGISTER, body(BOB, &token)).await.0, 202);
    let bob = desk.sign_in(BOB, PASSWORD).await.access_token;
    assert_eq!(
        desk.ask((Method::GET, LOCAL), Some(&bob), None).await.0,
        200
    );
    let said = desk.code_of(
        (Method::POST, &route),
        &bob,
        Some(with(ADA, SystemRole::Viewer)),
    );
    assert_eq!(said.await, refused(403, "forbidden"));
    // An owner is made by whoever gave their password a moment ago.
    desk.test.advance_clock(11 * 60);
    let said = desk.code_of(
        (Method::POST, &route),
        &ada,
        Some(with("o@example.org", SystemRole::Owner)),
    );
    assert_eq!(said.await, refused(403, "reauth_required"));
}

async fn an_account_waits_is_changed_and_given_up(mut desk: SignInDesk) {
    set_mode(&mut desk, RegistrationMode::Waitlist).await;
    let staff = NewUser {
        email: "staff@example.org".parse().unwrap(),
        name: None,
        is_staff: true,
    };
    add_user(&desk.accounts, staff, PASSWORD.into())
        .await
        .unwrap();
    let staff = desk
        .sign_in("staff@example.org", PASSWORD)
        .await
        .access_token;
    let body = json!({ "email": BOB, "password": PASSWORD });
    assert_eq!(code_of(&desk, REGISTER, body).await.0, 202);
    let token = json!({ "token": desk.mailed_token(BOB).await });
    assert_eq!(
        code_of(&desk, (Method::POST, "/auth/verify-email"), token)
            .await
            .0,
        204
    );
    let bob = desk.sign_in(BOB, PASSWORD).await.access_token;
    let said = async || desk.code_of((Method::GET, "/specs"), &bob, None).await;
    assert_eq!(said().await, refused(403, "on_waitlist"));
    let list = (Method::GET, "/auth/waitlist");
    assert_eq!(desk.code_of(list.clone(), &bob, None).await.0, 403);
    let (_, waiting) = desk.ask(list, Some(&staff), None).await;
    assert_eq!(waiting["items"][0]["email"], BOB);
    let path = format!(
        "/auth/waitlist/{}/approve",
        waiting["items"][0]["id"].as_str().unwrap()
    );
    for expected in [204, 404] {
        let (status, _) = desk.ask((Method::POST, &path), Some(&staff), None).await;
        assert_eq!(status, expected);
    }
    assert_eq!(
        said().await,
        refused(403, "forbidden"),
        "a member of nothing"
    );
    let all = (Method::POST, "/auth/waitlist/approve-all");
    let (_, approved) = desk.ask(all, Some(&staff), None).await;
    assert_eq!(approved["approved"], 0);
    is_changed_and_given_up(&desk, &bob).await;
}

async fn is_changed_and_given_up(desk: &SignInDesk, bob: &str) {
    let me = "/auth/me";
    let change = json!({ "full_name": "Bob", "department": "Engines", "attributes": { "ui.theme": "dark" } });
    let (status, told) = desk.ask((Method::PATCH, me), Some(bob), Some(change)).await;
    assert_eq!(
        (status, &told["department"]),
        (200, &json!("Engines")),
        "{told}"
    );
    assert_eq!(told["attributes"], json!({ "ui.theme": "dark" }));
    for (change, code) in [
        (json!({ "is_staff": true }), "unknown_field"),
        (json!({ "email": ADA }), "unknown_field"),
        (
            json!({ "attributes": { "github_token": "x" } }),
            "validation_failed",
        ),
        (json!({ "full_name": " " }), "validation_failed"),
    ] {
        let said = desk
            .code_of((Method::PATCH, me), bob, Some(change.clone()))
            .await;
        assert_eq!(said, refused(422, code), "{change}");
    }
    let gone = json!({ "department": null });
    let (_, told) = desk.ask((Method::PATCH, me), Some(bob), Some(gone)).await;
    assert_eq!(
        (&told["department"], &told["full_name"]),
        (&Value::Null, &json!("Bob"))
    );
    desk.test.advance_clock(11 * 60);
    let said = desk.code_of((Method::DELETE, me), bob, None).await;
    assert_eq!(said, refused(403, "reauth_required"));
    let again = desk.sign_in(BOB, PASSWORD).await.access_token;
    let (status, _) = desk.ask((Method::DELETE, me), Some(&again), None).await;
    assert_eq!(status, 204);
    let said = desk.code_of((Method::GET, me), &again, None).await;
    assert_eq!(said, refused(401, "unauthenticated"));
}
