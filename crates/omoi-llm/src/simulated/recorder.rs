//! Keeps the latest requests and how each was answered.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value as Json;

use super::Dialect;
use crate::scenario::RequestKeys;

/// The latest requests; clones share them.
#[derive(Clone, Debug)]
pub struct RequestRecorder {
    requests: Arc<Mutex<VecDeque<RecordedRequest>>>,
    requests_max: usize,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The format it came in.
    pub wire: Dialect,
    /// Its keys; `None` when it was refused before they were read.
    pub keys: Option<RequestKeys>,
    /// Its body; null when it was no JSON.
    pub body: Json,
    /// What a client that is not ours sent and this server does not know: paths of fields, kinds of
    /// parts, headers.
    pub unknown: Vec<String>,
    /// How the request was answered or refused.
    pub outcome: RequestOutcome,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// A rule answered with its reply.
    Replied {
        /// Name of the rule.
        rule: String,
    },
    /// A rule answered with a fault.
    Faulted {
        /// Name of the rule.
        rule: String,
    },
    /// A question beside the work got the answer that all of them get.
    AnsweredAside,
    /// The request, or the scenario's answer to it, was refused.
    Refused {
        /// HTTP status of the refusal.
        status: u16,
        /// The reason as sent.
        message: String,
    },
}

impl RequestRecorder {
    /// A recorder that forgets the oldest request when it holds `requests_max`.
    pub fn new(requests_max: usize) -> Self {
        Self {
            requests: Arc::default(),
            requests_max,
        }
    }

    /// The requests it holds, oldest first.
    pub fn list_requests(&self) -> Vec<RecordedRequest> {
        self.lock_requests().iter().cloned().collect()
    }

    pub(super) fn record_request(&self, recorded: RecordedRequest) {
        let mut requests = self.lock_requests();
        requests.push_back(recorded);
        while requests.len() > self.requests_max {
            requests.pop_front();
        }
    }

    fn lock_requests(&self) -> std::sync::MutexGuard<'_, VecDeque<RecordedRequest>> {
        // A list of finished records is whole even if a holder of the lock panicked.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
