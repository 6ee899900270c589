//! Accounts at sign-in providers, and the accounts here that they open.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::provider_identity::{
    IdentityFacts, IdentityLink, IdentityProvider, MatchedAccount, may_unlink,
};
use omoi_domain::access::registration::RegistrationWay;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_domain::plain_title::given_name;
use omoi_integrations::oauth::ProviderProfile;
use omoi_store::user_identities::{self, UserIdentity};
use omoi_store::users::{self, User};
use omoi_store::{StoreError, Tx, invitations};
use serde_json::json;

use super::provider_sign_in::{FlowEnd, ProviderSignInError};
use super::register::{fresh_user, insert_registered};
use crate::context::AccountContext;

/// The accounts at providers that open the account of `user`.
///
/// # Errors
/// When the rows cannot be read.
pub async fn list_identities(
    context: &AccountContext,
    user: UserId,
) -> Result<Vec<UserIdentity>, StoreError> {
    let list = async |tx: &mut Tx| user_identities::list_of_user(tx, user).await;
    context.store.system().read(list).await
}

/// Takes the account at `provider` from `user`; whether there was one.
///
/// # Errors
/// [`ProviderSignInError::LastWayIn`] where nothing else opens the account.
pub async fn unlink_identity(
    context: &AccountContext,
    user: UserId,
    provider: IdentityProvider,
) -> Result<bool, ProviderSignInError> {
    let unlink = async |tx: &mut Tx| -> Result<_, ProviderSignInError> {
        users::lock(tx, user).await?;
        let all = user_identities::list_of_user(tx, user).await?;
        if all.iter().all(|identity| identity.provider != provider) {
            return Ok(false);
        }
        let has_password = users::get(tx, user).await?.password_hash.is_some();
        may_unlink(has_password, all.len())?;
        let unlinked = AuditAct::done_to(AuditAction::OauthUnlinked, user);
        let unlinked = unlinked.done_by(Actor::User(user));
        tx.record_act(unlinked.with_before(json!({ "provider": provider })));
        Ok(user_identities::delete_of_user(tx, user, provider).await?)
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, unlink).await
}

/// Makes an account of the address that the provider vouches for, where registration allows it: whoever may not
/// register by themselves must be invited somewhere.
pub(super) async fn register_identity(
    context: &AccountContext,
    tx: &mut Tx,
    profile: &ProviderProfile,
) -> Result<UserId, ProviderSignInError> {
    let to = profile.address.as_ref();
    let to = to.ok_or(ProviderSignInError::NoAddress)?;
    let way = match context.registration.registration_way(false) {
        Ok(way) => way,
        Err(_) if invitations::is_invited(tx, to).await? => RegistrationWay::Invited,
        Err(_) => return Err(ProviderSignInError::NoAccount),
    };
    let called = profile.full_name.as_deref().map(given_name);
    let called = called.and_then(Result::ok);
    let name = called.unwrap_or_else(|| to.local_part().to_owned());
    let user = User {
        verified_at: Some(tx.now()),
        waiting_since_at: (way == RegistrationWay::Waiting).then(|| tx.now()),
        ..fresh_user(tx, to, &name, None)
    };
    match insert_registered(tx, &user).await {
        // Somebody registered with the address meanwhile, which is not theirs before they verify it.
        Err(StoreError::Exists { .. }) => return Err(ProviderSignInError::AskPassword),
        inserted => inserted?,
    }
    add_identity(tx, user.id, profile).await?;
    Ok(user.id)
}

pub(super) async fn link_identity(
    tx: &mut Tx,
    user: UserId,
    profile: &ProviderProfile,
) -> Result<FlowEnd, ProviderSignInError> {
    let facts = identity_facts(tx, profile).await?;
    match facts.decide_link(user) {
        IdentityLink::Linked => {}
        IdentityLink::OfAnother => return Err(ProviderSignInError::OfAnother),
        IdentityLink::Link => add_identity(tx, user, profile).await?,
    }
    Ok(FlowEnd::Linked)
}

pub(super) async fn identity_facts(
    tx: &mut Tx,
    profile: &ProviderProfile,
) -> Result<IdentityFacts, StoreError> {
    let identity = user_identities::find(tx, profile.provider, &profile.provider_user_id).await?;
    let account = match &profile.address {
        Some(address) => account_of(tx, address).await?,
        None => None,
    };
    Ok(IdentityFacts {
        linked_to: identity.map(|identity| identity.user_id),
        has_vouched_address: profile.address.is_some(),
        account,
    })
}

async fn account_of(
    tx: &mut Tx,
    address: &MailAddress,
) -> Result<Option<MatchedAccount>, StoreError> {
    let user = users::find_by_email(tx, address).await?;
    Ok(user.map(|user| MatchedAccount {
        user: user.id,
        is_verified: user.is_verified(),
    }))
}

pub(super) async fn add_identity(
    tx: &mut Tx,
    user: UserId,
    profile: &ProviderProfile,
) -> Result<(), ProviderSignInError> {
    users::lock(tx, user).await?;
    let identity = UserIdentity {
        provider: profile.provider,
        provider_user_id: profile.provider_user_id.clone(),
        user_id: user,
        username: profile.username.clone(),
        created_at: tx.now(),
    };
    match user_identities::insert(tx, &identity).await {
        // The account has another one of that provider, or somebody was faster.
        Err(StoreError::Exists { .. }) => return Err(ProviderSignInError::OfAnother),
        inserted => inserted?,
    }
    let linked = AuditAct::done_to(AuditAction::OauthLinked, user);
    let linked = linked.done_by(Actor::User(user));
    tx.record_act(linked.with_after(json!({ "provider": profile.provider })));
    Ok(())
}
