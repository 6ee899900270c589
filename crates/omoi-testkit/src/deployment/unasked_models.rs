//! Models that nobody asks in a test, and keys that organisations brought for them.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::id::OrgId;
use omoi_domain::time::Timestamp;
use omoi_llm::brought_keys::{BroughtKeyError, BroughtKeySource, BroughtKeys};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::pace::CallPace;
use omoi_llm::route::RouteTable;
use omoi_llm::wire::dialect::Dialect;

/// A clock that stands still, since nothing is asked.
struct IdlePace;

impl CallPace for IdlePace {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(pending())
    }

    fn jitter(&self) -> f64 {
        0.0
    }
}

/// A key that one organisation brought.
struct OneKey {
    org: OrgId,
    key: String,
}

impl BroughtKeySource for OneKey {
    fn find_keys(
        &self,
        org: OrgId,
    ) -> Pin<Box<dyn Future<Output = Result<BroughtKeys, BroughtKeyError>> + Send + '_>> {
        let own = (org == self.org).then(|| ("rack".to_owned(), self.key.clone().into()));
        let keys: BTreeMap<_, _> = own.into_iter().collect();
        Box::pin(std::future::ready(Ok(BroughtKeys(keys))))
    }
}

/// The models of `routes`.
pub fn unasked_models(routes: RouteTable) -> LlmClient {
    LlmClient::new(routes, Arc::new(IdlePace)).unwrap()
}

/// Models for which `org` brought `key`.
pub fn models_with_key(org: OrgId, key: &str) -> LlmClient {
    let routes = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
    let key = key.to_owned();
    unasked_models(routes).with_brought_keys(Arc::new(OneKey { org, key }))
}
