//! A try of a model call that failed: what the caller's people are told of it.

use omoi_domain::secret_mask::SecretMask;
use omoi_domain::time::Timestamp;

use crate::route::Route;
use crate::upstream::UpstreamError;

/// One failed try, with what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTry {
    /// Who was asked: a host, or the simulated model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The status it answered with, where it answered.
    pub status: Option<u16>,
    /// The provider's own words, or what kept it from having any; without secrets, on one line.
    pub words: String,
    /// Tries so far.
    pub n_calls: u32,
    /// The most there are.
    pub calls_max: u32,
    /// When it is tried again; none where that does not help, or no try is left.
    pub next_at: Option<Timestamp>,
    /// Until when it is tried.
    pub until: Timestamp,
}

impl FailedTry {
    /// A try on `route` that failed with `error`; when and how often it is tried again is for the
    /// caller to fill in. The words are told without the secrets of `mask`.
    pub(crate) fn of(route: &Route, error: &UpstreamError, mask: &SecretMask) -> Self {
        Self {
            provider: route.provider_name(),
            model: route.model.clone(),
            status: error.status(),
            words: mask.mask(&error.words()).into_owned(),
            n_calls: 0,
            calls_max: 0,
            next_at: None,
            until: Timestamp::default(),
        }
    }

    /// Whether somebody who knows `earlier` learns nothing from this.
    pub fn is_like(&self, earlier: &Self) -> bool {
        self.status == earlier.status && self.words == earlier.words
    }
}
