//! `omoi run`: one idea, from words to a proven branch.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use omoi_git::process::Git;
use omoi_git::repo::{RepoInfo, inspect_repository};
use omoi_protocol::api::{LaunchProjectSpec, LaunchSpec, SpecView};
use omoi_runtime::options::DataOptions;

use super::command_context::{CommandContext, ConfigOverrides, check_scenario, utf8_path};
use super::error_report::UsageError;
use super::follow::{FollowedRun, follow_run};
use super::owner_access::{AccessPurpose, OwnerAccess, reach_owner};
use super::remote_repository::RemoteRepository;
use super::terminal::print_for_people;
use super::{AgentChoice, ModelArgs, SuiteArgs, trust};
use crate::ErrorHint;
use crate::api_client::{ApiClient, ClientError};
use crate::view::header::{self, HeaderFacts};
use crate::view::run_view::RunView;

/// Bytes of an idea that are read; the platform refuses long ideas with its own words.
const IDEA_BYTES_MAX: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  omoi run \"give every todo tags and a due date\" --repo ~/src/todo
  omoi run - --yes < idea.md             the idea from a file, no question asked
  omoi run --idea-file idea.md --json    one event per line, a summary last
  omoi run \"…\" --model simulated --scenario scenario.yaml

The plan is shown before anything is built: on a terminal you are asked, elsewhere --yes is needed.
The result is a branch in your repository; your checkout is never touched. A server that you signed
in to is sent the commits it does not have, and the branch is fetched when it is delivered.";

/// What to build, and where.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// What you want, in your words; `-` reads it from standard input
    #[arg(value_name = "IDEA", required_unless_present = "idea_file")]
    pub(super) idea: Option<String>,
    /// Read the idea from a file
    #[arg(long, value_name = "FILE", conflicts_with = "idea")]
    pub(super) idea_file: Option<PathBuf>,
    /// The git repository to work on
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(super) repo: PathBuf,
    /// Project of the server that gets the commits; called as the repository's folder when absent
    #[arg(long, value_name = "NAME")]
    pub(super) project: Option<String>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) agent: AgentChoice,
    #[command(flatten)]
    pub(super) suite: SuiteArgs,
    /// Build as soon as the plan stands
    #[arg(long)]
    pub(super) yes: bool,
    /// Wait for a person after the requirements, and after the design
    #[arg(long)]
    pub(super) gates: bool,
    /// Leave the plan's files out of the branch
    #[arg(long)]
    pub(super) no_spec_files: bool,
}

/// Plans, builds, checks, merges and proves one idea.
pub(crate) async fn run_idea(
    context: &CommandContext,
    arguments: RunArgs,
) -> anyhow::Result<ExitCode> {
    let idea = read_idea(&arguments)?;
    // Everything that can be refused is refused before anything is made.
    let repo = std::path::absolute(&arguments.repo).context("could not name the repository")?;
    let git = Git::find_on_path(&context.environment_variable("PATH").unwrap_or_default()).await?;
    let repository = inspect_repository(&git, &repo).await?;
    let overrides = ConfigOverrides {
        model: arguments.model.clone(),
        port: None,
    };
    let settings = context.load_settings(&overrides)?;
    context.start_log(&settings.config, true);
    if arguments.model.scenario.is_some() {
        check_scenario(&settings.config)?;
    }
    let config = settings.config.clone();
    let access = reach_owner(context, settings, AccessPurpose::Work).await?;
    access.check_model(&arguments.model, &config)?;
    if arguments.project.is_some() && access.shares_paths() {
        let says = "--project names a project of a server; here it is the repository's own";
        return Err(UsageError(says.to_owned()).into());
    }
    let home = context.home_folder();
    let data = DataOptions::from_config(&config);
    let page = context.stderr_page();
    print_scene(context, &access, &data);
    let remote = RemoteRepository {
        context,
        git: &git,
        info: &repository,
    };
    let created = match access.shares_paths() {
        true => {
            let request = launch_here(&idea, &repository, &arguments)?;
            create_spec(context, &access.client, &request).await
        }
        false => create_remote_spec(&access, remote, &idea, &arguments).await,
    };
    let spec = match created {
        Ok(spec) => spec,
        Err(error) => {
            access.close(futures::stream::pending()).await?;
            return Err(error);
        }
    };
    print_for_people(
        context,
        &header::render_subject(&spec, &idea, home.as_deref(), page),
    );
    print_for_people(context, &[String::new()]);
    let subject = FollowedRun {
        spec,
        view: RunView::default(),
        after: 0,
        disk_wait: data.disk_wait,
    };
    let (id, client) = (subject.spec.id, access.client.clone());
    let shares_paths = access.shares_paths();
    let code = follow_run(context, access, subject).await?;
    if !shares_paths {
        remote.fetch_if_delivered(&client, id).await?;
    }
    Ok(code)
}

