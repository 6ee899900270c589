//! What the answers of the API are made of.

use omoi_egress::listing::SharedListing;
use omoi_execution::disk_room::DiskRoom;
use omoi_execution::failure_policy::FailurePolicy;
use omoi_execution::live::LiveEvents;
use omoi_execution::running_attempts::RunningAttempts;
use omoi_execution::setup::PackageSetup;
use omoi_execution::spec_files::SpecRenderer;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_planning::plan_gate::PlanGate;
use omoi_planning::repository_reader::RepositoryAccess;
use omoi_planning::spec_policy::SpecPolicy;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_store::Tenant;

use super::upload_body::UploadRoom;
use crate::access_log::RequestIds;

/// What people are answered from.
#[derive(Clone)]
pub struct ApiParts {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// What specs are begun and shown under.
    pub policy: SpecPolicy,
    /// What changes of plans are judged by.
    pub gate: PlanGate,
    /// Renders the files of specs.
    pub renderer: SpecRenderer,
    /// What repositories are read with.
    pub repositories: RepositoryAccess,
    /// Installs the packages of repositories.
    pub setup: PackageSetup,
    /// Whether the disk has room for work.
    pub disk: DiskRoom,
    /// What a person lists for the proxy of this process, if it has one.
    pub listing: Option<SharedListing>,
    /// The attempts that this process works on.
    pub running: RunningAttempts,
    /// What becomes of work whose attempt is ended.
    pub failures: FailurePolicy,
    /// The clock of this process.
    pub clock: Clocked,
    /// Says when the process is to stop.
    pub lifecycle: LifecycleHandle,
    /// Where callers listen to events.
    pub live: LiveEvents,
    /// Room for large bodies.
    pub upload_room: UploadRoom,
    /// Names each request in the log.
    pub request_ids: RequestIds,
}

impl FromParts for ApiParts {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            policy: SpecPolicy::from_parts(parts),
            gate: PlanGate::from_parts(parts),
            renderer: SpecRenderer::from_parts(parts),
            repositories: RepositoryAccess::from_parts(parts),
            setup: PackageSetup::from_parts(parts),
            disk: DiskRoom::from_parts(parts),
            listing: parts.egress.as_ref().map(|egress| egress.listing.clone()),
            running: parts.running.clone(),
            failures: FailurePolicy::from_parts(parts),
            clock: parts.clock.clone(),
            lifecycle: parts.lifecycle.clone(),
            live: parts.live.clone(),
            upload_room: UploadRoom::default(),
            request_ids: RequestIds::from_parts(parts),
        }
    }
}
