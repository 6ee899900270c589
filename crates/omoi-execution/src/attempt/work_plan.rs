//! What the workspace of an attempt begins with, and how it is made.

use std::sync::Arc;

use tracing::debug;

use omoi_domain::copied_file::CopyAudience;
use omoi_domain::egress::EgressMode;
use omoi_domain::sandbox::StartStepKind;
use omoi_git::clone::CloneSpec;
use omoi_git::mirror::{BaseStore, Identity};
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_sandbox::{Provider, WorkspaceAccess};
use omoi_store::attempts::Attempt;
use omoi_store::{StoreError, Tx, projects, tasks};

use super::AttemptStarter;
use super::launch::{AttemptJob, JobError};
use crate::commit_content::{CommitContent, CommitTree};
use crate::commit_workspace::CommitWorkspace;
use crate::copied_files::WorkspaceCopies;
use crate::egress::work_setup_mode;
use crate::sandbox_host::SandboxHost;
use crate::sandbox_toolchain::SandboxToolchain;
use crate::setup::SetupSubject;
use crate::ticket_files::add_ticket_files;

/// Initial contents of the workspace of an attempt.
#[derive(Clone, Debug)]
pub struct WorkPlan {
    /// The spec's base commit, whose history every sandbox of the spec may read.
    pub base: ObjectId,
    /// The commit checked out.
    pub commit: ObjectId,
    /// The branch it is on, made in the clone only.
    pub branch: String,
    /// A snapshot laid over it.
    pub snapshot: Option<ObjectId>,
    /// A merge begun with this commit.
    pub merge: Option<ObjectId>,
    /// Whether the workspace can be written.
    pub access: WorkspaceAccess,
    /// What else the sandbox may read.
    pub toolbox: SandboxToolchain,
}

/// Makes the workspace of `job` over the history `base`, with the packages of its commit.
pub(super) async fn make_workspace(
    starter: &AttemptStarter,
    job: &AttemptJob,
    base: &BaseStore,
    provider: &Arc<dyn Provider>,
) -> Result<CommitWorkspace, JobError> {
    let tree = CommitTree::Branch {
        spec: clone_spec(job)?,
        git: &starter.folders.git,
        merge: job.work.merge.as_ref(),
        snapshot: job.work.snapshot.as_ref(),
    };
    let (of_spec, task) = (job.attempt.spec_id, job.attempt.subject.task_id());
    let mode = starter
        .store
        .read(async |tx| work_setup_mode(tx, of_spec, task).await);
    let subject = SetupSubject {
        base,
        commit: &job.work.commit,
        toolbox: &job.work.toolbox,
        work_mode: mode.await?,
    };
    let preparing = starter.running.note_preparing(job.attempt.id);
    let workspace = CommitWorkspace::with_packages(&starter.setup, provider, subject);
    let mut workspace = workspace.await?;
    let mut content = CommitContent {
        setup: &starter.setup,
        base,
        tree,
        copies: attempt_copies(starter, &job.attempt).await?,
        workspace: &mut workspace,
    };
    let dir = starter.folders.data.workspace_path(job.attempt.id);
    provider.make_workspace(&dir, &mut content).await?;
    drop(preparing);
    workspace.end_step(StartStepKind::Owner, "handed over");
    let (snapshot, merge) = (&job.work.snapshot, &job.work.merge);
    let (commit, n_turns, origin) = (&job.work.commit, job.turns.len(), workspace.origin_text());
    debug!(%commit, ?snapshot, ?merge, n_turns, origin, "Made a workspace");
    Ok(workspace)
}

/// The clone of `job`: its branch, and what it may read beside the history of its commit.
fn clone_spec(job: &AttemptJob) -> Result<CloneSpec, JobError> {
    let readable = job.work.snapshot.iter().chain(&job.work.merge);
    Ok(CloneSpec {
        branch: RefName::from_branch(&job.work.branch)?,
        commit: job.work.commit.clone(),
        readable: readable.cloned().collect(),
        identity: match &job.brief.commit {
            Some(plan) => Identity::new(&plan.author_name, &plan.author_email),
            None => Identity::platform(),
        },
    })
}

/// The files of the person's checkout that are for this attempt, and those of its ticket.
async fn attempt_copies(
    starter: &AttemptStarter,
    attempt: &Attempt,
) -> Result<WorkspaceCopies, JobError> {
    let read = async |tx: &mut Tx| copy_audience(tx, &starter.host, attempt).await;
    let audience = starter.store.read(read).await?;
    let copies = starter.copies.read_copies(attempt.project_id, audience);
    let mut copies = copies.await?;
    if let Some(task) = attempt.subject.task_id() {
        let task = starter.store.read(async |tx| tasks::get(tx, task).await);
        add_ticket_files(&starter.store, task.await?.ticket_id, &mut copies).await?;
    }
    Ok(copies)
}

/// Who works in the workspace of `attempt`.
async fn copy_audience(
    tx: &mut Tx,
    host: &SandboxHost,
    attempt: &Attempt,
) -> Result<CopyAudience, StoreError> {
    let Some(task) = attempt.subject.task_id() else {
        return Ok(CopyAudience::OtherAgent);
    };
    let task = tasks::get(tx, task).await?;
    if task.parent_task_id.is_some() {
        return Ok(CopyAudience::OtherAgent);
    }
    let project = projects::named_project(tx, attempt.project_id).await?;
    let egress = EgressMode::of_attempt(attempt.subject.kind(), &task.files.0);
    Ok(CopyAudience::PlannedTask {
        task_type: task.task_type,
        egress,
        reaches_hosts: host.reaches_hosts(egress, &project),
    })
}
