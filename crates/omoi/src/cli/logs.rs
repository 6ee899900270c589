//! `omoi logs`: what the agents of a task did, over all its attempts, and what came of it; or what the process
//! logged.

mod process_log;

use std::process::ExitCode;
use std::time::Duration;

use omoi_domain::time::Timestamp;
use omoi_protocol::api::LogLine;
use omoi_runtime::clock::{Clock as _, SystemClock};

use self::process_log::{LevelArg, print_process_log};
use super::command_context::{CommandContext, ConfigOverrides};
use super::owner_access::{AccessPurpose, OwnerAccess, reach_owner};
use crate::api_client::LogPosition;
use crate::view::task_log;
use crate::view::text_layout::OutputPage;

/// Time between two looks while following.
const BETWEEN: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  omoi logs TSK-003
  omoi logs -f TSK-003               until the task is over
  omoi logs TSK-003 --since 10m      what happened in the last ten minutes
  omoi logs TSK-003 --raw            every event with all that it carries
  omoi logs TSK-003 --json
  omoi logs --system -f              the log of `omoi up`, as it is written
  omoi logs --system --level warn --since 1h";

/// Whose log is printed, and how.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArgs {
    /// Such as TSK-003, or todo/TSK-003 from outside of the repository
    #[arg(value_name = "TASK", required_unless_present = "system")]
    task: Option<String>,
    /// Print the log of the process that works on the data folder, not that of a task
    #[arg(long, conflicts_with_all = ["task", "raw"])]
    system: bool,
    /// Go on as it happens
    #[arg(short, long)]
    follow: bool,
    /// Only what happened since then: 90s, 10m, 2h or 1d ago
    #[arg(long, value_name = "AGO", value_parser = parse_ago)]
    since: Option<Duration>,
    /// Print events as they came instead of what they say
    #[arg(long)]
    raw: bool,
    /// With --system: only the last N lines; 200 unless a time or a request is named
    #[arg(long, value_name = "N", requires = "system")]
    lines: Option<usize>,
    /// With --system: only lines of this level and more severe ones
    #[arg(long, value_enum, value_name = "LEVEL", requires = "system")]
    level: Option<LevelArg>,
    /// With --system: only lines about the request with this id, which an error names
    #[arg(long, value_name = "ID", requires = "system")]
    request: Option<String>,
}

/// Prints the log of a task, to its end with `--follow`, or of the process.
pub(crate) async fn run_logs(
    context: &CommandContext,
    arguments: LogsArgs,
) -> anyhow::Result<ExitCode> {
    let Some(task) = arguments.task.clone() else {
        return print_process_log(context, arguments).await;
    };
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::Ask).await?;
    let done = print_task_log(context, &access, &task, &arguments).await;
    access.close(futures::stream::pending()).await?;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn print_task_log(
    context: &CommandContext,
    access: &OwnerAccess,
    task: &str,
    arguments: &LogsArgs,
) -> anyhow::Result<()> {
    let client = &access.client;
    let id = client.get_task_detail(task).await?.task.id;
    let id = id.to_string();
    let since = arguments.since.map(|ago| SystemClock.now() - ago);
    let mut seen = LogPosition::default();
    loop {
        // Asked first: what is written before the end is read after it.
        let is_over = client.get_task_detail(&id).await?.task.status.is_final();
        let mut found = client.log_task(&id, seen).await?;
        seen = LogPosition {
            after: found.after,
            after_event: found.after_event,
        };
        found.lines.retain(|line| is_since(line, since));
        for line in &found.lines {
            if context.is_json() {
                context.print_json(line)?;
            } else if arguments.raw {
                context.print_lines(&[task_log::raw_entry(line)])?;
            } else {
                context.print_lines(&task_log::render_entry(line, context.stdout_page()))?;
            }
        }
        // Nothing new comes where nobody works.
        if !arguments.follow || is_over || access.is_own() {
            return Ok(());
        }
        SystemClock.sleep(BETWEEN).await;
    }
}

fn is_since(line: &LogLine, since: Option<Timestamp>) -> bool {
    since.is_none_or(|since| line.at.to_timestamp() >= since)
}

/// The log in words.
pub(super) fn render_log_lines(lines: &[LogLine], page: OutputPage) -> Vec<String> {
    lines
        .iter()
        .flat_map(|line| task_log::render_entry(line, page))
        .collect()
}

/// How long ago: a whole number with its unit.
fn parse_ago(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a time such as 90s, 10m, 2h or 1d");
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(bad)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let number: u32 = number.parse().map_err(|_| bad())?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400)] {
            assert_eq!(parse_ago(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "10", "-1m", "1.5h", "10x", "ü"] {
            assert!(parse_ago(bad).is_err(), "{bad}");
        }
    }
}
