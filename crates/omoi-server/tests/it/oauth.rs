//! Signing in by an account at a provider: the way there and back, and whom it lets in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_accounts::commands::invitation::{InvitationWay, invite_member};
use omoi_accounts::commands::member::MemberAuthority;
use omoi_accounts::commands::register::{Registration, register_user};
use omoi_accounts::context::RequestSource;
use omoi_accounts::providers::SignInProviders;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::id::OrgId;
use omoi_integrations::oauth::fake::FakeProvider;
use omoi_integrations::oauth::{ProviderProfile, SignInProvider};
use omoi_server::ApiDoor;

use crate::api::router_of_providers;
use crate::sign_in_desk::{PASSWORD, SignInDesk, refused};

both!(
    a_person_comes_back_signed_in,
    a_way_back_is_good_once_and_in_one_browser,
    an_account_is_opened_by_who_it_belongs_to,
    an_account_at_a_provider_is_linked_and_taken_away,
);

const ADA: &str = "ada@example.org";
const GUEST: &str = "guest@example.org";
const HOME: &str = "https://omoi.example.org";
const MEMBER: [(OrgId, SystemRole); 1] = [(OrgId::LOCAL, SystemRole::Member)];

/// A server that people sign in to by GitHub.
struct ProviderDesk {
    desk: SignInDesk,
    github: Arc<FakeProvider>,
}

/// What a browser was sent to a provider with.
pub(crate) struct Sent {
    pub(crate) consent: String,
    pub(crate) state: String,
    pub(crate) cookie: String,
}

/// Asks for the page of consent, as somebody signed in where a token is given.
pub(crate) async fn send_there(
    desk: &SignInDesk,
    (method, path): (Method, &str),
    token: Option<&str>,
) -> Sent {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).unwrap();
    let response = desk.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let told: Value = serde_json::from_slice(&text).unwrap();
    Sent {
        consent: told["auth_url"].as_str().unwrap().to_owned(),
        state: told["state"].as_str().unwrap().to_owned(),
        cookie: cookie.split(';').next().unwrap().to_owned(),
    }
}

/// Comes back with `code`: the status, and where the browser is sent.
pub(crate) async fn come_back(
    desk: &SignInDesk,
    sent: &Sent,
    code: &str,
    cookie: &str,
) -> (u16, String) {
    let uri = format!(
        "/api/v1/auth/oauth/github/callback?state={}&code={code}",
        sent.state
    );
    let request = Request::builder().uri(uri).header(COOKIE, cookie);
    let request = request.body(Body::empty()).unwrap();
    let response = desk.router.clone().oneshot(request).await.unwrap();
    let location = response.headers().get(LOCATION);
    let location = location.map(|location| location.to_str().unwrap().to_owned());
    (response.status().as_u16(), location.unwrap_or_default())
}

/// Takes the tokens that a way ends with.
pub(crate) async fn exchange_code(desk: &SignInDesk, code: &str, cookie: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/auth/oauth/exchange")
        .header("content-type", "application/json")
        .header(COOKIE, cookie);
    let body = Body::from(json!({ "code": code }).to_string());
    desk.send(request.body(body).unwrap()).await
}

fn profile(id: &str, address: Option<&str>) -> ProviderProfile {
    ProviderProfile {
        provider: IdentityProvider::GitHub,
        provider_user_id: id.to_owned(),
        username: Some(format!("user-{id}")),
        full_name: None,
        address: address.map(|address| address.parse().unwrap()),
    }
}

impl ProviderDesk {
    fn new(mut desk: SignInDesk) -> Self {
        let github = Arc::new(FakeProvider::default());
        let by_name: BTreeMap<_, Arc<dyn SignInProvider>> =
            BTreeMap::from([(IdentityProvider::GitHub, Arc::clone(&github) as Arc<_>)]);
        let providers = SignInProviders::new(by_name, vec![HOME.to_owned()]);
        desk.router = router_of_providers(
            &desk.test,
            desk.accounts.clone(),
            providers,
            ApiDoor::Network,
        );
        Self { desk, github }
    }

    async fn send_there(&self, method: Method, path: &str, token: Option<&str>) -> Sent {
        send_there(&self.desk, (method, path), token).await
    }

    async fn come_back(&self, sent: &Sent, code: &str, cookie: &str) -> (u16, String) {
        come_back(&self.desk, sent, code, cookie).await
    }

