//! A sign-in as a browser keeps it.

use omoi_domain::access::refresh::{SIGN_IN_IDLE, SIGN_IN_LONGEST};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SignInSessionId;
use omoi_domain::time::Timestamp;
use omoi_store::Tx;
use omoi_store::sessions::{self, SignInSession};
use secrecy::SecretString;
use tracing::warn;

use crate::browser_cookie::{cookie_value, csrf_token};
use crate::context::AccountContext;
use crate::error::AccountError;

/// Time between two writes of the same session's end, at least.
const PUT_OFF_EVERY: std::time::Duration = std::time::Duration::from_hours(1);

/// What a browser keeps.
#[derive(Debug)]
pub struct BrowserSession {
    /// The value of its cookie.
    pub cookie: SecretString,
    /// What pages send beside it.
    pub csrf_token: String,
    /// When the session ends, however often it is used.
    pub expires_at: Timestamp,
}

/// Lets a browser keep `session`.
///
/// # Errors
/// [`AccountError::InvalidToken`] where the session has ended.
pub async fn keep_session(
    context: &AccountContext,
    session: SignInSessionId,
) -> Result<BrowserSession, AccountError> {
    let look = async |tx: &mut Tx| -> Result<_, AccountError> {
        let now = tx.now();
        let session = sessions::find(tx, session).await?;
        let session = session.filter(|session| session.is_live(now));
        session.ok_or(AccountError::InvalidToken)
    };
    let session = context.store.system().read(look).await?;
    Ok(session_of_browser(context, &session))
}

pub(super) fn session_of_browser(
    context: &AccountContext,
    session: &SignInSession,
) -> BrowserSession {
    BrowserSession {
        cookie: cookie_value(&context.ring, session.id),
        csrf_token: csrf_token(&context.ring, session.id),
        expires_at: session.created_at + SIGN_IN_LONGEST,
    }
}

/// Puts off the end of a session that a browser uses, at most once an hour. It keeps nobody out where the database takes
/// nothing.
pub(crate) async fn put_off_end(context: &AccountContext, session: &SignInSession, now: Timestamp) {
    let end = now + SIGN_IN_IDLE;
    if end.since(session.expires_at) < PUT_OFF_EVERY {
        return;
    }
    let put_off = async |tx: &mut Tx| sessions::put_off_end(tx, session.id, end).await;
    let system = context.store.system();
    if let Err(error) = system.write(CrashPoint::AccountChanged, put_off).await {
        warn!(session = %session.id, %error, "The end of a session could not be put off");
    }
}
