//! `omoi run`: writes a spec down, with what the person said, about which commit of which repository.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tracing::info;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_settings::all_followed_settings;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ProjectId, TicketId};
use omoi_domain::lifecycle::spec::begin_spec;
use omoi_domain::phase::Phase;
use omoi_domain::plain_title::plain_title;
use omoi_domain::project::ProjectStatus;
use omoi_domain::spec::{SpecKind, SpecStatus};
use omoi_execution::agent_programs::{AgentPlace, AgentPlan, ProgramUnusable, assign_agents};
use omoi_execution::copied_files::CopyError;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_execution::setup::SetupError;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::specs::apply_to_spec;
use omoi_git::import::ImportError;
use omoi_git::mirror::{BaseStoreError, Mirror, MirrorError, UpdateRefError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_git::refname::{BadRefName, RefName};
use omoi_git::repo::{InspectError, expect_writable};
use omoi_git::slug;
use omoi_git::survey::{Survey, SurveyError, survey_commit};
use omoi_git::toolchain::resolve_toolchain;
use omoi_protocol::api::LaunchSpec;
use omoi_store::projects::{self, NumberCounter, take_numbers};
use omoi_store::specs::{self, Spec, SpecOptions};
use omoi_store::{Json, StoreError, Tenant, Tx};

use super::begin_ticket::{kind_of_mode, link_ticket, ticket_to_begin};
use crate::repository_file::{self, RepositoryFileError};
use crate::repository_reader::{OpenedRepository, RepositoryReader, RepositorySource};
use crate::spec_policy::SpecPolicy;
use crate::{options, suite, trust};

/// Characters of an idea that are read.
pub const IDEA_CHARS_MAX: usize = 100_000;
/// Characters of a title cut from an idea.
const TITLE_CHARS: usize = 97;
/// A title is cut at a blank from here on.
const TITLE_BLANK_FROM: usize = 50;
/// Characters of a branch's slug.
const SLUG_CHARS: usize = 25;

/// Why a spec was not written down.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Nothing was asked for.
    #[error("the idea is empty; say what you want built")]
    EmptyIdea,
    /// The idea is too long to be put in front of a model.
    #[error("the idea has {chars} characters, at most {IDEA_CHARS_MAX} are read")]
    LongIdea {
        /// Its length.
        chars: usize,
    },
    /// The repository cannot be used.
    #[error(transparent)]
    Repository(#[from] InspectError),
    /// The mirror could not be filled.
    #[error("could not copy the repository's history")]
    Mirror(#[from] MirrorError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// The branch cannot be named.
    #[error("the integration branch cannot be named")]
    RefName(#[from] BadRefName),
    /// The repository's own configuration cannot be used.
    #[error(transparent)]
    RepositoryFile(#[from] RepositoryFileError),
    /// The repository asks for something that only a person can allow.
    #[error("`.omoi.yaml` asks for what you did not allow: {}", asks.join("; "))]
    NotTrusted {
        /// The repository.
        repo: String,
        /// What it asks for, one line each.
        asks: Vec<String>,
    },
    /// A repository that lies elsewhere asks for something of this machine.
    #[error("`.omoi.yaml` asks for what nobody can allow a repository that lies elsewhere: {}", asks.join("; "))]
    AsksForMachine {
        /// What it asks for, one line each.
        asks: Vec<String>,
    },
    /// A commit is named by what is no name of one.
    #[error(transparent)]
    CommitName(BadObjectId),
    /// The commit was never sent here.
    #[error("commit {commit:.10} of the repository is not here")]
    NotUploaded {
        /// The commit that work was to begin at.
        commit: ObjectId,
    },
    /// The commits of the project are read where its repository lies.
    #[error(
        "the repository of the project `{project}` lies on the disk of the server, which takes no commits of it"
    )]
    OnServer {
        /// What people call the project.
        project: String,
    },
    /// Nothing is begun in the project any more.
    #[error("the project `{project}` is put away, and takes no commits")]
    PutAway {
        /// What people call the project.
        project: String,
    },
    /// What was sent of the repository cannot be taken in.
    #[error("the commits that were sent cannot be taken in")]
    Upload(#[from] ImportError),
    /// A ref of the mirror could not be set.
    #[error("could not keep the commit that work begins at")]
    Ref(#[from] UpdateRefError),
    /// The yes was to another text.
    #[error("`.omoi.yaml` changed since you looked at it; nothing was allowed")]
    TrustOutdated,
    /// The repository could not be surveyed.
    #[error("could not survey the repository")]
    Survey(#[from] SurveyError),
    /// The ticket that it was for is not to be begun any more.
    #[error("nothing is to be begun any more")]
    NotWanted,
    /// Every name the integration branch could have is taken.
    #[error("no free name for the integration branch; `omoi/{slug}` and its successors are taken")]
    NoFreeBranch {
        /// What the name is made of.
        slug: String,
    },
    /// Nothing can be installed here.
    #[error("this process runs no sandboxes")]
    NoSandbox,
    /// Packages could not be installed.
    #[error("could not install packages")]
    Setup(#[source] SetupError),
    /// The history that a sandbox may read could not be set apart.
    #[error("could not set the base commit's history apart")]
    BaseStore(#[from] BaseStoreError),
    /// A file of the checkout cannot be copied.
    #[error(transparent)]
    Copies(#[from] CopyError),
    /// The agent cannot be used.
    #[error(transparent)]
    Agent(#[from] ProgramUnusable),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// When a new spec is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecStart {
    /// At once.
    Now,
    /// When a person says so.
    Later,
}

/// A spec that a person asks for.
#[derive(Clone, Debug)]
pub struct AskedSpec {
    /// What they say of it.
    pub request: LaunchSpec,
    /// When it is begun.
    pub start: SpecStart,
}

impl AskedSpec {
    /// One that is begun at once.
    pub const fn begun_now(request: LaunchSpec) -> Self {
        Self {
            request,
            start: SpecStart::Now,
        }
    }
}

/// Inspects the repository, brings its HEAD into the mirror, surveys it and writes the spec down; it is begun as `start`
/// says.
///
/// # Errors
/// [`CreateError`]; nothing is written then.
pub async fn create_spec(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    asked: AskedSpec,
) -> Result<Spec, CreateError> {
    let AskedSpec { request, start } = asked;
    expect_idea(&request.idea)?;
    let (repository, mut draft) = prepare_spec(policy, reader, tenant, request).await?;
    draft.start = start;
    write_asked(policy, tenant, &repository, draft).await
}

/// Inspects the repository of a request, brings its HEAD into the mirror, surveys it and puts together what is written
/// down of the spec.
///
/// # Errors
/// [`CreateError`].
pub(super) async fn prepare_spec(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    request: LaunchSpec,
) -> Result<(OpenedRepository, SpecDraft), CreateError> {
    let info = reader.inspect_repository(&request.repo_path).await?;
    expect_writable(&info)?;
    let repository = reader.open(&tenant.before_request(), info).await?;
    let request = SpecRequest::of_launch(request);
    let asked = AskedWork {
        repository,
        request,
    };
    draft_spec(policy, reader, tenant, asked).await
}

/// What a person asks for, whatever repository it is about.
pub(super) struct SpecRequest {
    pub(super) idea: String,
    pub(super) auto_start: bool,
    pub(super) spec_files: bool,
    pub(super) suite: Option<String>,
    pub(super) accept_red: bool,
    pub(super) agent: Option<AgentProgram>,
    pub(super) require_approval_gates: bool,
}

/// What a person asks for, and of which repository.
pub(super) struct AskedWork {
    pub(super) repository: OpenedRepository,
    pub(super) request: SpecRequest,
}

/// Surveys the repository of `asked` and starts the spec.
pub(super) async fn begin_on(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    asked: AskedWork,
) -> Result<Spec, CreateError> {
    let (repository, draft) = draft_spec(policy, reader, tenant, asked).await?;
    write_asked(policy, tenant, &repository, draft).await
}

/// Writes down what a person asks for.
async fn write_asked(
    policy: &SpecPolicy,
    tenant: &Tenant,
    repository: &OpenedRepository,
    draft: SpecDraft,
) -> Result<Spec, CreateError> {
    let origin = SpecOrigin::Idea;
    let written = write_spec(policy, tenant, repository, SpecPlan { draft, origin }).await?;
    written.ok_or(CreateError::NotWanted)
}

/// Surveys the repository of `asked` and puts together what is written down of the spec.
pub(super) async fn draft_spec(
    policy: &SpecPolicy,
    reader: RepositoryReader<'_>,
    tenant: &Tenant,
    asked: AskedWork,
) -> Result<(OpenedRepository, SpecDraft), CreateError> {
    let AskedWork {
        repository,
        request,
    } = asked;
    trust::expect_trusted(tenant, &repository).await?;
    let OpenedRepository { source, mirror, .. } = &repository;
    let copies = policy.copies.in_tenant(tenant);
    let readable = copies.expect_readable(&repository.project, mirror, source.head_commit());
    readable.await?;
    let followed = all_followed_settings();
    let place = AgentPlace {
        project: &repository.project.name,
        settings: &mirror
            .present_paths(source.head_commit(), &followed)
            .await?,
    };
    let agents = assign_agents(policy.programs.as_ref(), place, request.agent).await?;
    policy.models.expect_usable(&agents.assignment)?;
    let draft = reader.draft(&repository, request, agents).await?;
    Ok((repository, draft))
}

/// Names the branch of a spec, writes the spec down and has it planned; none where its ticket wants none any more.
///
/// # Errors
/// [`CreateError`].
pub(super) async fn write_spec(
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

/// A spec before its branch is named.
pub(super) struct SpecDraft {
    project: ProjectId,
    pub(super) title: String,
    pub(super) original_request: String,
    pub(super) options: SpecOptions,
    base_sha: String,
    base_branch: Option<String>,
    pub(super) slug: String,
    survey: Value,
    start: SpecStart,
}

/// What a spec is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpecOrigin {
    /// An idea.
    Idea,
    /// A ticket, which is its plan or follows it, as its mode says.
    Ticket(TicketId),
}

/// A spec that is to be written.
pub(super) struct SpecPlan {
    /// What it says.
    pub(super) draft: SpecDraft,
    /// What it is for.
    pub(super) origin: SpecOrigin,
}

/// What became of it.
enum SpecInsert {
    Written(Box<Spec>),
    /// Another one took the branch in the meantime.
    BranchTaken,
    /// Its ticket is not to be begun any more.
    NotWanted,
}

/// What the branch of a spec with that title is called by.
pub(super) fn branch_slug(title: &str) -> String {
    slug::title_slug(title, SLUG_CHARS)
}

pub(super) fn expect_idea(idea: &str) -> Result<(), CreateError> {
    let chars = idea.chars().count();
    if idea.trim().is_empty() {
        return Err(CreateError::EmptyIdea);
    }
    match chars > IDEA_CHARS_MAX {
        true => Err(CreateError::LongIdea { chars }),
        false => Ok(()),
    }
}

impl RepositoryReader<'_> {
    /// What the person asked for, about HEAD of the repository and what was found there.
    async fn draft(
        &self,
        repository: &OpenedRepository,
        request: SpecRequest,
        agents: AgentPlan,
    ) -> Result<SpecDraft, CreateError> {
        let OpenedRepository {
            source, settings, ..
        } = repository;
        let uncommitted = match source.work_tree() {
            Some(folder) => repository_file::look_at_work_tree(folder, settings)?,
            None => None,
        };
        let survey = survey_commit(&repository.mirror, source.head_commit()).await?;
        let toolchain = resolve_toolchain(&survey, self.host).await;
        let own_suite = options::own_suite(self.config);
        let named = request.suite.as_deref();
        let named = named.or(settings.suite.as_deref()).or(own_suite.as_deref());
        let mut notes = notes(NoteFacts {
            source,
            survey: &survey,
            suite: named,
            missing: &toolchain.missing,
        });
        notes.extend(uncommitted);
        notes.extend(agents.notes);
        let suite = suite::chosen_suite(named, &survey);
        let toolbox = SandboxToolchain::of_host(toolchain);
        let title = title(&request.idea);
        Ok(SpecDraft {
            project: repository.project.id,
            slug: branch_slug(&title),
            title,
            original_request: request.idea,
            options: SpecOptions {
                auto_start: request.auto_start,
                spec_files: request.spec_files,
                as_it_stands: false,
                notes,
                suite,
                accept_red: request.accept_red,
                agents: agents.assignment,
                repository: settings.clone(),
                require_approval_gates: request.require_approval_gates,
            },
            base_sha: source.head_commit().as_str().to_owned(),
            base_branch: source.branch_name().map(ToOwned::to_owned),
            survey: json!({ "survey": survey, "toolbox": toolbox }),
            start: SpecStart::Now,
        })
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
        let mut spec = draft.numbered(tx, &policy.selection, number, branch);
        if let Some(ticket) = &begun {
            spec.kind = kind_of_mode(ticket.workflow_mode);
        }
        if spec.kind == SpecKind::Direct {
            spec.current_phase = Phase::Complete;
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

/// What the notes of a new spec are about.
struct NoteFacts<'a> {
    source: &'a RepositorySource,
    survey: &'a Survey,
    /// The command that was named as the project's suite.
    suite: Option<&'a str>,
    /// Programs the project needs and no sandbox can be shown.
    missing: &'a [String],
}

/// Things the person should know before anything runs.
fn notes(facts: NoteFacts<'_>) -> Vec<String> {
    let NoteFacts { source, survey, .. } = facts;
    let mut notes = Vec::new();
    if source.is_dirty() {
        notes.push("the work tree has uncommitted changes; HEAD is used without them".to_owned());
    }
    if source.branch_name().is_none() {
        notes.push("HEAD is detached; its commit is used".to_owned());
    }
    if facts.suite.is_none() && survey.test.is_empty() {
        notes.push(
            "no test command was found; without a suite only per-criterion checks prove".to_owned(),
        );
    }
    notes.extend(survey.absent_content.iter().cloned());
    for program in facts.missing {
        notes.push(format!(
            "`{program}` is needed by the project and cannot be shown to a sandbox"
        ));
    }
    notes
}

/// The idea's first words: at most 97 characters, cut at a blank past 50, and an ellipsis.
fn title(idea: &str) -> String {
    let flat = plain_title(idea);
    if flat.chars().count() <= TITLE_CHARS {
        return flat;
    }
    let cut: String = flat.chars().take(TITLE_CHARS).collect();
    let kept = match cut.rfind(' ') {
        Some(at) if cut[..at].chars().count() > TITLE_BLANK_FROM => &cut[..at],
        _ => cut.as_str(),
    };
    format!("{}…", kept.trim_end())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_cut_at_blanks() {
        assert_eq!(title("  Add\n tags "), "Add tags");
        let long = "word ".repeat(40);
        let cut = title(&long);
        assert!(cut.chars().count() <= 98 && cut.ends_with("word…"), "{cut}");
        let unbroken = "é".repeat(300);
        assert_eq!(title(&unbroken).chars().count(), 98);
    }
}
