//! New passwords: by a mailed link, or by whoever knows the old one.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::mail_intent::MailKind;
use omoi_domain::access::password_rules::password_faults;
use omoi_domain::access::refresh::SessionEnd;
use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, UserId};
use omoi_store::{Tx, sessions, users};
use secrecy::{ExposeSecret as _, SecretString};

use super::asked_mail::{AskedMail, send_asked_mail};
use super::limits::{CountedTry, clear_tries, count_tries, give_back_tries};
use super::one_time::{find_holder, use_token};
use super::sign_in::{open_session, sign_in_tries, tokens_of};
use super::unlock::clear_account_tries;
use crate::audit::record_act;
use crate::context::{AccountContext, RequestSource, SignedIn};
use crate::error::AccountError;
use crate::password_pool::PasswordVerdict;

/// Has a mail go out by which the owner of `email` sets a new password. The caller's answer is the same where there is
/// no such account.
///
/// # Errors
/// [`AccountError::MailAddress`], [`AccountError::Limited`].
pub async fn ask_password_reset(
    context: &AccountContext,
    email: &str,
    source: &RequestSource,
) -> Result<(), AccountError> {
    let mail = AskedMail {
        kind: MailKind::Reset,
        scope: LimitScope::ForgotAddress,
        is_wanted: |_| true,
    };
    send_asked_mail(context, email, source, mail).await
}

/// Sets the password of whoever has `token`, ends their sessions and opens a locked account. The link came by mail,
/// so that the address is verified with it.
///
/// # Errors
/// [`AccountError::InvalidToken`], [`AccountError::WeakPassword`], [`AccountError::Limited`].
pub async fn reset_password(
    context: &AccountContext,
    token: &str,
    password: SecretString,
    source: &RequestSource,
) -> Result<UserId, AccountError> {
    let tries = [CountedTry::of_address(LimitScope::ResetAddress, source.ip)];
    let system = context.store.system();
    let count = async |tx: &mut Tx| count_tries(tx, &tries).await;
    system.write(CrashPoint::AccountChanged, count).await??;
    // The password is judged by the address, so that a refused one does not use the token up.
    let find = async |tx: &mut Tx| find_holder(tx, token, TokenPurpose::Reset).await;
    let holder = system.read(find).await?;
    let email = holder.email.as_deref().ok_or(AccountError::InvalidToken)?;
    let hash = match hash_good_password(context, password, &email.parse()?).await {
        Err(error @ AccountError::Passwords(_)) => {
            give_back_tries(&context.store, &tries).await;
            return Err(error);
        }
        hashed => hashed?,
    };
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        // The count before the user: a sign-in that is refused locks them in that order.
        clear_account_tries(tx, holder.id).await?;
        let user = use_token(tx, token, TokenPurpose::Reset).await?;
        users::set_password(tx, user, &hash).await?;
        users::set_verified(tx, user).await?;
        sessions::revoke_all(tx, user, None, SessionEnd::PasswordReset).await?;
        let reset = AuditAct::done_to(AuditAction::PasswordReset, user);
        tx.record_act(reset.done_by(Actor::User(user)));
        Ok(user)
    };
    context.write_revocation(set).await
}

/// Sets a new password for `user`, who knows the old one, ends their sessions and begins a new one.
///
/// # Errors
/// [`AccountError::InvalidCredentials`], [`AccountError::WeakPassword`], and as of a sign-in.
pub async fn change_password(
    context: &AccountContext,
    user: UserId,
    passwords: PasswordChange,
    source: &RequestSource,
) -> Result<SignedIn, AccountError> {
    let system = context.store.system();
    let user = system
        .read(async |tx: &mut Tx| users::get(tx, user).await)
        .await?;
    let (Some(email), Some(checked)) = (user.email, user.password_hash) else {
        return Err(AccountError::InvalidCredentials);
    };
    // Who took a session over guesses as slowly as anybody.
    let tries = sign_in_tries(&email, source.ip);
    let count = async |tx: &mut Tx| count_tries(tx, &tries[1..]).await;
    system.write(CrashPoint::AccountChanged, count).await??;
    let hashed = hash_next_password(context, passwords, &checked, &email).await;
    match &hashed {
        Ok(_) => {}
        Err(AccountError::InvalidCredentials) => {
            let denied = AuditAct::denied_to(AuditAction::PasswordChange, user.id);
            let denied = denied.done_by(Actor::User(user.id));
            record_act(&context.store, OrgId::PLATFORM, denied).await?;
        }
        Err(_) => give_back_tries(&context.store, &tries[1..]).await,
    }
    let hash = hashed?;
    let set = async |tx: &mut Tx| -> Result<_, AccountError> {
        clear_tries(tx, &tries[1..]).await?;
        if !users::note_sign_in(tx, user.id, &checked, &hash).await? {
            return Err(AccountError::InvalidCredentials);
        }
        users::raise_epoch(tx, user.id).await?;
        sessions::revoke_all(tx, user.id, None, SessionEnd::PasswordChange).await?;
        let session = open_session(context, tx, user.id, source).await?;
        let changed = AuditAct::done_to(AuditAction::PasswordChange, user.id);
        tx.record_act(changed.done_by(Actor::User(user.id)));
        tokens_of(context, tx, &session).await
    };
    context.write_revocation(set).await
}

/// The old password, and the one that follows it.
#[derive(Debug)]
pub struct PasswordChange {
    /// The old one.
    pub old: SecretString,
    /// The new one.
    pub new: SecretString,
}

/// The hash of the new password, where the old one is the one that `checked` is of.
async fn hash_next_password(
    context: &AccountContext,
    passwords: PasswordChange,
    checked: &str,
    email: &str,
) -> Result<String, AccountError> {
    let verdict = context
        .passwords
        .verify_password(passwords.old, Some(checked.to_owned()))
        .await?;
    if matches!(verdict, PasswordVerdict::Wrong) {
        return Err(AccountError::InvalidCredentials);
    }
    hash_good_password(context, passwords.new, &email.parse()?).await
}

pub(super) async fn hash_good_password(
    context: &AccountContext,
    password: SecretString,
    email: &MailAddress,
) -> Result<String, AccountError> {
    let faults = password_faults(context.password_rules, password.expose_secret(), email);
    if !faults.is_empty() {
        return Err(AccountError::WeakPassword(faults));
    }
    Ok(context.passwords.hash_password(password).await?)
}
