//! What is written down of a spec, put together before its branch is named.

use serde_json::{Value, json};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::id::ProjectId;
use omoi_domain::plain_title::plain_title;
use omoi_execution::agent_programs::AgentPlan;
use omoi_execution::sandbox_toolchain::SandboxToolchain;
use omoi_git::slug;
use omoi_git::survey::{Survey, survey_commit};
use omoi_git::toolchain::resolve_toolchain;
use omoi_protocol::api::LaunchSpec;
use omoi_store::specs::SpecOptions;

use super::create_error::CreateError;
use crate::repository_file;
use crate::repository_reader::{OpenedRepository, RepositoryReader, RepositorySource};
use crate::{options, suite};

/// Characters of a title cut from an idea.
const TITLE_CHARS: usize = 97;
/// A title is cut at a blank from here on.
const TITLE_BLANK_FROM: usize = 50;
/// Characters of a branch's slug.
const SLUG_CHARS: usize = 25;

/// When a new spec is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecStart {
    /// At once.
    Now,
    /// When a person says so.
    Later,
}

/// What a person asks for, whatever repository it is about.
pub(in crate::commands) struct SpecRequest {
    pub(in crate::commands) idea: String,
    pub(in crate::commands) auto_start: bool,
    pub(in crate::commands) spec_files: bool,
    pub(in crate::commands) suite: Option<String>,
    pub(in crate::commands) accept_red: bool,
    pub(in crate::commands) agent: Option<AgentProgram>,
    pub(in crate::commands) require_approval_gates: bool,
}

impl SpecRequest {
    /// What `launch` asks for, wherever the repository is that it is about.
    pub(in crate::commands) fn of_launch(launch: LaunchSpec) -> Self {
        Self {
            idea: launch.idea,
            auto_start: launch.auto_start,
            spec_files: launch.spec_files,
            suite: launch.suite,
            accept_red: launch.accept_red,
            agent: launch.agent,
            require_approval_gates: launch.require_approval_gates,
        }
    }
}

/// A spec before its branch is named.
pub(in crate::commands) struct SpecDraft {
    pub(super) project: ProjectId,
    pub(in crate::commands) title: String,
    pub(in crate::commands) original_request: String,
    pub(in crate::commands) options: SpecOptions,
    pub(super) base_sha: String,
    pub(super) base_branch: Option<String>,
    pub(in crate::commands) slug: String,
    pub(super) survey: Value,
    pub(super) start: SpecStart,
}

/// What the branch of a spec with that title is called by.
pub(in crate::commands) fn branch_slug(title: &str) -> String {
    slug::title_slug(title, SLUG_CHARS)
}

impl RepositoryReader<'_> {
    /// What the person asked for, about HEAD of the repository and what was found there.
    pub(super) async fn draft_request(
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
