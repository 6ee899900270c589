//! Names the branch of a spec and writes the spec down.

use std::collections::BTreeSet;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TicketId;
use omoi_domain::lifecycle::spec::begin_spec;
use omoi_domain::phase::Phase;
use omoi_domain::project::ProjectStatus;
use omoi_domain::spec::{SpecKind, SpecStatus};
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::specs::apply_to_spec;
use omoi_git::mirror::Mirror;
use omoi_git::refname::RefName;
use omoi_git::slug;
use omoi_store::projects::{self, NumberCounter, take_numbers};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, Tenant, Tx};

use super::create_error::CreateError;
use super::spec_draft::{SpecDraft, SpecStart};
use crate::commands::begin_ticket::{link_ticket, shape_spec, ticket_to_begin};
use crate::repository_reader::OpenedRepository;
use crate::spec_policy::SpecPolicy;
use crate::suite;

/// What a spec is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum SpecOrigin {
    /// An idea.
    Idea,
    /// A ticket, which is its plan or follows it, as its mode says.
    Ticket(TicketId),
}

/// A spec that is to be written.
pub(in crate::commands) struct SpecPlan {
    /// What it says.
    pub(in crate::commands) draft: SpecDraft,
    /// What it is for.
    pub(in crate::commands) origin: SpecOrigin,
}

/// What became of it.
enum SpecInsert {
    Written(Box<Spec>),
    /// Another one took the branch in the meantime.
    BranchTaken,
    /// Its ticket is not to be begun any more.
    NotWanted,
}

/// Names the branch of a spec, writes the spec down and has it planned; none where its ticket wants none any more.
///
/// # Errors
/// [`CreateError`].
pub(in crate::commands) async fn write_spec(
    policy: &SpecPolicy,
    tenant: &Tenant,
    repository: &OpenedRepository,
    plan: SpecPlan,
) -> Result<Option<Spec>, CreateError> {
    loop {
        let taken = tenant.read(async |tx| specs::branches(tx).await).await?;
        // Git is asked while no transaction is open.
        let branch = free_branch(&repository.mirror, &plan.draft.slug, &taken).await?;
        let spec = match insert_spec(policy, tenant, &plan, branch).await? {
            SpecInsert::Written(spec) => Some(*spec),
            SpecInsert::NotWanted => return Ok(None),
            SpecInsert::BranchTaken => None,
        };
        if let Some(spec) = spec {
            if plan.draft.start == SpecStart::Now {
                policy.selection.scope.ask_for(spec.id);
            }
            let suite = spec.suite_command();
            info!(
                spec.id = %spec.id, base = spec.base_sha, model = spec.model, suite,
                "Created SPEC-{} on branch `{}`", spec.number, spec.integration_branch
            );
            return Ok(Some(spec));
        }
    }
}

/// Writes the spec down and has it planned.
async fn insert_spec(
    policy: &SpecPolicy,
    tenant: &Tenant,
    SpecPlan { draft, origin }: &SpecPlan,
    branch: String,
) -> Result<SpecInsert, CreateError> {
    let inserted = tenant.write(CrashPoint::SpecCreated, async |tx| {
        if specs::branches(tx).await?.contains(&branch) {
            return Ok(SpecInsert::BranchTaken);
        }
        let begun = match origin {
            SpecOrigin::Idea => None,
            SpecOrigin::Ticket(id) => match ticket_to_begin(tx, *id).await? {
                Some(ticket) => Some(ticket),
                None => return Ok(SpecInsert::NotWanted),
            },
        };
        let number = take_numbers(tx, draft.project, NumberCounter::Spec, 1).await?;
        // It may have been put away since the repository was looked at: whoever begins something in it takes it back, and
        // a ticket does not.
        match (&begun, draft.start) {
            (None, SpecStart::Now) => projects::take_up(tx, draft.project).await?,
            (None, SpecStart::Later) => {}
            (Some(_), _) => {
                if projects::get(tx, draft.project).await?.status != ProjectStatus::Active {
                    return Ok(SpecInsert::NotWanted);
                }
            }
        }
        let selection = policy.selection.in_organisation(tx).await?;
        let mut spec = draft.numbered(tx, &selection, number, branch);
        if let Some(ticket) = &begun {
            shape_spec(&mut spec, ticket);
        }
        specs::insert(tx, &spec).await?;
        suite::insert_suite(tx, &policy.limits, &spec).await?;
        match begun {
            Some(ticket) => link_ticket(tx, &policy.limits, &spec, ticket).await?,
            None => tx.note_made(spec.id.as_uuid()),
        }
        if draft.start == SpecStart::Now {
            apply_to_spec(tx, &mut spec, begin_spec(), false).await?;
        }
        Ok(SpecInsert::Written(Box::new(spec)))
    });
    inserted.await
}

impl SpecDraft {
    fn numbered(&self, tx: &Tx, selection: &SpecSelection, number: i64, branch: String) -> Spec {
        Spec {
            id: tx.new_id(),
            org_id: tx.org(),
            project_id: self.project,
            kind: SpecKind::Planned,
            number,
            title: self.title.clone(),
            original_request: self.original_request.clone(),
            options: Json(self.options.clone()),
            status: SpecStatus::Draft,
            current_phase: Phase::Explore,
            model: selection.model.label.clone(),
            model_kind: selection.model.kind,
            scenario: selection.model.scenario.clone(),
            base_sha: self.base_sha.clone(),
            base_branch: self.base_branch.clone(),
            slug: self.slug.clone(),
            integration_branch: branch,
            survey: Json(self.survey.clone()),
            last_error: None,
            blocked_by: None,
            state_version: 0,
            created_at: tx.now(),
            updated_at: tx.now(),
            started_at: None,
            ended_at: None,
            archived_at: None,
        }
    }
}

/// `omoi/<slug>`, or the first of `-2`, `-3` … that no spec and no ref has.
async fn free_branch(
    mirror: &Mirror,
    slug: &str,
    taken: &BTreeSet<String>,
) -> Result<String, CreateError> {
    let first = format!("omoi/{slug}");
    for name in slug::numbered_names(&first).filter(|name| !taken.contains(name)) {
        if mirror
            .read_ref(&RefName::from_branch(&name)?)
            .await?
            .is_none()
        {
            return Ok(name);
        }
    }
    Err(CreateError::NoFreeBranch {
        slug: slug.to_owned(),
    })
}
