//! `omoi project`: what tickets and specs belong to.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use omoi_domain::project::ProjectStatus;
use omoi_protocol::api::{CreateProject, ProjectStats, ProjectView, UpdateProject, WorkingStatus};

use super::command_context::{CommandContext, utf8_path};
use super::error_report::UsageError;
use super::owner_access::OwnerAccess;
use super::owner_question::{ask_owner, print_rows, unknown_word};
use super::terminal::print_done;
use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::view::text_layout::{OutputPage, clean_line, count_noun, fit_columns, wrap_text};

/// What to do with projects.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ProjectCommand {
    /// List the projects, newest first
    #[command(after_help = "Examples:\n  omoi project list\n  omoi project list --status paused")]
    List(ListProjectsArgs),
    /// Show a project and how far it is
    #[command(after_help = "Examples:\n  omoi project show\n  omoi project show todo --json")]
    Show(ProjectArgs),
    /// Begin a project, under a name or for a repository of this machine
    #[command(
        after_help = "Examples:\n  omoi project create Todo --description \"Lists of things to do\"\n  omoi project create --repo ~/src/todo"
    )]
    Create(CreateProjectArgs),
    /// Change a project: its name, what it is for, and whether work goes on in it
    #[command(
        after_help = "Examples:\n  omoi project set todo --status paused\n  omoi project set todo --name \"Todo lists\" --autonomous true"
    )]
    Set(SetProjectArgs),
    /// Put a project away: nothing starts in it, and its specs are cancelled
    #[command(after_help = "Examples:\n  omoi project archive todo")]
    Archive(NamedProjectArgs),
    /// Take back a project that was put away; its specs stay cancelled
    #[command(after_help = "Examples:\n  omoi project restore todo")]
    Restore(NamedProjectArgs),
}

/// Which projects.
#[derive(clap::Args, Debug)]
pub(crate) struct ListProjectsArgs {
    /// active, paused, completed or archived; all when absent
    #[arg(long, value_name = "STATUS", value_parser = parse_project_status)]
    status: Option<ProjectStatus>,
}

/// Which project, if not the one here.
#[derive(clap::Args, Debug)]
pub(crate) struct ProjectArgs {
    /// Its name or id; the one of the repository here without it
    #[arg(value_name = "PROJECT")]
    name: Option<String>,
}

/// Which project.
#[derive(clap::Args, Debug)]
pub(crate) struct NamedProjectArgs {
    /// Its name or id
    #[arg(value_name = "PROJECT")]
    name: String,
}

/// A project to begin.
#[derive(clap::Args, Debug)]
pub(crate) struct CreateProjectArgs {
    /// What people call it
    #[arg(value_name = "NAME", required_unless_present = "repo")]
    name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", conflicts_with = "repo")]
    description: Option<String>,
    /// Let its tasks start without a person
    #[arg(long, conflicts_with = "repo")]
    autonomous: bool,
    /// The repository of this machine that it is for; it is called as its folder
    #[arg(long, value_name = "PATH", conflicts_with = "name")]
    repo: Option<PathBuf>,
}

/// What is to change of a project.
#[derive(clap::Args, Debug)]
#[group(multiple = true)]
pub(crate) struct SetProjectArgs {
    #[command(flatten)]
    named: NamedProjectArgs,
    /// Another name
    #[arg(long = "name", value_name = "TEXT")]
    title: Option<String>,
    /// Another description; an empty one takes it away
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// active, paused or completed
    #[arg(long, value_name = "STATUS", value_parser = parse_working_status)]
    status: Option<WorkingStatus>,
    /// Whether its tasks may start without a person
    #[arg(long, value_name = "true|false")]
    autonomous: Option<bool>,
    /// A command that shows that what was handed over is deployed; an empty one takes it away
    #[arg(long, value_name = "COMMAND")]
    deploy_check: Option<String>,
}

fn parse_project_status(text: &str) -> Result<ProjectStatus, String> {
    let known = ProjectStatus::ALL.iter().map(|value| value.as_str());
    ProjectStatus::parse(text).ok_or_else(|| unknown_word(known))
}

fn parse_working_status(text: &str) -> Result<WorkingStatus, String> {
    let known = WorkingStatus::ALL.iter().map(|value| value.as_str());
    WorkingStatus::parse(text).ok_or_else(|| unknown_word(known))
}

