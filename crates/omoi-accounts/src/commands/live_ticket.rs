//! Tickets that open one stream of live events each: a browser sends no header with a WebSocket, and a credential in an
//! address stands in logs.

use std::sync::Arc;

use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::UserId;
use omoi_store::one_time_tokens::{self, OneTimeToken};
use omoi_store::{StoreError, Tx};
use secrecy::SecretString;

use crate::context::AccountContext;
use crate::error::AccountError;
use crate::holder::{AskedBy, CredentialHolder, CredentialKind, load_asker};
use crate::secret_token::{FreshSecret, secret_digest};

/// What every ticket begins with.
const TICKET_PREFIX: &str = "omw_";

/// Makes a ticket for `holder`, good once within [`TokenPurpose::token_lifetime`].
///
/// # Errors
/// When the rows cannot be written.
pub async fn make_live_ticket(
    context: &AccountContext,
    holder: &CredentialHolder,
) -> Result<SecretString, AccountError> {
    let fresh = FreshSecret::draw_secret(TICKET_PREFIX, &context.rng);
    let (session_id, api_key_id) = match holder.credential {
        CredentialKind::Folder => (None, None),
        CredentialKind::SignIn { session, .. } => (Some(session), None),
        CredentialKind::Key(key) => (None, Some(key)),
    };
    let purpose = TokenPurpose::LiveTicket;
    let make = async |tx: &mut Tx| -> Result<(), StoreError> {
        let ticket = OneTimeToken {
            digest: fresh.digest.clone(),
            purpose,
            user_id: holder.user_id(),
            email: None,
            session_id,
            api_key_id,
            code_digest: None,
            label: None,
            expires_at: tx.now() + purpose.token_lifetime(),
            used_at: None,
            provider_flow: None,
        };
        one_time_tokens::delete_ended(tx, purpose).await?;
        one_time_tokens::insert(tx, &ticket).await
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, make).await?;
    Ok(fresh.secret)
}

/// Uses a ticket up; who asked for it, as they are now. A ticket of the data folder's own token gives
/// [`CredentialKind::Folder`], which is good behind the folder's doors alone.
///
/// # Errors
/// [`AccountError::InvalidToken`] for a ticket that is not good now, and where its sign-in or key has ended since.
pub async fn redeem_live_ticket(
    context: &AccountContext,
    ticket: &str,
) -> Result<Arc<CredentialHolder>, AccountError> {
    let digest = secret_digest(ticket);
    let use_up = async |tx: &mut Tx| -> Result<_, AccountError> {
        let now = tx.now();
        let found = one_time_tokens::lock(tx, &digest).await?;
        let found = found.filter(|ticket| {
            let facts = ticket.token_facts();
            facts.is_good_for(TokenPurpose::LiveTicket, now)
        });
        let ticket = found.ok_or(AccountError::InvalidToken)?;
        one_time_tokens::set_used(tx, &digest).await?;
        Ok(ticket)
    };
    let system = context.store.system();
    let ticket = system.write(CrashPoint::AccountChanged, use_up).await?;
    let credential = match (ticket.session_id, ticket.api_key_id, ticket.user_id) {
        (Some(session), _, Some(user)) => AskedBy::Session { user, session },
        (None, Some(key), _) => AskedBy::Key(key),
        (None, None, Some(UserId::LOCAL)) => AskedBy::Folder,
        _ => return Err(AccountError::InvalidToken),
    };
    load_asker(context, credential).await
}
