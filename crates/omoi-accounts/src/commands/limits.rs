//! Counting tries before they are made.

use std::net::IpAddr;

use omoi_domain::access::sign_in_limit::{LimitDecision, LimitScope, count_try, counted_address};
use omoi_domain::crash::CrashPoint;
use omoi_store::{Store, StoreError, Tx, sign_in_limits};
use tracing::warn;

use crate::error::AccountError;
use crate::secret_token::secret_digest;

/// One limit, for one subject.
pub(crate) struct CountedTry {
    scope: LimitScope,
    key_digest: String,
}

impl CountedTry {
    /// Tries from the address `ip`, or from its /64 network of version 6.
    pub(crate) fn of_address(scope: LimitScope, ip: IpAddr) -> Self {
        Self::of_subject(scope, &counted_address(ip))
    }

    /// Tries of `subject`: a network, an account or a mail address. Only its digest is stored.
    pub(crate) fn of_subject(scope: LimitScope, subject: &str) -> Self {
        let key_digest = secret_digest(subject);
        Self { scope, key_digest }
    }
}

/// Why a try was not let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusedTry {
    /// The limit.
    pub(crate) scope: LimitScope,
    /// When it lets in again; without an instant once it is cleared.
    pub(crate) until: Option<omoi_domain::time::Timestamp>,
    /// Whether the address that it came from was let in, and counted.
    is_address_let_in: bool,
}

impl RefusedTry {
    /// Whether it was refused for the account, by an address that might have tried another one.
    pub(crate) fn is_of_account(&self) -> bool {
        let is_lock = matches!(
            self.scope,
            LimitScope::SignInPair | LimitScope::SignInAccount
        );
        is_lock && self.is_address_let_in
    }
}

/// Counts a try against each of `tries`. Where one of them refuses it, it counts against its address alone: who goes on
/// trying a locked account is slowed down like who tries many.
pub(crate) async fn count_tries(
    tx: &mut Tx,
    tries: &[CountedTry],
) -> Result<Result<(), RefusedTry>, StoreError> {
    let now = tx.now();
    let mut counts = Vec::new();
    let mut refused = None;
    for counted in tries {
        // Whoever may try nothing more leaves no row of each account that they name.
        let before = match refused {
            None => sign_in_limits::lock(tx, counted.scope, &counted.key_digest).await?,
            Some(_) => sign_in_limits::find_count(tx, counted.scope, &counted.key_digest).await?,
        };
        let until = match count_try(counted.scope.limit_rule(), before, now) {
            LimitDecision::Counted(count) => {
                counts.push((counted, count));
                continue;
            }
            LimitDecision::RefusedUntil(until) => Some(until),
            LimitDecision::Refused => None,
        };
        // The last of them says most of the account.
        refused = Some((counted.scope, until));
    }
    if refused.is_some() {
        counts.retain(|(counted, _)| counted.scope == LimitScope::SignInAddress);
    }
    let is_address_let_in = !counts.is_empty();
    for (counted, count) in counts {
        sign_in_limits::set_count(tx, counted.scope, &counted.key_digest, count).await?;
    }
    Ok(refused.map_or(Ok(()), |(scope, until)| {
        Err(RefusedTry {
            scope,
            until,
            is_address_let_in,
        })
    }))
}

/// Takes tries back that failed by no fault of whoever made them.
///
/// Where the database takes nothing now they stay counted: the caller is told of the first failure, not of this one.
pub(crate) async fn give_back_tries(store: &Store, tries: &[CountedTry]) {
    let give_back = async |tx: &mut Tx| -> Result<(), StoreError> {
        for counted in tries {
            sign_in_limits::give_back(tx, counted.scope, &counted.key_digest).await?;
        }
        Ok(())
    };
    let given = store
        .system()
        .write(CrashPoint::AccountChanged, give_back)
        .await;
    if let Err(error) = given {
        warn!(%error, "A try that failed by our fault stays counted");
    }
}

/// Forgets what was counted.
pub(crate) async fn clear_tries(tx: &mut Tx, tries: &[CountedTry]) -> Result<(), StoreError> {
    for counted in tries {
        sign_in_limits::clear(tx, counted.scope, &counted.key_digest).await?;
    }
    Ok(())
}

impl From<RefusedTry> for AccountError {
    fn from(refused: RefusedTry) -> Self {
        match (refused.scope, refused.until) {
            (LimitScope::SignInPair | LimitScope::SignInAccount, until) => Self::Locked { until },
            (_, Some(until)) => Self::Limited { until },
            (_, None) => Self::Locked { until: None },
        }
    }
}
