//! Signing in by an account at a provider, and linking such accounts.
//!
//! A way to a provider and back has three steps, each good once: the state that the person comes back with, the
//! provider's code, and a code that the browser fetches its tokens with, so that no token stands in an address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use omoi_domain::access::provider_identity::{
    AWAY_MAX, EXCHANGE_MAX, FlowStage, IdentityProvider, IdentitySignIn, LastWayIn,
};
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_integrations::oauth::{ProviderError, ProviderProfile, SignInReturn};
use omoi_store::provider_flows::{self, FlowDetails, ProviderFlow};
use omoi_store::{StoreError, Tx, users};
use secrecy::SecretString;
use serde_json::json;

use super::linked_identity::{add_identity, identity_facts, link_identity, register_identity};
use super::sign_in::{open_session, tokens_of};
use crate::context::{AccountContext, RequestSource, SignedIn};
use crate::error::AccountError;
use crate::providers::{SignInProviders, flow_secrets};
use crate::secret_token::{FreshSecret, random_text, secret_digest};

/// Bytes of the address that a browser ends at, at most.
const RETURN_BYTES_MAX: usize = 2_000;

/// Why somebody does not get in by a provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderSignInError {
    /// The provider is not set up here.
    #[error("signing in by {0} is not set up here")]
    NotSetUp(IdentityProvider),
    /// The browser is asked to end elsewhere.
    #[error("`return_to` leads away from this server")]
    ReturnsElsewhere,
    /// The way back has no beginning here: it was used, has ended, or was begun in another browser.
    #[error("this sign-in was not begun in this browser, or has ended; begin again")]
    UnknownFlow,
    /// The provider did not say who it is.
    #[error("the provider did not tell who you are")]
    Provider(#[from] ProviderError),
    /// No account here belongs to the person.
    #[error("no account here belongs to you; ask for an invitation, or sign in and link this one")]
    NoAccount,
    /// The provider vouches for no address, by which an account could be found.
    #[error("the provider vouches for no mail address of yours")]
    NoAddress,
    /// An account has the address and nobody has shown that it is theirs.
    #[error("sign in with the password of the account once, and link this one there")]
    AskPassword,
    /// Another account here is opened by it.
    #[error("it opens another account here already")]
    OfAnother,
    /// It is the last way in.
    #[error(transparent)]
    LastWayIn(#[from] LastWayIn),
    /// As of accounts.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<StoreError> for ProviderSignInError {
    fn from(source: StoreError) -> Self {
        Self::Account(source.into())
    }
}

/// A person who is sent to a provider.
#[derive(Debug)]
pub struct BegunFlow {
    /// The provider's page of consent.
    pub consent_url: String,
    /// What the person comes back with.
    pub state: String,
    /// What the browser keeps meanwhile.
    pub browser_secret: SecretString,
}

/// Why a person goes to a provider.
#[derive(Clone, Copy, Debug)]
pub enum FlowPurpose {
    /// To sign in.
    SignIn,
    /// To link the account there to this one.
    Link(UserId),
}

/// What came back from a provider.
#[derive(Debug)]
pub enum FlowEnd {
    /// The browser fetches its tokens with this code.
    SignedIn(SecretString),
    /// The account there opens the account that was signed in to.
    Linked,
}

/// Sends a person to a provider.
///
/// # Errors
/// [`ProviderSignInError::NotSetUp`], [`ProviderSignInError::ReturnsElsewhere`].
pub async fn begin_flow(
    context: &AccountContext,
    providers: &SignInProviders,
    provider: IdentityProvider,
    purpose: FlowPurpose,
    return_to: &str,
) -> Result<BegunFlow, ProviderSignInError> {
    let client = providers.find_provider(provider);
    let client = client.ok_or(ProviderSignInError::NotSetUp(provider))?;
    let return_to = providers
        .return_address(return_to)
        .filter(|address| address.len() <= RETURN_BYTES_MAX);
    let return_to = return_to.ok_or(ProviderSignInError::ReturnsElsewhere)?;
    let mut state = [0; 32];
    context.rng.fill_bytes(&mut state);
    let key = context.ring.signing_key();
    let secrets = flow_secrets(key, &state);
    let browser_secret = random_text(&context.rng);
    let system = context.store.system();
    let keep = async |tx: &mut Tx| -> Result<_, StoreError> {
        let (stage, user_id) = match purpose {
            FlowPurpose::SignIn => (FlowStage::SignIn, None),
            FlowPurpose::Link(user) => (FlowStage::Link, Some(user)),
        };
        let flow = ProviderFlow {
            digest: secret_digest(&secrets.state),
            user_id,
            expires_at: tx.now() + AWAY_MAX,
            details: FlowDetails {
                provider,
                stage,
                key_name: key.key_name().to_owned(),
                browser_digest: Some(secret_digest(&browser_secret)),
                return_to: return_to.to_owned(),
            },
        };
        provider_flows::insert(tx, &flow).await
    };
    let now = system
        .read(async |tx: &mut Tx| Ok::<_, StoreError>(tx.now()))
        .await?;
    // A provider that does not answer leaves no row behind.
    let consent_url = client.consent_url(&secrets, now).await?;
    system.write(CrashPoint::AccountChanged, keep).await?;
    Ok(BegunFlow {
        consent_url,
        state: secrets.state,
        browser_secret: browser_secret.into(),
    })
}

/// What a browser came back with.
#[derive(Clone, Copy, Debug)]
pub struct ReturnedBrowser<'a> {
    /// The provider that it came from.
    pub provider: IdentityProvider,
    /// The state.
    pub state: &'a str,
    /// What the browser kept.
    pub browser_secret: Option<&'a str>,
}

