//! `omoi spec`: an idea with its plan and its tasks.

mod export;
mod fetch;
mod render;

use std::path::PathBuf;
use std::process::ExitCode;

use omoi_domain::model_kind::ModelKind;
use omoi_domain::spec::SpecStatus;
use omoi_protocol::api::{ResumeSpec, SpecView};
use omoi_protocol::shell_word::shell_word;
use omoi_runtime::options::DataOptions;

pub(super) use self::render::{plan_lines, task_line};
use self::render::{refused_outputs, spec_lines, spec_table};
use super::command_context::{CommandContext, CommandSettings, ConfigOverrides, check_scenario};
use super::error_report::UsageError;
use super::follow::{FollowedRun, follow_run, replay_run};
use super::owner_access::{AccessPurpose, OwnerAccess, reach_owner};
use super::terminal::{print_done, print_for_people};
use super::{ModelArgs, SuiteArgs};
use crate::ErrorHint;
use crate::view::header;

/// What to do with specs.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum SpecCommand {
    /// List specs, newest first
    #[command(after_help = "Examples:\n  omoi spec list\n  omoi spec list --json")]
    List,
    /// Show a spec with its phases, tickets and tasks
    #[command(
        after_help = "Examples:\n  omoi spec show SPEC-1\n  omoi spec show SPEC-1 --rejected    with what the gates refused, and why"
    )]
    Show(ShowSpecArgs),
    /// Write the plan's files somewhere
    #[command(
        after_help = "Examples:\n  omoi spec export SPEC-1                    print them\n  omoi spec export SPEC-1 --output plan/"
    )]
    Export(export::ExportArgs),
    /// Fetch the branch of a delivered spec from a server into a repository here
    #[command(
        after_help = "Examples:\n  omoi spec fetch SPEC-1                      into the repository you are in\n  omoi spec fetch todo/SPEC-1 --repo ~/src/todo\n\nA branch of that name stays as it is: what is fetched gets the next free one."
    )]
    Fetch(fetch::FetchArgs),
    /// Release the tasks of a planned spec and follow the work
    #[command(
        after_help = "Examples:\n  omoi spec approve SPEC-1\n  omoi spec approve SPEC-1 --no-wait    leave the work to `omoi up`"
    )]
    Approve(ContinueSpecArgs),
    /// Go on with a spec that was interrupted, failed or is blocked
    #[command(
        after_help = "Examples:\n  omoi spec resume SPEC-1\n  omoi spec resume SPEC-1 --no-wait      leave the work to `omoi up`\n  omoi spec resume SPEC-1 --accept-weak  hand over what is proven, but not by this work"
    )]
    Resume(ResumeSpecArgs),
    /// Hand over what has landed of a spec, although it is not all that was planned
    #[command(
        after_help = "Examples:\n  omoi spec deliver SPEC-1\n\nWhat is not proven and not done is said with the branch. The suite must pass."
    )]
    Deliver(ContinueSpecArgs),
    /// Call a spec off; what was done stays where it is
    #[command(after_help = "Examples:\n  omoi spec cancel SPEC-1")]
    Cancel(SpecArgs),
}

/// The spec that a command is about.
#[derive(clap::Args, Debug)]
pub(crate) struct SpecArgs {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
}

/// One spec, with or without what was refused of its plan.
#[derive(clap::Args, Debug)]
pub(crate) struct ShowSpecArgs {
    #[command(flatten)]
    named: SpecArgs,
    /// Show the best refused output of each phase, and why it was refused
    #[arg(long)]
    rejected: bool,
}

/// A spec that is to go on.
#[derive(clap::Args, Debug)]
pub(crate) struct ContinueSpecArgs {
    #[command(flatten)]
    named: SpecArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// Return at once instead of following the work
    #[arg(long)]
    no_wait: bool,
}

/// A spec that is to go on from where it stopped.
#[derive(clap::Args, Debug)]
pub(crate) struct ResumeSpecArgs {
    #[command(flatten)]
    going: ContinueSpecArgs,
    /// Hand the branch over although criteria are proven, but not by this work
    #[arg(long)]
    accept_weak: bool,
    #[command(flatten)]
    suite: SuiteArgs,
}