/// Says who does the work, with which data.
fn print_scene(context: &CommandContext, access: &OwnerAccess, data: &DataOptions) {
    let home = context.home_folder();
    let head = match access.process_status() {
        Some(status) => {
            let scene = HeaderFacts {
                status,
                data: &data.folder,
                home: home.as_deref(),
            };
            header::render_header(&scene, context.stderr_page())
        }
        None => vec![format!("Asking {}", access.place_text())],
    };
    print_for_people(context, &head);
    print_for_people(context, &[String::new()]);
}

/// The run of a repository that whoever answers finds at its path.
fn launch_here(
    idea: &str,
    repository: &RepoInfo,
    arguments: &RunArgs,
) -> anyhow::Result<LaunchSpec> {
    Ok(LaunchSpec {
        idea: idea.to_owned(),
        repo_path: utf8_path(&repository.toplevel)?,
        auto_start: arguments.yes,
        spec_files: !arguments.no_spec_files,
        suite: arguments.suite.suite.clone(),
        accept_red: arguments.suite.accept_red,
        agent: arguments.agent.agent,
        require_approval_gates: arguments.gates,
    })
}

/// Sends the repository's HEAD to a server that does not see it, and creates the spec there.
async fn create_remote_spec(
    access: &OwnerAccess,
    remote: RemoteRepository<'_>,
    idea: &str,
    arguments: &RunArgs,
) -> anyhow::Result<SpecView> {
    let project = remote
        .send_head(access, arguments.project.as_deref())
        .await?;
    let request = LaunchProjectSpec {
        require_approval_gates: arguments.gates,
        idea: idea.to_owned(),
        commit: remote.info.head.to_string(),
        branch: remote.info.branch.clone(),
        has_uncommitted: remote.info.dirty,
        auto_start: arguments.yes,
        spec_files: !arguments.no_spec_files,
        suite: arguments.suite.suite.clone(),
        accept_red: arguments.suite.accept_red,
        agent: arguments.agent.agent,
    };
    Ok(access.client.launch_project_spec(project, &request).await?)
}

/// Creates the spec; what its repository asks for beyond the work is first put to a person.
async fn create_spec(
    context: &CommandContext,
    client: &ApiClient,
    request: &LaunchSpec,
) -> anyhow::Result<SpecView> {
    match client.launch_spec(request).await {
        Err(ClientError::Refused { code, .. })
            if code == "repository_not_trusted" && !context.is_json() && trust::can_ask() =>
        {
            trust::ask_in_run(client, &request.repo_path).await?;
            Ok(client.launch_spec(request).await?)
        }
        other => Ok(other?),
    }
}

fn read_idea(arguments: &RunArgs) -> anyhow::Result<String> {
    let mut text = String::new();
    match (&arguments.idea, &arguments.idea_file) {
        (Some(dash), _) if dash == "-" => {
            let mut input = std::io::stdin().lock().take(IDEA_BYTES_MAX);
            input
                .read_to_string(&mut text)
                .context("could not read the idea")?;
        }
        (Some(idea), _) => text.push_str(idea),
        (None, Some(file)) => {
            let open = std::fs::File::open(file);
            let read = open.and_then(|file| file.take(IDEA_BYTES_MAX).read_to_string(&mut text));
            if let Err(error) = read {
                let error = UsageError(format!(
                    "could not read the idea in `{}`: {error}",
                    file.display()
                ));
                return Err(error.into());
            }
        }
        (None, None) => {}
    }
    if text.trim().is_empty() {
        let error = UsageError("the idea is empty".to_owned());
        let hint = ErrorHint("say what you want built: omoi run \"…\"".to_owned());
        return Err(anyhow::Error::new(error).context(hint));
    }
    Ok(text)
}
