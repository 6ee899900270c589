//! Making an account.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::password_rules::password_faults;
use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_store::users::{self, User};
use omoi_store::{StoreError, Tx};
use secrecy::{ExposeSecret as _, SecretString};

use super::limits::{CountedTry, count_tries, give_back_tries};
use super::one_time::make_token;
use super::{AccountMail, AccountMailKind};
use crate::context::{AccountContext, RequestSource};
use crate::error::AccountError;

/// What somebody registers with.
#[derive(Debug)]
pub struct Registration {
    /// The mail address, as it was typed.
    pub email: String,
    /// The password.
    pub password: SecretString,
    /// What people call them; the beginning of the address without it.
    pub full_name: Option<String>,
}

/// Makes an account that is not verified yet, and the mail that its owner verifies it by.
///
/// For an address that has an account nothing is made, and its owner is told. The caller's answer is the same, and
/// takes as long: a password is hashed in either case.
///
/// # Errors
/// [`AccountError::WeakPassword`], [`AccountError::MailAddress`], [`AccountError::Limited`].
pub async fn register_user(
    context: &AccountContext,
    registration: Registration,
    source: &RequestSource,
) -> Result<AccountMail, AccountError> {
    let Registration {
        email,
        password,
        full_name,
    } = registration;
    let to: MailAddress = email.parse()?;
    let faults = password_faults(context.password_rules, password.expose_secret(), &to);
    if !faults.is_empty() {
        return Err(AccountError::WeakPassword(faults));
    }
    let tries = [
        CountedTry::of_address(LimitScope::RegisterAddress, source.ip),
        CountedTry::of_subject(LimitScope::MailTo, to.as_str()),
    ];
    let count = async |tx: &mut Tx| count_tries(tx, &tries).await;
    context
        .store
        .system()
        .write(CrashPoint::AccountChanged, count)
        .await??;
    let hash = match context.passwords.hash_password(password).await {
        Ok(hash) => hash,
        Err(error) => {
            give_back_tries(&context.store, &tries).await;
            return Err(error.into());
        }
    };
    let name = full_name.unwrap_or_else(|| to.local_part().to_owned());
    let make = async |tx: &mut Tx| make_account(context, tx, &to, &name, &hash).await;
    let made = context
        .store
        .system()
        .write(CrashPoint::AccountChanged, make)
        .await;
    let kind = match made {
        // Somebody else registered with it meanwhile.
        Err(StoreError::Exists { .. }) => AccountMailKind::AlreadyRegistered,
        made => made?,
    };
    Ok(AccountMail { to, kind })
}

/// An account that the operator makes.
#[derive(Debug)]
pub struct NewUser {
    /// Its address.
    pub email: MailAddress,
    /// What people call them; the beginning of the address without it.
    pub name: Option<String>,
    /// Whether they run the platform.
    pub is_staff: bool,
}

/// Makes an account whose address the operator vouches for.
///
/// # Errors
/// [`AccountError::WeakPassword`], and [`StoreError::Exists`] where the address has an account.
pub async fn add_user(
    context: &AccountContext,
    new: NewUser,
    password: SecretString,
) -> Result<(), AccountError> {
    let faults = password_faults(context.password_rules, password.expose_secret(), &new.email);
    if !faults.is_empty() {
        return Err(AccountError::WeakPassword(faults));
    }
    let hash = context.passwords.hash_password(password).await?;
    let add = async |tx: &mut Tx| -> Result<(), StoreError> {
        let name = new.name.as_deref().unwrap_or(new.email.local_part());
        let user = User {
            is_staff: new.is_staff,
            verified_at: Some(tx.now()),
            ..fresh_user(tx, &new.email, name, &hash)
        };
        tx.record_act(AuditAct::done_to(AuditAction::Register, user.id));
        users::insert(tx, &user).await
    };
    Ok(context
        .store
        .system()
        .write(CrashPoint::AccountChanged, add)
        .await?)
}

fn fresh_user(tx: &Tx, email: &MailAddress, name: &str, hash: &str) -> User {
    User {
        id: tx.new_id(),
        name: name.to_owned(),
        email: Some(email.as_str().to_owned()),
        password_hash: Some(hash.to_owned()),
        is_active: true,
        is_staff: false,
        verified_at: None,
        token_epoch: 0,
        last_sign_in_at: None,
        created_at: Some(tx.now()),
    }
}

async fn make_account(
    context: &AccountContext,
    tx: &mut Tx,
    email: &MailAddress,
    name: &str,
    hash: &str,
) -> Result<AccountMailKind, StoreError> {
    if users::find_by_email(tx, email).await?.is_some() {
        return Ok(AccountMailKind::AlreadyRegistered);
    }
    let user = fresh_user(tx, email, name, hash);
    users::insert(tx, &user).await?;
    let registered = AuditAct::done_to(AuditAction::Register, user.id);
    tx.record_act(registered.done_by(Actor::User(user.id)));
    let token = make_token(tx, &context.rng, user.id, TokenPurpose::Verify).await?;
    Ok(AccountMailKind::Verify(token))
}
