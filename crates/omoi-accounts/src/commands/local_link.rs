//! The link that signs in the browser of a laptop.

use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_store::Tx;
use secrecy::SecretString;

use super::browser_session::{BrowserSession, session_of_browser};
use super::one_time::{make_token, use_token};
use super::sign_in::open_session;
use crate::context::{AccountContext, RequestSource};
use crate::error::AccountError;

/// Makes the code of a link, good once within ten minutes, in place of earlier ones.
///
/// # Errors
/// When the rows cannot be written.
pub async fn make_local_link(context: &AccountContext) -> Result<SecretString, AccountError> {
    let make = async |tx: &mut Tx| -> Result<_, AccountError> {
        Ok(make_token(tx, &context.rng, UserId::LOCAL, TokenPurpose::LocalLink).await?)
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, make).await
}

/// Signs in the browser that brings the code of a link.
///
/// # Errors
/// [`AccountError::InvalidToken`] for a code that is not good now.
pub async fn follow_local_link(
    context: &AccountContext,
    code: &str,
    source: &RequestSource,
) -> Result<BrowserSession, AccountError> {
    let follow = async |tx: &mut Tx| -> Result<_, AccountError> {
        let user = use_token(tx, code, TokenPurpose::LocalLink).await?;
        let session = open_session(context, tx, user, source).await?;
        let success = AuditAct::done_to(AuditAction::LoginSuccess, session.id);
        tx.record_act(success.done_by(Actor::User(user)));
        Ok(session)
    };
    let system = context.store.system();
    let session = system.write(CrashPoint::AccountChanged, follow).await?;
    Ok(session_of_browser(context, &session))
}
