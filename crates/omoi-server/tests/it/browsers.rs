//! Signing in by a browser: the link of a laptop, cookies and what goes with them, pages of others, and machines that a person
//! lets in.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_runtime::rate_limiter::RateLimiter;
use omoi_server::api::{SurfaceParts, router};
use omoi_server::{ApiDoor, RequestLimits};

use crate::api::{TOKEN, site_behind, surface_with};
use crate::sign_in_desk::{PASSWORD, SignInDesk};

both!(
    a_link_signs_in_the_browser_of_a_laptop_once,
    a_cookie_is_good_with_the_word_of_its_page,
    a_machine_has_a_name,
    a_machine_is_let_in_by_whoever_sees_its_code,
    who_asks_too_much_waits,
);

const ADA: &str = "ada@example.org";
const MEMBER: [(OrgId, SystemRole); 1] = [(OrgId::LOCAL, SystemRole::Member)];
const LAPTOP: &str = "http://127.0.0.1:8000";
const TEAM: &str = "https://omoi.example.org";

/// A browser at one server, with the cookies that it keeps.
struct Browser {
    router: Router,
    origin: &'static str,
    cookies: Vec<(String, String)>,
}

/// What a browser is answered.
struct Answer {
    status: u16,
    headers: HeaderMap,
    told: Value,
}

impl Answer {
    /// Status and code.
    fn said(&self) -> (u16, &str) {
        (self.status, self.told["error"].as_str().unwrap_or_default())
    }
}

impl Browser {
    fn new(router: Router, origin: &'static str) -> Self {
        Self {
            router,
            origin,
            cookies: Vec::new(),
        }
    }

    /// The word that scripts read.
    fn csrf_token(&self) -> &str {
        let mut cookies = self.cookies.iter();
        let found = cookies.find(|(name, _)| name.contains("csrf"));
        found.map_or("", |(_, value)| value)
    }

    /// A request as a page at `origin` makes it, with `more` headers; cookies go with it.
    async fn send(
        &mut self,
        (method, path): (Method, &str),
        more: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let host = self.origin.split_once("://").unwrap().1;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .extension(ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000))));
        let cookies = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = cookies.collect();
        let headers = request.headers_mut().unwrap();
        headers.insert(HOST, host.parse().unwrap());
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        if !cookies.is_empty() {
            headers.insert(COOKIE, cookies.join("; ").parse().unwrap());
        }
        for (name, value) in more {
            let name: axum::http::HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        let body = body.map_or_else(Body::empty, |body| body.to_string().into());
        let response = self.router.clone().oneshot(request.body(body).unwrap());
        let response = response.await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for line in headers.get_all(SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        let text = to_bytes(response.into_body(), 1 << 23).await.unwrap();
        let told = serde_json::from_slice(&text).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            told,
        }
    }

    fn keep(&mut self, line: &str) {
        let (cookie, rest) = line.split_once(';').unwrap();
        let (name, value) = cookie.split_once('=').unwrap();
        self.cookies.retain(|(kept, _)| kept != name);
        if !rest.contains("Max-Age=0") {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }

    /// A request of a page of the server itself.
    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let token = self.csrf_token().to_owned();
        let origin = self.origin;
        let more = [("origin", origin), ("x-csrf-token", &token)];
        self.send((method, path), &more, body).await
    }
}

pub(crate) fn surface_behind(desk: &SignInDesk, door: ApiDoor) -> SurfaceParts {
    SurfaceParts {
        site: site_behind(door),
        ..surface_with(&desk.test, desk.accounts.clone())
    }
}

fn laptop_browser(desk: &SignInDesk) -> Browser {
    let door = ApiDoor::Loopback;
    Browser::new(router(surface_behind(desk, door), door), LAPTOP)
}

fn team_browser(desk: &SignInDesk) -> Browser {
    let door = ApiDoor::Network;
    Browser::new(router(surface_behind(desk, door), door), TEAM)
}

