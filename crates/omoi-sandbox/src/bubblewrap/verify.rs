//! Finds bubblewrap and has each property verified by a program that runs inside.

use std::io;
use std::sync::Arc;

use super::{BubblewrapInner, BubblewrapRung};
use crate::base::{RungBase, kernel_release};
use crate::landlock;
use crate::own_spaces;
use crate::probe::{ProbeConfig, RungUnavailable};
use crate::probe_facts::{ProbeFacts, run_probe, rung_unavailable};
use crate::process::program_output;
use crate::second_wall::SecondWall;

/// `--disable-userns` came with it.
const VERSION_MIN: [u32; 3] = [0, 8, 0];
const INSTALL: &str = "install it: `apt install bubblewrap`, or your system's package of that name";
const NAMESPACES: &str = "allow unprivileged user namespaces (sysctl `user.max_user_namespaces` above 0, \
     `kernel.apparmor_restrict_unprivileged_userns=0` or an AppArmor profile for bwrap), \
     or run the platform where they are allowed";

/// Finds bubblewrap at `program` and verifies each property by running a program inside.
pub(crate) async fn find_bubblewrap(
    base: &RungBase,
    config: &ProbeConfig,
) -> Result<BubblewrapRung, RungUnavailable> {
    let program = config.bubblewrap.as_path();
    let version = match program_output(program, &["--version"]).await {
        Ok(version) => version,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let reason = format!("bubblewrap is not installed at `{}`", program.display());
            return Err(rung_unavailable(reason, INSTALL));
        }
        Err(e) => {
            let reason = format!("`{}` does not run: {e}", program.display());
            return Err(rung_unavailable(reason, INSTALL));
        }
    };
    if parse_version(&version).is_none_or(|found| found < VERSION_MIN) {
        let reason = format!("`{version}` is too old, 0.8.0 is needed");
        return Err(rung_unavailable(reason, "install a newer bubblewrap"));
    }
    let version = format!("{version}, Linux {}", kernel_release());
    let rung = |wall| BubblewrapRung {
        inner: Arc::new(BubblewrapInner {
            base: base.clone(),
            program: program.into(),
            wall,
        }),
        version: version.clone(),
        properties: Vec::new(),
    };
    let (mut found, facts) = match second_wall(config) {
        Err(reason) => probe_bare(rung(None), reason).await?,
        Ok(wall) => {
            let abi = wall.abi;
            let walled = rung(Some(wall));
            match run_probe(&walled, base, &own_spaces::probe_script(base, NAMESPACES)).await {
                Ok(facts) => (walled, facts.under_landlock(Ok(abi))),
                Err(unavailable) => {
                    let reason = format!("Landlock does not work inside: {}", unavailable.reason);
                    probe_bare(rung(None), reason).await?
                }
            }
        }
    };
    found.properties = own_spaces::verify_properties(&facts, base);
    Ok(found)
}

/// Probes without the second wall, which is not to be had because of `reason`.
async fn probe_bare(
    rung: BubblewrapRung,
    reason: String,
) -> Result<(BubblewrapRung, ProbeFacts), RungUnavailable> {
    let base = rung.inner.base.clone();
    let facts = run_probe(&rung, &base, &own_spaces::probe_script(&base, NAMESPACES)).await?;
    Ok((rung, facts.under_landlock(Err(reason))))
}

/// The second wall that this host allows, or why it allows none.
fn second_wall(config: &ProbeConfig) -> Result<SecondWall, String> {
    let abi = landlock::usable_abi()?;
    let entry = config.entry.clone();
    let entry = entry.ok_or("this process has no program that applies it")?;
    Ok(SecondWall { entry, abi })
}

/// The three parts of `bubblewrap 0.8.0`.
fn parse_version(version: &str) -> Option<[u32; 3]> {
    let mut parts = version
        .split_whitespace()
        .nth(1)?
        .split('.')
        .map(str::parse);
    let mut next = || parts.next().unwrap_or(Ok(0)).ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_versions_as_numbers() {
        assert_eq!(parse_version("bubblewrap 0.8.0"), Some([0, 8, 0]));
        assert!(parse_version("bubblewrap 0.11.0") > Some(VERSION_MIN));
        assert!(parse_version("bubblewrap 0.6.1") < Some(VERSION_MIN));
        assert_eq!(parse_version("bubblewrap 1.2"), Some([1, 2, 0]));
        assert_eq!(parse_version("nonsense"), None);
    }
}
