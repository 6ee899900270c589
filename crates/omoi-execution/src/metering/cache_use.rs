//! Why a call read little from the prompt cache.

use std::time::Duration;

use omoi_domain::cache_miss::{CachedPrefix, cache_miss};
use omoi_llm::meter::CallUsage;
use omoi_store::costs::{self, CostEntry};
use omoi_store::open_calls::OpenCall;
use omoi_store::{StoreError, Tx};

/// How long makers keep what a request leaves in their cache, unless they are asked for more.
const SHORT_LIFE: Duration = Duration::from_mins(5);
/// And how long where they are.
const LONG_LIFE: Duration = Duration::from_hours(1);

/// Why the call did not read what the call before it left in the cache: in the provider's words where it
/// has any, else by what is known of both. None where it did, or where there was nothing.
pub(super) async fn miss_reason(
    tx: &mut Tx,
    call: &OpenCall,
    usage: &CallUsage,
) -> Result<Option<String>, StoreError> {
    if usage.cache_miss.is_some() || usage.tokens.output == 0 {
        return Ok(usage.cache_miss.clone());
    }
    let Some(attempt) = call.attempt_id else {
        return Ok(None);
    };
    let last = costs::newest_of_model(tx, attempt, call.route, &usage.model).await?;
    let read = usage.tokens.cache_read;
    let missed = cache_miss(last.as_ref().map(left_prefix), call.opened_at, read);
    Ok(missed.map(|reason| reason.to_string()))
}

fn left_prefix(last: &CostEntry) -> CachedPrefix {
    let CostEntry {
        cache_read_tokens,
        cache_write_tokens,
        cache_write_1h_tokens,
        ..
    } = *last;
    let tokens = cache_read_tokens + cache_write_tokens + cache_write_1h_tokens;
    CachedPrefix {
        left_at: last.created_at,
        tokens: u64::try_from(tokens).unwrap_or_default(),
        life: match cache_write_1h_tokens > 0 {
            true => LONG_LIFE,
            false => SHORT_LIFE,
        },
    }
}
