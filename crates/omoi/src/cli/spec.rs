//! `omoi spec`: an idea with its plan and its tasks.

mod export;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use omoi_domain::model_kind::NO_MODEL;
use omoi_domain::spec::SpecStatus;
use omoi_protocol::control::{PhaseView, ResumeSpec, SpecDetail, SpecView, TaskView};
use omoi_runtime::config::keys;

use super::access::{Access, Purpose, reach};
use super::context::{Context, Overrides, Settings, check_scenario};
use super::fail::Usage;
use super::follow::{Subject, follow, so_far, tell, tell_done};
use super::{ModelArgs, SuiteArgs};
use crate::Hint;
use crate::view::text::{
    Page, clean, clean_lines, fit, left, shell, short, tilde, took, width, wrap,
};
use crate::view::{opening, opinion};

/// Columns of a spec's name in a list.
const NAME_COLUMNS_MAX: usize = 32;

/// What to do with specs.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// List specs, newest first
    #[command(after_help = "Examples:\n  omoi spec list\n  omoi spec list --json")]
    List,
    /// Show a spec with its phases, tickets and tasks
    #[command(
        after_help = "Examples:\n  omoi spec show SPEC-1\n  omoi spec show SPEC-1 --rejected    with what the gates refused, and why"
    )]
    Show(Showing),
    /// Write the plan's files somewhere
    #[command(
        after_help = "Examples:\n  omoi spec export SPEC-1                    print them\n  omoi spec export SPEC-1 --output plan/"
    )]
    Export(export::Arguments),
    /// Release the tasks of a planned spec and follow the work
    #[command(
        after_help = "Examples:\n  omoi spec approve SPEC-1\n  omoi spec approve SPEC-1 --no-wait    leave the work to `omoi up`"
    )]
    Approve(Going),
    /// Go on with a spec that was interrupted, failed or is blocked
    #[command(
        after_help = "Examples:\n  omoi spec resume SPEC-1\n  omoi spec resume SPEC-1 --no-wait      leave the work to `omoi up`\n  omoi spec resume SPEC-1 --accept-weak  hand over what is proven, but not by this work"
    )]
    Resume(Resuming),
    /// Hand over what has landed of a spec, although it is not all that was planned
    #[command(
        after_help = "Examples:\n  omoi spec deliver SPEC-1\n\nWhat is not proven and not done is said with the branch. The suite must pass."
    )]
    Deliver(Going),
    /// Call a spec off; what was done stays where it is
    #[command(after_help = "Examples:\n  omoi spec cancel SPEC-1")]
    Cancel(Named),
}

/// One spec.
#[derive(clap::Args, Debug)]
pub(crate) struct Named {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
}

/// One spec, with or without what was refused of its plan.
#[derive(clap::Args, Debug)]
pub(crate) struct Showing {
    #[command(flatten)]
    named: Named,
    /// Show the best refused output of each phase, and why it was refused
    #[arg(long)]
    rejected: bool,
}

/// A spec that is to go on.
#[derive(clap::Args, Debug)]
pub(crate) struct Going {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    model: ModelArgs,
    /// Return at once instead of following the work
    #[arg(long)]
    no_wait: bool,
}

/// A spec that is to go on from where it stopped.
#[derive(clap::Args, Debug)]
pub(crate) struct Resuming {
    #[command(flatten)]
    going: Going,
    /// Hand the branch over although criteria are proven, but not by this work
    #[arg(long)]
    accept_weak: bool,
    #[command(flatten)]
    suite: SuiteArgs,
}

/// How a spec goes on.
enum GoOn {
    Approve,
    Resume(ResumeSpec),
    Deliver,
}

