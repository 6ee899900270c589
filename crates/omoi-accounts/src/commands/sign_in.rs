//! Signing in by mail address and password.

use std::net::IpAddr;

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::mail_intent::MailKind;
use omoi_domain::access::refresh::{SIGN_IN_IDLE, SIGN_IN_LONGEST};
use omoi_domain::access::sign_in_limit::{LimitScope, network_of};
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction, AuditTarget};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, UserId};
use omoi_store::sessions::{self, SignInSession};
use omoi_store::users::{self, User};
use omoi_store::{StoreError, Tx, mail_intents};
use secrecy::SecretString;
use serde_json::json;

use super::limits::{CountedTry, RefusedTry, clear_tries, count_tries, give_back_tries};
use super::mail_plan::{MailSubject, plan_mail};
use crate::access_token::AccessClaims;
use crate::audit::record_act;
use crate::context::{AccountContext, RequestSource, SignedIn};
use crate::error::AccountError;
use crate::password_pool::PasswordVerdict;
use crate::refresh_token::{NamedGeneration, refresh_token};
use crate::secret_token::secret_digest;

/// A try that is let in.
struct LetIn {
    /// Whose address it is.
    user: Option<User>,
}

/// Signs in.
///
/// The try is counted before the password is looked at, and cleared once it was right: of many guesses at once no
/// more are looked at than the limit says. It is taken back where the password could not be looked at; a request that
/// is given up stays counted.
///
/// # Errors
/// [`AccountError::InvalidCredentials`], [`AccountError::Locked`] or [`AccountError::Limited`]; and where a database or
/// a thread fails nobody is let in.
pub async fn sign_in(
    context: &AccountContext,
    email: &str,
    password: SecretString,
    source: &RequestSource,
) -> Result<SignedIn, AccountError> {
    // What is no address has no account, and is counted like one.
    let address: Result<MailAddress, _> = email.parse();
    let account = address.as_ref().map_or(email, MailAddress::as_str);
    let tries = sign_in_tries(account, source.ip);
    let begin = async |tx: &mut Tx| begin_sign_in(tx, &tries, account, address.as_ref().ok()).await;
    let system = context.store.system();
    let begun = system.write(CrashPoint::AccountChanged, begin).await?;
    if begun.is_err() {
        // A mail may tell the owner.
        context.mails.nudge();
    }
    let LetIn { user } = begun?;
    let failed = failed_act(AuditAction::LoginFailed, user.as_ref(), account);
    let user = user.filter(|user| user.is_active);
    let opened = open_by_password(context, user, password, &tries, source).await;
    match &opened {
        Ok(_) => {}
        Err(AccountError::InvalidCredentials) => {
            record_act(&context.store, OrgId::PLATFORM, failed).await?;
        }
        Err(_) => give_back_tries(&context.store, &tries).await,
    }
    opened
}

/// A try that failed, at the account that has the address, or at none: then it is known again by its digest alone.
fn failed_act(action: AuditAction, user: Option<&User>, account: &str) -> AuditAct {
    match user {
        Some(user) => AuditAct::denied_to(action, user.id),
        None => AuditAct::denied_to(action, AuditTarget::UNKNOWN_USER)
            .with_after(json!({ "address_digest": secret_digest(account) })),
    }
}

async fn open_by_password(
    context: &AccountContext,
    user: Option<User>,
    password: SecretString,
    tries: &[CountedTry; 3],
    source: &RequestSource,
) -> Result<SignedIn, AccountError> {
    let stored = user.as_ref().and_then(|user| user.password_hash.clone());
    let verified = context
        .passwords
        .verify_password(password, stored.clone())
        .await;
    let rehashed = match verified? {
        PasswordVerdict::Correct { rehashed } => rehashed,
        PasswordVerdict::Wrong => return Err(AccountError::InvalidCredentials),
    };
    let (Some(user), Some(checked)) = (user, stored) else {
        return Err(AccountError::InvalidCredentials);
    };
    let rehashed = rehashed.unwrap_or_else(|| checked.clone());
    let open = async |tx: &mut Tx| -> Result<_, AccountError> {
        clear_tries(tx, &tries[1..]).await?;
        if !users::note_sign_in(tx, user.id, &checked, &rehashed).await? {
            return Err(AccountError::InvalidCredentials);
        }
        let session = open_session(context, tx, user.id, source).await?;
        let success = AuditAct::done_to(AuditAction::LoginSuccess, session.id);
        tx.record_act(success.done_by(Actor::User(user.id)));
        tokens_of(context, tx, &session).await
    };
    context
        .store
        .system()
        .write(CrashPoint::AccountChanged, open)
        .await
}