    /// Signs in at the provider as `who`: where the browser ends, and what it keeps.
    async fn sign_in_with_cookie(&self, who: ProviderProfile) -> (String, String) {
        let sent = self
            .send_there(Method::GET, "/auth/oauth/github/url?return_to=/here", None)
            .await;
        let code = self.github.consent_as(&sent.consent, who);
        let (status, location) = self.come_back(&sent, &code, &sent.cookie).await;
        assert_eq!(status, 303, "{location}");
        (location, sent.cookie)
    }

    async fn sign_in_as(&self, who: ProviderProfile) -> String {
        self.sign_in_with_cookie(who).await.0
    }

    async fn exchange(&self, code: &str, cookie: &str) -> (u16, Value) {
        exchange_code(&self.desk, code, cookie).await
    }

    /// The address of whoever a way that ended like this signs in.
    async fn address_of(&self, (location, cookie): &(String, String)) -> Value {
        let code = location.strip_prefix("/here#code=").unwrap();
        let (status, pair) = self.exchange(code, cookie).await;
        assert_eq!(status, 200, "{pair}");
        let token = pair["access_token"].as_str().unwrap();
        let me = (Method::GET, "/auth/me");
        let (_, me) = self.desk.ask(me, Some(token), None).await;
        me["email"].clone()
    }
}

async fn a_person_comes_back_signed_in(desk: SignInDesk) {
    let off = desk
        .code_of((Method::GET, "/auth/oauth/github/url"), "", None)
        .await;
    assert_eq!(off, refused(503, "oauth_not_configured"));
    desk.add_user(ADA, &MEMBER).await;
    let it = ProviderDesk::new(desk);
    let (_, told) = it
        .desk
        .ask((Method::GET, "/auth/oauth/providers"), None, None)
        .await;
    let on = json!([{ "name": "github", "enabled": true }, { "name": "google", "enabled": false }]);
    assert_eq!(told["items"], on);
    let ended = it.sign_in_with_cookie(profile("7", Some(ADA))).await;
    let code = ended.0.strip_prefix("/here#code=").unwrap();
    assert_eq!(it.address_of(&ended).await, ADA);
    let (status, told) = it.exchange(code, &ended.1).await;
    assert_eq!((status, &told["error"]), (400, &json!("invalid_token")));
    // Somebody else's code in an address signs nobody in to that person's account.
    let theirs = it.sign_in_with_cookie(profile("7", Some(ADA))).await;
    let code = theirs.0.strip_prefix("/here#code=").unwrap();
    let (status, told) = it.exchange(code, &ended.1).await;
    assert_eq!((status, &told["error"]), (400, &json!("invalid_token")));
    // The address may go to somebody else at the provider: the account stays with the person.
    let ended = it.sign_in_with_cookie(profile("7", None)).await;
    assert_eq!(it.address_of(&ended).await, ADA);
}

async fn a_way_back_is_good_once_and_in_one_browser(desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    let it = ProviderDesk::new(desk);
    let url = "/auth/oauth/github/url";
    for return_to in [
        "https://evil.example",
        "//evil.example",
        "/%5Cevil.example",
        "https://omoi.example.org.evil",
    ] {
        let path = format!("{url}?return_to={return_to}");
        let said = it.desk.code_of((Method::GET, &path), "", None).await;
        assert_eq!(said, refused(422, "validation_failed"), "{return_to}");
    }
    let [mine, theirs] = [
        it.send_there(Method::GET, url, None).await,
        it.send_there(Method::GET, url, None).await,
    ];
    let code = it.github.consent_as(&mine.consent, profile("7", Some(ADA)));
    // Somebody else's browser is sent the address, or one that kept nothing.
    for cookie in [
        theirs.cookie.as_str(),
        "",
        "omoi_sign_in=",
        "other=1; omoi_sign_in=x",
    ] {
        let sent = it.send_there(Method::GET, url, None).await;
        let (status, _) = it.come_back(&sent, &code, cookie).await;
        assert_eq!(status, 400, "{cookie}");
        // It is used up, in whatever browser.
        assert_eq!(it.come_back(&sent, &code, &sent.cookie).await.0, 400);
    }
    let (status, location) = it.come_back(&mine, &code, &mine.cookie).await;
    assert!(
        status == 303 && location.starts_with("/docs#code="),
        "{location}"
    );
    assert_eq!(it.come_back(&mine, &code, &mine.cookie).await.0, 400);
    // A code of another way is refused by the provider, and the page is told no more.
    let (status, location) = it.come_back(&theirs, &code, &theirs.cookie).await;
    assert_eq!(
        (status, location.as_str()),
        (303, "/docs#error=provider_failed")
    );
    let late = it.send_there(Method::GET, url, None).await;
    it.desk.test.advance_clock(601);
    assert_eq!(it.come_back(&late, &code, &late.cookie).await.0, 400);
    let forged = Sent {
        state: "x".repeat(43),
        ..late
    };
    assert_eq!(it.come_back(&forged, &code, &forged.cookie).await.0, 400);
}

