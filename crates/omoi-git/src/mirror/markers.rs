//! Lines of a commit's files that start with a conflict marker.

use std::ffi::OsString;

use omoi_domain::conflict_marker::MarkerLine;

use super::Mirror;
use crate::object::{ObjectId, RepoPath};
use crate::process::GitError;

/// A marker at the start of a line, followed by nothing or by a label.
const MARKER_PATTERN: &str = r"^(<{7}|>{7}|\|{7}|={7})([[:space:]].*)?$";
/// Paths named in one call; their length together stays far below what a command line may hold.
const PATHS_PER_CALL: usize = 200;

impl Mirror {
    /// Lists the lines of `paths` at `commit` that start with a conflict marker. A path the commit
    /// does not have yields nothing; neither size nor content of a file leaves it out.
    ///
    /// # Errors
    /// Returns [`GitError`] when git fails or lists more than a call may print.
    pub async fn conflict_marker_lines(
        &self,
        commit: &ObjectId,
        paths: &[&RepoPath],
    ) -> Result<Vec<MarkerLine>, GitError> {
        let mut lines = Vec::new();
        for paths in paths.chunks(PATHS_PER_CALL) {
            let specs = paths.iter().map(|path| {
                let mut spec = OsString::from(":(literal,top)");
                spec.push(path.as_path());
                spec
            });
            let out = self
                .call("grep")
                .args(["--text", "--no-color", "--null", "--full-name"])
                .args(["--extended-regexp", "-e", MARKER_PATTERN, commit.as_str()])
                .arg("--")
                .args(specs)
                .accept_codes(&[0, 1])
                .run()
                .await?;
            for record in out.stdout.split(|byte| *byte == b'\n') {
                let Some(line) = parse_match(record, commit) else {
                    continue;
                };
                lines.push(line);
            }
        }
        Ok(lines)
    }
}

/// Parses one record of `git grep --null`: `<commit>:<path> NUL <line>`.
fn parse_match(record: &[u8], commit: &ObjectId) -> Option<MarkerLine> {
    let rest = record.strip_prefix(commit.as_str().as_bytes())?;
    let rest = rest.strip_prefix(b":")?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = String::from_utf8_lossy(&rest[end + 1..]);
    Some(MarkerLine {
        path: RepoPath::from_git(&rest[..end]).to_string(),
        text: text.trim_end().to_owned(),
    })
}
