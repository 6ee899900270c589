//! The next tokens of a session.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::mail_intent::MailKind;
use omoi_domain::access::refresh::{RefreshDecision, SessionEnd, decide_refresh};
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_store::sessions::{self, SignInSession};
use omoi_store::{Tx, deployment, users};

use super::mail_plan::{MailSubject, plan_mail};
use super::sign_in::tokens_of;
use crate::context::{AccountContext, SignedIn};
use crate::error::AccountError;
use crate::refresh_token::{NamedGeneration, read_refresh_token};

/// Gives the next tokens for a refresh token.
///
/// Many at once with one token get one successor. A token from before the last is a copy: its session ends.
///
/// # Errors
/// [`AccountError::InvalidToken`] and, with a mail to the user, [`AccountError::TokenReused`].
pub async fn refresh_session(
    context: &AccountContext,
    token: &str,
) -> Result<SignedIn, AccountError> {
    let named = read_refresh_token(&context.ring, token);
    let (named, key) = named.ok_or(AccountError::InvalidToken)?;
    let go_on = async |tx: &mut Tx| -> Result<_, AccountError> {
        let gone_on = go_on_with(context, tx, named, key.key_name()).await?;
        if gone_on.is_err() {
            deployment::count_revocation(tx).await?;
        }
        Ok(gone_on)
    };
    let gone_on = context
        .store
        .system()
        .write(CrashPoint::AccountChanged, go_on)
        .await;
    let gone_on = gone_on?;
    if gone_on.is_err() {
        context.holders.note_revocation();
        context.mails.nudge();
    }
    gone_on
}

async fn go_on_with(
    context: &AccountContext,
    tx: &mut Tx,
    named: NamedGeneration,
    key_name: &str,
) -> Result<Result<SignedIn, AccountError>, AccountError> {
    let session = sessions::lock(tx, named.session).await?;
    let mut session = session.ok_or(AccountError::InvalidToken)?;
    if !is_made_with(&session, named.generation, key_name) {
        return Err(AccountError::InvalidToken);
    }
    match decide_refresh(&session.token_family(), named.generation, tx.now()) {
        RefreshDecision::Ended => return Err(AccountError::InvalidToken),
        RefreshDecision::Reuse => return end_copied(tx, &session).await.map(Err),
        RefreshDecision::SameSuccessor => {}
        RefreshDecision::Rotate { expires_at } => {
            let key_name = context.ring.signing_key().key_name();
            sessions::rotate_token(tx, session.id, key_name, expires_at).await?;
            session.generation += 1;
            session.expires_at = expires_at;
            key_name.clone_into(&mut session.key_name);
            let renewed = AuditAct::done_to(AuditAction::TokenRefresh, session.id);
            tx.record_act(renewed.done_by(Actor::User(session.user_id)));
        }
    }
    tokens_of(context, tx, &session).await.map(Ok)
}

/// Whether the key may have made that token of the session: whoever learnt a key that signs no more makes neither the
/// newest token with it nor the one before. An older one tells of a copy by whichever key it is.
fn is_made_with(session: &SignInSession, generation: i64, key_name: &str) -> bool {
    match session.generation.checked_sub(generation) {
        Some(0) => session.key_name == key_name,
        Some(1) => session.previous_key_name.as_deref() == Some(key_name),
        _ => true,
    }
}

/// Ends a session of whose tokens somebody has a copy, and tells its user.
async fn end_copied(tx: &mut Tx, session: &SignInSession) -> Result<AccountError, AccountError> {
    sessions::revoke_one(tx, session.user_id, session.id, SessionEnd::TokenReuse).await?;
    tx.record_act(AuditAct::denied_to(
        AuditAction::RefreshTokenReuse,
        session.id,
    ));
    let user = users::get(tx, session.user_id).await?;
    let to: Option<MailAddress> = user.email.and_then(|email| email.parse().ok());
    if let Some(to) = to {
        plan_mail(tx, &to, MailSubject::Account(MailKind::TokenReuse, user.id)).await?;
    }
    Ok(AccountError::TokenReused)
}
