//! The process log of a test, kept in a folder and read as objects.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::path::Path;

use omoi_domain::secret_mask::SecretMask;
use omoi_runtime::options::LogFormat;
use omoi_runtime::telemetry::{LogFiles, LogOptions, LogReader, ProcessLog};
use serde_json::Value;

/// Keeps what `filter` admits of this process's log below `folder`. A process has one log, so that a test has
/// to run in a process of its own, as `cargo nextest` runs it.
///
/// # Panics
/// When the process has a log already.
pub fn keep_log(folder: &Path, filter: &str) -> LogReader {
    let log = ProcessLog::start(&LogOptions {
        filter: "off".to_owned(),
        file_filter: filter.to_owned(),
        format: LogFormat::Text,
        mask: SecretMask::default(),
    })
    .unwrap();
    log.open_file(folder).unwrap();
    LogReader::new(LogFiles::of_data_folder(folder))
}

/// The lines that were written since the last call.
///
/// # Panics
/// When one of them is no JSON.
pub fn new_lines(log: &mut LogReader) -> Vec<Value> {
    let mut lines = Vec::new();
    log.read_lines(|line| lines.push(serde_json::from_str(line).unwrap()))
        .unwrap();
    lines
}
