//! Accounts over a migrated database, with a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use omoi_accounts::access_token::AccessTokens;
use omoi_accounts::commands::register::{NewUser, Registration, add_user, register_user};
use omoi_accounts::commands::sign_in::sign_in;
use omoi_accounts::commands::verify::verify_mail;
use omoi_accounts::context::{AccountContext, RequestSource, SignedIn};
use omoi_accounts::denial_samples::DenialSamples;
use omoi_accounts::error::AccountError;
use omoi_accounts::holder::authenticate_credential;
use omoi_accounts::holder_cache::HolderCache;
use omoi_accounts::key_ring::KeyRing;
use omoi_accounts::mail_links::MailLinks;
use omoi_accounts::mailer::Mailer;
use omoi_accounts::password_pool::PasswordPool;
use omoi_domain::access::password_rules::PasswordRules;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::id::UserId;
use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;
use omoi_integrations::mail::fake::{FakeMailer, TakenMail};
use omoi_runtime::clock::{Clock as _, ManualClock};
use omoi_runtime::reconcile::{Next, Nudge};
use omoi_runtime::rng::Rng;
use omoi_store::{Store, StoreError, StoreOptions, Tx};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::raw_connection::RawConnection;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

/// A password that every account of a test has at first.
pub(crate) const PASSWORD: &str = "Opal-Harbour-7";

/// Where people reach the server of the tests.
const HOME: &str = "https://omoi.example.org";

pub(crate) struct Desk {
    pub(crate) accounts: AccountContext,
    pub(crate) mail_server: Arc<FakeMailer>,
    clock: ManualClock,
    ids: Arc<AtomicU64>,
    database: TestDatabase,
}

