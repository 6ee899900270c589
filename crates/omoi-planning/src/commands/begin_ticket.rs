//! Begins the work on a ticket that is worked on by itself.

use tracing::{info, warn};

use omoi_domain::config::Config;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TicketId};
use omoi_domain::lifecycle::spec::NO_CHECK_GIVEN;
use omoi_domain::lifecycle::ticket::{TicketBeginning, first_document, may_begin};
use omoi_domain::phase::Phase;
use omoi_domain::spec::SpecKind;
use omoi_domain::ticket::{TicketBlockReason, WorkflowMode};
use omoi_domain::work_limits::WorkLimits;
use omoi_execution::ticket_documents::begin_documents;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_git::object::ObjectId;
use omoi_git::toolchain::HostEnvironment;
use omoi_protocol::api::LaunchSpec;
use omoi_runtime::telemetry::error_chain;
use omoi_store::projects::{self, Project};
use omoi_store::specs::{self, Spec};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant, Tx};

use super::create_spec::{
    AskedWork, CreateError, SpecDraft, SpecOrigin, SpecPlan, SpecRequest, branch_slug, draft_spec,
    prepare_spec, write_spec,
};
use crate::direct_plan;
use crate::repository_reader::{
    OpenedRepository, RepositoryAccess, RepositoryReader, UploadedHead,
};
use crate::spec_policy::SpecPolicy;

/// Begins the work on tickets.
pub(crate) struct TicketBeginner {
    store: Tenant,
    policy: SpecPolicy,
    repositories: RepositoryAccess,
    host: HostEnvironment,
    config: Config,
}

impl FromParts for TicketBeginner {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            policy: SpecPolicy::from_parts(parts),
            repositories: RepositoryAccess::from_parts(parts),
            host: parts.host.clone(),
            config: parts.config.clone(),
        }
    }
}

/// Why the work on a ticket was not begun: what a person has to change first.
struct BeginRefusal {
    reason: TicketBlockReason,
    detail: String,
}

impl TicketBeginner {
    /// Writes what the mode of a ticket asks for. Where that cannot be, the ticket is held up with the reason, and is begun
    /// once a person has it go on.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn begin_ticket(&self, id: TicketId) -> Result<(), StoreError> {
        let read = self.store.read(async |tx| {
            let ticket = tickets::get(tx, id).await?;
            let project = projects::get(tx, ticket.project_id).await?;
            Ok::<_, StoreError>((ticket, project))
        });
        let (ticket, project) = read.await?;
        let number = HumanRef::ticket(ticket.number);
        match self.write_work(&ticket, &project).await {
            Ok(Some(spec)) => {
                info!(ticket.id = %id, spec.id = %spec.id, "Began {number} as SPEC-{}", spec.number);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(BeginError::Store(error)) => Err(error),
            Err(BeginError::Refused(BeginRefusal { reason, detail })) => {
                warn!(ticket.id = %id, "Could not begin {number}: {detail}");
                self.hold_up(id, reason, detail).await
            }
        }
    }

    async fn write_work(
        &self,
        ticket: &Ticket,
        project: &Project,
    ) -> Result<Option<Spec>, BeginError> {
        let (repository, mut draft) = self.draft_work(ticket, project).await?;
        draft.title.clone_from(&ticket.title);
        draft.slug = branch_slug(&ticket.title);
        let is_direct = kind_of_mode(ticket.workflow_mode) == SpecKind::Direct;
        let is_checked = !ticket.check_commands.0.is_empty() || draft.options.suite.is_some();
        if is_direct && !is_checked {
            let reason = TicketBlockReason::FailingChecks;
            return Err(BeginError::refused(reason, NO_CHECK_GIVEN.to_owned()));
        }
        let origin = SpecOrigin::Ticket(ticket.id);
        let plan = SpecPlan { draft, origin };
        Ok(write_spec(&self.policy, &self.store, &repository, plan).await?)
    }

