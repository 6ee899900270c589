//! `omoi logs --system`: the process log of a data folder, as other terminals see it.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use omoi_domain::time::Timestamp;
use omoi_runtime::clock::{Clock as _, SystemClock};
use omoi_runtime::options::DataOptions;
use omoi_runtime::telemetry::{LogFiles, LogReader};

use super::super::command_context::{CommandContext, ConfigOverrides};
use super::super::error_report::UsageError;
use super::{BETWEEN, LogsArgs};
use crate::ErrorHint;
use crate::view::process_line::{self, ProcessLine};

/// Lines printed of what was written before, unless a time or a request is named.
const LINES_USUAL: usize = 200;

/// The least severe lines to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LevelArg {
    // Somebody must act.
    Error,
    // Something is degraded, and handled.
    Warn,
    // Milestones of specs, tasks, attempts and processes.
    Info,
    // Each step.
    Debug,
    // Each look.
    Trace,
}

/// Which lines are printed.
struct LineFilter {
    level: LevelArg,
    /// As the log writes times.
    since: Option<String>,
    request: Option<String>,
}

impl LineFilter {
    fn admits_line(&self, line: &ProcessLine) -> bool {
        let level = LevelArg::from_str(&line.level, true).unwrap_or(LevelArg::Error);
        let since = self.since.as_deref();
        let request = self.request.as_deref();
        level <= self.level
            && since.is_none_or(|since| line.timestamp.as_str() >= since)
            && request.is_none_or(|request| line.field_text("request.id") == Some(request))
    }
}

/// Prints the process log, and goes on with what is added with `--follow`.
pub(super) async fn print_process_log(
    context: &CommandContext,
    arguments: LogsArgs,
) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    if let Some(url) = context.api_address() {
        let error = UsageError(format!(
            "the log of the process at {url} lies on its machine"
        ));
        let hint = "ask there, with its data folder: omoi logs --system --data-dir DIR";
        return Err(anyhow::Error::new(error).context(ErrorHint(hint.to_owned())));
    }
    let data = DataOptions::from_config(&settings.config).folder;
    let mut reader = LogReader::new(LogFiles::of_data_folder(&data));
    if !reader.has_log() {
        let error = UsageError(format!("no process has kept a log in `{}`", data.display()));
        let hint = "name the data folder of the process with --data-dir DIR; `omoi up` keeps a log";
        return Err(anyhow::Error::new(error).context(ErrorHint(hint.to_owned())));
    }
    let filter = LineFilter {
        level: arguments.level.unwrap_or(LevelArg::Trace),
        since: arguments
            .since
            .map(|ago| written_time(SystemClock.now(), ago)),
        request: arguments.request,
    };
    let is_narrow = filter.since.is_some() || filter.request.is_some();
    let usual = if is_narrow { usize::MAX } else { LINES_USUAL };
    let n_max = arguments.lines.unwrap_or(usual);
    let mut found = VecDeque::new();
    reader.read_lines(|text| {
        let line = ProcessLine::parse(text);
        if filter.admits_line(&line) {
            found.push_back(line);
        }
        if found.len() > n_max {
            found.pop_front();
        }
    })?;
    loop {
        for line in found.drain(..) {
            print_line(context, &line)?;
        }
        if !arguments.follow {
            return Ok(ExitCode::SUCCESS);
        }
        SystemClock.sleep(BETWEEN).await;
        reader.read_lines(|text| {
            let line = ProcessLine::parse(text);
            if filter.admits_line(&line) {
                found.push_back(line);
            }
        })?;
    }
}

/// `ago` before `now` as the log writes times, which sort as text.
fn written_time(now: Timestamp, ago: Duration) -> String {
    (now - ago).to_string()
}

fn print_line(context: &CommandContext, line: &ProcessLine) -> anyhow::Result<()> {
    match context.is_json() {
        true => context.print_json(&line.object)?,
        false => context.print_lines(&[process_line::render_line(line, context.stdout_page())])?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_by_level_time_and_request() {
        let line = ProcessLine::parse(
            r#"{"timestamp":"2026-01-02T03:04:05.000006Z","level":"WARN","message":"x",
                "spans":[{"name":"request","request.id":"r-1"}]}"#,
        );
        let filter = |level, since: Option<&str>, request: Option<&str>| LineFilter {
            level,
            since: since.map(ToOwned::to_owned),
            request: request.map(ToOwned::to_owned),
        };
        let at = Timestamp::from_micros(1_767_323_045_000_006);
        let since = |ago| written_time(at + Duration::from_secs(60), Duration::from_secs(ago));
        for (filter, expected) in [
            (filter(LevelArg::Trace, None, None), true),
            (filter(LevelArg::Warn, None, None), true),
            (filter(LevelArg::Error, None, None), false),
            (filter(LevelArg::Trace, Some(&since(60)), None), true),
            (filter(LevelArg::Trace, Some(&since(59)), None), false),
            (filter(LevelArg::Trace, None, Some("r-1")), true),
            (filter(LevelArg::Trace, None, Some("r-2")), false),
        ] {
            assert_eq!(filter.admits_line(&line), expected);
        }
    }
}
