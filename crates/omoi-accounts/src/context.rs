//! What every act on accounts is made with.

use std::net::IpAddr;
use std::sync::Arc;

use omoi_domain::access::password_rules::PasswordRules;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::audit::RequestOrigin;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SignInSessionId;
use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;
use omoi_runtime::reconcile::Nudge;
use omoi_runtime::rng::Rng;
use omoi_store::{Store, StoreError, Tenant, Tx, deployment, memberships};
use secrecy::SecretString;

use crate::access_token::AccessTokens;
use crate::denial_samples::DenialSamples;
use crate::holder_cache::HolderCache;
use crate::key_ring::KeyRing;
use crate::password_pool::PasswordPool;

/// Characters kept of what a program calls itself.
const USER_AGENT_CHARS_MAX: usize = 200;

/// Rows, keys, passwords and chance. Cheap to clone.
#[derive(Clone)]
pub struct AccountContext {
    /// The rows.
    pub store: Store,
    /// The keys of refresh tokens.
    pub ring: Arc<KeyRing>,
    /// What secrets of organisations are encrypted with; none where that is not set up.
    pub encryption_ring: Option<Arc<KeyRing>>,
    /// Signs access tokens.
    pub access_tokens: Arc<AccessTokens>,
    /// Hashes passwords.
    pub passwords: PasswordPool,
    /// What a password must be.
    pub password_rules: PasswordRules,
    /// What a new organisation may spend on models in a calendar month.
    pub organization_month: NanoUsd,
    /// Who makes an account.
    pub registration: RegistrationMode,
    /// Wakes the mailer of this process, where there is one.
    pub mails: Nudge,
    /// Which refusals are written down.
    pub denials: DenialSamples,
    /// Draws tokens.
    pub rng: Rng,
    /// Who called in the last seconds.
    pub holders: HolderCache,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct RequestSource {
    /// The address, behind trusted proxies only.
    pub ip: IpAddr,
    /// What the program calls itself.
    pub user_agent: String,
}

/// What a sign-in gives.
#[derive(Debug)]
pub struct SignedIn {
    /// The session.
    pub session: SignInSessionId,
    /// For the next fifteen minutes.
    pub access_token: SecretString,
    /// For the next tokens, once.
    pub refresh_token: SecretString,
    /// When the session ends unless it is refreshed.
    pub expires_at: Timestamp,
}

impl AccountContext {
    /// The same for a request: its acts are those of whoever it comes from, and the audit log tells from where.
    #[must_use]
    pub fn for_request(&self, origin: RequestOrigin) -> Self {
        Self {
            store: self.store.for_request(origin),
            ..self.clone()
        }
    }

    /// Writes rows of no organisation that decide what a credential is good for, and believes nothing of what was known
    /// of callers before.
    pub(crate) async fn write_revocation<T, E: From<StoreError>>(
        &self,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let system = self.store.system();
        let body = async |tx: &mut Tx| -> Result<T, E> {
            let done = body(tx).await?;
            deployment::count_revocation(tx).await?;
            Ok(done)
        };
        let written = system.write(CrashPoint::AccountChanged, body).await;
        // Also where it failed: a commit whose answer was lost may have been made.
        self.holders.note_revocation();
        written
    }

    /// As [`AccountContext::write_revocation`], with the rows of an organisation.
    pub(crate) async fn write_membership<T, E: From<StoreError>>(
        &self,
        tenant: &Tenant,
        body: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<T, E> {
        let body = async |tx: &mut Tx| -> Result<T, E> {
            let done = body(tx).await?;
            // Whoever counts slots locks the organisation before the deployment, too.
            memberships::lock_members(tx, tenant.org()).await?;
            deployment::count_revocation(tx).await?;
            Ok(done)
        };
        let written = tenant.write(CrashPoint::AccountChanged, body).await;
        self.holders.note_revocation();
        written
    }
}

impl AccountContext {
    /// Revocations in the whole deployment so far, as of the last half second: many who ask cost one look.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn revocations_counted(&self) -> Result<i64, StoreError> {
        let system = self.store.system();
        let look = async |tx: &mut Tx| deployment::revocations_counted(tx).await;
        self.holders
            .count_once(async || system.read(look).await)
            .await
    }
}

impl RequestSource {
    /// As much of the program's name as is kept.
    pub fn short_user_agent(&self) -> String {
        let plain = self.user_agent.chars().filter(|c| !c.is_control());
        plain.take(USER_AGENT_CHARS_MAX).collect()
    }
}
