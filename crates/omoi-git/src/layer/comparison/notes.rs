//! Files that package managers write for themselves and that differ from one set-up to the next.
//!
//! They may be there, differ or be missing. None of them can change what a check runs: each has its reason here.

/// Files right below the outermost `node_modules`.
const OF_NODE: [&str; 4] = [
    // What npm, yarn and pnpm installed, so that they need not look again. Node reads none of them; the managers read
    // them to install, which a check cannot: it has no network.
    ".package-lock.json",
    ".yarn-integrity",
    ".yarn-state.yml",
    ".modules.yaml",
];

/// Files of the folder that describes a Python package. The programs that run one read `METADATA` and
/// `entry_points.txt`, never these.
const OF_DIST_INFO: [&str; 5] = [
    // The name of who installed it.
    "INSTALLER",
    // Empty; there if it was asked for by name and not by another package.
    "REQUESTED",
    // Where it was installed from, for `pip freeze`.
    "direct_url.json",
    // What uv built and kept it by.
    "uv_build.json",
    "uv_cache.json",
];

/// Files below the folder of cargo.
const OF_CARGO: [&str; 5] = [
    // When each crate was last used, for cargo to clear its cache by.
    ".global-cache",
    // Locks; empty.
    ".package-cache",
    ".package-cache-mutate",
    // Tells backup programs to leave the folder out.
    "registry/CACHEDIR.TAG",
    // Of old: when an index was last looked at.
    "registry/.last-updated",
];

/// Whether `name`, right below the outermost `node_modules`, is a note of a package manager.
pub(super) fn is_node_note(name: &str) -> bool {
    // pnpm keeps the lock file that it installed from, and when and how it last looked at the workspace, in a file whose
    // name may say the layout: `.pnpm-workspace-state.json`, `.pnpm-workspace-state-v1.json`.
    let state = name.strip_prefix(".pnpm-workspace-state");
    let layout = state.and_then(|rest| rest.strip_suffix(".json"));
    OF_NODE.contains(&name)
        || name == ".pnpm/lock.yaml"
        || layout.is_some_and(|layout| !layout.contains('/'))
}

/// Whether `name`, in a folder that describes a Python package, is a note of who installed it.
pub(super) fn is_python_note(name: &str) -> bool {
    OF_DIST_INFO.contains(&name)
}

/// Whether `below`, a path below the folder of cargo, is one of its notes.
pub(super) fn is_cargo_note(below: &str) -> bool {
    OF_CARGO.contains(&below)
}

/// Whether `below`, a path below the folder of Go's modules, is one of its notes.
pub(super) fn is_go_note(below: &str) -> bool {
    let Some(cache) = below.strip_prefix("cache/") else {
        return false;
    };
    let Some(download) = cache.strip_prefix("download/") else {
        return cache == "lock";
    };
    // Parts of the database of sums: they are signed, so a wrong one can only make a download fail.
    if download.starts_with("sumdb/") {
        return true;
    }
    // Which versions there are, for `go list -versions` and upgrades; a build takes those of `go.mod`. And empty locks.
    let name = download.rsplit_once("/@v/").map(|(_, name)| name);
    name.is_some_and(|name| name == "list" || name.strip_suffix(".lock").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_reads_is_no_note() {
        for (is_note, path) in [
            (is_node_note(".package-lock.json"), true),
            (is_node_note(".pnpm-workspace-state.json"), true),
            (is_node_note(".pnpm-workspace-state-v1.json"), true),
            (is_node_note(".pnpm-workspace-state/a.json"), false),
            (is_node_note(".bin/tsc"), false),
            (is_python_note("INSTALLER"), true),
            (is_python_note("entry_points.txt"), false),
            (is_cargo_note(".package-cache"), true),
            (is_cargo_note("config.toml"), false),
            (is_go_note("cache/lock"), true),
            (is_go_note("cache/download/example.com/a/@v/list"), true),
            (is_go_note("cache/download/example.com/a/@v/v1.lock"), true),
            (is_go_note("cache/download/example.com/a/@v/v1.mod"), false),
            (is_go_note("example.com/a@v1/list"), false),
        ] {
            assert_eq!(is_note, path);
        }
    }
}