/// Does it.
pub(crate) async fn run(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    let going = match command {
        Command::Approve(going) => return go_on(context, going, GoOn::Approve).await,
        Command::Deliver(going) => return go_on(context, going, GoOn::Deliver).await,
        Command::Resume(Resuming {
            going,
            accept_weak,
            suite,
        }) => {
            let asked = ResumeSpec {
                accept_weak,
                accept_red: suite.accept_red,
                suite: suite.suite,
            };
            return go_on(context, going, GoOn::Resume(asked)).await;
        }
        other => other,
    };
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let access = reach(context, settings, Purpose::Ask).await?;
    let done = ask(context, &access, going).await;
    access.close(futures::stream::pending()).await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(context: &Context, access: &Access, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List => {
            let specs = access.client.list_specs().await?;
            if context.json() {
                return Ok(context.print_json(&specs)?);
            }
            if specs.is_empty() {
                tell_done("No spec yet. Start one: omoi run \"…\"");
            }
            Ok(context.print(&table(&specs, context.home().as_deref(), context.page()))?)
        }
        Command::Show(Showing {
            named: Named { spec },
            rejected,
        }) => {
            let detail = access.client.get_spec_detail(&spec).await?;
            if context.json() {
                return Ok(context.print_json(&detail)?);
            }
            let mut lines = shown(context, &detail);
            if rejected {
                lines.push(String::new());
                lines.extend(refused_outputs(&detail, context.page()));
            }
            Ok(context.print(&lines)?)
        }
        Command::Export(arguments) => export::run(context, access, arguments).await,
        Command::Cancel(Named { spec }) => {
            let spec = access.client.cancel_spec(&spec).await?;
            if context.json() {
                return Ok(context.print_json(&spec)?);
            }
            tell_done(&format!(
                "{} is cancelled. What was done stays: omoi spec show {}{}",
                spec.spec_ref,
                shell(&spec.name),
                context.again()
            ));
            Ok(())
        }
        // Answered before.
        Command::Approve(_) | Command::Resume(_) | Command::Deliver(_) => Ok(()),
    }
}

