//! Which rung of the ladder this host offers, found by trying, and which one a floor allows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use omoi_domain::sandbox::SandboxRung;

use crate::base::RungBase;
use crate::bubblewrap;
use crate::container::{ImageSource, find_container};
use crate::entry::EntryProgram;
use crate::property::{Property, PropertyStatus, SandboxFloor};
use crate::provider::Provider;
use crate::session_rung::{SessionRung, find_landlock};

/// Folders and programs that the probe uses.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// Private folder for what must be found again after a crash; made with mode 0700. Not shared
    /// with another platform.
    pub state_dir: PathBuf,
    /// Host paths that no sandbox may show: the home, the data folder.
    pub hidden: Vec<PathBuf>,
    /// Path of the bubblewrap program.
    pub bubblewrap: PathBuf,
    /// Sockets where a container engine may listen, in the order they are tried.
    pub container_sockets: Vec<PathBuf>,
    /// What containers are made of in place of this host's files; no other rung can be made of it.
    pub image: Option<ImageSource>,
    /// The one rung to try, for a choice that is made already.
    pub wanted: Option<SandboxRung>,
    /// A floor that is enough: the first rung that meets it is the last that is tried.
    pub enough: Option<SandboxFloor>,
    /// What applies Landlock from inside; without it no rung has that.
    pub entry: Option<EntryProgram>,
}

impl ProbeConfig {
    /// Bubblewrap at its usual place, and no entry program.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            hidden: Vec::new(),
            bubblewrap: "/usr/bin/bwrap".into(),
            container_sockets: usual_sockets(),
            image: None,
            wanted: None,
            enough: None,
            entry: None,
        }
    }
}

/// Where Podman and Docker listen by default, those of root first.
fn usual_sockets() -> Vec<PathBuf> {
    let own = format!("/run/user/{}", rustix::process::geteuid().as_raw());
    ["/run/podman/podman.sock", "/run/docker.sock"]
        .into_iter()
        .map(PathBuf::from)
        .chain([
            Path::new(&own).join("podman/podman.sock"),
            Path::new(&own).join("docker.sock"),
        ])
        .collect()
}

/// Why a rung cannot be used, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungUnavailable {
    /// What was observed, for people.
    pub reason: String,
    /// What a person can do about it.
    pub remedy: String,
}

/// One rung that was tried.
#[derive(Clone, Debug)]
pub struct TriedRung {
    /// Which rung was tried.
    pub rung: SandboxRung,
    /// What it holds, or why it cannot be used.
    pub outcome: Result<Vec<(Property, PropertyStatus)>, RungUnavailable>,
}

/// The ladder as found on this host.
#[derive(Debug)]
pub struct SandboxProbe {
    /// The best rung that isolates; `None` leaves only the unsafe `process`.
    pub active: Option<SandboxRung>,
    /// Every rung, best first.
    pub tried: Vec<TriedRung>,
    providers: Vec<Arc<dyn Provider>>,
}

/// Tries every rung, best first, by running a small program inside.
///
/// # Errors
/// Only when the state folder cannot be used; a missing rung is a result.
pub async fn probe_host(config: &ProbeConfig) -> io::Result<SandboxProbe> {
    let (dir, hidden) = (config.state_dir.clone(), config.hidden.clone());
    let opened = tokio::task::spawn_blocking(move || RungBase::open(&dir, &hidden)).await;
    let base = opened.map_err(io::Error::other)??;
    let mut ladder = Ladder::default();
    if ladder.is_needed(SandboxRung::Bubblewrap, config) {
        let found = match on_this_host(config) {
            Ok(()) => bubblewrap::find_bubblewrap(&base, config).await,
            Err(refused) => Err(refused),
        };
        ladder.add_rung(SandboxRung::Bubblewrap, found);
    }
    if ladder.is_needed(SandboxRung::Container, config) {
        ladder.add_rung(SandboxRung::Container, find_container(&base, config).await);
    }
    if ladder.is_needed(SandboxRung::Landlock, config) {
        let found = match on_this_host(config) {
            Ok(()) => find_landlock(&base, config).await,
            Err(refused) => Err(refused),
        };
        ladder.add_rung(SandboxRung::Landlock, found);
    }
    let active = ladder.providers.first().map(|provider| provider.rung());
    let plain = on_this_host(config).map(|()| SessionRung::without_wall(&base));
    ladder.add_rung(SandboxRung::Process, plain);
    Ok(SandboxProbe {
        active,
        tried: ladder.tried,
        providers: ladder.providers,
    })
}

/// Refuses rungs that run this host's programs where an image is asked for.
fn on_this_host(config: &ProbeConfig) -> Result<(), RungUnavailable> {
    match config.image {
        None => Ok(()),
        Some(_) => Err(RungUnavailable {
            reason: "`sandbox.image` names an image, of which containers alone are made".to_owned(),
            remedy: "set `sandbox.provider` to container, or leave `sandbox.image` out".to_owned(),
        }),
    }
}