/// How a spec goes on.
enum SpecContinuation {
    Approve,
    Resume(ResumeSpec),
    Deliver,
}

/// Runs one `omoi spec` command.
pub(crate) async fn run_spec_command(
    context: &CommandContext,
    command: SpecCommand,
) -> anyhow::Result<ExitCode> {
    let going = match command {
        SpecCommand::Approve(going) => {
            return continue_spec(context, going, SpecContinuation::Approve).await;
        }
        SpecCommand::Deliver(going) => {
            return continue_spec(context, going, SpecContinuation::Deliver).await;
        }
        SpecCommand::Resume(ResumeSpecArgs {
            going,
            accept_weak,
            suite,
        }) => {
            let asked = ResumeSpec {
                accept_weak,
                accept_red: suite.accept_red,
                suite: suite.suite,
            };
            return continue_spec(context, going, SpecContinuation::Resume(asked)).await;
        }
        other => other,
    };
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::Ask).await?;
    let done = answer_command(context, &access, going).await;
    access.close(futures::stream::pending()).await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn answer_command(
    context: &CommandContext,
    access: &OwnerAccess,
    command: SpecCommand,
) -> anyhow::Result<()> {
    match command {
        SpecCommand::List => {
            let specs = access.client.list_specs().await?;
            if context.is_json() {
                return Ok(context.print_json(&specs)?);
            }
            if specs.is_empty() {
                print_done("No spec yet. Start one: omoi run \"…\"");
            }
            Ok(context.print_lines(&spec_table(
                &specs,
                context.home_folder().as_deref(),
                context.stdout_page(),
            ))?)
        }
        SpecCommand::Show(ShowSpecArgs {
            named: SpecArgs { spec },
            rejected,
        }) => {
            let detail = access.client.get_spec_detail(&spec).await?;
            if context.is_json() {
                return Ok(context.print_json(&detail)?);
            }
            let mut lines = spec_lines(context, &detail);
            if rejected {
                lines.push(String::new());
                lines.extend(refused_outputs(&detail, context.stdout_page()));
            }
            Ok(context.print_lines(&lines)?)
        }
        SpecCommand::Export(arguments) => export::export_plan(context, access, arguments).await,
        SpecCommand::Fetch(arguments) => fetch::fetch_spec(context, access, arguments).await,
        SpecCommand::Cancel(SpecArgs { spec }) => {
            let spec = access.client.cancel_spec(&spec).await?;
            if context.is_json() {
                return Ok(context.print_json(&spec)?);
            }
            print_done(&format!(
                "{} is cancelled. What was done stays: omoi spec show {}{}",
                spec.spec_ref,
                shell_word(&spec.name),
                context.data_flags()
            ));
            Ok(())
        }
        // Answered before.
        SpecCommand::Approve(_) | SpecCommand::Resume(_) | SpecCommand::Deliver(_) => Ok(()),
    }
}

