//! Finds a container engine and has each property verified by a program that runs inside.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Uid;
use serde_json::Value;

use super::engine::ContainerEngine;
use super::image::ensure_image;
use super::own_image::ensure_own_image;
use super::spec::EngineUsers;
use super::{ContainerInner, ContainerRung};
use crate::base::{self, RungBase, kernel_release};
use crate::landlock;
use crate::own_spaces;
use crate::policy::{SandboxLaunch, inside};
use crate::probe::{ProbeConfig, RungUnavailable};
use crate::probe_facts::{error_chain, run_probe, rung_unavailable};
use crate::property::{Property, PropertyStatus};
use crate::provider::Provider as _;
use crate::workspace;

const INSTALL: &str = "install one, `apt install podman crun`, and start it: `systemctl enable --now podman.socket`, or yours as an ordinary \
     user: `systemctl --user enable --now podman.socket`";
const REASON: &str = "remove the cause named in the reason";

/// Finds an engine at one of the configured sockets and verifies each property.
pub(crate) async fn find_container(
    base: &RungBase,
    config: &ProbeConfig,
) -> Result<ContainerRung, RungUnavailable> {
    let mut refused = None;
    for socket in config.container_sockets.iter().filter(|path| path.exists()) {
        match try_engine(base, config, socket).await {
            Ok(found) => return Ok(found),
            Err(unavailable) => refused = refused.or(Some(unavailable)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        rung_unavailable("no container engine listens where they usually do", INSTALL)
    }))
}

async fn try_engine(
    base: &RungBase,
    config: &ProbeConfig,
    socket: &Path,
) -> Result<ContainerRung, RungUnavailable> {
    let asked = |error: super::EngineError| rung_unavailable(error_chain(&error), REASON);
    let entry = config.entry.clone().ok_or_else(|| {
        rung_unavailable(
            "this process has no program for the entry step",
            "use `omoi`",
        )
    })?;
    let engine = ContainerEngine::at_socket(socket).map_err(asked)?;
    let version = engine_version(&engine.version_parts().await.map_err(asked)?);
    let info = engine.engine_info().await.map_err(asked)?;
    let owner = workspace::path_owner(socket);
    let (owner, _) = owner.map_err(|error| rung_unavailable(error_chain(&error), REASON))?;
    let users = engine_users(&info, [owner, rustix::process::geteuid()]);
    let users = users.map_err(|why| {
        let remedy = "use an engine of the user that runs omoi, or bubblewrap";
        rung_unavailable(format!("{version} {why}"), remedy)
    })?;
    let image = match &config.image {
        None => ensure_image(&engine).await.map_err(asked)?,
        Some(source) => {
            let own = ensure_own_image(&engine, source).await;
            own.map_err(|refused| rung_unavailable(error_chain(&refused), refused.image_remedy()))?
        }
    };
    let landlock = landlock::usable_abi()
        .map_err(|reason| format!("{reason}; a program can pass for one that was never started"));
    let own_image = config.image.as_ref();
    let own_image = own_image.map(|_| format!(", image `{image}`"));
    let mut rung = ContainerRung {
        inner: Arc::new(ContainerInner {
            base: base.clone(),
            engine,
            image,
            is_own_image: config.image.is_some(),
            entry,
            users,
            abi: landlock.clone().ok(),
        }),
        version: format!(
            "{version}{}{}, Linux {}",
            users.remark(),
            own_image.unwrap_or_default(),
            kernel_release()
        ),
        properties: Vec::new(),
        unseen: None,
    };
    let script = own_spaces::probe_script(base, REASON);
    let facts = run_probe(&rung, base, &script).await?;
    rung.properties = own_spaces::verify_properties(&facts.under_landlock(landlock), base);
    for (property, status) in &mut rung.properties {
        if let Some(of_engine) = engine_limit(*property, users, &info) {
            *status = of_engine;
        }
    }
    if base::check_overlay_support().is_ok() {
        rung.unseen = try_overlay(&rung, base).await.err();
    }
    Ok(rung)
}

/// A file that only a laid workspace shows.
const SHOWN: &str = "shown";

/// Runs a container over a small laid workspace and says why its file is not seen in there. An engine with mounts of
/// its own binds the folder below, where there are other files.
async fn try_overlay(rung: &ContainerRung, base: &RungBase) -> Result<(), String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("omoi-overlay-{}-{n}", std::process::id());
    let place = base.state_dir.join(&name);
    let (lower, dir) = (place.join("lower"), place.join("work"));
    let failed = |error: &dyn std::error::Error| error_chain(error);
    // Root's, as prepared checkouts are, and in a folder that nobody else walks into.
    for folder in [&place, &lower, &dir] {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let found = async {
        std::fs::File::create(lower.join(SHOWN)).map_err(|error| failed(&error))?;
        let laid = rung.lay_workspace(&dir, &[&lower]);
        laid.map_err(|error| failed(&error))?;
        let prepared = rung.prepare_workspace(&dir);
        prepared.map_err(|error| failed(&error))?;
        let look = format!("test -e {}/{SHOWN}", inside::WORK);
        let launch = SandboxLaunch::new(&*name, &dir, ["/bin/sh", "-c", look.as_str()]);
        let running = rung.launch(launch).await.map_err(|error| failed(&error))?;
        let end = running.wait().await.map_err(|error| failed(&error))?;
        match end.has_succeeded() {
            true => Ok(()),
            false => Err("a container shows the folder below a mount".to_owned()),
        }
    };
    let found = found.await;
    let removed = rung.remove_workspace(&dir);
    let removed = removed.map_err(|error| failed(&error));
    let cleared = std::fs::remove_dir_all(&place).map_err(|error| failed(&error));
    found.and(removed).and(cleared)
}

