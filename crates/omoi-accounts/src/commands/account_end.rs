//! Giving an account up.

use omoi_domain::access::refresh::SessionEnd;
use omoi_domain::access::role::SystemRole;
use omoi_domain::access::role_chain::RolePower;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::id::{OrgId, UserId};
use omoi_store::memberships::Membership;
use omoi_store::{
    Tx, api_keys, mail_intents, memberships, one_time_tokens, sessions, user_identities, users,
};

use super::member::{MemberAuthority, keep_an_owner, remove_member};
use super::sign_out::keep_owners;
use crate::context::AccountContext;
use crate::error::AccountError;

/// What an account is called that was given up.
const ERASED_NAME: &str = "deleted account";

/// Gives the account of `user` up: they leave every organisation, their keys and sessions end, and what tells who they
/// are is erased. What they did stays, by their id alone.
///
/// Where it stops in between, they have left some organisations and ask again.
///
/// # Errors
/// [`AccountError::LastOwner`] for the only owner of an organisation who can sign in, before anything is changed.
pub async fn delete_account(context: &AccountContext, user: UserId) -> Result<(), AccountError> {
    let platform = context.store.tenant(OrgId::PLATFORM);
    let platform = platform.acting_as(Actor::User(user));
    let refused = AuditAct::denied_to(AuditAction::AccountDeleted, user);
    let done = leave_and_erase(context, user).await;
    context.audit_refusal(&platform, refused, done).await
}

async fn leave_and_erase(context: &AccountContext, user: UserId) -> Result<(), AccountError> {
    let system = context.store.system();
    let list = async |tx: &mut Tx| -> Result<_, AccountError> {
        let all = memberships::list_of_user(tx, user).await?;
        for membership in &all {
            keep_an_owner(tx, membership).await?;
        }
        Ok(all)
    };
    let all: Vec<Membership> = system.read(list).await?;
    for membership in all {
        let leaver = MemberAuthority {
            org: membership.org_id,
            actor: Actor::User(user),
            power: RolePower::of_system(SystemRole::Owner),
        };
        remove_member(context, leaver, membership.id).await?;
    }
    let erase = async |tx: &mut Tx| -> Result<(), AccountError> {
        // They may have joined another one meanwhile.
        keep_owners(tx, user).await?;
        users::lock(tx, user).await?;
        sessions::revoke_all(tx, user, None, SessionEnd::Deactivation).await?;
        api_keys::revoke_all_of_user(tx, user).await?;
        user_identities::delete_all_of_user(tx, user).await?;
        one_time_tokens::delete_of_user(tx, user).await?;
        mail_intents::delete_of_user(tx, user).await?;
        users::erase_person(tx, user, ERASED_NAME).await?;
        let deleted = AuditAct::done_to(AuditAction::AccountDeleted, user);
        tx.record_act(deleted.done_by(Actor::User(user)));
        Ok(())
    };
    context.write_revocation(erase).await
}
