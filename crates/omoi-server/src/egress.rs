//! The way out of sandboxes: connections that a worker hands over are served by the proxy, as far as its
//! attempt may reach, and what came of them is kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use tracing::warn;

use omoi_domain::egress::EgressMode;
use omoi_domain::id::AttemptId;
use omoi_domain::secret_mask::SecretMask;
use omoi_egress::host::HostRules;
use omoi_egress::lock_file::locked_versions;
use omoi_egress::package::PackageVersion;
use omoi_egress::policy::EgressPolicy;
use omoi_egress::proxy::{EgressProxy, take_upgrade};
use omoi_egress::refusal::RefusalReason;
use omoi_egress::session::{EgressSession, PackageArrival, RefusalCount};
use omoi_execution::egress::{EgressNews, LockFile, base_lock_files, egress_mode, record_egress};
use omoi_protocol::worker::EGRESS_PROTOCOL;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_runtime::telemetry::error_chain;
use omoi_store::attempts::Attempt;

use crate::error::ApiError;
use crate::worker::{Caller, Surface, WorkerParts, WorkerSurface};

/// Refusals of one attempt that are written down and told; the process log has all of them.
const REFUSALS_MAX: usize = 200;

/// What a person lists for all attempts that have a way out.
#[derive(Clone, Debug, Default)]
pub struct EgressLists {
    /// Hosts beside the registries.
    pub hosts: HostRules,
    /// Versions that come in at any age.
    pub versions: BTreeSet<PackageVersion>,
    /// Whose private registries are seen.
    pub organisation: String,
}

/// The proxy, and the attempts that use it.
#[derive(Clone)]
pub struct EgressDoor {
    parts: Arc<DoorParts>,
}

struct DoorParts {
    proxy: EgressProxy,
    lists: EgressLists,
    clock: Clocked,
    attempts: Mutex<HashMap<AttemptId, Arc<AttemptEgress>>>,
}

/// One attempt's use of the way out, and how much of it was written down.
struct AttemptEgress {
    session: Arc<EgressSession>,
    recorded: tokio::sync::Mutex<RecordedEgress>,
}

#[derive(Default)]
struct RecordedEgress {
    arrivals: BTreeSet<PackageArrival>,
    refusals: BTreeSet<(RefusalReason, String)>,
}

impl EgressDoor {
    /// A door to `proxy`.
    pub fn new(proxy: EgressProxy, lists: EgressLists, clock: Clocked) -> Self {
        Self {
            parts: Arc::new(DoorParts {
                proxy,
                lists,
                clock,
                attempts: Mutex::default(),
            }),
        }
    }

    /// The proxy, what a person lists for it, and its clock.
    pub(crate) fn proxy_parts(&self) -> (&EgressProxy, &EgressLists, &Clocked) {
        let DoorParts {
            proxy,
            lists,
            clock,
            ..
        } = &*self.parts;
        (proxy, lists, clock)
    }

    /// What `attempt` has used so far.
    fn known_egress(&self, attempt: &Attempt) -> Option<Arc<AttemptEgress>> {
        let attempts = self.parts.attempts.lock();
        let attempts = attempts.unwrap_or_else(PoisonError::into_inner);
        attempts.get(&attempt.id).cloned()
    }

    /// Begins to count what `attempt` uses; those that this process does not run any more are forgotten.
    fn begin_egress(
        &self,
        attempt: &Attempt,
        policy: EgressPolicy,
        is_running: impl Fn(AttemptId) -> bool,
    ) -> Arc<AttemptEgress> {
        let parts = &self.parts;
        let attempts = parts.attempts.lock();
        let mut attempts = attempts.unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|id, _| *id == attempt.id || is_running(*id));
        let entry = attempts.entry(attempt.id).or_insert_with(|| {
            Arc::new(AttemptEgress {
                session: EgressSession::new(policy, parts.clock.clone()),
                recorded: tokio::sync::Mutex::default(),
            })
        });
        entry.clone()
    }
}

/// The way out of one attempt: what it may reach follows from its row and from its base commit.
async fn find_egress(
    s: &WorkerSurface,
    door: &EgressDoor,
    attempt: &Attempt,
) -> Result<Arc<AttemptEgress>, ApiError> {
    if let Some(egress) = door.known_egress(attempt) {
        return Ok(egress);
    }
    let intake = &s.parts.intake;
    let mode = intake
        .store
        .read(async |tx| egress_mode(tx, attempt).await)
        .await?;
    if !mode.is_open() {
        let says = "this attempt has no way out";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "no_egress", says));
    }
    let files = base_lock_files(intake, attempt).await;
    let files = files.unwrap_or_else(|error| {
        let error = error_chain(&error);
        warn!(error, "The lock files of the base commit list no versions");
        Vec::new()
    });
    let mut policy = attempt_policy(mode, &door.parts.lists);
    policy.listed_versions.extend(versions_of(&files));
    let running = &s.parts.running;
    Ok(door.begin_egress(attempt, policy, |id| running.contains(id)))
}