/// Runs one `omoi project` command.
pub(super) async fn run_project_command(
    context: &CommandContext,
    command: ProjectCommand,
) -> anyhow::Result<ExitCode> {
    ask_owner(context, async |access| {
        answer_command(context, access, command).await
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer_command(
    context: &CommandContext,
    access: &OwnerAccess,
    command: ProjectCommand,
) -> anyhow::Result<()> {
    let client = &access.client;
    match command {
        ProjectCommand::List(ListProjectsArgs { status }) => {
            let found = client.list_projects(status).await?;
            print_rows(
                context,
                &found,
                "No project yet: omoi project create NAME",
                project_line,
            )
        }
        ProjectCommand::Show(ProjectArgs { name }) => {
            let project = match name {
                Some(name) => project_called(client, &name).await?,
                None => client.get_project_here().await?,
            };
            if context.is_json() {
                return Ok(context.print_json(&project)?);
            }
            let stats = client.get_project_stats(project.id).await?;
            Ok(context.print_lines(&project_lines(&project, &stats, context.stdout_page()))?)
        }
        ProjectCommand::Create(arguments) => {
            let body = new_project(access, arguments)?;
            let made = client.create_project(&body).await?;
            tell_project(context, &made, "is begun")
        }
        ProjectCommand::Set(arguments) => {
            let project = project_called(client, &arguments.named.name).await?;
            let body = project_change(arguments)?;
            let changed = client.update_project(project.id, &body).await?;
            tell_project(context, &changed, &format!("is {}", changed.status))
        }
        ProjectCommand::Archive(NamedProjectArgs { name }) => {
            let project = project_called(client, &name).await?;
            let archived = client.archive_project(project.id).await?;
            tell_project(context, &archived, "is put away")
        }
        ProjectCommand::Restore(NamedProjectArgs { name }) => {
            let project = project_called(client, &name).await?;
            let body = UpdateProject {
                status: Some(WorkingStatus::Active),
                ..UpdateProject::default()
            };
            let restored = client.update_project(project.id, &body).await?;
            tell_project(context, &restored, "is taken back")
        }
    }
}

/// The project that is called `name`, by its name, its id, or what stands before its numbers.
///
/// # Errors
/// When there is none.
pub(super) async fn project_called(client: &ApiClient, name: &str) -> anyhow::Result<ProjectView> {
    let found = client.find_called_project(name).await?;
    found.ok_or_else(|| {
        let hint = ErrorHint("which there are: omoi project list".to_owned());
        anyhow::Error::new(UsageError(format!("there is no project `{name}`"))).context(hint)
    })
}

fn new_project(
    access: &OwnerAccess,
    arguments: CreateProjectArgs,
) -> anyhow::Result<CreateProject> {
    let Some(repo) = arguments.repo else {
        return Ok(CreateProject {
            name: arguments.name,
            description: arguments.description,
            autonomous_execution_enabled: Some(arguments.autonomous),
            repo_path: None,
        });
    };
    if !access.shares_paths() {
        let says = format!("{} does not see this machine's disk", access.place_text());
        let hint = "name the project; `omoi run` sends it the commits: omoi project create NAME";
        return Err(anyhow::Error::new(UsageError(says)).context(ErrorHint(hint.to_owned())));
    }
    let path = repo.canonicalize().map_err(|_| {
        let says = format!("there is no folder `{}`", repo.display());
        anyhow::Error::new(UsageError(says))
    })?;
    Ok(CreateProject {
        repo_path: Some(utf8_path(&path)?),
        ..CreateProject::default()
    })
}

fn project_change(arguments: SetProjectArgs) -> anyhow::Result<UpdateProject> {
    let body = UpdateProject {
        name: arguments.title,
        description: arguments
            .description
            .map(|text| (!text.is_empty()).then_some(text)),
        status: arguments.status,
        autonomous_execution_enabled: arguments.autonomous,
        deploy_check: arguments
            .deploy_check
            .map(|command| (!command.is_empty()).then_some(command)),
    };
    if body == UpdateProject::default() {
        let says = "say what is to change".to_owned();
        let hint =
            "one of --name, --description, --status, --autonomous and --deploy-check".to_owned();
        return Err(anyhow::Error::new(UsageError(says)).context(ErrorHint(hint)));
    }
    Ok(body)
}

/// Says what became of a project, or prints it for scripts.
fn tell_project(context: &CommandContext, project: &ProjectView, what: &str) -> anyhow::Result<()> {
    if context.is_json() {
        return Ok(context.print_json(project)?);
    }
    print_done(&format!("The project {} {what}", clean_line(&project.name)));
    Ok(())
}

fn project_line(project: &ProjectView, width: usize) -> String {
    let counts = project.counts;
    let line = format!(
        "{}  {:9}  {}, {}, {}",
        clean_line(&project.key),
        project.status.as_str(),
        count_noun(counts.specs, "spec"),
        count_noun(counts.tickets, "ticket"),
        count_noun(counts.tasks, "task"),
    );
    fit_columns(&line, width).into_owned()
}

fn project_lines(project: &ProjectView, stats: &ProjectStats, page: OutputPage) -> Vec<String> {
    let title = format!(
        "{}  {}",
        clean_line(&project.key),
        clean_line(&project.name)
    );
    let starts = match project.autonomous_execution_enabled {
        true => "without a person",
        false => "when a person says so",
    };
    let path = project.repo_path.as_deref().map(clean_line);
    let described = project.description.as_deref().map(clean_line);
    let deployed = project.deploy_check.as_deref().map(clean_line);
    let facts = [
        ("id", project.id.to_string()),
        ("for", described.unwrap_or_default()),
        ("status", project.status.to_string()),
        ("tasks start", starts.to_owned()),
        ("repository", path.unwrap_or_default()),
        ("deployed if", deployed.unwrap_or_default()),
        ("specs", tally_text(&stats.specs_by_status)),
        ("tickets", tally_text(&stats.tickets_by_status)),
        ("tasks", tally_text(&stats.tasks_by_status)),
        ("at work", count_noun(stats.active_agents, "task")),
        ("landed", count_noun(stats.total_commits, "commit")),
    ];
    let mut lines = vec![page.bold(fit_columns(&title, page.width).as_ref())];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        for (index, line) in wrap_text(value, page.width - 15).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("  {name:11}  {line}"));
        }
    }
    lines
}

fn tally_text<S: Display>(tally: &BTreeMap<S, u64>) -> String {
    let counted = tally
        .iter()
        .map(|(status, count)| format!("{count} {status}"));
    counted.collect::<Vec<_>>().join(", ")
}
