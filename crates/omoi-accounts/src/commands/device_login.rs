//! Signing in a machine by a browser: its command line shows a code, a person who signed in says yes to it on a page, and
//! the machine gets a key of its own.

use omoi_domain::access::device_login::{UserCode, machine_name};
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;
use omoi_store::one_time_tokens::{self, OneTimeToken};
use omoi_store::{StoreError, Tx, users};
use secrecy::SecretString;

use super::key::{MadeApiKey, WaitingMachine, create_machine_key, scopes_of_everything};
use crate::context::AccountContext;
use crate::error::AccountError;
use crate::secret_token::{FreshSecret, secret_digest};

/// How the secret of a waiting machine begins.
const DEVICE_PREFIX: &str = "omd_";
const PURPOSE: TokenPurpose = TokenPurpose::LoginCode;

/// A machine that begins to wait.
#[derive(Debug)]
pub struct BegunLogin {
    /// What the machine asks with.
    pub device_code: SecretString,
    /// What people compare.
    pub user_code: UserCode,
    /// When it has waited in vain.
    pub expires_at: Timestamp,
}

/// A machine that waits, as the page shows it.
#[derive(Debug)]
pub struct WaitingLogin {
    /// What the machine calls itself.
    pub machine: String,
    /// When it has waited in vain.
    pub expires_at: Timestamp,
}

/// What a machine hears that asks.
#[derive(Debug)]
pub enum LoginAnswer {
    /// Nobody said anything yet.
    Waits,
    /// It was let in; the key is told this once.
    LetIn(Box<MadeApiKey>),
}

/// Lets a machine wait for a person.
///
/// # Errors
/// [`AccountError::MachineName`].
pub async fn begin_device_login(
    context: &AccountContext,
    machine: &str,
) -> Result<BegunLogin, AccountError> {
    let machine = machine_name(machine)?;
    let fresh = FreshSecret::draw_secret(DEVICE_PREFIX, &context.rng);
    let user_code = UserCode::from_random(context.rng.next_u64());
    let begin = async |tx: &mut Tx| -> Result<Timestamp, StoreError> {
        one_time_tokens::delete_ended(tx, PURPOSE).await?;
        let token = OneTimeToken {
            digest: fresh.digest.clone(),
            purpose: PURPOSE,
            user_id: None,
            email: None,
            session_id: None,
            api_key_id: None,
            code_digest: Some(code_digest(&user_code)),
            label: Some(machine.clone()),
            expires_at: tx.now() + PURPOSE.token_lifetime(),
            used_at: None,
            provider_flow: None,
        };
        one_time_tokens::insert(tx, &token).await?;
        Ok(token.expires_at)
    };
    let system = context.store.system();
    let expires_at = system.write(CrashPoint::AccountChanged, begin).await?;
    Ok(BegunLogin {
        device_code: fresh.secret,
        user_code,
        expires_at,
    })
}

/// The machine that waits under a code.
///
/// # Errors
/// [`AccountError::InvalidToken`] where none waits.
pub async fn find_waiting(
    context: &AccountContext,
    code: &UserCode,
) -> Result<WaitingLogin, AccountError> {
    let find = async |tx: &mut Tx| -> Result<_, AccountError> {
        let token = one_time_tokens::find_by_code(tx, &code_digest(code)).await?;
        let token = expect_waiting(tx, token)?;
        Ok(WaitingLogin {
            machine: token.label.unwrap_or_default(),
            expires_at: token.expires_at,
        })
    };
    context.store.system().read(find).await
}

/// Says yes, as `user`, to the machine that waits under a code, or no.
///
/// # Errors
/// [`AccountError::InvalidToken`] where none waits.
pub async fn decide_device_login(
    context: &AccountContext,
    user: UserId,
    code: &UserCode,
    is_approved: bool,
) -> Result<(), AccountError> {
    let decide = async |tx: &mut Tx| -> Result<(), AccountError> {
        let token = one_time_tokens::lock_by_code(tx, &code_digest(code)).await?;
        let token = expect_waiting(tx, token)?;
        match is_approved {
            true => one_time_tokens::set_user(tx, &token.digest, user).await?,
            false => one_time_tokens::set_used(tx, &token.digest).await?,
        }
        Ok(())
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, decide).await
}

/// What the machine with that secret hears.
///
/// # Errors
/// [`AccountError::InvalidToken`] where it was refused, waited too long, has its key already, or whoever let it in may not
/// sign in any more; [`AccountError::TooManyKeys`].
pub async fn ask_device_login(
    context: &AccountContext,
    device_code: &str,
) -> Result<LoginAnswer, AccountError> {
    let digest = secret_digest(device_code);
    let look = async |tx: &mut Tx| -> Result<_, AccountError> {
        let token = one_time_tokens::find(tx, &digest).await?;
        expect_good(tx, token)
    };
    let system = context.store.system();
    let Some(user) = system.read(look).await?.user_id else {
        return Ok(LoginAnswer::Waits);
    };
    let scopes = scopes_of_everything(context, user).await?;
    let take = async |tx: &mut Tx| -> Result<_, AccountError> {
        users::lock(tx, user).await?;
        let token = one_time_tokens::lock(tx, &digest).await?;
        let token = expect_good(tx, token)?;
        if !users::get(tx, user).await?.is_active {
            return Err(AccountError::InvalidToken);
        }
        one_time_tokens::set_used(tx, &digest).await?;
        let waiting = WaitingMachine {
            user,
            machine: token.label.unwrap_or_default(),
            scopes: scopes.clone(),
        };
        create_machine_key(context, tx, waiting).await
    };
    let made = system.write(CrashPoint::AccountChanged, take).await?;
    Ok(LoginAnswer::LetIn(Box::new(made)))
}

/// The code is short, and a copy of the database should not tell it at a glance.
fn code_digest(code: &UserCode) -> String {
    secret_digest(code.plain_letters())
}

fn expect_good(tx: &Tx, token: Option<OneTimeToken>) -> Result<OneTimeToken, AccountError> {
    let now = tx.now();
    let token = token.filter(|token| token.token_facts().is_good_for(PURPOSE, now));
    token.ok_or(AccountError::InvalidToken)
}

fn expect_waiting(tx: &Tx, token: Option<OneTimeToken>) -> Result<OneTimeToken, AccountError> {
    let token = expect_good(tx, token)?;
    match token.user_id {
        None => Ok(token),
        Some(_) => Err(AccountError::InvalidToken),
    }
}
