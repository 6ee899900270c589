//! `omoi logs`: what the agent of a task did, over all its attempts.

use std::process::ExitCode;
use std::time::Duration;

use omoi_protocol::control::LogLine;
use omoi_runtime::clock::{Clock as _, SystemClock};

use super::access::{Access, Purpose, reach};
use super::context::{Context, Overrides};
use crate::view::text::clean;

/// Time between two looks while following.
const BETWEEN: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  omoi logs TSK-003
  omoi logs -f TSK-003          until the task is over
  omoi logs TSK-003 --json";

/// Whose log.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Such as TSK-003, or todo/TSK-003 from outside of the repository
    #[arg(value_name = "TASK")]
    task: String,
    /// Go on as it happens
    #[arg(short, long)]
    follow: bool,
}

/// Prints the log.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let access = reach(context, settings, Purpose::Ask).await?;
    let done = tail(context, &access, arguments).await;
    access.close(futures::stream::pending()).await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn tail(context: &Context, access: &Access, arguments: Arguments) -> anyhow::Result<()> {
    let id = access
        .client
        .get_task_detail(&arguments.task)
        .await?
        .task
        .id
        .to_string();
    let mut after = 0;
    loop {
        // Asked first: what is written before the end is read after it.
        let is_over = access
            .client
            .get_task_detail(&id)
            .await?
            .task
            .status
            .is_final();
        let lines = access.client.log_task(&id, after).await?;
        after = lines.last().map_or(after, |line| line.seq);
        if context.json() {
            for line in &lines {
                context.print_json(line)?;
            }
        } else {
            context.print(&log_lines(&lines))?;
        }
        // Nothing new comes where nobody works.
        if !arguments.follow || is_over || access.is_own() {
            return Ok(());
        }
        SystemClock.sleep(BETWEEN).await;
    }
}

/// Time of day, attempt, and what happened.
pub(super) fn log_lines(lines: &[LogLine]) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            let at = line.at.to_string();
            let time = at.get(11..19).unwrap_or(&at);
            format!("{time}  #{}  {}", line.attempt_no, clean(&line.text))
        })
        .collect()
}