impl Desk {
    pub(crate) async fn sqlite() -> Self {
        Self::on(omoi_testkit::sqlite::database()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(omoi_testkit::postgres::database()).await
    }

    async fn on(database: TestDatabase) -> Self {
        let clock = ManualClock::new(Timestamp::from_micros(1_760_000_000_000_000));
        let ids = Arc::new(AtomicU64::new(1));
        let store = open(&database, &clock, &ids).await;
        store.migrate().await.unwrap();
        let rng = Rng::seeded(1);
        let ring = Arc::new(KeyRing::parse(&KeyRing::draw_text(&rng)).unwrap());
        let accounts = AccountContext {
            store,
            access_tokens: Arc::new(AccessTokens::new(&ring, "omoi").unwrap()),
            encryption_ring: Some(Arc::clone(&ring)),
            ring,
            passwords: PasswordPool::new(rng.fork()),
            password_rules: PasswordRules { chars_min: 8 },
            organization_month: NanoUsd::from_dollars(100),
            registration: RegistrationMode::Open,
            mails: Nudge::default(),
            denials: DenialSamples::default(),
            rng,
            holders: HolderCache::new(Arc::new(clock.clone())),
        };
        Self {
            accounts,
            mail_server: Arc::default(),
            clock,
            ids,
            database,
        }
    }

    /// The same accounts in a second process.
    pub(crate) async fn another(&self) -> AccountContext {
        AccountContext {
            store: open(&self.database, &self.clock, &self.ids).await,
            holders: HolderCache::new(Arc::new(self.clock.clone())),
            ..self.accounts.clone()
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Reads rows of no organisation.
    pub(crate) async fn read<T>(
        &self,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, StoreError>,
    ) -> T {
        self.accounts.store.system().read(body).await.unwrap()
    }

    /// Runs `sql` as whoever owns the tables.
    pub(crate) async fn raw(&self, sql: &str) {
        let mut conn = RawConnection::open(self.database.url()).await.unwrap();
        conn.execute(sql).await.unwrap();
    }

    /// The same, which the database may refuse.
    pub(crate) async fn try_raw(&self, sql: &str) -> Result<(), String> {
        let mut conn = RawConnection::open(self.database.url()).await.unwrap();
        conn.execute(sql).await.map_err(|error| error.to_string())
    }

    /// The rows of a query past the store, as texts.
    pub(crate) async fn raw_rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut conn = RawConnection::open(self.database.url()).await.unwrap();
        conn.rows(sql).await.unwrap()
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.database.url().starts_with("sqlite:")
    }

    /// Makes an account of an address that needs no mail.
    pub(crate) async fn add_user(&self, email: &str) -> UserId {
        let new = NewUser {
            email: email.parse().unwrap(),
            name: None,
            is_staff: false,
        };
        add_user(&self.accounts, new, PASSWORD.into())
            .await
            .unwrap();
        let user = self
            .read(async |tx| omoi_store::users::find_by_email(tx, &email.parse().unwrap()).await);
        user.await.unwrap().id
    }

    /// Registers `email` and verifies it.
    pub(crate) async fn make_user(&self, email: &str) {
        let made = register_user(&self.accounts, registration(email), &source("192.0.2.200")).await;
        made.unwrap();
        let token = self.mailed_token(email).await;
        let verified = verify_mail(&self.accounts, &token, &source("192.0.2.200")).await;
        verified.unwrap();
    }

    pub(crate) async fn sign_in(
        &self,
        email: &str,
        password: &str,
        ip: &str,
    ) -> Result<SignedIn, AccountError> {
        sign_in(&self.accounts, email, password.into(), &source(ip)).await
    }

    /// Who sends the mails.
    pub(crate) fn mailer(&self) -> Mailer {
        let server = Arc::clone(&self.mail_server);
        Mailer::new(self.accounts.clone(), server, MailLinks::new(HOME))
    }

    /// Sends what is due; when there is something to do again.
    pub(crate) async fn send_mails(&self) -> Next {
        self.mailer().send_due().await.unwrap()
    }

    /// The mails that came to `email` until now.
    pub(crate) async fn mails_to(&self, email: &str) -> Vec<TakenMail> {
        self.send_mails().await;
        self.mail_server.mails_to(&email.parse().unwrap())
    }

    /// The token that the newest mail to `email` carries.
    pub(crate) async fn mailed_token(&self, email: &str) -> String {
        let mails = self.mails_to(email).await;
        token_of(mails.last().unwrap())
    }

    /// Whether the access token opens anything, as a request asks.
    pub(crate) async fn is_let_in(&self, signed_in: &SignedIn) -> bool {
        is_let_in(&self.accounts, signed_in).await
    }
}

/// Whether the process of `accounts` lets the access token in.
pub(crate) async fn is_let_in(accounts: &AccountContext, signed_in: &SignedIn) -> bool {
    let token = signed_in.access_token.expose_secret();
    match authenticate_credential(accounts, token).await {
        Ok(holder) => {
            assert_eq!(holder.session_id(), Some(signed_in.session));
            true
        }
        Err(AccountError::InvalidToken) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn open(database: &TestDatabase, clock: &ManualClock, ids: &Arc<AtomicU64>) -> Store {
    let (clock, ids) = (clock.clone(), ids.clone());
    let options = StoreOptions {
        url: database.url().to_owned(),
        now: Some(Arc::new(move || clock.now())),
        new_uuid: Arc::new(move || {
            let n = ids.fetch_add(1, Ordering::SeqCst);
            Uuid::from_u128(0x0193_1111_0000_7000_8000_0000_0000_0000 | u128::from(n))
        }),
        server: omoi_store::ServerOptions::default(),
    };
    Store::connect(options).await.unwrap()
}

pub(crate) fn source(ip: &str) -> RequestSource {
    RequestSource {
        ip: ip.parse().unwrap(),
        user_agent: "test\r\n".to_owned(),
    }
}

pub(crate) fn registration(email: &str) -> Registration {
    Registration {
        email: email.to_owned(),
        password: PASSWORD.into(),
        full_name: None,
        invitation: None,
    }
}

/// The token that a mail carries.
pub(crate) fn token_of(mail: &TakenMail) -> String {
    let after = mail.text.split_once('#').unwrap().1;
    after.split_whitespace().next().unwrap().to_owned()
}
