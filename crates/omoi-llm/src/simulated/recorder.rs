//! Looking back at the requests that came in.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value as Json;

use super::Wire;
use crate::scenario::RequestKeys;

/// The latest requests, shared between the server and whoever looks.
#[derive(Clone, Debug)]
pub struct Recorder {
    requests: Arc<Mutex<VecDeque<Recorded>>>,
    requests_max: usize,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The format it came in.
    pub wire: Wire,
    /// Its keys; `None` when it was refused before they were read.
    pub keys: Option<RequestKeys>,
    /// Its body; null when it was no JSON.
    pub body: Json,
    /// What a client that is not ours sent and this server does not know: paths of fields, headers.
    pub unknown: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A rule answered.
    Replied {
        /// Name of the rule.
        rule: String,
    },
    /// A rule answered with a fault.
    Faulted {
        /// Name of the rule.
        rule: String,
    },
    /// The request, or the scenario's answer to it, was refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The reason as sent.
        message: String,
    },
}

impl Recorder {
    /// A recorder that forgets the oldest request when it holds `requests_max`.
    pub fn new(requests_max: usize) -> Self {
        Self {
            requests: Arc::default(),
            requests_max,
        }
    }

    /// The requests it holds, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().iter().cloned().collect()
    }

    pub(super) fn record(&self, recorded: Recorded) {
        let mut requests = self.lock();
        requests.push_back(recorded);
        while requests.len() > self.requests_max {
            requests.pop_front();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Recorded>> {
        // A list of finished records is whole even if a holder of the lock panicked.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
