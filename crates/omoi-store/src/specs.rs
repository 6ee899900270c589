//! Specs: a feature idea on its way to merged code.

mod listing;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use omoi_domain::agent_rule::AgentAssignment;
use omoi_domain::block::SpecBlock;
use omoi_domain::event::{Event, EventKind, SpecChange};
use omoi_domain::id::{OrgId, ProjectId, SpecId};
use omoi_domain::machine::transition as rule;
use omoi_domain::model_kind::{ModelKind, WorkModel};
use omoi_domain::phase::Phase;
use omoi_domain::repository_settings::RepositorySettings;
use omoi_domain::spec::{SpecKind, SpecStatus};
use omoi_domain::time::Timestamp;
use omoi_domain::work_limits::WorkLimits;

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::search_documents;
use crate::tx::Tx;

pub use listing::{SpecFilter, list_page};

/// What the person who started the run chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecOptions {
    /// Release the tasks as soon as they are planned.
    pub auto_start: bool,
    /// Carry the markdown of `.omoi_os/` in the hand-over.
    pub spec_files: bool,
    /// Hand over what has landed, although not every criterion is proven.
    pub as_it_stands: bool,
    /// Things the person was told at the start, such as a dirty tree.
    pub notes: Vec<String>,
    /// The command that runs the project's suite at the repository's root; none when it has none.
    pub suite: Option<String>,
    /// Whether work may begin although the suite fails on the base commit; then only tests count
    /// that did not fail there.
    pub accept_red: bool,
    /// What takes the turns of its attempts.
    pub agents: AgentAssignment,
    /// What the repository said of itself at the base commit.
    pub repository: RepositorySettings,
    /// Whether planning waits for a person after the requirements and after the design.
    #[serde(default)]
    pub require_approval_gates: bool,
}

row! {
    /// A feature specification; a run is its spec.
    Spec in "specs" as "spec" {
        /// Its id.
        id: SpecId,
        /// Its organisation.
        org_id: OrgId,
        /// Its repository.
        project_id: ProjectId,
        /// Where its plan comes from.
        kind: SpecKind,
        /// `n` of `SPEC-n`.
        number: i64,
        /// A short title cut from the request.
        title: String,
        /// The person's words, verbatim.
        original_request: String,
        /// What the person chose.
        options: Json<SpecOptions>,
        /// Where it stands.
        status: SpecStatus,
        /// The phase it is in, `complete` when planned.
        current_phase: Phase,
        /// What answers: `simulated`, or a model's name.
        model: String,
        /// Which kind of model that is.
        model_kind: ModelKind,
        /// The file of the scripted answers, when it is simulated.
        scenario: Option<String>,
        /// The commit everything starts from.
        base_sha: String,
        /// The branch HEAD was on, if any.
        base_branch: Option<String>,
        /// The feature's slug.
        slug: String,
        /// The branch its tasks land on.
        integration_branch: String,
        /// The repository survey.
        survey: Json<serde_json::Value>,
        /// Why it failed or is blocked.
        last_error: Option<String>,
        /// What it waits for, when it is blocked.
        blocked_by: Option<SpecBlock>,
        /// Guards updates.
        state_version: i64,
        /// When it was written down.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// When planning first began.
        started_at: Option<Timestamp>,
        /// When it was delivered, failed, blocked or cancelled.
        ended_at: Option<Timestamp>,
        /// When a person put it away; none while it is among the others.
        archived_at: Option<Timestamp>,
    }
}
versioned!(Spec by id in "specs" {
    title, status, current_phase, model, model_kind, scenario, options, last_error, blocked_by, integration_branch, updated_at, started_at,
    ended_at, archived_at,
});

impl Spec {
    /// Its number with enough of its id to tell it from one of another project.
    pub fn label(&self) -> String {
        format!("SPEC-{} ({})", self.number, self.id.short())
    }

    /// What answers its agents.
    pub fn work_model(&self) -> WorkModel {
        WorkModel {
            kind: self.model_kind,
            label: self.model.clone(),
            scenario: self.scenario.clone(),
        }
    }

    /// Has `model` answer its agents.
    pub fn set_work_model(&mut self, model: &WorkModel) {
        self.model_kind = model.kind;
        self.model.clone_from(&model.label);
        self.scenario.clone_from(&model.scenario);
    }

    /// What the work on it may take, whoever does it, in a deployment whose own limits are `own`.
    pub fn work_limits(&self, own: WorkLimits) -> WorkLimits {
        own.for_repository(&self.options.0.repository)
    }

    /// The command that runs the project's suite, if it has one.
    pub fn suite_command(&self) -> Option<&str> {
        self.options.0.suite.as_deref()
    }

    fn change(&self, from: Option<SpecStatus>, reason: Option<String>) -> SpecChange {
        SpecChange {
            spec_id: self.id,
            number: self.number,
            title: self.title.clone(),
            from,
            to: self.status,
            blocked_by: self.blocked_by,
            reason,
        }
    }
}

