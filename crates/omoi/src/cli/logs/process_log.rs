//! `omoi logs --system`: the process log of a data folder, as other terminals see it.

use std::cell::Cell;
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
use super::super::terminal::print_done;
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
    if let Some(server) = context.chosen_server()? {
        let url = server.url;
        let error = UsageError(format!("the log of {url} lies on its machine"));
        let hint = "ask there: omoi logs --system; the log of this machine: add --profile local";
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
    let usual = (!is_narrow).then_some(LINES_USUAL);
    let mut newest = NewestLines::up_to(arguments.lines.or(usual));
    let is_empty = Cell::new(true);
    let mut print = |line: ProcessLine| {
        is_empty.set(false);
        print_line(context, &line)
    };
    read_admitted(&mut reader, &filter, |line| {
        newest.take_line(line).map_or(Ok(()), &mut print)
    })?;
    newest.held.into_iter().try_for_each(&mut print)?;
    if !arguments.follow {
        if is_empty.get() {
            print_done("No line of the log matches");
        }
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        SystemClock.sleep(BETWEEN).await;
        read_admitted(&mut reader, &filter, &mut print)?;
    }
}

/// The last lines of a log that is being read, or all of them.
struct NewestLines {
    n_max: Option<usize>,
    held: VecDeque<ProcessLine>,
}

impl NewestLines {
    const fn up_to(n_max: Option<usize>) -> Self {
        Self {
            n_max,
            held: VecDeque::new(),
        }
    }

    /// Gives `line` back where all lines are wanted. Otherwise it is held, until as many newer ones came.
    fn take_line(&mut self, line: ProcessLine) -> Option<ProcessLine> {
        let Some(n_max) = self.n_max else {
            return Some(line);
        };
        self.held.push_back(line);
        while self.held.len() > n_max {
            self.held.pop_front();
        }
        None
    }
}

/// Hands each new line that `filter` admits to `each` as it is read. After the first failure of `each` no line is
/// handed over.
fn read_admitted(
    reader: &mut LogReader,
    filter: &LineFilter,
    mut each: impl FnMut(ProcessLine) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut told = Ok(());
    reader.read_lines(|text| {
        if told.is_err() {
            return;
        }
        let line = ProcessLine::parse(text);
        if filter.admits_line(&line) {
            told = each(line);
        }
    })?;
    told
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
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::fs::File;
    use std::io::Write as _;

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

    #[test]
    fn only_the_last_lines_are_held_and_all_lines_never() {
        for (n_max, given, held) in [
            (None, &["a", "b", "c"][..], &[][..]),
            (Some(0), &[], &[]),
            (Some(2), &[], &["b", "c"]),
            (Some(9), &[], &["a", "b", "c"]),
        ] {
            let message = |line: &ProcessLine| line.field_text("message").unwrap().to_owned();
            let mut newest = NewestLines::up_to(n_max);
            let lines = ["a", "b", "c"].map(ProcessLine::parse);
            let at_once = lines.into_iter().filter_map(|line| newest.take_line(line));
            let at_once: Vec<_> = at_once.map(|line| message(&line)).collect();
            assert_eq!(at_once, given, "{n_max:?}");
            let after: Vec<_> = newest.held.iter().map(message).collect();
            assert_eq!(after, held, "{n_max:?}");
        }
    }

    #[test]
    fn a_line_is_handed_over_as_it_is_read_and_none_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("log")).unwrap();
        let mut file = File::create(folder.path().join("log/omoi.log")).unwrap();
        file.write_all(b"a\nb\nc\n").unwrap();
        let mut reader = LogReader::new(LogFiles::of_data_folder(folder.path()));
        let filter = LineFilter {
            level: LevelArg::Trace,
            since: None,
            request: None,
        };
        let mut seen = Vec::new();
        let told = read_admitted(&mut reader, &filter, |line| {
            seen.push(line.field_text("message").unwrap().to_owned());
            anyhow::ensure!(seen.len() < 2, "standard output is closed");
            Ok(())
        });
        assert_eq!(told.unwrap_err().to_string(), "standard output is closed");
        assert_eq!(seen, ["a", "b"]);
    }
}
