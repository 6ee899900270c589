//! The way out of sandboxes: connections that a worker hands over are served by the proxy, as far as its
//! attempt may reach, and what came of them is kept.

mod attempt_follower;
mod recorded_session;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use omoi_domain::egress::EgressMode;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_domain::reference::NamedProject;
use omoi_egress::listing::{ListedPolicy, SharedListing};
use omoi_egress::lock_file::locked_versions;
use omoi_egress::package::PackageVersion;
use omoi_egress::policy::EgressPolicy;
use omoi_egress::proxy::{EgressProxy, take_upgrade};
use omoi_execution::egress::{EgressOrigin, LockFile, base_lock_files, egress_mode};
use omoi_protocol::worker::EGRESS_PROTOCOL;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::SpawnKind;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{StoreError, Tx, projects};

use self::attempt_follower::FollowedAttempts;
pub(crate) use self::recorded_session::{EntryKeeper, RecordedSession};
use crate::connection_seats::ConnectionSeat;
use crate::error::ApiError;
use crate::worker::{Caller, Surface, WorkerCaller, WorkerParts, WorkerSurface};

/// What a person lists for all attempts that have a way out.
#[derive(Clone, Debug, Default)]
pub struct EgressLists {
    /// Hosts beside the registries, and versions that come in at any age.
    pub listing: SharedListing,
    /// Whose private registries are seen.
    pub organisation: String,
}

/// The proxy, and the attempts that use it.
#[derive(Clone)]
pub struct AttemptProxy {
    parts: Arc<AttemptProxyParts>,
}

struct AttemptProxyParts {
    proxy: EgressProxy,
    lists: EgressLists,
    clock: Clocked,
    attempts: FollowedAttempts,
}

/// One attempt's use of the way out.
struct AttemptEgress {
    org: OrgId,
    recorded: RecordedSession,
    /// Cancelled when the attempt is over: its connections end with it.
    ended: CancellationToken,
}

impl AttemptProxy {
    /// `proxy` for attempts.
    pub fn new(proxy: EgressProxy, lists: EgressLists, clock: Clocked) -> Self {
        Self {
            parts: Arc::new(AttemptProxyParts {
                proxy,
                lists,
                attempts: FollowedAttempts::new(clock.clone()),
                clock,
            }),
        }
    }

    /// The proxy, what a person lists for it, and its clock.
    pub(crate) fn proxy_parts(&self) -> (&EgressProxy, &EgressLists, &Clocked) {
        let AttemptProxyParts {
            proxy,
            lists,
            clock,
            ..
        } = &*self.parts;
        (proxy, lists, clock)
    }

    /// What the attempt of `caller` uses, begun as `policy` says where it has used nothing yet.
    fn begin_egress(
        &self,
        parts: &WorkerParts,
        caller: &WorkerCaller,
        policy: ListedPolicy,
    ) -> Arc<AttemptEgress> {
        let WorkerCaller { tenant, attempt } = caller;
        self.parts.attempts.find_or_begin(parts, attempt.id, || {
            let entries = EntryKeeper {
                store: tenant.clone(),
                origin: EgressOrigin::Attempt(attempt.clone()),
            };
            let (clock, mask) = (self.parts.clock.clone(), parts.mask.clone());
            AttemptEgress {
                org: tenant.org(),
                recorded: RecordedSession::start(policy, clock, entries, mask),
                ended: CancellationToken::new(),
            }
        })
    }
}

/// The way out of one attempt: what it may reach follows from its row and from its base commit.
async fn find_egress(
    s: &WorkerSurface,
    proxy: &AttemptProxy,
    caller: &WorkerCaller,
) -> Result<Arc<AttemptEgress>, ApiError> {
    let WorkerCaller { tenant, attempt } = caller;
    if let Some(egress) = proxy.parts.attempts.find(attempt.id) {
        return Ok(egress);
    }
    let intake = &s.parts.intake.in_tenant(tenant);
    let read = async |tx: &mut Tx| -> Result<_, StoreError> {
        let project = projects::named_project(tx, attempt.project_id).await?;
        Ok((egress_mode(tx, attempt).await?, project))
    };
    let (mode, project) = intake.store.read(read).await?;
    if !mode.is_open() {
        let says = "this attempt has no way out";
        return Err(ApiError::new(ErrorCode::NoEgress, says));
    }
    let files = base_lock_files(intake, attempt).await;
    let files = files.unwrap_or_else(|error| {
        let error = error_chain(&error);
        warn!(error, "The lock files of the base commit list no versions");
        Vec::new()
    });
    let mut policy = attempt_policy(mode, &proxy.parts.lists, project);
    policy.base.listed_versions.extend(versions_of(&files));
    Ok(proxy.begin_egress(&s.parts, caller, policy))
}

