//! Who a credential belongs to, and what they may do.

use std::sync::Arc;

use omoi_domain::access::decision::OrganisationReach;
use omoi_domain::access::role::SystemRole;
use omoi_domain::actor::Actor;
use omoi_domain::id::{ApiKeyId, OrgId, SignInSessionId, UserId};
use omoi_domain::time::Timestamp;
use omoi_store::sessions::{self, SignInSession};
use omoi_store::users::{self, User};
use omoi_store::{Tx, api_keys};

use crate::access_token::AccessClaims;
use crate::browser_cookie::{COOKIE_PREFIX, read_cookie};
use crate::commands::browser_session::put_off_end;
use crate::commands::key::authenticate_key;
use crate::context::AccountContext;
use crate::error::AccountError;
use crate::reach::{KeyCaller, key_caller, user_reaches};
use crate::secret_token::secret_digest;

/// What all keys begin with, and no access token does.
const KEY_BEGIN: &str = "sk_";

/// Who a credential belongs to, and what they may do.
#[derive(Clone, Debug)]
pub struct CredentialHolder {
    /// Whose their acts are.
    pub actor: Actor,
    /// By what they are known.
    pub credential: CredentialKind,
    /// What they may do, by organisation.
    pub reaches: Vec<OrganisationReach>,
    /// Whether they run the platform. No key does, whoever's it is.
    pub is_staff: bool,
    /// Whether they showed that their mail address is theirs; who has none has nothing to show.
    pub is_verified: bool,
    /// Whether they wait until staff lets them in.
    pub is_waiting: bool,
    /// When the credential ends by itself, if it ever does.
    pub expires_at: Option<Timestamp>,
}

/// By what a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// The token of the data folder, by its own doors.
    Folder,
    /// An access token.
    SignIn {
        /// The sign-in that it came from.
        session: SignInSessionId,
        /// When the password was last given.
        signed_in_at: Timestamp,
    },
    /// A key.
    Key(ApiKeyId),
}

impl CredentialHolder {
    /// The person whose data folder it is: owner of its organisation, and staff of this platform.
    pub fn folder_owner() -> Self {
        let reach = OrganisationReach {
            org: OrgId::LOCAL,
            role: SystemRole::Owner.permission_set(),
            grants: Vec::new(),
            key: None,
        };
        Self {
            actor: Actor::User(UserId::LOCAL),
            credential: CredentialKind::Folder,
            reaches: vec![reach],
            is_staff: true,
            is_verified: true,
            is_waiting: false,
            expires_at: None,
        }
    }

    /// The person, unless a key of an organisation acts for nobody.
    pub const fn user_id(&self) -> Option<UserId> {
        match self.actor {
            Actor::User(user) => Some(user),
            Actor::Key(_) | Actor::Agent(_) | Actor::System => None,
        }
    }

    /// The sign-in that the credential came from.
    pub const fn session_id(&self) -> Option<SignInSessionId> {
        match self.credential {
            CredentialKind::SignIn { session, .. } => Some(session),
            CredentialKind::Folder | CredentialKind::Key(_) => None,
        }
    }
}

/// Who holds `text`: an access token, a key, or the value of a cookie. What the database said in the last seconds is believed
/// ([`crate::holder_cache`]).
///
/// # Errors
/// [`AccountError::InvalidToken`] for a text that is no credential, or none that is good now; and when the rows cannot
/// be read.
pub async fn authenticate_credential(
    context: &AccountContext,
    text: &str,
) -> Result<Arc<CredentialHolder>, AccountError> {
    match context.holders.find_holder(&secret_digest(text)) {
        Some(kept) => Ok(kept),
        None => load_credential(context, text).await,
    }
}

/// The same, whatever the database said in the last seconds.
///
/// # Errors
/// As those of [`authenticate_credential`].
pub async fn load_credential(
    context: &AccountContext,
    text: &str,
) -> Result<Arc<CredentialHolder>, AccountError> {
    let load = context.holders.begin_load();
    let holder = if text.starts_with(KEY_BEGIN) {
        holder_by_key(authenticate_key(context, text).await?)
    } else if text.starts_with(COOKIE_PREFIX) {
        cookie_holder(context, text).await?
    } else {
        sign_in_holder(context, text).await?
    };
    let holder = Arc::new(holder);
    let kept = Arc::clone(&holder);
    context.holders.keep_holder(secret_digest(text), load, kept);
    Ok(holder)
}

/// Who asked for a ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AskedBy {
    Folder,
    Session {
        user: UserId,
        session: SignInSessionId,
    },
    Key(ApiKeyId),
}