    /// What is written down of the work, at HEAD of the project's repository. Of one that lies elsewhere, at the commit
    /// that its newest spec was begun at: what a person sent last to have something built on it.
    async fn draft_work(
        &self,
        ticket: &Ticket,
        project: &Project,
    ) -> Result<(OpenedRepository, SpecDraft), BeginError> {
        let reader = RepositoryReader {
            access: &self.repositories,
            host: &self.host,
            config: &self.config,
        };
        let (store, policy) = (&self.store, &self.policy);
        let asked = LaunchSpec {
            idea: request_text(ticket),
            repo_path: project.repo_path.clone().unwrap_or_default(),
            auto_start: true,
            spec_files: false,
            suite: None,
            accept_red: false,
            agent: None,
            require_approval_gates: false,
        };
        if project.repo_path.is_some() {
            return Ok(prepare_spec(policy, reader, store, asked).await?);
        }
        let newest = store.read(async |tx| specs::newest_of_project(tx, project.id).await);
        let Some(newest) = newest.await? else {
            let detail =
                "no commit of its project's repository was sent yet to be built on: omoi run"
                    .to_owned();
            return Err(BeginError::refused(TicketBlockReason::Environment, detail));
        };
        let head = UploadedHead {
            commit: ObjectId::parse(&newest.base_sha).map_err(CreateError::CommitName)?,
            branch: newest.base_branch,
            dirty: false,
        };
        let repository = reader.open_uploaded(store, project.id, head).await?;
        let asked = AskedWork {
            repository,
            request: SpecRequest::of_launch(asked),
        };
        Ok(draft_spec(policy, reader, store, asked).await?)
    }

    async fn hold_up(
        &self,
        id: TicketId,
        reason: TicketBlockReason,
        detail: String,
    ) -> Result<(), StoreError> {
        let held = self.store.write(CrashPoint::TicketChanged, async |tx| {
            let Some(mut ticket) = ticket_to_begin(tx, id).await? else {
                return Ok(());
            };
            tickets::block_ticket(tx, &mut ticket, reason, Some(detail)).await
        });
        held.await
    }
}

enum BeginError {
    Refused(BeginRefusal),
    Store(StoreError),
}

impl BeginError {
    fn refused(reason: TicketBlockReason, detail: String) -> Self {
        Self::Refused(BeginRefusal { reason, detail })
    }
}

impl From<StoreError> for BeginError {
    fn from(source: StoreError) -> Self {
        Self::Store(source)
    }
}

impl From<CreateError> for BeginError {
    fn from(source: CreateError) -> Self {
        match source {
            CreateError::Store(store) => Self::Store(store),
            other => Self::refused(TicketBlockReason::Environment, error_chain(&other)),
        }
    }
}

/// What the work on a ticket is asked for with.
fn request_text(ticket: &Ticket) -> String {
    match ticket.description.trim() {
        "" => ticket.title.clone(),
        text => format!("{}\n\n{text}", ticket.title),
    }
}

/// Which kind of spec a ticket of that mode begins.
fn kind_of_mode(mode: Option<WorkflowMode>) -> SpecKind {
    match mode {
        Some(WorkflowMode::SpecDriven) => SpecKind::Planned,
        Some(WorkflowMode::Quick | WorkflowMode::Phased) | None => SpecKind::Direct,
    }
}

/// Gives a new spec the form that its ticket asks for, and the phase that it begins with.
pub(super) fn shape_spec(spec: &mut Spec, ticket: &Ticket) {
    spec.kind = kind_of_mode(ticket.workflow_mode);
    if spec.kind == SpecKind::Direct {
        spec.current_phase = match ticket.workflow_mode {
            Some(WorkflowMode::Phased) => first_document(ticket.phase_id),
            Some(WorkflowMode::Quick | WorkflowMode::SpecDriven) | None => Phase::Complete,
        };
    }
}

/// Reads a ticket to begin it, locked until the commit; none where it is not to be begun any more.
pub(super) async fn ticket_to_begin(
    tx: &mut Tx,
    id: TicketId,
) -> Result<Option<Ticket>, StoreError> {
    tickets::hold_ticket(tx, id).await?;
    let ticket = tickets::get(tx, id).await?;
    let beginning = TicketBeginning {
        mode: ticket.workflow_mode,
        status: ticket.status,
        approval: ticket.approval_status,
        is_blocked: ticket.is_blocked,
        has_spec: ticket.spec_id.is_some() || ticket.follows_spec_id.is_some(),
        has_open_prerequisite: tickets::has_open_prerequisite(tx, id).await?,
    };
    Ok(may_begin(beginning).then_some(ticket))
}

/// Binds a ticket to the spec that is written for it; with one whose plan it is, its task and checks are written.
pub(super) async fn link_ticket(
    tx: &mut Tx,
    limits: &WorkLimits,
    spec: &Spec,
    mut ticket: Ticket,
) -> Result<(), StoreError> {
    match spec.kind {
        SpecKind::Planned => {
            ticket.follows_spec_id = Some(spec.id);
            tickets::save(tx, &mut ticket).await
        }
        SpecKind::Direct => {
            ticket.spec_id = Some(spec.id);
            tickets::save(tx, &mut ticket).await?;
            if !spec.current_phase.is_document() {
                return direct_plan::write_task(tx, limits, spec, &ticket).await;
            }
            // Its task is written with what its documents say.
            begin_documents(tx, &mut ticket).await
        }
    }
}