/// Writes a new spec.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, spec: &Spec) -> Result<(), StoreError> {
    tx.insert(spec).await?;
    // A direct one says what its ticket says.
    if spec.kind == SpecKind::Planned {
        search_documents::index_spec(tx, spec).await?;
    }
    let change = spec.change(None, None);
    tx.emit(
        Some(spec.project_id),
        Some(spec.id),
        Event::SpecCreated(change),
    );
    Ok(())
}

/// The spec with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: SpecId) -> Result<Spec, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// Every spec, newest first, at most `limit`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(tx: &mut Tx, limit: i64) -> Result<Vec<Spec>, StoreError> {
    tx.all(
        "1 = 1 order by created_at desc, id desc limit $2",
        args![limit],
    )
    .await
}

/// The newest spec of `project`, whatever became of it.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Option<Spec>, StoreError> {
    let newest = tx.all(
        "project_id = $2 order by created_at desc, id desc limit 1",
        args![project],
    );
    Ok(newest.await?.into_iter().next())
}

/// Lets nobody else move a spec until the transaction ends. It is locked before what people are asked about it.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_spec(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    tx.locked_rows(
        "select id from specs where org_id = $1 and id = $2",
        args![spec],
    )
    .await
    .map(drop)
}

/// Specs in `status`, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn with_status(tx: &mut Tx, status: SpecStatus) -> Result<Vec<Spec>, StoreError> {
    tx.all("status = $2 order by created_at, id", args![status])
        .await
}

/// Specs whose plans are being made, oldest first: none of an organisation that was put away.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_executing(tx: &mut Tx) -> Result<Vec<Spec>, StoreError> {
    tx.all(
        "status = 'executing'
         and exists (select 1 from organisations o where o.id = $1 and o.archived_at is null)
         order by created_at, id",
        args![],
    )
    .await
}

/// Specs of `project` that can still be cancelled, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn cancellable_of(tx: &mut Tx, project: ProjectId) -> Result<Vec<SpecId>, StoreError> {
    let rows = tx
        .rows(
            "select id, status from specs where org_id = $1 and project_id = $2 order by created_at, id",
            args![project],
        )
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        let status = SpecStatus::read(row, "status")?;
        if rule(status, SpecStatus::Cancelled).is_ok() {
            found.push(Column::read(row, "id")?);
        }
    }
    Ok(found)
}

/// The integration branch of every spec.
///
/// # Errors
/// When the database cannot be read.
pub async fn branches(tx: &mut Tx) -> Result<BTreeSet<String>, StoreError> {
    let rows = tx
        .rows(
            "select integration_branch from specs where org_id = $1",
            args![],
        )
        .await?;
    rows.iter()
        .map(|row| String::read(row, "integration_branch"))
        .collect()
}

/// The project and base commit of every spec that has not ended.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_bases(tx: &mut Tx) -> Result<BTreeSet<(ProjectId, String)>, StoreError> {
    let rows = tx
        .rows(
            "select project_id, base_sha from specs
             where org_id = $1 and status not in ('delivered', 'failed', 'cancelled')",
            args![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let project = ProjectId::read(row, "project_id")?;
            Ok((project, String::read(row, "base_sha")?))
        })
        .collect()
}

/// A spec, as far as it says whether its base commit is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecBase {
    /// The commit that it begins at.
    pub base_sha: String,
    /// Where it stands.
    pub status: SpecStatus,
    /// The branch that its work lands on.
    pub integration_branch: String,
}

/// Where every spec of a project begins, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn bases_of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<SpecBase>, StoreError> {
    let sql = "select base_sha, status, integration_branch from specs where org_id = $1 and project_id = $2
         order by created_at desc, id desc";
    let rows = tx.rows(sql, args![project]).await?;
    let bases = rows.iter().map(|row| {
        Ok(SpecBase {
            base_sha: Column::read(row, "base_sha")?,
            status: Column::read(row, "status")?,
            integration_branch: Column::read(row, "integration_branch")?,
        })
    });
    bases.collect()
}

/// How many there are of each status that occurs.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_by_status(tx: &mut Tx) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = tx
        .rows(
            "select status, count(*) as n from specs where org_id = $1 group by status",
            args![],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((String::read(row, "status")?, i64::read(row, "n")?)))
        .collect()
}

/// Specs numbered `number`, newest first: a number counts per project.
///
/// # Errors
/// When the database cannot be read.
pub async fn numbered(tx: &mut Tx, number: i64) -> Result<Vec<Spec>, StoreError> {
    tx.all(
        "number = $2 order by created_at desc, id desc",
        args![number],
    )
    .await
}

/// When the spec last began to work on its tasks; none when it never did.
///
/// # Errors
/// When the database cannot be read.
pub async fn working_since(tx: &mut Tx, spec: SpecId) -> Result<Option<Timestamp>, StoreError> {
    let sql = "select working_since from specs where org_id = $1 and id = $2";
    let rows = tx.rows(sql, args![spec]).await?;
    rows.first().map_or(Ok(None), |row| {
        Option::<Timestamp>::read(row, "working_since")
    })
}