async fn an_account_is_opened_by_who_it_belongs_to(mut desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    let registration = Registration {
        email: "new@example.org".to_owned(),
        password: PASSWORD.into(),
        full_name: None,
        invitation: None,
    };
    let source = RequestSource {
        ip: "198.51.100.1".parse().unwrap(),
        user_agent: String::new(),
    };
    register_user(&desk.accounts, registration, &source)
        .await
        .unwrap();
    desk.accounts.registration = RegistrationMode::Invite;
    let operator = MemberAuthority::of_operator(OrgId::LOCAL);
    let (to, role) = (
        GUEST.parse().unwrap(),
        MemberRole::System(SystemRole::Viewer),
    );
    invite_member(&desk.accounts, operator, (&to, role), InvitationWay::Mailed)
        .await
        .unwrap();
    let it = ProviderDesk::new(desk);
    // Whoever is invited somewhere gets an account, and accepts then.
    let guest = it.sign_in_with_cookie(profile("9", Some(GUEST))).await;
    assert_eq!(it.address_of(&guest).await, GUEST);
    for (who, told) in [
        (profile("1", None), "no_address"),
        (profile("2", Some("nobody@example.org")), "no_account"),
        // Whoever registered with a stranger's address gets nothing of the stranger.
        (profile("3", Some("new@example.org")), "password_required"),
    ] {
        assert_eq!(it.sign_in_as(who).await, format!("/here#error={told}"));
    }
    let ended = it.sign_in_with_cookie(profile("4", Some(ADA))).await;
    assert_eq!(it.address_of(&ended).await, ADA);
    // Another person of that provider with the same address is not let in beside the first.
    assert_eq!(
        it.sign_in_as(profile("5", Some(ADA))).await,
        "/here#error=linked_elsewhere"
    );
}

async fn an_account_at_a_provider_is_linked_and_taken_away(desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    desk.add_user("eve@example.org", &MEMBER).await;
    let it = ProviderDesk::new(desk);
    let ada = it.desk.sign_in(ADA, PASSWORD).await.access_token;
    let eve = it
        .desk
        .sign_in("eve@example.org", PASSWORD)
        .await
        .access_token;
    let connect = "/auth/oauth/github/connect?return_to=/here";
    let link = async |token: &str, who: ProviderProfile| {
        let sent = it.send_there(Method::POST, connect, Some(token)).await;
        let code = it.github.consent_as(&sent.consent, who);
        it.come_back(&sent, &code, &sent.cookie).await.1
    };
    // Whose address it is at the provider does not matter: both accounts were shown to be theirs.
    assert_eq!(
        link(&ada, profile("9", Some("elsewhere@example.org"))).await,
        "/here#linked=github"
    );
    assert_eq!(link(&ada, profile("9", None)).await, "/here#linked=github");
    assert_eq!(
        link(&eve, profile("9", None)).await,
        "/here#error=linked_elsewhere"
    );
    // What a stolen session began ends with it.
    let stolen = it.send_there(Method::POST, connect, Some(&ada)).await;
    let ended = it
        .desk
        .code_of((Method::POST, "/auth/logout-all"), &ada, None)
        .await;
    assert_eq!(ended.0, 204, "{ended:?}");
    let code = it.github.consent_as(&stolen.consent, profile("66", None));
    assert_eq!(it.come_back(&stolen, &code, &stolen.cookie).await.0, 400);
    let ada = it.desk.sign_in(ADA, PASSWORD).await.access_token;
    let (_, told) = it
        .desk
        .ask((Method::GET, "/auth/oauth/connected"), Some(&ada), None)
        .await;
    assert_eq!(
        (&told["items"][0]["provider"], &told["items"][0]["username"]),
        (&json!("github"), &json!("user-9"))
    );
    let ended = it.sign_in_with_cookie(profile("9", None)).await;
    assert_eq!(it.address_of(&ended).await, ADA);
    let remove = (Method::DELETE, "/auth/oauth/github/disconnect");
    assert_eq!(it.desk.code_of(remove.clone(), &ada, None).await.0, 204);
    assert_eq!(
        it.desk.code_of(remove, &ada, None).await,
        refused(404, "not_found")
    );
    assert_eq!(
        it.sign_in_as(profile("9", None)).await,
        "/here#error=no_address"
    );
}
