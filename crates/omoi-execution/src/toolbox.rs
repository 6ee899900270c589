//! What a project's sandboxes may read beyond the system folders, and their environment.

use std::ffi::OsString;
use std::path::PathBuf;

use omoi_sandbox::Mount;
use serde::{Deserialize, Serialize};

/// Stored with a spec when its repository is surveyed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolbox {
    /// Folders shown read-only at the same place.
    pub roots: Vec<PathBuf>,
    /// Put in front of `PATH`.
    pub path: Vec<PathBuf>,
    /// Further variables.
    pub env: Vec<(String, String)>,
}

impl Toolbox {
    /// The toolbox stored with a spec's survey; empty when none was.
    pub fn of_survey(survey: &serde_json::Value) -> Self {
        survey
            .get("toolbox")
            .and_then(|value| serde_json::from_value(value.clone()).ok())
            .unwrap_or_default()
    }

    /// The mounts, with the deployment's own list.
    pub fn mounts(&self, extra: &[PathBuf]) -> Vec<Mount> {
        self.roots.iter().chain(extra).map(Mount::same).collect()
    }

    /// The environment of a sandbox.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut path: Vec<String> = self
            .path
            .iter()
            .map(|entry| entry.to_string_lossy().into_owned())
            .collect();
        path.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(str::to_owned));
        let mut env = vec![(OsString::from("PATH"), OsString::from(path.join(":")))];
        env.extend(self.env.iter().map(|(k, v)| (k.into(), v.into())));
        env
    }
}
