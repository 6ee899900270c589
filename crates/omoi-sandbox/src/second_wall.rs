//! What Landlock leaves a program inside bubblewrap or a container: the same that the mounts show, told once more.

use std::path::Path;

use crate::entry::EntryProgram;
use crate::landlock::{LandlockRules, PathAccess, PathGrant};
use crate::policy::{SandboxLaunch, WorkspaceAccess, inside};

/// Places of every sandbox, and what is left of them.
const PLACES: &[(&str, PathAccess)] = &[
    // Only the names: whoever walks up from the workspace finds the way.
    ("/", PathAccess::List),
    ("/usr", PathAccess::Execute),
    ("/bin", PathAccess::Execute),
    ("/sbin", PathAccess::Execute),
    ("/lib", PathAccess::Execute),
    ("/lib32", PathAccess::Execute),
    ("/lib64", PathAccess::Execute),
    ("/libx32", PathAccess::Execute),
    ("/etc", PathAccess::Read),
    ("/proc", PathAccess::Read),
    ("/dev", PathAccess::Device),
    ("/dev/shm", PathAccess::Write),
    ("/run", PathAccess::Read),
    (inside::TEMP, PathAccess::Write),
    ("/var/tmp", PathAccess::Write),
    (inside::HOME, PathAccess::Write),
    (inside::WORKER, PathAccess::Execute),
    (inside::SOCKET, PathAccess::Connect),
];

/// Where an image may have programs and files beside those places. Nothing of the host is there.
const IMAGE_PLACES: [&str; 4] = ["/opt", "/srv", "/root", "/var"];

/// Landlock inside bubblewrap.
#[derive(Clone, Debug)]
pub(crate) struct SecondWall {
    pub(crate) entry: EntryProgram,
    /// The kernel's version of Landlock.
    pub(crate) abi: i32,
}

/// The rules for `launch` under version `abi`. Its network is its own, so TCP is left alone.
pub(crate) fn rules_for(abi: i32, launch: &SandboxLaunch) -> LandlockRules {
    let places = PLACES.iter().copied();
    let mut grants: Vec<PathGrant> = places
        .map(|(path, access)| PathGrant::new(path, access))
        .collect();
    let mounts = launch.read_only.iter();
    grants.extend(mounts.map(|mount| PathGrant::new(&mount.inside, PathAccess::Execute)));
    let work = match launch.access {
        WorkspaceAccess::ReadWrite => PathAccess::Write,
        WorkspaceAccess::ReadOnly => PathAccess::Execute,
    };
    grants.push(PathGrant::new(Path::new(inside::WORK), work));
    LandlockRules {
        abi,
        grants,
        without_tcp: false,
    }
}

/// The rules for `launch` in a container of a person's own image.
pub(crate) fn rules_in_image(abi: i32, launch: &SandboxLaunch) -> LandlockRules {
    let mut rules = rules_for(abi, launch);
    let places = IMAGE_PLACES.map(|path| PathGrant::new(path, PathAccess::Execute));
    rules.grants.extend(places);
    rules
}