/// The code of a new link.
async fn link_code(browser: &mut Browser) -> String {
    let bearer = format!("Bearer {TOKEN}");
    let route = (Method::POST, "/api/v1/auth/local-link");
    let made = browser
        .send(route, &[(AUTHORIZATION.as_str(), &bearer)], None)
        .await;
    assert_eq!(made.status, 200, "{}", made.told);
    let url = made.told["url"].as_str().unwrap();
    let code = url.strip_prefix("http://127.0.0.1:8000/open#").unwrap();
    code.to_owned()
}

async fn a_link_signs_in_the_browser_of_a_laptop_once(desk: SignInDesk) {
    let mut browser = laptop_browser(&desk);
    let exchange = "/api/v1/auth/local-link/exchange";
    let (void, code) = (link_code(&mut browser).await, link_code(&mut browser).await);
    let body = |code: &str| Some(json!({ "code": code }));
    let specs = "/api/v1/specs";
    // A page of others signs nobody in, by whatever name it comes.
    for more in [
        vec![],
        vec![("origin", "http://evil.example")],
        vec![("origin", "null")],
        vec![("origin", LAPTOP), ("host", "evil.example:8000")],
        vec![
            ("origin", "http://evil.example:8000"),
            ("host", "evil.example:8000"),
        ],
    ] {
        let said = browser
            .send((Method::POST, exchange), &more, body(&code))
            .await;
        assert_eq!(said.said(), (403, "origin_refused"), "{more:?}");
    }
    let said = browser.ask(Method::POST, exchange, body(&void)).await;
    assert_eq!(said.said(), (400, "invalid_token"), "an earlier link");
    let said = browser.ask(Method::POST, exchange, body(&code)).await;
    assert_eq!(said.status, 200, "{}", said.told);
    let lines: Vec<&str> = said
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect();
    let ends = ["omoi_session_8000=omc_", "omoi_csrf_8000="];
    assert!(
        lines
            .iter()
            .zip(ends)
            .all(|(line, begin)| line.starts_with(begin)),
        "{lines:?}"
    );
    assert!(
        lines[0].ends_with("; SameSite=Strict; HttpOnly"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with("; SameSite=Strict"), "{lines:?}");
    // It is good once, and what it gave opens what the person of the laptop may see.
    let again = browser.ask(Method::POST, exchange, body(&code)).await;
    assert_eq!(again.said(), (400, "invalid_token"));
    for path in [specs, "/docs/", "/openapi.json", "/api/v1/admin/status"] {
        let said = browser.send((Method::GET, path), &[], None).await;
        assert_eq!(said.status, 200, "{path}: {}", said.told);
    }
    // Another name of the same loopback is how a page of others would reach it.
    let rebound = [("host", "evil.example:8000")];
    let said = browser.send((Method::GET, specs), &rebound, None).await;
    assert_eq!(said.said(), (403, "origin_refused"));
    let said = browser.ask(Method::POST, "/api/v1/auth/logout", None).await;
    assert_eq!(
        (said.status, browser.cookies.len()),
        (204, 0),
        "{}",
        said.told
    );
    let said = browser.send((Method::GET, specs), &[], None).await;
    assert_eq!(said.said(), (401, "unauthenticated"));
    let late = link_code(&mut browser).await;
    desk.test.advance_clock(600);
    let said = browser.ask(Method::POST, exchange, body(&late)).await;
    assert_eq!(said.said(), (400, "invalid_token"), "after ten minutes");
    // A team's server has no such links.
    let mut team = team_browser(&desk);
    let said = team.ask(Method::POST, exchange, body(&code)).await;
    assert_eq!(said.said(), (400, "invalid_token"));
}

async fn a_cookie_is_good_with_the_word_of_its_page(desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    desk.add_user("eve@example.org", &MEMBER).await;
    let pair = desk.sign_in(ADA, PASSWORD).await;
    let eve = desk.sign_in("eve@example.org", PASSWORD).await;
    let mut browser = team_browser(&desk);
    let keep = (Method::POST, "/api/v1/auth/browser-session");
    let bearer = format!("Bearer {}", pair.access_token);
    // Another page cannot sign the browser in, not even with tokens of its own.
    for origin in ["https://evil.example", "null", "http://omoi.example.org"] {
        let more = [("authorization", bearer.as_str()), ("origin", origin)];
        let said = browser.send(keep.clone(), &more, None).await;
        assert_eq!(said.said(), (403, "origin_refused"), "{origin}");
    }
    let more = [("authorization", bearer.as_str()), ("origin", TEAM)];
    let said = browser.send(keep.clone(), &more, None).await;
    assert_eq!(said.status, 200, "{}", said.told);
    let line = said.headers[SET_COOKIE].to_str().unwrap();
    assert!(line.starts_with("__Host-omoi_session=omc_"), "{line}");
    assert!(
        line.ends_with("; Path=/; Max-Age=2592000; SameSite=Lax; Secure; HttpOnly"),
        "{line}"
    );
    assert_eq!(said.told["csrf_token"], browser.csrf_token());
    let hsts = &said.headers["strict-transport-security"];
    assert!(hsts.to_str().unwrap().starts_with("max-age=31536000"));
    changes_need_the_word_of_the_page(&mut browser).await;
    // A header of the same sign-in counts; one of another is a mistake of somebody.
    let eve = format!("Bearer {}", eve.access_token);
    for (bearer, expected) in [
        (&bearer, (200, "")),
        (&eve, (400, "conflicting_credentials")),
    ] {
        let more = [("authorization", bearer.as_str())];
        let said = browser
            .send((Method::GET, "/api/v1/specs"), &more, None)
            .await;
        assert_eq!(said.said(), expected);
    }
    pages_elsewhere_ask_first(&mut browser).await;
    ends_when_nobody_uses_it(&desk, &mut browser).await;
}

/// A cookie outlives the access token, for as long as it is used, and ends with its session.
async fn ends_when_nobody_uses_it(desk: &SignInDesk, browser: &mut Browser) {
    for _ in 0..3 {
        desk.test.advance_clock(6 * 24 * 3_600);
        let said = browser
            .send((Method::GET, "/api/v1/specs"), &[], None)
            .await;
        assert_eq!(said.status, 200, "{}", said.told);
    }
    desk.test.advance_clock(8 * 24 * 3_600);
    let said = browser
        .send((Method::GET, "/api/v1/specs"), &[], None)
        .await;
    assert_eq!(said.said(), (401, "unauthenticated"));
}

/// Looking needs the cookie alone, changing the word that goes with it, from a page of ours.
async fn changes_need_the_word_of_the_page(browser: &mut Browser) {
    let said = browser
        .send((Method::GET, "/api/v1/specs"), &[], None)
        .await;
    assert_eq!(said.status, 200, "{}", said.told);
    let token = browser.csrf_token().to_owned();
    let out = (Method::POST, "/api/v1/auth/ws-ticket");
    for (more, expected) in [
        (vec![], (403, "origin_refused")),
        (
            vec![("x-csrf-token", token.as_str())],
            (403, "origin_refused"),
        ),
        (
            vec![("origin", "https://evil.example"), ("x-csrf-token", &token)],
            (403, "origin_refused"),
        ),
        (vec![("origin", TEAM)], (403, "csrf_refused")),
        (
            vec![("origin", TEAM), ("x-csrf-token", "made up")],
            (403, "csrf_refused"),
        ),
        (vec![("origin", TEAM), ("x-csrf-token", &token)], (200, "")),
        (
            vec![
                ("origin", "https://board.example.org"),
                ("x-csrf-token", &token),
            ],
            (200, ""),
        ),
    ] {
        let said = browser.send(out.clone(), &more, None).await;
        assert_eq!(said.said(), expected, "{more:?}");
    }
}

/// What pages of other servers are told before they ask.
async fn pages_elsewhere_ask_first(browser: &mut Browser) {
    for (origin, allowed) in [
        ("https://board.example.org", true),
        ("https://evil.example", false),
        ("https://board.example.org.evil.example", false),
    ] {
        let more = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
        ];
        let said = browser
            .send((Method::OPTIONS, "/api/v1/specs"), &more, None)
            .await;
        let told = said.headers.get("access-control-allow-origin");
        assert_eq!(
            told.map(|told| told == origin),
            allowed.then_some(true),
            "{origin}"
        );
        assert_eq!(said.status == 204, allowed, "{origin}");
        if allowed {
            assert_eq!(said.headers["access-control-allow-credentials"], "true");
            assert_eq!(said.headers["access-control-max-age"], "600");
        }
    }
}