/// Releases or resumes a spec and follows it.
async fn continue_spec(
    context: &CommandContext,
    going: ContinueSpecArgs,
    continuation: SpecContinuation,
) -> anyhow::Result<ExitCode> {
    let ContinueSpecArgs {
        named: SpecArgs { spec },
        model,
        no_wait,
    } = going;
    let overrides = ConfigOverrides {
        model: model.clone(),
        ..ConfigOverrides::default()
    };
    let settings = settings_for(context, overrides, &spec).await?;
    check_scenario(&settings.config)?;
    let config = settings.config.clone();
    let purpose = if no_wait {
        AccessPurpose::Ask
    } else {
        AccessPurpose::Work
    };
    let access = reach_owner(context, settings, purpose).await?;
    if no_wait && (access.is_own() || !access.has_agents_work()) {
        access.close(futures::stream::pending()).await?;
        return Err(no_worker_error());
    }
    access.check_model(&model, &config)?;
    let asked = async {
        let before = access.client.get_spec_to_act(&spec).await?;
        let (view, after) = replay_run(&access.client, &before).await?;
        let id = before.id.to_string();
        let spec = match continuation {
            SpecContinuation::Approve => access.client.approve_spec(&id).await?,
            SpecContinuation::Resume(asked) => access.client.resume_spec(&id, asked).await?,
            SpecContinuation::Deliver => access.client.deliver_spec(&id).await?,
        };
        anyhow::Ok((spec, view, after))
    };
    let (spec, view, after) = match asked.await {
        Ok(found) => found,
        Err(error) => {
            access.close(futures::stream::pending()).await?;
            return Err(error);
        }
    };
    if spec.status == SpecStatus::Completed {
        let printed = print_waiting(context, &access, &spec).await;
        access.close(futures::stream::pending()).await?;
        return printed.map(|()| ExitCode::from(super::follow::WAITING));
    }
    if no_wait {
        return print_continued(context, &access, &spec).map(|()| ExitCode::SUCCESS);
    }
    print_subject(context, &spec);
    let subject = FollowedRun {
        spec,
        view,
        after,
        disk_wait: DataOptions::from_config(&config).disk_wait,
    };
    let (id, client) = (subject.spec.id, access.client.clone());
    let shares_paths = access.shares_paths();
    let code = follow_run(context, access, subject).await?;
    if !shares_paths && let Some(here) = context.current_repository() {
        fetch::fetch_here(context, &client, id, &here).await?;
    }
    Ok(code)
}

/// Says which spec is followed.
fn print_subject(context: &CommandContext, spec: &SpecView) {
    let (home, page) = (context.home_folder(), context.stderr_page());
    let subject = header::render_subject(spec, &spec.title, home.as_deref(), page);
    print_for_people(context, &subject);
    print_for_people(context, &[String::new()]);
}

/// Says that a plan waits for a person; scripts get the summary that ends every run.
async fn print_waiting(
    context: &CommandContext,
    access: &OwnerAccess,
    spec: &SpecView,
) -> anyhow::Result<()> {
    if context.is_json() {
        let summary = access.client.get_spec_summary(&spec.id.to_string()).await?;
        context.print_json(&summary)?;
    }
    print_done(&format!(
        "{0} is planned and waits for you: omoi spec approve {0}{1}",
        shell_word(&spec.name),
        context.data_flags()
    ));
    Ok(())
}

/// Says who does the work that nobody here follows.
fn print_continued(
    context: &CommandContext,
    access: &OwnerAccess,
    spec: &SpecView,
) -> anyhow::Result<()> {
    if context.is_json() {
        return Ok(context.print_json(spec)?);
    }
    print_done(&format!(
        "{} goes on in {}",
        spec.spec_ref,
        access.place_text()
    ));
    Ok(())
}

/// Refuses to leave work to a process that is not there.
fn no_worker_error() -> anyhow::Error {
    let error = UsageError("no process is there to do the work".to_owned());
    let hint = "start `omoi up` first, or leave out --no-wait to do the work here";
    anyhow::Error::new(error).context(ErrorHint(hint.to_owned()))
}

/// The configuration for work on `spec`: where this process will do it, with the model that began it,
/// as in the run that made it.
async fn settings_for(
    context: &CommandContext,
    overrides: ConfigOverrides,
    spec: &str,
) -> anyhow::Result<CommandSettings> {
    let settings = context.load_settings(&overrides)?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings.clone(), AccessPurpose::Ask).await?;
    // Whoever only reads will be gone when the work begins.
    let found = match access.is_own() || !access.has_agents_work() {
        true => access.client.get_spec_to_act(spec).await.map(Some),
        false => Ok(None),
    };
    access.close(futures::stream::pending()).await?;
    match found? {
        Some(found) => {
            let mut model = overrides.model;
            if model.model.is_none()
                && model.scenario.is_none()
                && found.model_kind != ModelKind::Missing
            {
                model = ModelArgs {
                    model: Some(found.model),
                    scenario: found.scenario.map(PathBuf::from),
                };
            }
            context.load_settings(&ConfigOverrides { model, ..overrides })
        }
        None => Ok(settings),
    }
}