/// When a person last had the spec go on; none when nobody did.
///
/// # Errors
/// When the database cannot be read.
pub async fn resumed_at(tx: &mut Tx, spec: SpecId) -> Result<Option<Timestamp>, StoreError> {
    let sql = "select resumed_at from specs where org_id = $1 and id = $2";
    let rows = tx.rows(sql, args![spec]).await?;
    rows.first()
        .map_or(Ok(None), |row| Option::<Timestamp>::read(row, "resumed_at"))
}

/// Remembers that a spec goes on, where `kind` tells of that.
async fn note_start(tx: &mut Tx, spec: SpecId, kind: EventKind) -> Result<(), StoreError> {
    let is_work = kind == EventKind::SpecWorkStarted;
    if is_work || kind == EventKind::SpecResumed {
        let sql = "update specs set resumed_at = $3, working_since = case when $4 then $3 else working_since end
            where org_id = $1 and id = $2";
        let now = tx.now();
        tx.execute(sql, args![spec, now, is_work]).await?;
    }
    Ok(())
}

/// Moves a spec along its machine and writes the event the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    spec: &mut Spec,
    to: SpecStatus,
    reason: Option<String>,
) -> Result<(), StoreError> {
    let from = spec.status;
    let kind = rule(from, to)?;
    spec.status = to;
    spec.updated_at = tx.now();
    // What is worked on is not put away.
    let is_taken_back = matches!(to, SpecStatus::Executing | SpecStatus::Working)
        && spec.archived_at.take().is_some();
    if to != SpecStatus::Blocked {
        spec.blocked_by = None;
    }
    match to {
        SpecStatus::Executing | SpecStatus::Working => {
            spec.started_at = spec.started_at.or(Some(tx.now()));
            spec.ended_at = None;
            spec.last_error = None;
        }
        SpecStatus::Delivered
        | SpecStatus::Failed
        | SpecStatus::Blocked
        | SpecStatus::Cancelled => {
            spec.ended_at = Some(tx.now());
            if to != SpecStatus::Delivered {
                spec.last_error.clone_from(&reason);
            }
        }
        SpecStatus::Draft | SpecStatus::Completed => {}
    }
    tx.update(spec).await?;
    note_start(tx, spec.id, kind).await?;
    if is_taken_back {
        tell_archived(tx, spec);
    }
    let change = spec.change(Some(from), reason);
    tx.emit_kind((Some(spec.project_id), Some(spec.id)), kind, &change)
}

/// Puts a spec away, or takes it back; one that is where it should be stays as it is.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn set_archived(
    tx: &mut Tx,
    spec: &mut Spec,
    is_archived: bool,
) -> Result<(), StoreError> {
    if spec.archived_at.is_some() == is_archived {
        return Ok(());
    }
    spec.archived_at = is_archived.then(|| tx.now());
    save(tx, spec).await?;
    tell_archived(tx, spec);
    Ok(())
}

/// Tells whether a spec is put away.
fn tell_archived(tx: &mut Tx, spec: &Spec) {
    let change = spec.change(None, None);
    let event = if spec.archived_at.is_some() {
        Event::SpecArchived(change)
    } else {
        Event::SpecUnarchived(change)
    };
    tx.emit(Some(spec.project_id), Some(spec.id), event);
}

/// Has a spec wait for `block`; `reason` says the same to people.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn block(
    tx: &mut Tx,
    spec: &mut Spec,
    block: SpecBlock,
    reason: String,
) -> Result<(), StoreError> {
    spec.blocked_by = Some(block);
    transition(tx, spec, SpecStatus::Blocked, Some(reason)).await
}

/// Tells that a person had what waits in a spec go on, which itself was under way.
///
/// # Errors
/// When the database cannot be written.
pub async fn tell_resumed(tx: &mut Tx, spec: &Spec, reason: String) -> Result<(), StoreError> {
    note_start(tx, spec.id, EventKind::SpecResumed).await?;
    let change = spec.change(Some(spec.status), Some(reason));
    let scope = (Some(spec.project_id), Some(spec.id));
    tx.emit_kind(scope, EventKind::SpecResumed, &change)
}

/// Keeps what was found anew of the host, and tells why. It guards nothing, so the version stays.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_toolchain(
    tx: &mut Tx,
    spec: &mut Spec,
    survey: Json<serde_json::Value>,
    told: String,
) -> Result<(), StoreError> {
    let sql = "update specs set survey = $3 where org_id = $1 and id = $2";
    tx.execute(sql, args![spec.id, survey]).await?;
    spec.survey = survey;
    let change = spec.change(Some(spec.status), Some(told));
    let scope = (Some(spec.project_id), Some(spec.id));
    tx.emit_kind(scope, EventKind::SpecToolchainFound, &change)
}

/// Writes changed fields other than the status.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save(tx: &mut Tx, spec: &mut Spec) -> Result<(), StoreError> {
    spec.updated_at = tx.now();
    tx.update(spec).await
}
