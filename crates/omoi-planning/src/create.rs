//! Writes a spec down: what the person said, about which commit of which repository.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use omoi_domain::crash::CrashPoint;
use omoi_domain::phase::Phase;
use omoi_domain::plain_title::plain_title;
use omoi_domain::spec::SpecStatus;
use omoi_execution::Platform;
use omoi_execution::toolbox::Toolbox;
use omoi_git::mirror::{FetchRef, Mirror, MirrorError};
use omoi_git::process::GitError;
use omoi_git::refname::{BadRefName, RefName};
use omoi_git::repo::{InspectError, RepoInfo, expect_writable, inspect};
use omoi_git::slug;
use omoi_git::survey::{Survey, SurveyError, survey_commit};
use omoi_git::toolchain::{Host, resolve};
use omoi_protocol::control::CreateSpec;
use omoi_runtime::config::{Config, keys};
use omoi_store::projects::{self, Counter, Project, take_numbers};
use omoi_store::specs::{self, Spec, SpecOptions};
use omoi_store::{Json, StoreError, Tx};

use crate::repository_file::{self, RepositoryFileError};
use crate::{suite, trust};

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
    /// The yes was to another text.
    #[error("`.omoi.yaml` changed since you looked at it; nothing was allowed")]
    TrustOutdated,
    /// The repository could not be surveyed.
    #[error("could not survey the repository")]
    Survey(#[from] SurveyError),
    /// Every name the integration branch could have is taken.
    #[error("no free name for the integration branch; `omoi/{slug}` and its successors are taken")]
    NoFreeBranch {
        /// What the name is made of.
        slug: String,
    },
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// Inspects the repository, brings its HEAD into the mirror, surveys it and starts the spec.
///
/// # Errors
/// [`CreateError`]; nothing is written then.
pub async fn create(
    platform: &Platform,
    host: &Host,
    own: &Config,
    request: CreateSpec,
) -> Result<Spec, CreateError> {
    let chars = request.idea.chars().count();
    if request.idea.trim().is_empty() {
        return Err(CreateError::EmptyIdea);
    }
    if chars > IDEA_CHARS_MAX {
        return Err(CreateError::LongIdea { chars });
    }
    let repo = inspect(&platform.git, Path::new(&request.repo)).await?;
    expect_writable(&repo)?;
    let (project, mirror) = mirrored(platform, &repo).await?;
    let repository = repository_file::read(&mirror, &repo.head, own, host.home.as_deref()).await?;
    repository_file::expect_shown(platform, &repository)?;
    trust::expect_trusted(platform, &project, &repository).await?;
    let uncommitted = repository_file::look_at_work_tree(&repo.toplevel, &repository)?;
    let found = survey_commit(&mirror, &repo.head).await?;
    let chain = resolve(&found, host).await;
    let own_suite = own.get(&keys::VALIDATION_SUITE);
    let named = request.suite.as_deref();
    let named = named
        .or(repository.suite.as_deref())
        .or(own_suite.as_deref());
    let mut notes = notes(&repo, (&found, named), &chain.missing);
    notes.extend(uncommitted);
    let suite = suite::chosen(named, &found);
    let toolbox = Toolbox {
        roots: chain.roots,
        allowed: Vec::new(),
        path: chain.path_entries,
        env: chain.env,
    };
    let title = title(&request.idea);
    let slug = slug::slug(&title, SLUG_CHARS);
    let (integration_branch, mut tx) = with_free_branch(platform, &mirror, &slug).await?;
    let mut spec = Spec {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: project.id,
        number: take_numbers(&mut tx, project.id, Counter::Spec, 1).await?,
        title,
        original_request: request.idea,
        options: Json(SpecOptions {
            auto_start: request.auto_start,
            spec_files: request.spec_files,
            as_it_stands: false,
            notes,
            suite,
            accept_red: request.accept_red,
            repository,
        }),
        status: SpecStatus::Draft,
        current_phase: Phase::Explore,
        model: platform.model_label.clone(),
        scenario: platform.scenario.clone(),
        base_sha: repo.head.as_str().to_owned(),
        base_branch: repo.branch.clone(),
        slug,
        integration_branch,
        survey: Json(json!({ "survey": found, "toolbox": toolbox })),
        last_error: None,
        blocked_by: None,
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
        started_at: None,
        ended_at: None,
    };
    specs::insert(&mut tx, &spec).await?;
    suite::insert(&mut tx, platform, &spec).await?;
    specs::transition(&mut tx, &mut spec, SpecStatus::Executing, None).await?;
    tx.commit(CrashPoint::SpecCreated).await?;
    platform.scope.ask_for(spec.id);
    Ok(spec)
}

/// The project of a repository, and its mirror with the repository's HEAD.
pub(crate) async fn mirrored(
    platform: &Platform,
    repo: &RepoInfo,
) -> Result<(Project, Mirror), CreateError> {
    let name = repo.toplevel.file_name().unwrap_or_default();
    let name = match name.to_string_lossy() {
        name if name.is_empty() => "repository".to_owned(),
        name => name.into_owned(),
    };
    let mut tx = platform.store.begin_write().await?;
    let project = projects::ensure(&mut tx, &name, &repo.toplevel.to_string_lossy()).await?;
    tx.commit(CrashPoint::ProjectCreated).await?;
    let mirror = platform.mirror(project.id).await?;
    let target = RefName::parse(&format!("refs/omoios/base/{}", repo.head))?;
    let fetch = FetchRef {
        commit: repo.head.clone(),
        target,
    };
    mirror.fetch_from(repo, &[fetch]).await?;
    Ok((project, mirror))
}

/// Things the person should know before anything runs.
fn notes(
    repo: &RepoInfo,
    (survey, suite): (&Survey, Option<&str>),
    missing: &[String],
) -> Vec<String> {
    let mut notes = Vec::new();
    if repo.dirty {
        notes.push("the work tree has uncommitted changes; HEAD is used without them".to_owned());
    }
    if repo.branch.is_none() {
        notes.push("HEAD is detached; its commit is used".to_owned());
    }
    if suite.is_none() && survey.test.is_empty() {
        notes.push(
            "no test command was found; without a suite only per-criterion checks prove".to_owned(),
        );
    }
    notes.extend(survey.absent_content.iter().cloned());
    for program in missing {
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

/// `omoi/<slug>`, or the first of `-2`, `-3` … that no spec and no ref has, with the transaction in
/// which no other spec can take it.
async fn with_free_branch(
    platform: &Platform,
    mirror: &Mirror,
    slug: &str,
) -> Result<(String, Tx), CreateError> {
    loop {
        let taken = {
            let mut tx = platform.store.begin_read().await?;
            specs::branches(&mut tx).await?
        };
        // Git is asked while no transaction is open.
        let name = free_branch(mirror, slug, &taken).await?;
        let mut tx = platform.store.begin_write().await?;
        if !specs::branches(&mut tx).await?.contains(&name) {
            return Ok((name, tx));
        }
    }
}

async fn free_branch(
    mirror: &Mirror,
    slug: &str,
    taken: &BTreeSet<String>,
) -> Result<String, CreateError> {
    let first = format!("omoi/{slug}");
    for name in slug::candidates(&first).filter(|name| !taken.contains(name)) {
        if mirror.read_ref(&RefName::branch(&name)?).await?.is_none() {
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
