//! Making an account.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::mail_intent::MailKind;
use omoi_domain::access::password_rules::password_faults;
use omoi_domain::access::registration::RegistrationWay;
use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_domain::plain_title::given_name;
use omoi_store::users::{self, User};
use omoi_store::{StoreError, Tx};
use secrecy::{ExposeSecret as _, SecretString};

use super::invitation::{join_invited, lock_open_invitation, organisation_of};
use super::limits::{CountedTry, count_tries, give_back_tries};
use super::mail_plan::{MailSubject, plan_mail};
use crate::context::{AccountContext, RequestSource};
use crate::error::AccountError;
use crate::secret_token::secret_digest;

/// What somebody registers with.
#[derive(Debug)]
pub struct Registration {
    /// The mail address, as it was typed.
    pub email: String,
    /// The password.
    pub password: SecretString,
    /// What people call them; the beginning of the address without it.
    pub full_name: Option<String>,
    /// The token of an invitation to an organisation.
    pub invitation: Option<SecretString>,
}

/// An account that is to be made, once its password is hashed.
struct AccountDraft {
    to: MailAddress,
    name: String,
    hash: String,
}

/// Makes an account, and the mail that its owner verifies it by. Whoever brings an invitation to their address is a
/// member with it, and verified: the link came there.
///
/// For an address that has an account nothing is made, and its owner is told. The caller's answer is the same, and
/// takes as long: a password is hashed in either case.
///
/// # Errors
/// [`AccountError::RegistrationClosed`], [`AccountError::WeakPassword`], [`AccountError::MailAddress`],
/// [`AccountError::Name`], [`AccountError::Limited`], and [`AccountError::InvalidToken`] for an invitation that is not
/// good for that address.
pub async fn register_user(
    context: &AccountContext,
    registration: Registration,
    source: &RequestSource,
) -> Result<(), AccountError> {
    let to: MailAddress = registration.email.parse()?;
    let is_invited = registration.invitation.is_some();
    let way = context.registration.registration_way(is_invited)?;
    let called = registration.full_name.as_deref();
    let name = given_name(called.unwrap_or(to.local_part()))?;
    let password = registration.password;
    let faults = password_faults(context.password_rules, password.expose_secret(), &to);
    if !faults.is_empty() {
        return Err(AccountError::WeakPassword(faults));
    }
    let tries = [
        CountedTry::of_address(LimitScope::RegisterAddress, source.ip),
        CountedTry::of_subject(LimitScope::MailTo, to.as_str()),
    ];
    let system = context.store.system();
    let count = async |tx: &mut Tx| count_tries(tx, &tries).await;
    system.write(CrashPoint::AccountChanged, count).await??;
    let hash = match context.passwords.hash_password(password).await {
        Ok(hash) => hash,
        Err(error) => {
            give_back_tries(&context.store, &tries).await;
            return Err(error.into());
        }
    };
    let draft = AccountDraft { to, name, hash };
    let made = match &registration.invitation {
        Some(token) => make_invited(context, &draft, token).await,
        None => make_account(context, &draft, way == RegistrationWay::Waiting).await,
    };
    match made {
        // Somebody else registered with it meanwhile.
        Err(AccountError::Store(StoreError::Exists { .. })) => {
            let tell = async |tx: &mut Tx| tell_known(tx, &draft.to).await.map(drop);
            system.write(CrashPoint::AccountChanged, tell).await?;
        }
        made => made?,
    }
    context.mails.nudge();
    Ok(())
}

/// Tells whoever has an account with that address of a registration with it; whether there is one.
async fn tell_known(tx: &mut Tx, to: &MailAddress) -> Result<bool, StoreError> {
    let Some(known) = users::find_by_email(tx, to).await? else {
        return Ok(false);
    };
    if known.is_active {
        let subject = MailSubject::Account(MailKind::KnownAddress, known.id);
        plan_mail(tx, to, subject).await?;
    }
    Ok(true)
}

async fn make_account(
    context: &AccountContext,
    draft: &AccountDraft,
    is_waiting: bool,
) -> Result<(), AccountError> {
    let make = async |tx: &mut Tx| -> Result<(), AccountError> {
        if tell_known(tx, &draft.to).await? {
            return Ok(());
        }
        let user = User {
            waiting_since_at: is_waiting.then(|| tx.now()),
            ..fresh_user(tx, &draft.to, &draft.name, Some(&draft.hash))
        };
        insert_registered(tx, &user).await?;
        let subject = MailSubject::Account(MailKind::Verification, user.id);
        Ok(plan_mail(tx, &draft.to, subject).await?)
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, make).await
}

async fn make_invited(
    context: &AccountContext,
    draft: &AccountDraft,
    token: &SecretString,
) -> Result<(), AccountError> {
    let digest = secret_digest(token.expose_secret());
    let org = organisation_of(context, &digest).await?;
    let make = async |tx: &mut Tx| -> Result<(), AccountError> {
        let invitation = lock_open_invitation(tx, org, &digest).await?;
        if invitation.email != draft.to.as_str() {
            return Err(AccountError::InvalidToken);
        }
        if tell_known(tx, &draft.to).await? {
            return Ok(());
        }
        let user = User {
            verified_at: Some(tx.now()),
            ..fresh_user(tx, &draft.to, &draft.name, Some(&draft.hash))
        };
        insert_registered(tx, &user).await?;
        join_invited(tx, &invitation, user.id).await.map(drop)
    };
    let tenant = context.store.tenant(org);
    context.write_membership(&tenant, make).await
}

/// Keeps an account that its person made.
pub(super) async fn insert_registered(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    users::insert(tx, user).await?;
    let registered = AuditAct::done_to(AuditAction::Register, user.id);
    tx.record_act(registered.done_by(Actor::User(user.id)));
    Ok(())
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
            ..fresh_user(tx, &new.email, name, Some(&hash))
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

/// An account of `email` that nobody has verified.
pub(super) fn fresh_user(tx: &Tx, email: &MailAddress, name: &str, hash: Option<&str>) -> User {
    User {
        id: tx.new_id::<UserId>(),
        name: name.to_owned(),
        email: Some(email.as_str().to_owned()),
        password_hash: hash.map(str::to_owned),
        is_active: true,
        is_staff: false,
        verified_at: None,
        token_epoch: 0,
        last_sign_in_at: None,
        created_at: Some(tx.now()),
        department: None,
        attributes: None,
        waiting_since_at: None,
    }
}
