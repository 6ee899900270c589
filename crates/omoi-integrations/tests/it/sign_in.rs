//! Signing in by GitHub and by OpenID Connect, against servers that check what the real ones check.

use std::time::{SystemTime, UNIX_EPOCH};

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::provider_identity::IdentityProvider;
use omoi_domain::time::Timestamp;
use omoi_integrations::oauth::fake::FakeProvider;
use omoi_integrations::oauth::github::{GithubAddresses, GithubSignIn};
use omoi_integrations::oauth::google::GoogleSignIn;
use omoi_integrations::oauth::{
    OAuthClient, ProviderError, ProviderProfile, SignInProvider, SignInReturn, SignInSecrets,
};
use omoi_testkit::github_server::{
    CLIENT_ID, CLIENT_SECRET, GithubAccount, GithubEmail, GithubServer,
};
use omoi_testkit::openid_provider::openid_provider;
use serde_json::{Value, json};
use url::Url;

const CALLBACK: &str = "https://omoi.example/api/v1/auth/oauth/callback";

fn secrets(seed: u8) -> SignInSecrets {
    SignInSecrets::from_random(&[[seed; 32], [seed + 1; 32], [seed + 2; 32]])
}

/// The provider signs by the clock of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "tokens of another program end by it"
)]
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(elapsed.as_micros()).unwrap())
}

fn github(server: &GithubServer, client_secret: &str) -> GithubSignIn {
    let client = OAuthClient {
        client_id: CLIENT_ID.to_owned(),
        client_secret: client_secret.to_owned().into(),
        callback: CALLBACK.to_owned(),
    };
    let addresses = GithubAddresses {
        authorize: format!("{}/login/oauth/authorize", server.url),
        token: format!("{}/login/oauth/access_token", server.url),
        api: server.url.clone(),
    };
    GithubSignIn::new(&client, &addresses).unwrap()
}

fn google() -> GoogleSignIn {
    let provider = openid_provider();
    let client = OAuthClient {
        client_id: provider.client_id,
        client_secret: provider.client_secret.into(),
        callback: CALLBACK.to_owned(),
    };
    GoogleSignIn::new(&client, &provider.issuer).unwrap()
}

fn email(address: &str, primary: bool, verified: bool) -> GithubEmail {
    GithubEmail {
        email: address.to_owned(),
        primary,
        verified,
    }
}

fn ada_at_github() -> GithubAccount {
    GithubAccount {
        id: 583_231,
        login: "ada".to_owned(),
        name: Some("Ada\nLovelace".to_owned()),
        addresses: vec![
            email("old@example.org", false, true),
            email("stranger@example.org", false, false),
            email("Ada@Example.org", true, true),
        ],
    }
}

/// Clicks on the provider's page, and reads from the address that the browser is sent to.
async fn click(consent_url: &str, account: &str) -> Url {
    let mut url = Url::parse(consent_url).unwrap();
    url.query_pairs_mut().append_pair("account", account);
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let answer = browser.get(url).send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(CALLBACK), "{location}");
    Url::parse(location).unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// The code with which `account` comes back to this sign-in.
async fn code_of(provider: &dyn SignInProvider, secrets: &SignInSecrets, account: &str) -> String {
    let consent = provider.consent_url(secrets, now()).await.unwrap();
    let back = click(&consent, account).await;
    assert_eq!(parameter(&back, "state").as_ref(), Some(&secrets.state));
    parameter(&back, "code").unwrap()
}

async fn read(
    provider: &dyn SignInProvider,
    code: &str,
    secrets: &SignInSecrets,
) -> Result<ProviderProfile, ProviderError> {
    let now = now();
    let back = SignInReturn { code, secrets, now };
    provider.read_profile(back).await
}

async fn sign_in(
    provider: &dyn SignInProvider,
    account: &str,
) -> Result<ProviderProfile, ProviderError> {
    let secrets = secrets(1);
    let code = code_of(provider, &secrets, account).await;
    read(provider, &code, &secrets).await
}

fn address(text: &str) -> Option<MailAddress> {
    text.parse().ok()
}

#[tokio::test]
async fn github_tells_who_the_person_is() {
    let unverified = GithubAccount {
        id: 7,
        login: "eve".to_owned(),
        name: None,
        addresses: vec![email("ada@example.org", true, false)],
    };
    let server = GithubServer::start(vec![ada_at_github(), unverified]);
    let provider = github(&server, CLIENT_SECRET);
    let ada = sign_in(&provider, "ada").await.unwrap();
    let expected = ProviderProfile {
        provider: IdentityProvider::GitHub,
        provider_user_id: "583231".to_owned(),
        username: Some("ada".to_owned()),
        full_name: Some("Ada\\nLovelace".to_owned()),
        address: address("ada@example.org"),
    };
    assert_eq!(ada, expected);
    let eve = sign_in(&provider, "eve").await.unwrap();
    assert_eq!((eve.address, eve.full_name), (None, None));
}

