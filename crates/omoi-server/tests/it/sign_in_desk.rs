//! Accounts of a test deployment, and people who sign in to it over HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use omoi_accounts::access_token::AccessTokens;
use omoi_accounts::commands::member::{MemberAuthority, add_member};
use omoi_accounts::commands::register::{NewUser, add_user};
use omoi_accounts::context::AccountContext;
use omoi_accounts::denial_samples::DenialSamples;
use omoi_accounts::holder_cache::HolderCache;
use omoi_accounts::key_ring::KeyRing;
use omoi_accounts::mail_links::MailLinks;
use omoi_accounts::mailer::Mailer;
use omoi_accounts::password_pool::PasswordPool;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::password_rules::PasswordRules;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::id::{OrgId, UserId};
use omoi_domain::money::NanoUsd;
use omoi_execution::DeploymentParts;
use omoi_integrations::mail::fake::FakeMailer;
use omoi_protocol::api::TokenPair;
use omoi_runtime::reconcile::Nudge;
use omoi_runtime::rng::Rng;
use omoi_server::ApiDoor;
use omoi_store::audit_log::AuditEntry;
use omoi_store::{Store, Tx, audit_log, events, users};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::organisations::add_organisation;

use crate::api::router_with;

/// A password that every account of a test has at first.
pub(crate) const PASSWORD: &str = "Opal-Harbour-7";
/// An organisation beside the laptop's.
pub(crate) const ELSEWHERE: &str = "01930000-0000-7000-8000-0000000000e1";
/// An id that no row has.
pub(crate) const UNKNOWN: &str = "01930000-0000-7000-8000-0000000000ff";
/// Whose tokens they are.
pub(crate) const ISSUER: &str = "omoi";

/// The accounts of `test`, by its clock.
pub(crate) fn accounts_of(test: &TestDeployment) -> AccountContext {
    let rng = Rng::seeded(11);
    let ring = Arc::new(KeyRing::parse(&KeyRing::draw_text(&rng)).unwrap());
    AccountContext {
        store: test.deployment.store.store().clone(),
        access_tokens: Arc::new(AccessTokens::new(&ring, ISSUER).unwrap()),
        encryption_ring: Some(Arc::clone(&ring)),
        ring,
        passwords: PasswordPool::new(rng.fork()),
        password_rules: PasswordRules { chars_min: 8 },
        organization_month: NanoUsd::from_dollars(100),
        registration: RegistrationMode::Open,
        mails: Nudge::default(),
        denials: DenialSamples::default(),
        rng,
        holders: HolderCache::new(test.deployment.clock.clone()),
    }
}

/// A deployment that people sign in to.
pub(crate) struct SignInDesk {
    pub(crate) test: TestDeployment,
    pub(crate) accounts: AccountContext,
    pub(crate) router: Router,
    addresses: AtomicU32,
}

impl SignInDesk {
    pub(crate) async fn on_database(database: TestDatabase) -> Self {
        Self::with_parts(database, |_| {}).await
    }

    /// The same, with some parts changed.
    pub(crate) async fn with_parts(
        database: TestDatabase,
        change: impl FnOnce(&mut DeploymentParts),
    ) -> Self {
        let test = TestDeployment::on_database(database, change).await;
        let accounts = accounts_of(&test);
        add_organisation(&accounts.store, ELSEWHERE.parse().unwrap()).await;
        let router = router_with(&test, accounts.clone(), ApiDoor::Network);
        Self {
            test,
            accounts,
            router,
            addresses: AtomicU32::new(0),
        }
    }

    /// Makes an account that is a member as `roles` say.
    pub(crate) async fn add_user(&self, email: &str, roles: &[(OrgId, SystemRole)]) -> UserId {
        let new = NewUser {
            email: email.parse().unwrap(),
            name: None,
            is_staff: false,
        };
        let added = add_user(&self.accounts, new, PASSWORD.into()).await;
        added.unwrap();
        let user = self.user_of(email).await;
        for (org, role) in roles {
            let operator = MemberAuthority::of_operator(*org);
            let role = MemberRole::System(*role);
            let joined = add_member(&self.accounts, operator, user, role).await;
            joined.unwrap();
        }
        user
    }

    /// The account of `email`.
    pub(crate) async fn user_of(&self, email: &str) -> UserId {
        let address: MailAddress = email.parse().unwrap();
        let find = async |tx: &mut Tx| users::find_by_email(tx, &address).await;
        let user = self.accounts.store.system().read(find).await.unwrap();
        user.unwrap().id
    }

    /// What a request from an address of its own is answered.
    pub(crate) async fn ask(
        &self,
        (method, path): (Method, &str),
        token: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let ip = self.next_address();
        self.ask_from(ip, (method, path), token, body).await
    }

    /// An address that nobody has asked from.
    pub(crate) fn next_address(&self) -> Ipv4Addr {
        let n = self.addresses.fetch_add(1, Ordering::Relaxed);
        Ipv4Addr::from_bits(Ipv4Addr::new(198, 51, 0, 0).to_bits() + n * 256)
    }

    pub(crate) async fn ask_from(
        &self,
        ip: Ipv4Addr,
        (method, path): (Method, &str),
        token: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(HOST, "127.0.0.1:8000")
            .header(CONTENT_TYPE, "application/json")
            .extension(ConnectInfo(SocketAddr::from((ip, 40_000))));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| body.to_string().into());
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    /// What a request is answered, where that is no JSON.
    pub(crate) async fn send_for_text(&self, request: Request<Body>) -> String {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// Status and code of what a request is answered.
    pub(crate) async fn code_of(
        &self,
        route: (Method, &str),
        token: &str,
        body: Option<Value>,
    ) -> (u16, String) {
        let (status, told) = self.ask(route, Some(token), body).await;
        let code = told["error"].as_str().unwrap_or_default();
        (status, code.to_owned())
    }

    /// Signs in over HTTP.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> TokenPair {
        let body = json!({ "email": email, "password": password });
        let (status, told) = self
            .ask((Method::POST, "/auth/login"), None, Some(body))
            .await;
        assert_eq!(status, 200, "{told}");
        serde_json::from_value(told).unwrap()
    }

    /// The text of the newest mail to `email` that was not sent before.
    pub(crate) async fn mailed_text(&self, email: &str) -> String {
        let server = Arc::new(FakeMailer::default());
        let links = MailLinks::new("https://omoi.example.org");
        let mailer = Mailer::new(self.accounts.clone(), server.clone(), links);
        mailer.send_due().await.unwrap();
        let mails = server.mails_to(&email.parse().unwrap());
        mails.last().unwrap().text.clone()
    }

    /// The token that the newest mail to `email` carries.
    pub(crate) async fn mailed_token(&self, email: &str) -> String {
        let text = self.mailed_text(email).await;
        let after = text.split_once('#').unwrap().1;
        after.split_whitespace().next().unwrap().to_owned()
    }

    /// The number of the last event of the laptop's organisation.
    pub(crate) async fn events_head(&self) -> i64 {
        events::head(&mut self.test.read_tx().await).await.unwrap()
    }
}

/// The newest rows of the audit log of `org`, in their order.
pub(crate) async fn newest_acts(store: &Store, org: OrgId, n_rows: usize) -> Vec<AuditEntry> {
    let rows = store.tenant(org);
    let told = rows.read(async |tx: &mut Tx| audit_log::entries_after(tx, 0).await);
    let told = told.await.unwrap();
    let n_before = told.len().saturating_sub(n_rows);
    told.into_iter().skip(n_before).collect()
}

/// Status and code as tests write them.
pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