async fn a_machine_has_a_name(desk: SignInDesk) {
    for machine in ["", "a\r\nb", &"x".repeat(65)] {
        let body = json!({ "machine": machine });
        let begin = desk.ask((Method::POST, "/auth/device"), None, Some(body));
        let (status, told) = begin.await;
        assert_eq!(
            (status, &told["fields"][0]["path"]),
            (422, &json!("/machine")),
            "{machine:?}"
        );
    }
}

async fn a_machine_is_let_in_by_whoever_sees_its_code(desk: SignInDesk) {
    let ada = desk.add_user(ADA, &MEMBER).await;
    let pair = desk.sign_in(ADA, PASSWORD).await;
    let token = pair.access_token.as_str();
    let begin = async |machine: &str| {
        let body = json!({ "machine": machine });
        desk.ask((Method::POST, "/auth/device"), None, Some(body))
            .await
    };
    let poll = async |told: &Value| {
        let body = json!({ "device_code": told["device_code"] });
        desk.ask((Method::POST, "/auth/device/token"), None, Some(body))
            .await
    };
    let decide = async |told: &Value, token: Option<&str>, approve: bool| {
        let path = format!(
            "/auth/device/{}/decision",
            told["user_code"].as_str().unwrap()
        );
        let body = json!({ "approve": approve });
        let (status, told) = desk.ask((Method::POST, &path), token, Some(body)).await;
        (
            status,
            told["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let gone = (400, "invalid_token".to_owned());
    let (_, told) = begin("ada's laptop").await;
    let code = told["user_code"].as_str().unwrap();
    assert_eq!(told["verification_url"], format!("{TEAM}/device#{code}"));
    assert_eq!(poll(&told).await.0, 202);
    // Nobody is let in by a stranger.
    assert_eq!(decide(&told, None, true).await.0, 401);
    let (_, waiting) = desk
        .ask(
            (
                Method::GET,
                &format!("/auth/device/{}", code.to_lowercase()),
            ),
            Some(token),
            None,
        )
        .await;
    assert_eq!(waiting["machine"], "ada's laptop");
    assert_eq!(waiting["user_code"], code);
    assert_eq!(decide(&told, Some(token), true).await.0, 204);
    assert_eq!(decide(&told, Some(token), true).await, gone, "once");
    let (status, issued) = poll(&told).await;
    assert_eq!(status, 200, "{issued}");
    assert_eq!(issued["api_key"]["name"], "command line of ada's laptop");
    let key = issued["key"].as_str().unwrap();
    let (_, me) = desk.ask((Method::GET, "/auth/me"), Some(key), None).await;
    assert_eq!(me["id"], json!(ada));
    let (status, _) = desk.ask((Method::GET, "/specs"), Some(key), None).await;
    assert_eq!(status, 200);
    assert_eq!(poll(&told).await.0, 400, "told once");
    // One that is refused, or waits too long, begins anew.
    let (_, refused) = begin("b").await;
    assert_eq!(decide(&refused, Some(token), false).await.0, 204);
    assert_eq!(poll(&refused).await.0, 400);
    let (_, late) = begin("c").await;
    desk.test.advance_clock(599);
    let old = begin("d").await.1;
    desk.test.advance_clock(1);
    // Whoever gave their password long ago gives it again before a machine gets a key.
    let said = decide(&old, Some(token), true).await;
    assert_eq!(said, (403, "reauth_required".to_owned()));
    let again = desk.sign_in(ADA, PASSWORD).await.access_token;
    let token = again.as_str();
    assert_eq!(decide(&late, Some(token), true).await, gone);
    assert_eq!(poll(&late).await.0, 400);
}

async fn who_asks_too_much_waits(mut desk: SignInDesk) {
    desk.add_user(ADA, &MEMBER).await;
    desk.add_user("bob@example.org", &MEMBER).await;
    let ada = desk.sign_in(ADA, PASSWORD).await.access_token;
    let bob = desk.sign_in("bob@example.org", PASSWORD).await.access_token;
    let limiter = RateLimiter::of_process(desk.test.deployment.clock.clone());
    let surface = SurfaceParts {
        limits: RequestLimits::counted_by(limiter),
        ..surface_behind(&desk, ApiDoor::Network)
    };
    desk.router = router(surface, ApiDoor::Network);
    let mut browser = Browser::new(desk.router.clone(), TEAM);
    let account = (Method::GET, "/auth/me");
    for n in 0..100 {
        let said = desk.code_of(account.clone(), &ada, None).await;
        assert_eq!(said.0, 200, "{n}: {said:?}");
    }
    let bearer = format!("Bearer {ada}");
    let more = [("authorization", bearer.as_str())];
    let said = browser
        .send((Method::GET, "/api/v1/auth/me"), &more, None)
        .await;
    assert_eq!(said.said(), (429, "rate_limited"));
    for (name, expected) in [
        ("retry-after", "1"),
        ("ratelimit-limit", "100"),
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", "10"),
    ] {
        assert_eq!(said.headers[name], expected, "{name}");
    }
    assert_eq!(
        desk.code_of(account.clone(), &bob, None).await.0,
        200,
        "others go on"
    );
    desk.test.advance_clock(1);
    assert_eq!(desk.code_of(account, &ada, None).await.0, 200);
    strangers_are_counted_by_their_address(&desk).await;
}

/// They cannot choose it.
async fn strangers_are_counted_by_their_address(desk: &SignInDesk) {
    let peer = Ipv4Addr::new(203, 0, 113, 7);
    let mut refused = None;
    for n in 0..62_u8 {
        let request = Request::get("/api/v1/specs")
            .header(AUTHORIZATION, "Bearer made up")
            .header("x-forwarded-for", format!("192.0.2.{n}"))
            .extension(ConnectInfo(SocketAddr::from((peer, 40_000))));
        let (status, _) = desk.send(request.body(Body::empty()).unwrap()).await;
        if status == 429 {
            refused = Some(n);
            break;
        }
        assert_eq!(status, 401, "{n}");
    }
    assert_eq!(refused, Some(60));
    // Behind a proxy of ours, everybody has their own.
    let proxy = Ipv4Addr::new(10, 0, 0, 1);
    for n in 0..62_u8 {
        let request = Request::get("/api/v1/specs")
            .header(ORIGIN, TEAM)
            .header(AUTHORIZATION, "Bearer made up")
            .header("x-forwarded-for", format!("6.6.6.6, 192.0.2.{n}"))
            .extension(ConnectInfo(SocketAddr::from((proxy, 40_000))));
        let (status, _) = desk.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, 401, "{n}");
    }
    // So are those who are sent to a provider: each leaves a row behind.
    let providers = (Method::GET, "/auth/oauth/providers");
    for n in 0..21 {
        let (status, _) = desk.ask_from(peer, providers.clone(), None, None).await;
        assert_eq!(status, if n < 20 { 200 } else { 429 }, "{n}");
    }
}
