//! A failed try of a model call, as it is reported to users.

use omoi_domain::outage::CallWait;
use omoi_domain::secret_mask::SecretMask;
use omoi_domain::time::Timestamp;

use crate::route::ModelRoute;
use crate::upstream::UpstreamError;

/// One failed try, with what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTry {
    /// Host of the provider, or `the simulated model`.
    pub provider: String,
    /// Name of the model that was asked.
    pub model: String,
    /// The status it answered with, where it answered.
    pub status: Option<u16>,
    /// The provider's error message, or why there is none; without secrets, on one line.
    pub words: String,
    /// Tries so far, this one included.
    pub n_calls: u32,
    /// The most there are.
    pub calls_max: u32,
    /// When it is tried again; none where that does not help, or no try is left.
    pub next_at: Option<Timestamp>,
    /// Until when it is tried.
    pub until: Timestamp,
    /// When the provider said that it answers again.
    pub reset_at: Option<Timestamp>,
    /// Whether the question waits for a provider that turns it away, or its attempt is to be saved.
    pub wait: CallWait,
}

impl FailedTry {
    /// A try on `route` that failed with `error`; the caller fills in when and how often it is tried
    /// again. The secrets of `mask` are taken out of the words.
    pub(crate) fn from_error(route: &ModelRoute, error: &UpstreamError, mask: &SecretMask) -> Self {
        Self {
            provider: route.provider_name(),
            model: route.model.clone(),
            status: error.http_status(),
            words: mask.mask_text(&error.provider_words()).into_owned(),
            n_calls: 0,
            calls_max: 0,
            next_at: None,
            until: Timestamp::default(),
            reset_at: None,
            wait: CallWait::Brief,
        }
    }

    /// A try that was not made on `route`, whose limit is used up until `open_at`.
    pub(crate) fn of_limit(route: &ModelRoute, open_at: Timestamp) -> Self {
        Self {
            provider: route.provider_name(),
            model: route.model.clone(),
            status: Some(429),
            words: format!("the limit is used up until {}", open_at.date_and_time()),
            n_calls: 0,
            calls_max: 0,
            next_at: None,
            until: Timestamp::default(),
            reset_at: Some(open_at),
            wait: CallWait::Brief,
        }
    }

    /// Whether it repeats `earlier`: the same status and words, and no wait that is news.
    pub fn is_like(&self, earlier: &Self) -> bool {
        let tells = |failed: &Self| (failed.status, failed.wait == CallWait::Waiting);
        tells(self) == tells(earlier) && self.words == earlier.words
    }
}
