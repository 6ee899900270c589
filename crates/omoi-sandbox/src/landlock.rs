//! Landlock: which paths a program may use, told to the kernel by the program's own process. The second
//! wall inside bubblewrap, and the first one of the rung of that name.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};
use serde::{Deserialize, Serialize};

use crate::child;

/// The first that can move files between folders; without it no build works.
pub(crate) const ABI_MIN: i32 = 2;
/// The first that takes TCP away.
pub(crate) const ABI_TCP: i32 = 4;
/// The first that keeps signals and abstract sockets inside.
pub(crate) const ABI_SCOPES: i32 = 6;
/// The newest whose rights are known here.
const ABI_KNOWN: i32 = 9;

/// What a program may do at and below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PathAccess {
    /// See the names in it.
    List,
    /// Read files.
    Read,
    /// Read and run files.
    Execute,
    /// Read and write devices.
    Device,
    /// Everything but making devices.
    Write,
    /// Connect to a socket.
    Connect,
}

impl PathAccess {
    fn rights(self, abi: ABI) -> BitFlags<AccessFs> {
        let all = AccessFs::from_all(abi);
        let wanted = match self {
            Self::List => AccessFs::ReadDir.into(),
            Self::Read => AccessFs::ReadDir | AccessFs::ReadFile,
            Self::Execute => AccessFs::from_read(abi),
            Self::Device => {
                let written = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
                AccessFs::ReadDir | AccessFs::ReadFile | written
            }
            Self::Write => all & !(AccessFs::MakeChar | AccessFs::MakeBlock),
            Self::Connect => AccessFs::ResolveUnix.into(),
        };
        wanted & all
    }
}

/// A path and what a program may do there. One that does not exist grants nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PathGrant {
    pub(crate) path: PathBuf,
    pub(crate) access: PathAccess,
}

impl PathGrant {
    pub(crate) fn new(path: impl Into<PathBuf>, access: PathAccess) -> Self {
        let path = path.into();
        Self { path, access }
    }
}

/// Everything that Landlock is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LandlockRules {
    /// The kernel's version of Landlock.
    pub(crate) abi: i32,
    /// What is not below one of them is out of reach.
    pub(crate) grants: Vec<PathGrant>,
    /// Whether TCP is taken away too.
    pub(crate) without_tcp: bool,
}

/// The kernel's version of Landlock as far as it is known here, or why it cannot be used.
pub(crate) fn usable_abi() -> Result<i32, String> {
    match child::landlock_abi() {
        Ok(abi) if abi >= ABI_MIN => Ok(abi.min(ABI_KNOWN)),
        Ok(abi) => Err(format!(
            "the kernel's Landlock is of ABI {abi}, {ABI_MIN} is needed (Linux 5.19)"
        )),
        Err(errno) => Err(format!("the kernel has no Landlock ({errno})")),
    }
}

/// Applies `rules` to this process and all it will start. Fails rather than applying a part of them.
pub(crate) fn restrict_self(rules: &LandlockRules) -> Result<(), String> {
    status_of(apply_rules(rules))
}

fn status_of(applied: Result<RulesetStatus, RulesetError>) -> Result<(), String> {
    match applied {
        Ok(RulesetStatus::FullyEnforced) => Ok(()),
        Ok(partly) => Err(format!("Landlock is not in force as asked: {partly:?}")),
        Err(error) => Err(format!("Landlock refused: {error}")),
    }
}

/// Keeps signals of this process and of all it will start among them; what they start may keep its own from this one.
pub(crate) fn enclose_signals() -> Result<(), String> {
    let abi = usable_abi()?;
    if abi < ABI_SCOPES {
        return Err(format!("Landlock ABI {abi} leaves signals alone"));
    }
    let apply = || -> Result<RulesetStatus, RulesetError> {
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            // Any rules take away moving files between folders, which is left to what is started.
            .handle_access(AccessFs::Refer)?
            .scope(Scope::Signal)?;
        let everywhere = path_beneath_rules(["/"], AccessFs::Refer);
        let created = ruleset.create()?.add_rules(everywhere)?;
        Ok(created.restrict_self()?.ruleset)
    };
    status_of(apply())
}

fn apply_rules(rules: &LandlockRules) -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::from(rules.abi);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    if rules.without_tcp && rules.abi >= ABI_TCP {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    if rules.abi >= ABI_SCOPES {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    let mut created = ruleset.create()?;
    for PathGrant { path, access } in &rules.grants {
        let rights = access.rights(abi);
        if !rights.is_empty() {
            created = created.add_rules(path_beneath_rules([path], rights))?;
        }
    }
    Ok(created.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_access_makes_devices_and_only_write_makes_anything() {
        for abi in ABI_MIN..=ABI_KNOWN {
            let abi = ABI::from(abi);
            let making = AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::RemoveFile;
            for access in [
                PathAccess::List,
                PathAccess::Read,
                PathAccess::Execute,
                PathAccess::Device,
                PathAccess::Connect,
            ] {
                assert!(!access.rights(abi).intersects(making), "{access:?}");
            }
            let write = PathAccess::Write.rights(abi);
            assert!(write.contains(making | AccessFs::Refer));
            assert!(!write.intersects(AccessFs::MakeChar | AccessFs::MakeBlock));
        }
        // The right to connect came late; before, there is nothing to grant.
        assert!(PathAccess::Connect.rights(ABI::V6).is_empty());
        assert!(!PathAccess::Connect.rights(ABI::V9).is_empty());
    }
}