pub(crate) fn versions_of(files: &[LockFile]) -> impl Iterator<Item = PackageVersion> {
    let versions = files.iter();
    versions.flat_map(|file| locked_versions(&file.path, &file.content))
}

/// What an attempt of `mode` may reach.
pub(crate) fn attempt_policy(mode: EgressMode, lists: &EgressLists) -> EgressPolicy {
    let policy = match mode {
        EgressMode::Closed => return EgressPolicy::default(),
        EgressMode::Cached => EgressPolicy::cache_only(),
        EgressMode::Registries => EgressPolicy::all_registries(),
    };
    EgressPolicy {
        hosts: lists.hosts.clone(),
        listed_versions: lists.versions.clone(),
        organisation: Some(lists.organisation.clone()),
        ..policy
    }
}

/// Takes the connection of a worker over and lets the proxy serve it.
pub(crate) async fn open_egress(
    State(s): Surface,
    axum::Extension(attempt): Caller,
    mut request: Request,
) -> Result<Response, ApiError> {
    let asks = request.headers().get(UPGRADE);
    let Some(door) = s.egress.clone() else {
        let says = "this process has no proxy";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "no_egress", says));
    };
    if asks.is_none_or(|protocol| protocol != EGRESS_PROTOCOL) {
        let says = format!("ask for an upgrade to `{EGRESS_PROTOCOL}`");
        return Err(ApiError::bad_request(says));
    }
    let parts = s.parts.clone();
    let egress = find_egress(&s, &door, &attempt).await?;
    if egress.session.is_crowded() {
        let says = "this attempt holds as many connections as it may";
        return Err(ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "no_egress",
            says,
        ));
    }
    let upgrade = take_upgrade(&mut request);
    let name = format!("egress {}", attempt.id.short());
    let served = async move {
        let proxy = &door.parts.proxy;
        proxy.serve_upgrade(upgrade, egress.session.clone()).await;
        egress.record_news(&parts, &attempt).await;
        Ok(())
    };
    s.parts.lifecycle.spawn(name, SpawnKind::Work, served);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(EGRESS_PROTOCOL));
    Ok(response)
}

impl AttemptEgress {
    /// Writes down what is new.
    async fn record_news(&self, parts: &WorkerParts, attempt: &Attempt) {
        let mut recorded = self.recorded.lock().await;
        let arrivals = self.session.list_arrivals().into_iter();
        let arrivals: Vec<_> = arrivals
            .filter(|arrival| !recorded.arrivals.contains(arrival))
            .collect();
        let key = |count: &RefusalCount| (count.refusal.reason, count.refusal.subject.clone());
        let refusals = self.session.list_refusals().into_iter();
        let refusals: Vec<_> = refusals
            .filter(|count| !recorded.refusals.contains(&key(count)))
            .take(REFUSALS_MAX.saturating_sub(recorded.refusals.len()))
            .collect();
        let told = refusals
            .iter()
            .map(|count| refusal_news(count, &parts.mask));
        let news = arrivals.iter().map(arrival_news);
        let news: Vec<_> = news.chain(told).collect();
        match record_egress(&parts.intake.store, attempt, &news).await {
            Ok(()) => {
                recorded.refusals.extend(refusals.iter().map(key));
                recorded.arrivals.extend(arrivals);
            }
            // The next connection's end tries it again.
            Err(error) => warn!(
                error = %error_chain(&error),
                "What came into a sandbox could not be written down"
            ),
        }
    }
}

fn arrival_news(arrival: &PackageArrival) -> EgressNews {
    EgressNews::CameIn {
        version: arrival.version.to_string(),
        file: arrival.file.clone(),
        digest: arrival.digest.clone(),
        bytes: arrival.bytes,
    }
}

/// A refusal names what a client wrote, which may be a secret of this process.
fn refusal_news(count: &RefusalCount, mask: &SecretMask) -> EgressNews {
    let refusal = &count.refusal;
    let masked = |text: &str| mask.mask_text(text).into_owned();
    EgressNews::Refused {
        subject: masked(&refusal.subject),
        reason: refusal.reason.to_string(),
        detail: masked(&refusal.to_string()),
        remedy: refusal.remedy_line().map(|line| masked(&line)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_egress::policy::RegistryAccess;

    use super::*;

    #[test]
    fn a_list_counts_only_where_there_is_a_way_out() {
        let lists = EgressLists {
            hosts: HostRules::parse(&["example.com"], &[]).unwrap(),
            organisation: "ours".to_owned(),
            ..EgressLists::default()
        };
        for (mode, access, n_hosts) in [
            (EgressMode::Closed, RegistryAccess::Closed, 0),
            (EgressMode::Cached, RegistryAccess::CacheOnly, 1),
            (EgressMode::Registries, RegistryAccess::Fetch, 1),
        ] {
            let policy = attempt_policy(mode, &lists);
            assert_eq!(policy.registries, access, "{mode}");
            assert_eq!(policy.hosts.allow.len(), n_hosts, "{mode}");
            assert_eq!(policy.organisation.is_some(), mode.is_open(), "{mode}");
        }
    }
}
