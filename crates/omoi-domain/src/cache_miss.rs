//! Why a call read less from the prompt cache than the call before it left there.

use std::time::Duration;

use crate::time::Timestamp;

crate::closed_set! {
    /// Why a call missed the prompt cache, where its provider does not say so.
    CacheMiss {
        /// The cache had forgotten what the call before it left.
        Expired = "expired",
        /// The beginning of the request was another one.
        PrefixChanged = "prefix_changed",
    }
}

/// What a call left in the prompt cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedPrefix {
    /// When it ended.
    pub left_at: Timestamp,
    /// Tokens it read from there or wrote there.
    pub tokens: u64,
    /// How long they are kept.
    pub life: Duration,
}

/// Why a call that was asked at `asked_at` read `read_tokens` from the cache, where that is less than half
/// of what the `last` call of the same model in the same conversation left there.
pub fn cache_miss(
    last: Option<CachedPrefix>,
    asked_at: Timestamp,
    read_tokens: u64,
) -> Option<CacheMiss> {
    let last = last.filter(|last| read_tokens.saturating_mul(2) < last.tokens)?;
    Some(match asked_at.since(last.left_at) > last.life {
        true => CacheMiss::Expired,
        false => CacheMiss::PrefixChanged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_is_an_old_prefix_or_another_one() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let left = |tokens, life_s| {
            Some(CachedPrefix {
                left_at: at(100),
                tokens,
                life: Duration::from_secs(life_s),
            })
        };
        for (last, asked_s, read, expected) in [
            (None, 101, 0, None),
            (left(0, 300), 101, 0, None),
            (left(1_000, 300), 101, 900, None),
            (left(1_000, 300), 101, 500, None),
            (left(1_000, 300), 101, 499, Some(CacheMiss::PrefixChanged)),
            (left(1_000, 300), 400, 0, Some(CacheMiss::PrefixChanged)),
            (left(1_000, 300), 401, 0, Some(CacheMiss::Expired)),
            (left(1_000, 3_600), 401, 0, Some(CacheMiss::PrefixChanged)),
        ] {
            assert_eq!(
                cache_miss(last, at(asked_s), read),
                expected,
                "{last:?} {asked_s}"
            );
        }
    }
}
