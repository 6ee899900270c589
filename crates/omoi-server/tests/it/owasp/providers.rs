//! API10, unsafe consumption of APIs: what a sign-in provider says is believed as far as the provider vouches for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use omoi_accounts::providers::SignInProviders;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::OrgId;
use omoi_domain::planted_bug::PlantedBug;
use omoi_integrations::oauth::github::{GithubAddresses, GithubSignIn};
use omoi_integrations::oauth::{OAuthClient, SignInProvider};
use omoi_server::ApiDoor;
use omoi_testkit::github_server::{
    CLIENT_ID, CLIENT_SECRET, GithubAccount, GithubEmail, GithubServer,
};
use omoi_testkit::invariant::InvariantProof;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::api::router_of_providers;
use crate::sign_in_desk::SignInDesk;

both!(no_address_is_believed_that_nobody_vouches_for,);

const ADA: &str = "ada@example.org";
const HOME: &str = "https://omoi.example.org";
/// Accounts whose owners never showed that Ada's address is theirs.
const STRANGERS: [&str; 3] = ["eve", "mallory", "trudy"];

fn account(id: u64, login: &str) -> GithubAccount {
    let email = |email: &str, primary| GithubEmail {
        email: email.to_owned(),
        primary,
        verified: false,
    };
    GithubAccount {
        id,
        login: login.to_owned(),
        name: Some("Ada".to_owned()),
        addresses: vec![email(ADA, true), email("ADA@example.org", false)],
    }
}

/// The provider at `server`, as it is set up.
fn github(server: &GithubServer) -> GithubSignIn {
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
    GithubSignIn::new(&client, &addresses).unwrap()
}

/// Where a browser ends that signs in at the provider as `login`.
async fn sign_in_as(desk: &SignInDesk, login: &str) -> String {
    let request = Request::builder().uri("/api/v1/auth/oauth/github/url?return_to=/here");
    let request = request.body(Body::empty()).unwrap();
    let response = desk.router.clone().oneshot(request).await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let told: Value = serde_json::from_slice(&text).unwrap();
    let consent = format!("{}&account={login}", told["auth_url"].as_str().unwrap());
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let back = browser.get(consent).send().await.unwrap();
    let back = back.headers()["location"].to_str().unwrap();
    let uri = back.strip_prefix(HOME).unwrap();
    let request = Request::builder().uri(uri).header(COOKIE, cookie);
    let request = request.body(Body::empty()).unwrap();
    let response = desk.router.clone().oneshot(request).await.unwrap();
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}

async fn no_address_is_believed_that_nobody_vouches_for(mut desk: SignInDesk) {
    let member = [(OrgId::LOCAL, SystemRole::Member)];
    desk.add_user(ADA, &member).await;
    let accounts = (7..).zip(STRANGERS).map(|(id, login)| account(id, login));
    let server = GithubServer::start(accounts.collect());
    let provider: Arc<dyn SignInProvider> = Arc::new(github(&server));
    let by_name = BTreeMap::from([(IdentityProvider::GitHub, provider)]);
    let providers = SignInProviders::new(by_name, vec![HOME.to_owned()]);
    desk.router = router_of_providers(
        &desk.test,
        desk.accounts.clone(),
        providers,
        ApiDoor::Network,
    );
    let proof = InvariantProof {
        id: "API10",
        counted: "strangers who were let into an account by its address",
        n_cases: STRANGERS.len(),
        bug: PlantedBug::ProviderAddress,
    };
    proof
        .check(async || {
            let mut n_let_in = 0;
            for login in STRANGERS {
                desk.test.advance_clock(60);
                let ended = sign_in_as(&desk, login).await;
                println!("{login}: {ended}");
                n_let_in += usize::from(ended.starts_with("/here#code="));
            }
            n_let_in
        })
        .await;
}