#[tokio::test]
async fn github_asks_for_the_person_and_no_repository() {
    let server = GithubServer::start(vec![ada_at_github()]);
    let provider = github(&server, CLIENT_SECRET);
    let consent = provider.consent_url(&secrets(1), now()).await.unwrap();
    let url = Url::parse(&consent).unwrap();
    assert_eq!(parameter(&url, "scope").unwrap(), "read:user user:email");
    assert_eq!(parameter(&url, "redirect_uri").unwrap(), CALLBACK);
    let declined = click(&consent, "nobody").await;
    assert_eq!(parameter(&declined, "error").unwrap(), "access_denied");
    assert_eq!(server.n_tokens(), 0);
}

#[tokio::test]
async fn a_code_is_good_once_and_for_whoever_began() {
    let server = GithubServer::start(vec![ada_at_github()]);
    let github = github(&server, CLIENT_SECRET);
    let google = google();
    let fake = FakeProvider::default();
    let account = json!({"sub": "1", "email": "ada@example.org", "email_verified": true});
    let account = account.to_string();
    let providers: [(&dyn SignInProvider, &str); 2] = [(&github, "ada"), (&google, &account)];
    for (provider, account) in providers {
        let (mine, other) = (secrets(1), secrets(9));
        let code = code_of(provider, &mine, account).await;
        assert!(read(provider, &code, &mine).await.is_ok(), "{provider:?}");
        expect_refusal(read(provider, &code, &mine).await);
        let code = code_of(provider, &mine, account).await;
        expect_refusal(read(provider, &code, &other).await);
        expect_refusal(read(provider, "guessed", &mine).await);
    }
    let (mine, other) = (secrets(1), secrets(9));
    let profile = read(&github, &code_of(&github, &mine, "ada").await, &mine)
        .await
        .unwrap();
    let consent = fake.consent_url(&mine, now()).await.unwrap();
    let code = fake.consent_as(&consent, profile.clone());
    assert_eq!(read(&fake, &code, &mine).await.unwrap(), profile);
    expect_refusal(read(&fake, &code, &mine).await);
    let code = fake.consent_as(&consent, profile);
    expect_refusal(read(&fake, &code, &other).await);
}

fn expect_refusal(read: Result<ProviderProfile, ProviderError>) {
    assert!(
        matches!(
            read,
            Err(ProviderError::Refused { .. } | ProviderError::Answer { .. })
        ),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_wrong_secret_is_told_by_github_with_status_200() {
    let server = GithubServer::start(vec![ada_at_github()]);
    let error = sign_in(&github(&server, "guessed"), "ada")
        .await
        .unwrap_err();
    let ProviderError::Refused { error } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(error, "incorrect_client_credentials");
}

#[tokio::test]
async fn openid_tells_who_the_person_is() {
    let provider = google();
    let with = |claims: Value| {
        let provider = &provider;
        async move { sign_in(provider, &claims.to_string()).await }
    };
    let ada =
        json!({"sub": "108", "email": "Ada@Example.org", "email_verified": true, "name": "Ada"});
    let expected = ProviderProfile {
        provider: IdentityProvider::Google,
        provider_user_id: "108".to_owned(),
        username: None,
        full_name: Some("Ada".to_owned()),
        address: address("ada@example.org"),
    };
    assert_eq!(with(ada).await.unwrap(), expected);
    for claims in [
        json!({"sub": "108"}),
        json!({"sub": "108", "email": "ada@example.org"}),
        json!({"sub": "108", "email": "ada@example.org", "email_verified": false}),
    ] {
        assert_eq!(with(claims).await.unwrap().address, None);
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_or_of_yesterday_is_refused() {
    let provider = google();
    for (claim, value, word) in [
        ("aud", json!("another-client"), "audience"),
        ("aud", json!(["omoi-test", "another-client"]), "audience"),
        ("iss", json!("https://accounts.evil.example"), "issuer"),
        ("exp", json!(1_700_000_000), "xpired"),
        ("nonce", json!("of-another-sign-in"), "nonce"),
        ("nonce", Value::Null, "nonce"),
    ] {
        let mut claims = json!({"sub": "108", "email": "ada@example.org", "email_verified": true});
        claims[claim] = value;
        let error = sign_in(&provider, &claims.to_string()).await.unwrap_err();
        let ProviderError::IdToken { why } = &error else {
            panic!("{claim}: {error:?}")
        };
        assert!(why.contains(word), "{claim}: {why}");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_an_error_in_time() {
    let client = OAuthClient {
        client_id: "x".to_owned(),
        client_secret: "y".to_owned().into(),
        callback: CALLBACK.to_owned(),
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let provider = GoogleSignIn::new(&client, &url).unwrap();
    let error = provider.consent_url(&secrets(1), now()).await;
    assert!(matches!(error, Err(ProviderError::Http(_))), "{error:?}");
    let abroad = GoogleSignIn::new(&client, "http://accounts.google.com");
    assert!(matches!(abroad, Err(ProviderError::UnsafeAddress { .. })));
}