/// What a sign-in to `account` counts against: the address, then what a success clears.
pub(super) fn sign_in_tries(account: &str, ip: IpAddr) -> [CountedTry; 3] {
    let pair = format!("{account} {}", network_of(ip));
    [
        CountedTry::of_address(LimitScope::SignInAddress, ip),
        CountedTry::of_subject(LimitScope::SignInPair, &pair),
        CountedTry::of_subject(LimitScope::SignInAccount, account),
    ]
}

async fn begin_sign_in(
    tx: &mut Tx,
    tries: &[CountedTry],
    account: &str,
    address: Option<&MailAddress>,
) -> Result<Result<LetIn, AccountError>, AccountError> {
    let counted = count_tries(tx, tries).await?;
    let user = match address {
        Some(address) => users::find_by_email(tx, address).await?,
        None => None,
    };
    let Err(refused) = counted else {
        return Ok(Ok(LetIn { user }));
    };
    if refused.is_of_account() {
        tx.record_act(failed_act(
            AuditAction::LoginBlockedLockout,
            user.as_ref(),
            account,
        ));
    }
    if let (Some(user), Some(to)) = (user.filter(|user| user.is_active), address) {
        plan_unlock(tx, refused, &user, to).await?;
    }
    Ok(Err(refused.into()))
}

/// Has a mail go out by which an account is opened again, where none is under way.
async fn plan_unlock(
    tx: &mut Tx,
    refused: RefusedTry,
    user: &User,
    to: &MailAddress,
) -> Result<(), StoreError> {
    if refused.until.is_some() {
        return Ok(());
    }
    let (kind, since) = (
        MailKind::Unlock,
        tx.now() - TokenPurpose::Unlock.token_lifetime(),
    );
    if mail_intents::is_under_way(tx, user.id, kind, since).await? {
        return Ok(());
    }
    tx.record_act(AuditAct::done_to(AuditAction::AccountLocked, user.id));
    plan_mail(tx, to, MailSubject::Account(kind, user.id)).await
}

/// Begins a session of `user`, who has just shown who they are.
pub(super) async fn open_session(
    context: &AccountContext,
    tx: &mut Tx,
    user: UserId,
    source: &RequestSource,
) -> Result<SignInSession, StoreError> {
    let now = tx.now();
    let session = SignInSession {
        id: tx.new_id(),
        user_id: user,
        key_name: context.ring.signing_key().key_name().to_owned(),
        previous_key_name: None,
        generation: 0,
        rotated_at: now,
        ip: source.ip.to_string(),
        user_agent: source.short_user_agent(),
        created_at: now,
        expires_at: now + SIGN_IN_IDLE,
        absolute_expires_at: now + SIGN_IN_LONGEST,
        signed_in_at: now,
        revoked_at: None,
        revoke_reason: None,
    };
    sessions::insert(tx, &session).await?;
    Ok(session)
}

/// The newest tokens of `session`, as its row says.
///
/// # Errors
/// [`AccountError::InvalidToken`] where the key that they are made with has left the ring, or the user may not sign
/// in any more.
pub(super) async fn tokens_of(
    context: &AccountContext,
    tx: &mut Tx,
    session: &SignInSession,
) -> Result<SignedIn, AccountError> {
    let user = users::get(tx, session.user_id).await?;
    let key = context.ring.find_key(&session.key_name);
    let (Some(key), true) = (key, user.is_active) else {
        return Err(AccountError::InvalidToken);
    };
    let claims = AccessClaims {
        user: user.id,
        session: session.id,
        epoch: user.token_epoch,
    };
    let named = NamedGeneration {
        session: session.id,
        generation: session.generation,
    };
    Ok(SignedIn {
        session: session.id,
        access_token: context
            .access_tokens
            .sign_token(&claims, tx.new_id(), tx.now())?,
        refresh_token: refresh_token(key, named),
        expires_at: session.expires_at.min(session.absolute_expires_at),
    })
}