/// Rungs as they are tried.
#[derive(Default)]
struct Ladder {
    tried: Vec<TriedRung>,
    providers: Vec<Arc<dyn Provider>>,
}

impl Ladder {
    /// Whether `rung` is worth a try after those tried so far.
    fn is_needed(&self, rung: SandboxRung, config: &ProbeConfig) -> bool {
        let is_wanted = config.wanted.is_none_or(|wanted| wanted == rung);
        let is_enough = config.enough.as_ref().is_some_and(|floor| {
            let mut held = self
                .tried
                .iter()
                .filter_map(|tried| tried.outcome.as_ref().ok());
            held.any(|held| floor.missing_properties(held).is_empty())
        });
        is_wanted && !is_enough
    }

    fn add_rung(
        &mut self,
        rung: SandboxRung,
        found: Result<impl Provider + 'static, RungUnavailable>,
    ) {
        let outcome = found.map(|found| {
            let properties = found.held_properties().to_vec();
            self.providers.push(Arc::new(found));
            properties
        });
        self.tried.push(TriedRung { rung, outcome });
    }
}

impl SandboxProbe {
    /// The provider of `rung`, where it can be used.
    pub fn provider_of(&self, rung: SandboxRung) -> Option<&dyn Provider> {
        let mut all = self.providers.iter();
        all.find(|provider| provider.rung() == rung)
            .map(|provider| &**provider)
    }

    /// The best provider that holds everything `floor` demands; with `wanted`, that rung or none.
    pub fn select_provider(
        &self,
        floor: &SandboxFloor,
        wanted: Option<SandboxRung>,
    ) -> Result<Arc<dyn Provider>, RefusedBelowFloor> {
        let mut lacking = Vec::new();
        for tried in &self.tried {
            if wanted.is_some_and(|rung| rung != tried.rung) {
                continue;
            }
            let provider = self.providers.iter().find(|p| p.rung() == tried.rung);
            match (&tried.outcome, provider) {
                (Ok(held), Some(provider)) => {
                    let missing = floor.missing_properties(held);
                    if missing.is_empty() {
                        return Ok(Arc::clone(provider));
                    }
                    lacking.push((tried.rung, FloorLack::Properties(missing)));
                }
                (Err(unavailable), _) => {
                    lacking.push((tried.rung, FloorLack::Rung(unavailable.clone())));
                }
                (Ok(_), None) => {}
            }
        }
        Err(RefusedBelowFloor { lacking })
    }
}

/// Why a rung does not meet a floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FloorLack {
    /// The rung itself is not there.
    Rung(RungUnavailable),
    /// It is, but these properties are not, each with its reason.
    Properties(Vec<(Property, String)>),
}

/// No rung holds what the project demands, so nothing runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RefusedBelowFloor {
    /// Every rung considered, best first.
    pub lacking: Vec<(SandboxRung, FloorLack)>,
}

impl RefusedBelowFloor {
    /// What to do about it.
    pub fn next_step(&self) -> String {
        let remedy = self.lacking.iter().find_map(|(_, lack)| match lack {
            FloorLack::Rung(unavailable) => Some(unavailable.remedy.clone()),
            FloorLack::Properties(_) => None,
        });
        remedy.unwrap_or_else(|| {
            "run on a host that offers them, or lower the floor, sandbox.floor".into()
        })
    }
}

impl fmt::Display for RefusedBelowFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no sandbox here meets the floor")?;
        for (rung, lack) in &self.lacking {
            match lack {
                FloorLack::Rung(unavailable) => write!(f, "; {rung}: {}", unavailable.reason)?,
                FloorLack::Properties(missing) => {
                    let missing: Vec<String> = missing
                        .iter()
                        .map(|(property, reason)| format!("{property} ({reason})"))
                        .collect();
                    write!(f, "; {rung} lacks {}", missing.join(", "))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;

    #[tokio::test]
    async fn without_bubblewrap_only_an_empty_floor_runs() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ProbeConfig::new(dir.path());
        config.bubblewrap = "/nonexistent/bwrap".into();
        config.container_sockets.clear();
        let probe = probe_host(&config).await.unwrap();
        assert_eq!(probe.active, None);

        let refused = probe
            .select_provider(&SandboxFloor::default(), None)
            .unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("bubblewrap is not installed"), "{text}");
        assert!(text.contains("process lacks files"), "{text}");
        assert!(refused.next_step().contains("apt install bubblewrap"));

        let allowed = probe.select_provider(&SandboxFloor::none(), None).unwrap();
        assert_eq!(allowed.rung(), SandboxRung::Process);
        assert!(
            probe
                .select_provider(&SandboxFloor::none(), Some(SandboxRung::Bubblewrap))
                .is_err()
        );
    }
}