/// `Podman Engine 4.3.1`, with its runtime.
fn engine_version(version: &Value) -> String {
    let parts = version.get("Components").and_then(Value::as_array);
    let named: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter_map(|part| {
            let name = part.get("Name")?.as_str()?;
            let version = part.get("Version")?.as_str()?;
            let is_told = ["Engine", "runc", "crun"]
                .iter()
                .any(|word| name.contains(word));
            // A runtime's version begins with its name.
            let words = version.split_whitespace().next_back();
            let first_line = version
                .lines()
                .next()
                .and_then(|line| line.split_whitespace().last());
            is_told.then(|| format!("{name} {}", first_line.or(words).unwrap_or_default()))
        })
        .collect();
    match named.is_empty() {
        true => "container engine".to_owned(),
        false => named.join(", "),
    }
}

impl EngineUsers {
    /// What the version of the rung says of them.
    const fn remark(self) -> &'static str {
        match self {
            Self::Shared => "",
            Self::OwnIsRoot => ", of an ordinary user",
        }
    }
}

/// How users inside are those outside, or why the workspace could not be written by any. The socket and this process
/// belong to `owner` and `own`.
fn engine_users(info: &Value, [owner, own]: [Uid; 2]) -> Result<EngineUsers, String> {
    let options = info.get("SecurityOptions").and_then(Value::as_array);
    let has_option = |word: &str| {
        let mut options = options.into_iter().flatten().filter_map(Value::as_str);
        options.any(|option| option.contains(word))
    };
    if has_option("name=userns") {
        return Err("maps users, so that a workspace could not be written".to_owned());
    }
    // Podman says it in a field of its own.
    let is_rootless =
        has_option("name=rootless") || info.get("Rootless") == Some(&Value::Bool(true));
    match is_rootless {
        false => Ok(EngineUsers::Shared),
        true if owner == own && !own.is_root() => Ok(EngineUsers::OwnIsRoot),
        true => Err(format!(
            "is one of the ordinary user {}, and omoi runs as {}: a workspace could not be written",
            owner.as_raw(),
            own.as_raw()
        )),
    }
}

/// What the engine limits, as it says itself: one of an ordinary user tells what root's could limit.
fn engine_limit(property: Property, users: EngineUsers, info: &Value) -> Option<PropertyStatus> {
    let key = match property {
        Property::Memory => "MemoryLimit",
        Property::ProcessCount => "PidsLimit",
        Property::Cpu => "CpuCfsQuota",
        _ => return None,
    };
    let is_held = users == EngineUsers::Shared && info.get(key) == Some(&Value::Bool(true));
    Some(match (is_held, property) {
        (true, _) => PropertyStatus::YesBy("the container engine's limit groups".to_owned()),
        (false, Property::Cpu) => {
            PropertyStatus::not_held("the container engine has no limit group for it")
        }
        (false, _) => PropertyStatus::ByWatcher,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    #[test]
    fn engines_are_named_with_their_runtime() {
        let podman = json!({ "Components": [
            { "Name": "Podman Engine", "Version": "4.3.1" },
            { "Name": "Conmon", "Version": "conmon version 2.1.6" },
            { "Name": "OCI Runtime (runc)", "Version": "runc version 1.1.5+ds1\ncommit: x" },
        ] });
        assert_eq!(
            engine_version(&podman),
            "Podman Engine 4.3.1, OCI Runtime (runc) 1.1.5+ds1"
        );
        assert_eq!(engine_version(&json!({})), "container engine");
    }

    #[test]
    fn engines_whose_users_are_not_ours_are_refused_and_limits_are_theirs() {
        let plain = json!({ "SecurityOptions": ["name=seccomp"], "MemoryLimit": true });
        let mapped = json!({ "SecurityOptions": ["name=seccomp", "name=userns"] });
        let docker = json!({ "SecurityOptions": ["name=seccomp", "name=rootless"] });
        let podman = json!({ "SecurityOptions": ["name=seccomp"], "Rootless": true });
        let found = |info: &Value, owner: u32, own: u32| {
            engine_users(info, [Uid::from_raw(owner), Uid::from_raw(own)])
        };
        for own in [0, 63_321] {
            assert_eq!(found(&plain, 0, own), Ok(EngineUsers::Shared));
            assert!(found(&mapped, 0, own).unwrap_err().contains("maps users"));
        }
        for rootless in [&docker, &podman] {
            assert_eq!(found(rootless, 63_321, 63_321), Ok(EngineUsers::OwnIsRoot));
            for own in [0, 63_322] {
                let refused = found(rootless, 63_321, own).unwrap_err();
                assert!(refused.contains("the ordinary user 63321"), "{refused}");
            }
        }
        let held = |property, users| {
            engine_limit(property, users, &plain)
                .map(|status| matches!(status, PropertyStatus::YesBy(_)))
        };
        assert_eq!(held(Property::Memory, EngineUsers::Shared), Some(true));
        assert_eq!(held(Property::Memory, EngineUsers::OwnIsRoot), Some(false));
        assert_eq!(held(Property::Cpu, EngineUsers::Shared), Some(false));
        assert_eq!(held(Property::Files, EngineUsers::Shared), None);
    }
}