pub(crate) fn versions_of(files: &[LockFile]) -> impl Iterator<Item = PackageVersion> {
    let versions = files.iter();
    versions.flat_map(|file| locked_versions(&file.path, &file.content))
}

/// What an attempt of `mode` in `project` may reach, with what is listed for it while it works.
pub(crate) fn attempt_policy(
    mode: EgressMode,
    lists: &EgressLists,
    project: NamedProject,
) -> ListedPolicy {
    let named = |policy| EgressPolicy {
        project: Some(project.unique_name().to_owned()),
        organisation: Some(lists.organisation.clone()),
        ..policy
    };
    let base = match mode {
        EgressMode::Closed => EgressPolicy::default(),
        EgressMode::Cached => named(EgressPolicy::cache_only()),
        EgressMode::Registries => named(EgressPolicy::all_registries()),
    };
    ListedPolicy {
        base,
        project,
        listing: lists.listing.clone(),
    }
}

/// Takes the connection of a worker over and lets the proxy serve it.
#[utoipa::path(
    get, path = "/egress", tag = "egress",
    responses((status = 101, description = "From here on the connection is one to the proxy: `Upgrade: omoi-egress`."))
)]
pub(crate) async fn open_egress(
    axum::Extension(caller): Caller,
    State(s): Surface,
    mut request: Request,
) -> Result<Response, ApiError> {
    let asks = request.headers().get(UPGRADE);
    let Some(proxy) = s.egress.clone() else {
        let says = "this process has no proxy";
        return Err(ApiError::new(ErrorCode::NoEgress, says));
    };
    if asks.is_none_or(|protocol| protocol != EGRESS_PROTOCOL) {
        let says = format!("ask for an upgrade to `{EGRESS_PROTOCOL}`");
        return Err(ApiError::invalid_value(says));
    }
    let egress = find_egress(&s, &proxy, &caller).await?;
    if egress.recorded.proxy_session().is_crowded() {
        let says = "this attempt holds as many connections as it may";
        return Err(ApiError::new(ErrorCode::TooManyConnections, says));
    }
    let upgrade = take_upgrade(&mut request);
    // The connection keeps its place as long as the proxy serves it.
    let seat = request.extensions_mut().remove::<Arc<ConnectionSeat>>();
    let name = format!("egress {}", caller.attempt.id.short());
    let served = async move {
        let _seat = seat;
        let session = egress.recorded.proxy_session().clone();
        // Nothing is left half done when a connection is dropped.
        tokio::select! {
            () = egress.ended.cancelled() => {}
            () = proxy.parts.proxy.serve_upgrade(upgrade, session) => {}
        }
        egress.recorded.record_refusals().await;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_egress::listing::ListedEntries;
    use omoi_egress::policy::RegistryAccess;
    use omoi_egress::project_hosts::ProjectHosts;

    use super::*;

    #[test]
    fn a_list_counts_only_where_there_is_a_way_out() {
        let lists = EgressLists {
            listing: SharedListing::new(ListedEntries {
                hosts: ProjectHosts::parse(&["project=todo; host=example.com"]).unwrap(),
                ..ListedEntries::default()
            }),
            organisation: "ours".to_owned(),
        };
        for (mode, access, n_hosts) in [
            (EgressMode::Closed, RegistryAccess::Closed, 0),
            (EgressMode::Cached, RegistryAccess::CacheOnly, 1),
            (EgressMode::Registries, RegistryAccess::Fetch, 1),
        ] {
            let [todo, other] =
                ["/src/todo", "/src/other"].map(|path| NamedProject::among_paths(path, &[path]));
            let other = attempt_policy(mode, &lists, other).current_policy();
            assert!(other.hosts.allow.is_empty(), "{mode}");
            let policy = attempt_policy(mode, &lists, todo).current_policy();
            assert_eq!(policy.registries, access, "{mode}");
            assert_eq!(policy.hosts.allow.len(), n_hosts, "{mode}");
            assert_eq!(policy.organisation.is_some(), mode.is_open(), "{mode}");
        }
    }
}