/// The holder as they are now, by what they are known by: for those who listen by a ticket, which is good once.
///
/// # Errors
/// [`AccountError::InvalidToken`] where their sign-in or key has ended; and when the rows cannot be read.
pub async fn reload_holder(
    context: &AccountContext,
    holder: &CredentialHolder,
) -> Result<Arc<CredentialHolder>, AccountError> {
    let asked_by = match (holder.credential, holder.actor) {
        (CredentialKind::Folder, _) => AskedBy::Folder,
        (CredentialKind::Key(key), _) => AskedBy::Key(key),
        (CredentialKind::SignIn { session, .. }, Actor::User(user)) => {
            AskedBy::Session { user, session }
        }
        (CredentialKind::SignIn { .. }, _) => return Err(AccountError::InvalidToken),
    };
    load_asker(context, asked_by).await
}

pub(crate) async fn load_asker(
    context: &AccountContext,
    asked_by: AskedBy,
) -> Result<Arc<CredentialHolder>, AccountError> {
    let holder = match asked_by {
        AskedBy::Folder => CredentialHolder::folder_owner(),
        AskedBy::Session { user, session } => {
            let (session, owner) = live_session(context, session).await?;
            if owner.id != user {
                return Err(AccountError::InvalidToken);
            }
            session_holder(context, &session, &owner).await?
        }
        AskedBy::Key(id) => {
            let look = async |tx: &mut Tx| -> Result<_, AccountError> {
                let now = tx.now();
                let key = api_keys::find(tx, id).await?;
                let key = key.filter(|key| key.is_live(now));
                key.ok_or(AccountError::InvalidToken)
            };
            let key = context.store.system().read(look).await?;
            holder_by_key(key_caller(&context.store, &key).await?)
        }
    };
    Ok(Arc::new(holder))
}

fn holder_by_key(caller: KeyCaller) -> CredentialHolder {
    CredentialHolder {
        actor: caller.actor,
        credential: CredentialKind::Key(caller.key),
        reaches: caller.reaches,
        is_staff: false,
        is_verified: caller.is_verified,
        // Nobody who waits has made one.
        is_waiting: false,
        expires_at: caller.expires_at,
    }
}

async fn cookie_holder(
    context: &AccountContext,
    text: &str,
) -> Result<CredentialHolder, AccountError> {
    let session = read_cookie(&context.ring, text).ok_or(AccountError::InvalidToken)?;
    let (session, user) = live_session(context, session).await?;
    put_off_end(context, &session, context.holders.current_time()).await;
    session_holder(context, &session, &user).await
}

async fn sign_in_holder(
    context: &AccountContext,
    text: &str,
) -> Result<CredentialHolder, AccountError> {
    let now = context.holders.current_time();
    let verified = context.access_tokens.verify_token(text, now);
    let verified = verified.map_err(|_| AccountError::InvalidToken)?;
    let AccessClaims {
        user: named,
        session,
        epoch,
    } = verified.claims;
    let (session, user) = live_session(context, session).await?;
    if user.id != named || user.token_epoch != epoch {
        return Err(AccountError::InvalidToken);
    }
    Ok(CredentialHolder {
        expires_at: Some(verified.expires_at),
        ..session_holder(context, &session, &user).await?
    })
}

/// A session with its user, while both are good.
async fn live_session(
    context: &AccountContext,
    id: SignInSessionId,
) -> Result<(SignInSession, User), AccountError> {
    let look = async |tx: &mut Tx| -> Result<_, AccountError> {
        let now = tx.now();
        let session = sessions::find(tx, id).await?;
        let session = session.filter(|session| session.is_live(now));
        let session = session.ok_or(AccountError::InvalidToken)?;
        let user = users::get(tx, session.user_id).await?;
        Ok((session, user))
    };
    let (session, user) = context.store.system().read(look).await?;
    match user.is_active {
        true => Ok((session, user)),
        false => Err(AccountError::InvalidToken),
    }
}

async fn session_holder(
    context: &AccountContext,
    session: &SignInSession,
    user: &User,
) -> Result<CredentialHolder, AccountError> {
    Ok(CredentialHolder {
        actor: Actor::User(user.id),
        credential: CredentialKind::SignIn {
            session: session.id,
            signed_in_at: session.signed_in_at,
        },
        reaches: user_reaches(&context.store, user.id).await?,
        // On a laptop the person whose it is runs the platform.
        is_staff: user.is_staff || user.id == UserId::LOCAL,
        is_verified: user.is_verified(),
        is_waiting: user.waiting_since_at.is_some(),
        expires_at: Some(session.expires_at.min(session.absolute_expires_at)),
    })
}
