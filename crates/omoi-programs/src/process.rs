//! Asking a program of this machine for its version.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(20);

/// The first line that `program` prints, without any environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate where a program is started"
)]
pub(crate) async fn read_version(program: &Path, arguments: &[OsString]) -> io::Result<String> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(WAIT_MAX, output)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if !output.status.success() {
        return Err(io::Error::other(format!("it ended with {}", output.status)));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().next().unwrap_or_default().trim().to_owned();
    match line.is_empty() {
        true => Err(io::Error::other("it said nothing")),
        false => Ok(line),
    }
}
