//! What a project's sandboxes may read beyond the system folders, and their environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use omoi_domain::repository_settings::RepositorySandboxLimits;
use omoi_git::toolchain::HostToolchain;
use omoi_sandbox::{ReadOnlyMount, SandboxLimits};
use omoi_store::specs::Spec;
use serde::{Deserialize, Serialize};

/// Stored with a spec when its repository is surveyed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxToolchain {
    /// Folders shown read-only at the same place.
    pub roots: Vec<PathBuf>,
    /// Folders of the repository's file that a person allowed.
    #[serde(skip)]
    pub allowed: Vec<PathBuf>,
    /// Commands of the repository's file that install packages, which a person allowed.
    #[serde(skip)]
    pub setup: Vec<String>,
    /// What the repository's file says that a sandbox may use.
    #[serde(skip)]
    pub limits: RepositorySandboxLimits,
    /// Put in front of `PATH`.
    pub path: Vec<PathBuf>,
    /// Further variables.
    pub env: Vec<(String, String)>,
    /// The versions that its programs report, by name. Packages belong to them; survey rows of earlier builds have none.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
}

/// Without its toolchain a sandbox would fail with errors that name everything but the cause.
#[derive(Debug, thiserror::Error)]
#[error("the toolchain stored with the spec cannot be read: start the feature anew")]
pub struct UnreadableToolbox(#[source] serde_json::Error);

impl SandboxToolchain {
    /// The part of the host's `toolchain` that sandboxes are made with.
    pub fn of_host(toolchain: HostToolchain) -> Self {
        let programs = toolchain.programs.into_iter();
        Self {
            roots: toolchain.roots,
            path: toolchain.path_entries,
            env: toolchain.env,
            versions: programs
                .filter_map(|program| Some((program.name, program.version?)))
                .collect(),
            ..Self::default()
        }
    }

    /// The toolbox stored with a spec's survey, empty when none was, and the folders of its
    /// repository's file that a person allowed.
    ///
    /// # Errors
    /// When what is stored is none.
    pub fn of_spec(spec: &Spec) -> Result<Self, UnreadableToolbox> {
        let mut toolbox = Self::of_survey(&spec.survey.0)?;
        let repository = &spec.options.0.repository;
        toolbox.allowed.clone_from(&repository.read_only);
        toolbox.setup.clone_from(&repository.setup);
        toolbox.limits = repository.sandbox;
        Ok(toolbox)
    }

    /// Whether what was found on the host is the same as in `other`.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        self.roots == other.roots && self.path == other.path && self.env == other.env
    }

    fn of_survey(survey: &serde_json::Value) -> Result<Self, UnreadableToolbox> {
        match survey.get("toolbox") {
            None => Ok(Self::default()),
            Some(stored) => serde_json::from_value(stored.clone()).map_err(UnreadableToolbox),
        }
    }

    /// Amounts of one sandbox, where the deployment's are `own`.
    pub fn sandbox_limits(&self, own: SandboxLimits) -> SandboxLimits {
        own.lowered_to(&self.limits)
    }

    /// How long installing packages may take, where the deployment gives `own`.
    pub fn setup_time(&self, own: Duration) -> Duration {
        let told = self.limits.setup_seconds.map(Duration::from_secs);
        own.min(told.unwrap_or(own))
    }

    /// The mounts, with the deployment's own list.
    pub fn toolchain_mounts(&self, extra: &[PathBuf]) -> Vec<ReadOnlyMount> {
        let all = self.roots.iter().chain(extra).chain(&self.allowed);
        all.map(ReadOnlyMount::at_same_path).collect()
    }

    /// The environment of a sandbox.
    pub fn toolchain_environment(&self) -> Vec<(OsString, OsString)> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::time::Duration;

    use omoi_domain::repository_settings::RepositorySandboxLimits;
    use omoi_sandbox::SandboxLimits;
    use serde_json::json;

    use super::SandboxToolchain;

    #[test]
    fn a_toolchain_that_cannot_be_read_is_not_an_empty_one() {
        let empty = SandboxToolchain::of_survey(&json!({})).unwrap();
        assert_eq!(empty, SandboxToolchain::default());
        let stored = json!({ "toolbox": { "roots": ["/opt/x"], "path": [], "env": [] } });
        let read = SandboxToolchain::of_survey(&stored).unwrap();
        assert_eq!(read.roots, [std::path::PathBuf::from("/opt/x")]);
        for broken in [json!({ "roots": "/opt/x" }), json!("x"), json!(null)] {
            let refused = SandboxToolchain::of_survey(&json!({ "toolbox": broken })).unwrap_err();
            assert!(refused.to_string().contains("toolchain"), "{refused}");
        }
    }

    #[test]
    fn a_repository_lowers_what_its_sandboxes_may_use_and_raises_nothing() {
        let own = SandboxLimits::default();
        let plain = SandboxToolchain::default();
        assert_eq!(plain.sandbox_limits(own), own);
        let told = |limits| SandboxToolchain {
            limits,
            ..SandboxToolchain::default()
        };
        let lower = told(RepositorySandboxLimits {
            memory_bytes: Some(1 << 30),
            cpu_millicores: Some(500),
            setup_seconds: Some(60),
            ..RepositorySandboxLimits::default()
        });
        let expected = SandboxLimits {
            memory_bytes: 1 << 30,
            cpu_millicores: 500,
            ..own
        };
        assert_eq!(lower.sandbox_limits(own), expected);
        let minutes = [Duration::from_mins(1), Duration::from_mins(15)];
        assert_eq!(lower.setup_time(minutes[1]), minutes[0]);
        let more = told(RepositorySandboxLimits {
            processes_max: Some(100_000),
            open_files_max: Some(1_000_000),
            file_bytes_max: Some(u64::MAX),
            temp_bytes: Some(u64::MAX),
            workspace_bytes: Some(u64::MAX),
            setup_seconds: Some(900),
            ..RepositorySandboxLimits::default()
        });
        assert_eq!(more.sandbox_limits(own), own);
        assert_eq!(more.setup_time(minutes[0]), minutes[0]);
    }
}