/// A flow whose person came back, and where the browser ends.
#[derive(Debug)]
pub struct ReturnedFlow {
    flow: ProviderFlow,
    state: [u8; 32],
}

impl ReturnedFlow {
    /// Where the browser ends.
    pub fn return_to(&self) -> &str {
        &self.flow.details.return_to
    }
}

/// Takes the flow of a browser that came back. It is good once, whatever follows.
///
/// # Errors
/// [`ProviderSignInError::UnknownFlow`].
pub async fn take_flow(
    context: &AccountContext,
    back: ReturnedBrowser<'_>,
) -> Result<ReturnedFlow, ProviderSignInError> {
    let state = URL_SAFE_NO_PAD.decode(back.state).ok();
    let state: Option<[u8; 32]> = state.and_then(|bytes| bytes.try_into().ok());
    let state = state.ok_or(ProviderSignInError::UnknownFlow)?;
    let digest = secret_digest(back.state);
    let take = async |tx: &mut Tx| provider_flows::take_flow(tx, &digest).await;
    let system = context.store.system();
    let flow = system.write(CrashPoint::AccountChanged, take).await?;
    let kept = back.browser_secret.map(secret_digest);
    // Else an attacker's own way back, opened in somebody's browser, signed that person in to the attacker's account.
    let flow = flow.filter(|flow| {
        flow.details.stage != FlowStage::Returned
            && flow.details.provider == back.provider
            && flow.details.browser_digest == kept
    });
    let flow = flow.ok_or(ProviderSignInError::UnknownFlow)?;
    Ok(ReturnedFlow { flow, state })
}

/// Asks the provider who came back with `code`, and signs them in or links the account.
///
/// # Errors
/// [`ProviderSignInError`].
pub async fn end_flow(
    context: &AccountContext,
    providers: &SignInProviders,
    returned: &ReturnedFlow,
    code: &str,
) -> Result<FlowEnd, ProviderSignInError> {
    let flow = &returned.flow;
    let client = providers.find_provider(flow.details.provider);
    let client = client.ok_or(ProviderSignInError::NotSetUp(flow.details.provider))?;
    let key = context.ring.find_key(&flow.details.key_name);
    let secrets = flow_secrets(
        key.ok_or(ProviderSignInError::UnknownFlow)?,
        &returned.state,
    );
    let system = context.store.system();
    let now = system
        .read(async |tx: &mut Tx| Ok::<_, StoreError>(tx.now()))
        .await?;
    let back = SignInReturn {
        code,
        secrets: &secrets,
        now,
    };
    let profile = client.read_profile(back).await?;
    let end = async |tx: &mut Tx| match (flow.details.stage, flow.user_id) {
        (FlowStage::Link, Some(user)) => link_identity(tx, user, &profile).await,
        _ => open_by_identity(context, tx, flow, &profile).await,
    };
    system.write(CrashPoint::AccountChanged, end).await
}

async fn open_by_identity(
    context: &AccountContext,
    tx: &mut Tx,
    flow: &ProviderFlow,
    profile: &ProviderProfile,
) -> Result<FlowEnd, ProviderSignInError> {
    let facts = identity_facts(tx, profile).await?;
    let user = match facts.decide_sign_in() {
        IdentitySignIn::SignIn(user) => user,
        IdentitySignIn::LinkAndSignIn(user) => {
            add_identity(tx, user, profile).await?;
            user
        }
        IdentitySignIn::Register => register_identity(context, tx, profile).await?,
        IdentitySignIn::AskPassword(_) => return Err(ProviderSignInError::AskPassword),
        IdentitySignIn::NoAddress => return Err(ProviderSignInError::NoAddress),
    };
    if !users::get(tx, user).await?.is_active {
        return Err(ProviderSignInError::NoAccount);
    }
    let fresh = FreshSecret::draw_secret("", &context.rng);
    let returned = ProviderFlow {
        digest: fresh.digest,
        user_id: Some(user),
        expires_at: tx.now() + EXCHANGE_MAX,
        details: FlowDetails {
            stage: FlowStage::Returned,
            ..flow.details.clone()
        },
    };
    provider_flows::insert(tx, &returned).await?;
    Ok(FlowEnd::SignedIn(fresh.secret))
}

/// Opens a session for the browser that came back and was given `code`: for the one that keeps `browser_secret`, since
/// somebody else's code in an address signed people in to that person's account.
///
/// # Errors
/// [`AccountError::InvalidToken`] for a code that is none, was used, or has ended.
pub async fn exchange_code(
    context: &AccountContext,
    (code, browser_secret): (&str, Option<&str>),
    source: &RequestSource,
) -> Result<SignedIn, AccountError> {
    let digest = secret_digest(code);
    let kept = browser_secret.map(secret_digest);
    let open = async |tx: &mut Tx| -> Result<_, AccountError> {
        let flow = provider_flows::take_flow(tx, &digest).await?;
        let is_own = |flow: &ProviderFlow| {
            flow.details.stage == FlowStage::Returned && flow.details.browser_digest == kept
        };
        let flow = flow.filter(is_own);
        let flow = flow.ok_or(AccountError::InvalidToken)?;
        let user = flow.user_id.ok_or(AccountError::InvalidToken)?;
        if !users::get(tx, user).await?.is_active {
            return Err(AccountError::InvalidToken);
        }
        let session = open_session(context, tx, user, source).await?;
        let success = AuditAct::done_to(AuditAction::LoginSuccess, session.id);
        let success = success.done_by(Actor::User(user));
        tx.record_act(success.with_after(json!({ "provider": flow.details.provider })));
        tokens_of(context, tx, &session).await
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, open).await
}
