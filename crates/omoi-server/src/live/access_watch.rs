//! What somebody who listens may read, for as long as they listen: looked at anew every few seconds, and as soon as
//! something is revoked.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use omoi_accounts::holder::CredentialHolder;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_execution::live::ReaderAccess;
use omoi_runtime::clock::Clocked;

use crate::api::policy::RoutePolicy;
use crate::api::{ApiSurface, expect_kind, known_holder, load_again, load_holder, reader_access};
use crate::error::ApiError;

/// Time between two looks: with the look itself a revocation holds within five seconds, also where no hint comes. While
/// nothing was revoked anywhere, all who listen look at one number.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// How long what a holder may do is believed while nothing is revoked: some of it ends by itself.
const BELIEVED_FOR: Duration = Duration::from_mins(1);
/// Looks that follow revocations within [`LOOK_PAUSE`], at most: somebody who signs in and out all the time makes nobody
/// look more often.
const HASTY_LOOKS_MAX: u32 = 5;
/// Time until more of them, and between two looks that fail.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// How long a look may fail before nobody knows what the holder may do.
const UNKNOWN_MAX: Duration = Duration::from_secs(5);
/// How long before its end a credential is told of.
pub(crate) const EXPIRY_NOTICE: Duration = Duration::from_mins(1);

/// By what somebody listens.
pub(crate) enum WatchedCredential {
    /// A credential that is shown again.
    Text(SecretString),
    /// A ticket, which was used up: whoever asked for it is looked for.
    Ticket,
}

impl WatchedCredential {
    /// Who holds it: as the rows say now, or as they said after the last revocation that this process heard of.
    async fn load_holder(
        &self,
        holder: &CredentialHolder,
        surface: &ApiSurface,
        is_hasty: bool,
    ) -> Result<Arc<CredentialHolder>, ApiError> {
        match self {
            Self::Text(text) if is_hasty => known_holder(text.expose_secret(), surface).await,
            Self::Text(text) => load_holder(text.expose_secret(), surface).await,
            Self::Ticket => load_again(holder, surface).await,
        }
    }
}

/// A credential that somebody listens with.
pub(crate) struct AccessWatch {
    surface: ApiSurface,
    clock: Clocked,
    credential: WatchedCredential,
    holder: Arc<CredentialHolder>,
    revocations: watch::Receiver<u64>,
    next_look: Timestamp,
    /// When what the holder may do was looked at, and how many revocations there had been; none before the first look.
    looked: Option<(Timestamp, i64)>,
    /// When what the holder may do was read.
    loaded_at: Timestamp,
    /// Since when looks that follow revocations are counted, and how many there were.
    hasty: (Timestamp, u32),
    /// Whether something was revoked since the last look.
    is_revoked: bool,
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
        credential: WatchedCredential,
        holder: Arc<CredentialHolder>,
    ) -> Self {
        let clock = surface.parts.clock.clone();
        Self {
            revocations: surface.accounts.holders.watch_revocations(),
            // What the holder is known by may be as old as what is kept of it.
            next_look: clock.now(),
            looked: None,
            loaded_at: clock.now(),
            hasty: (clock.now(), 0),
            is_revoked: false,
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
                    Ok(()) => self.hear_revocation(),
                    // Nothing is revoked any more where nobody is left to do it.
                    Err(_) => self.clock.sleep(pause).await,
                },
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// Has the listener told again that the credential ends, as soon as it can be.
    pub(crate) const fn put_off_notice(&mut self) {
        self.is_notice_given = false;
    }

    /// Finds out what the holder may do now; whether that is something else than before.
    ///
    /// # Errors
    /// As of the credential when it is not good any more; or when the rows cannot be read for so long that nobody knows
    /// what they may.
    pub(crate) async fn look_again(&mut self) -> Result<bool, ApiError> {
        self.revocations.mark_unchanged();
        let now = self.clock.now();
        match self.look(now).await {
            Ok(is_other) => {
                self.next_look = now + LOOK_EVERY;
                Ok(is_other)
            }
            Err(error) => {
                let is_known = self
                    .looked
                    .is_some_and(|(at, _)| now.since(at) < UNKNOWN_MAX);
                let code = error.error_code();
                let is_passing = matches!(code, ErrorCode::NotReady | ErrorCode::Internal);
                if !(is_known && is_passing) {
                    return Err(error);
                }
                self.next_look = now + LOOK_PAUSE;
                Ok(false)
            }
        }
    }

    async fn look(&mut self, now: Timestamp) -> Result<bool, ApiError> {
        let counted = self.surface.accounts.revocations_counted().await?;
        if let Some((_, known)) = self.looked
            && known == counted
            && !(self.is_changed || self.is_revoked)
            && now.since(self.loaded_at) < BELIEVED_FOR
        {
            self.looked = Some((now, counted));
            return Ok(false);
        }
        let is_hasty = self.is_revoked;
        let loaded = self
            .credential
            .load_holder(&self.holder, &self.surface, is_hasty);
        let holder = loaded.await?;
        let is_other = self.is_changed || holder.reaches != self.holder.reaches;
        (self.is_changed, self.is_revoked) = (false, false);
        self.holder = holder;
        self.looked = Some((now, counted));
        self.loaded_at = now;
        Ok(is_other)
    }

    /// Looks at once, unless it did so all the time.
    fn hear_revocation(&mut self) {
        self.is_revoked = true;
        let now = self.clock.now();
        let (since, _) = self.hasty;
        if now.since(since) >= LOOK_PAUSE {
            self.hasty = (now, 0);
        }
        let (since, n_looks) = self.hasty;
        self.hasty.1 = n_looks.saturating_add(1);
        let look_at = match n_looks < HASTY_LOOKS_MAX {
            true => now,
            false => since + LOOK_PAUSE,
        };
        self.next_look = self.next_look.min(look_at);
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
        self.credential = WatchedCredential::Text(credential);
        self.holder = holder;
        self.is_notice_given = false;
        self.looked = None;
        self.next_look = self.clock.now();
        Ok(())
    }
}