/// Releases or resumes a spec and follows it.
async fn go_on(context: &Context, going: Going, how: GoOn) -> anyhow::Result<ExitCode> {
    let Going {
        named: Named { spec },
        model,
        no_wait,
    } = going;
    let overrides = Overrides {
        model: model.clone(),
        ..Overrides::default()
    };
    let settings = settings_for(context, overrides, &spec).await?;
    check_scenario(&settings.config)?;
    let config = settings.config.clone();
    let purpose = if no_wait { Purpose::Ask } else { Purpose::Work };
    let access = reach(context, settings, purpose).await?;
    if no_wait && (access.is_own() || !access.has_agents_work()) {
        access.close(futures::stream::pending()).await?;
        return Err(nobody_works());
    }
    access.check_model(&model, &config)?;
    let asked = async {
        let before = access.client.get_spec_to_act(&spec).await?;
        let (view, after) = so_far(&access.client, &before).await?;
        let id = before.id.to_string();
        let spec = match how {
            GoOn::Approve => access.client.approve_spec(&id).await?,
            GoOn::Resume(asked) => access.client.resume_spec(&id, asked).await?,
            GoOn::Deliver => access.client.deliver_spec(&id).await?,
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
        let told = tell_waits(context, &access, &spec).await;
        access.close(futures::stream::pending()).await?;
        return told.map(|()| ExitCode::from(super::follow::WAITING));
    }
    if no_wait {
        return tell_goes_on(context, &access, &spec).map(|()| ExitCode::SUCCESS);
    }
    let home = context.home();
    let page = context.stderr_page();
    tell(
        context,
        &opening::subject(&spec, &spec.title, home.as_deref(), page),
    );
    tell(context, &[String::new()]);
    let subject = Subject {
        spec,
        view,
        after,
        disk_wait: config.get(&keys::DATA_DISK_WAIT),
    };
    follow(context, access, subject).await
}

/// Says that a plan waits for a person; scripts get the summary that ends every run.
async fn tell_waits(context: &Context, access: &Access, spec: &SpecView) -> anyhow::Result<()> {
    if context.json() {
        let summary = access.client.get_spec_summary(&spec.id.to_string()).await?;
        context.print_json(&summary)?;
    }
    tell_done(&format!(
        "{0} is planned and waits for you: omoi spec approve {0}{1}",
        shell(&spec.name),
        context.again()
    ));
    Ok(())
}

/// Says who does the work that nobody here follows.
fn tell_goes_on(context: &Context, access: &Access, spec: &SpecView) -> anyhow::Result<()> {
    if context.json() {
        return Ok(context.print_json(spec)?);
    }
    tell_done(&format!(
        "{} goes on in process {}",
        spec.spec_ref, access.status.pid
    ));
    Ok(())
}

/// Refuses to leave work to a process that is not there.
fn nobody_works() -> anyhow::Error {
    let what = Usage("no process is there to do the work".to_owned());
    let hint = "start `omoi up` first, or leave out --no-wait to do the work here";
    anyhow::Error::new(what).context(Hint(hint.to_owned()))
}

/// The configuration for work on `spec`: where this process will do it, with the model that began it,
/// as in the run that made it.
async fn settings_for(
    context: &Context,
    overrides: Overrides,
    spec: &str,
) -> anyhow::Result<Settings> {
    let settings = context.settings(&overrides)?;
    context.log(&settings.config, true);
    let access = reach(context, settings.clone(), Purpose::Ask).await?;
    // Whoever only reads will be gone when the work begins.
    let found = match access.is_own() || !access.has_agents_work() {
        true => access.client.get_spec_to_act(spec).await.map(Some),
        false => Ok(None),
    };
    access.close(futures::stream::pending()).await?;
    match found? {
        Some(found) => {
            let mut model = overrides.model;
            if model.model.is_none() && model.scenario.is_none() && found.model != NO_MODEL {
                model = ModelArgs {
                    model: Some(found.model),
                    scenario: found.scenario.map(PathBuf::from),
                };
            }
            context.settings(&Overrides { model, ..overrides })
        }
        None => Ok(settings),
    }
}

fn table(specs: &[SpecView], home: Option<&Path>, page: Page) -> Vec<String> {
    let names = specs.iter().map(|spec| width(&spec.name)).max();
    let names = names.unwrap_or(0).clamp(8, NAME_COLUMNS_MAX) + 2;
    let room = page.width.saturating_sub(names + 18);
    let line = |spec: &SpecView| {
        let repo = tilde(Path::new(&spec.repo), home);
        let repo = fit(&repo, room / 2);
        let model = if spec.model == "simulated" {
            "  (simulated)"
        } else {
            ""
        };
        let title = room.saturating_sub(width(&repo) + width(model) + 2);
        format!(
            "{}{}{}  {repo}{model}",
            left(&fit(&clean(&spec.name), names - 2), names),
            left(spec.status.to_string().as_str(), 18),
            fit(&clean(&spec.title), title)
        )
    };
    specs.iter().map(line).collect()
}

fn shown(context: &Context, detail: &SpecDetail) -> Vec<String> {
    let page = context.page();
    let spec = &detail.spec;
    let home = context.home();
    let mut lines = wrap(
        &format!("{}  {}", spec.spec_ref, clean(&spec.title)),
        page.width,
    );
    if let Some(first) = lines.first_mut() {
        *first = page.bold(first);
    }
    let repo = tilde(Path::new(&spec.repo), home.as_deref());
    lines.push(format!(
        "  status  {}   model: {}",
        spec.status,
        opening::model(&spec.model)
    ));
    lines.push(format!("  repo    {repo}   base {}", short(&spec.base_sha)));
    lines.push(format!("  branch  {}", clean(&spec.branch)));
    if let Some(why) = &spec.last_error {
        lines.extend(
            wrap(&clean(why), page.width - 10)
                .iter()
                .map(|line| format!("  reason  {line}")),
        );
    }
    for note in &spec.notes {
        lines.push(format!("  note    {}", clean(note)));
    }
    lines.push(String::new());
    lines.extend(detail.phases.iter().map(phase));
    if !detail.tickets.is_empty() {
        lines.push(String::new());
        lines.extend(plan_lines(detail, page));
    }
    lines
}

/// What the gates refused, phase by phase.
fn refused_outputs(detail: &SpecDetail, page: Page) -> Vec<String> {
    let mut lines = Vec::new();
    for phase in &detail.phases {
        let (feedback, output) = (phase.feedback.as_deref(), &phase.rejected_output);
        if feedback.is_none() && output.is_none() {
            continue;
        }
        let score = phase.rejected_score.or(phase.score);
        let score = score.map_or(String::new(), |score| format!(" {score:.2}"));
        lines.push(page.bold(&format!("  {} refused{score}", phase.phase)));
        for line in clean_lines(feedback.unwrap_or_default()) {
            let shown = wrap(&line, page.width - 4);
            lines.extend(shown.iter().map(|line| format!("    {line}")));
        }
        if let Some(output) = output {
            let text = serde_json::to_string_pretty(output).unwrap_or_default();
            let front = page.dim("|");
            let shown = clean_lines(&text).into_iter();
            lines.extend(shown.map(|line| format!("    {front} {line}")));
        }
    }
    if lines.is_empty() {
        lines.push("  nothing was refused".to_owned());
    }
    lines
}

fn phase(phase: &PhaseView) -> String {
    let score = phase
        .score
        .map_or("    ".to_owned(), |score| format!("{score:.2}"));
    let tries = if phase.attempts > 1 {
        format!("{} attempts", phase.attempts)
    } else {
        String::new()
    };
    let took = phase.took_ms.map_or(String::new(), took);
    let line = format!(
        "  {}  {}  {score}  {}  {tries}",
        left(phase.phase.as_str(), 14),
        left(&phase.state.to_string(), 9),
        left(&took, 7)
    );
    line.trim_end().to_owned()
}

/// Tickets with their tasks.
pub(super) fn plan_lines(detail: &SpecDetail, page: Page) -> Vec<String> {
    let mut lines = Vec::new();
    for ticket in &detail.tickets {
        let title = format!("  {}  {}", ticket.ticket_ref, clean(&ticket.title));
        lines.push(page.bold(&fit(&title, page.width)));
        let own = detail
            .tasks
            .iter()
            .filter(|task| task.ticket_ref == ticket.ticket_ref);
        lines.extend(own.map(|task| format!("    {}", task_line(task, page.width - 4))));
    }
    if !detail.spec.mounts.is_empty() {
        let line = format!("sandboxes read: {}", clean(&detail.spec.mounts.join(", ")));
        let line = wrap(&line, page.width - 2);
        lines.extend(line.into_iter().map(|line| format!("  {line}")));
    }
    for overlap in &detail.overlaps {
        let tasks = overlap.task_refs.join(" and ");
        let files = clean(&overlap.files.join(", "));
        let line = format!("  {tasks} may conflict: both change {files}");
        lines.push(fit(&line, page.width).into_owned());
    }
    if let Some(view) = &detail.opinion {
        let narrow = Page {
            width: page.width - 2,
            ..page
        };
        let said = opinion::lines(view, narrow);
        lines.extend(said.iter().map(|line| format!("  {line}")));
    }
    lines
}

/// One task on one line.
pub(super) fn task_line(task: &TaskView, columns: usize) -> String {
    let mut tail = String::new();
    if !task.depends_on.is_empty() {
        tail = format!("  after {}", task.depends_on.join(", "));
    }
    if let Some(by) = &task.found_by {
        tail.push_str(&format!("  found by {by}"));
    }
    let status = match task.integration_state.to_string().as_str() {
        "merged" => "merged".to_owned(),
        _ => task.status.to_string(),
    };
    let front = format!("{}  {}  ", task.task_ref, left(&status, 18));
    let rest = format!("{}{tail}", clean(&task.title));
    let line = format!("{front}{}", fit(&rest, columns.saturating_sub(front.len())));
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_gates_refused_is_shown_with_the_reason() {
        let phase = |name: &str, feedback: Option<&str>, output: Option<serde_json::Value>| {
            json!({
                "phase": name, "state": "passed", "attempts": 2, "score": 0.9,
                "feedback": feedback, "rejected_output": output, "rejected_score": 0.61,
                "took_ms": null,
            })
        };
        let detail = json!({
            "spec": {
                "id": "01930000-0000-7000-8000-000000000003", "spec_ref": "SPEC-1",
                "name": "todo/SPEC-1", "title": "Tags", "status": "failed", "waits": null,
                "current_phase": "prd", "model": "simulated", "scenario": null, "repo": "/todo",
                "base_sha": "9a9a9a9", "base_branch": null, "branch": "omoi/tags",
                "last_error": null, "created_at": 0, "ended_at": null, "notes": [], "mounts": [], "survey": {},
            },
            "original_request": "Tags", "tickets": [], "tasks": [], "estimate": null,
            "overlaps": [],
            "phases": [
                phase("explore", None, None),
                phase("requirements", Some("- vague: \u{1b}[2Jsay when"), Some(json!({"a": 1}))),
            ],
        });
        let detail: SpecDetail = serde_json::from_value(detail).unwrap();
        let lines = refused_outputs(&detail, Page::new(80, false));
        assert_eq!(
            lines,
            [
                "  requirements refused 0.61",
                "    - vague: \\u{1b}[2Jsay when",
                "    | {",
                "    |   \"a\": 1",
                "    | }",
            ]
        );
    }
}
