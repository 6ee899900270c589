//! What somebody who listens may read, for as long as they listen: looked at anew every few seconds, and as soon as
//! something is revoked.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use omoi_accounts::holder::CredentialHolder;
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_execution::live::ReaderAccess;
use omoi_runtime::clock::Clocked;

use crate::api::policy::RoutePolicy;
use crate::api::{ApiSurface, expect_kind, load_holder, reader_access};
use crate::error::ApiError;

/// Time between two looks: with the look itself a revocation holds within five seconds, also where no hint comes.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// How long before its end a credential is told of.
pub(crate) const EXPIRY_NOTICE: Duration = Duration::from_mins(1);

/// A credential that somebody listens with.
pub(crate) struct AccessWatch {
    surface: ApiSurface,
    clock: Clocked,
    credential: SecretString,
    holder: Arc<CredentialHolder>,
    revocations: watch::Receiver<u64>,
    next_look: Timestamp,
    /// Whether the holder may do something else since the last look, by a credential that took the place of another.
    is_changed: bool,
    is_notice_given: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessStep {
    /// A look at what the holder may do now: [`AccessWatch::look_again`].
    Look,
    /// The credential ends after that time.
    Expiring(Duration),
    /// It has ended.
    Expired,
}

impl AccessWatch {
    /// Watches `credential`, which `holder` was found by.
    pub(crate) fn new(
        surface: ApiSurface,
        credential: SecretString,
        holder: Arc<CredentialHolder>,
    ) -> Self {
        let clock = surface.parts.clock.clone();
        Self {
            revocations: surface.accounts.holders.watch_revocations(),
            // What the holder is known by may be as old as what is kept of it.
            next_look: clock.now(),
            clock,
            surface,
            credential,
            holder,
            is_changed: false,
            is_notice_given: false,
        }
    }

    /// Who listens.
    pub(crate) fn current_holder(&self) -> &CredentialHolder {
        &self.holder
    }

    /// What they may read in `org`; none where they do not belong to it.
    pub(crate) fn access_in(&self, org: OrgId) -> Option<ReaderAccess> {
        reader_access(&self.holder, org)
    }

    /// Waits until something is due. May be dropped while waiting.
    pub(crate) async fn next_step(&mut self) -> AccessStep {
        loop {
            let now = self.clock.now();
            let left = self.holder.expires_at.map(|end| end.since(now));
            match left {
                Some(Duration::ZERO) => return AccessStep::Expired,
                Some(left) if left <= EXPIRY_NOTICE && !self.is_notice_given => {
                    self.is_notice_given = true;
                    return AccessStep::Expiring(left);
                }
                _ => {}
            }
            if self.next_look <= now {
                return AccessStep::Look;
            }
            let until_end = left.map(|left| match self.is_notice_given {
                true => left,
                false => left.saturating_sub(EXPIRY_NOTICE),
            });
            let pause = self.next_look.since(now);
            let pause = until_end.map_or(pause, |end| pause.min(end));
            // Cancel-safe: a watch and a timer.
            tokio::select! {
                revoked = self.revocations.changed() => match revoked {
                    Ok(()) => self.next_look = self.clock.now(),
                    // Nothing is revoked any more where nobody is left to do it.
                    Err(_) => self.clock.sleep(pause).await,
                },
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// Finds out what the holder may do now; whether that is something else than before.
    ///
    /// # Errors
    /// As of the credential when it is not good any more; or when the rows cannot be read, and nobody knows what they
    /// may.
    pub(crate) async fn look_again(&mut self) -> Result<bool, ApiError> {
        self.revocations.mark_unchanged();
        self.next_look = self.clock.now() + LOOK_EVERY;
        let text = self.credential.expose_secret();
        let holder = load_holder(text, &self.surface).await?;
        let is_other = self.is_changed || holder.reaches != self.holder.reaches;
        self.is_changed = false;
        self.holder = holder;
        Ok(is_other)
    }

    /// Goes on with `credential`.
    ///
    /// # Errors
    /// [`omoi_domain::error_code::ErrorCode::Unauthenticated`] for one that is not good, or not of the same holder;
    /// all stays as it was.
    pub(crate) async fn renew(&mut self, credential: SecretString) -> Result<(), ApiError> {
        let holder = load_holder(credential.expose_secret(), &self.surface).await?;
        if holder.actor != self.holder.actor {
            return Err(ApiError::no_credential());
        }
        expect_kind(&holder, RoutePolicy::SignedIn)?;
        // The next look tells the listener of what the other credential may read.
        self.is_changed |= holder.reaches != self.holder.reaches;
        self.credential = credential;
        self.holder = holder;
        self.is_notice_given = false;
        self.next_look = self.clock.now();
        Ok(())
    }
}
