//! Every durable write names a crash point, in the function that writes.
//!
//! Rows need no rule: the one commit there is asks for a point, and the words rule keeps others away.
//! This is about everything else, file by file and ref by ref. What only tests run is left out.

use std::path::Path;

use super::files::{functions, is_test};
use super::{Finding, Texts};

/// What makes a change durable.
const WRITES: &[&str] = &[
    "fs::write",
    "fs::rename",
    "fs::copy",
    "fs::remove_",
    "hard_link",
    "create_new",
    "File::create",
    "OpenOptions::new",
    ".persist(",
    // In two parts, so that the words rule does not find it here.
    concat!("\"update", "-ref\""),
    "\"push\"",
    "\"fetch\"",
    "\"unpack-objects\"",
    "\"index-pack\"",
];
/// What names a point.
const POINTS: &[&str] = &["crash::pass_point", "CrashPoint"];

/// Functions, or whole files, that change something without a point, and why none is needed.
const EXCUSED: &[(&str, &str, &str)] = &[
    (
        "crates/omoi/src/cli/demo.rs",
        "unpack_assets",
        "unpacks the example before the run begins",
    ),
    (
        "crates/omoi/src/cli/remote_repository.rs",
        "fetch_branch",
        "removes the scratch folder of one fetch",
    ),
    (
        "crates/omoi/src/cli/scenario.rs",
        "write_skeleton",
        "writes an example for a person; no run knows of it",
    ),
    (
        "crates/omoi/src/cli/models/set.rs",
        "replace_checked",
        "renames a checked draft over the person's file, which is whole before and after; no run is under way",
    ),
    (
        "crates/omoi/src/cli/models/set.rs",
        "write_draft",
        "writes the draft, which nobody reads before it is checked",
    ),
    (
        "crates/omoi-agent/src/process/command_output.rs",
        "open",
        "makes a file of a command's output, which goes away with its sandbox",
    ),
    (
        "crates/omoi-agent/src/program.rs",
        "write_program_files",
        "fills the folder of one agent program, which goes away with its sandbox",
    ),
    (
        "crates/omoi-agent/src/program.rs",
        "sweep_leavings",
        "removes empty folders from the agent's own workspace",
    ),
    (
        "crates/omoi-agent/src/program.rs",
        "make_fresh_folder",
        "makes the folder of one agent program, which goes away with its sandbox",
    ),
    (
        "crates/omoi-agent/src/tools/file_change.rs",
        "store_text",
        "writes in the agent's own workspace, which the next snapshot makes durable",
    ),
    (
        "crates/omoi-agent/src/tools/shell_sessions.rs",
        "next_spool",
        "removes a file of a command's output, which goes away with its sandbox",
    ),
    (
        "crates/omoi-agent/src/tools/shell_sessions.rs",
        "end_all",
        "removes the files of commands' output, which go away with their sandbox",
    ),
    (
        "crates/omoi-egress/src/authority.rs",
        "replace_file",
        "replaces whole files that the next start makes again",
    ),
    (
        "crates/omoi-egress/src/cache.rs",
        "",
        "writes the cache of packages, which is read with doubt and fetched again",
    ),
    (
        "crates/omoi-egress/src/cache/quota.rs",
        "",
        "writes the cache of packages, which is read with doubt and fetched again",
    ),
    (
        "crates/omoi-egress/src/cache/writer.rs",
        "",
        "writes the cache of packages, which is read with doubt and fetched again",
    ),
    (
        "crates/omoi/src/cli/sandbox/shell.rs",
        "",
        "makes and removes the folder of one shell, which the next one sweeps",
    ),
    (
        "crates/omoi-execution/src/command/check_files.rs",
        "lay_over",
        "fills a checkout that goes away with its attempt",
    ),
    (
        "crates/omoi-git/src/clone.rs",
        "",
        "fills a clone that goes away with its attempt",
    ),
    (
        "crates/omoi-git/src/layer/cleanup.rs",
        "clear_leftovers",
        "removes what dead processes left, which nobody reads",
    ),
    (
        "crates/omoi-git/src/layer.rs",
        "finish_checkout",
        "fills a folder that a rename makes visible",
    ),
    (
        "crates/omoi-git/src/layer/package_tree.rs",
        "copy_packages",
        "fills a folder that a rename makes visible, or a workspace that goes with its attempt",
    ),
    (
        "crates/omoi/src/cli/doctor/overlay.rs",
        "try_overlay",
        "removes what it made itself to see whether that works",
    ),
    (
        "crates/omoi-server/src/setup_egress.rs",
        "drop",
        "removes a socket that nothing listens on any more",
    ),
    (
        "crates/omoi-git/src/layer.rs",
        "link_files",
        "fills a folder that a rename makes visible",
    ),
    (
        "crates/omoi-git/src/import/quarantine.rs",
        "unpack_pack",
        "fills a quarantine that goes away with the call",
    ),
    (
        "crates/omoi-git/src/import/quarantine.rs",
        "move_to_mirror",
        "called between the two passes of the import",
    ),
    (
        "crates/omoi-git/src/mirror.rs",
        "copy_history",
        "called between the two passes of the fetch",
    ),
    (
        "crates/omoi-git/src/mirror.rs",
        "remove_leftovers",
        "removes what dead processes left, which nobody reads",
    ),
    (
        "crates/omoi-git/src/mirror/refs.rs",
        "change_ref",
        "called between the two passes of whoever moves a ref",
    ),
    (
        "crates/omoi-git/src/process.rs",
        "write_private",
        "writes a file for one call of git",
    ),
    (
        "crates/omoi-programs/src/agent_folder.rs",
        "",
        "installs programs for a person: a rename makes each whole, and the next installation clears the rest",
    ),
    (
        "crates/omoi-programs/src/archive.rs",
        "",
        "fills a folder that a rename makes visible",
    ),
    (
        "crates/omoi-programs/src/registry.rs",
        "try_file",
        "fills a folder that a rename makes visible",
    ),
    (
        "crates/omoi-runtime/src/telemetry/log_file.rs",
        "",
        "writes the process log, which nothing is decided by",
    ),
    (
        "crates/omoi-git/src/push.rs",
        "send_objects",
        "called between the two passes of the push",
    ),
    (
        "crates/omoi-git/src/work.rs",
        "",
        "writes in a clone that goes away with its attempt",
    ),
    (
        "crates/omoi-git/src/import/quarantine.rs",
        "new_objects",
        "names the command in an error",
    ),
    (
        "crates/omoi-git/src/plain_file.rs",
        "exclude_paths",
        "tells the git of a work tree what to leave out, before anything runs there",
    ),
    (
        "crates/omoi-runtime/src/crash.rs",
        "",
        "writes the trace of crash points",
    ),
    (
        "crates/omoi-runtime/src/files.rs",
        "write_synced",
        "called between the two passes of a replacement",
    ),
    (
        "crates/omoi-sandbox/src/cgroup.rs",
        "",
        "writes to the kernel",
    ),
    (
        "crates/omoi-sandbox/src/cgroup/hierarchy.rs",
        "",
        "writes to the kernel",
    ),
    (
        "crates/omoi-sandbox/src/pidfile.rs",
        "release_name",
        "removes the pidfile of a sandbox that is gone; the next sweep does it again",
    ),
    (
        "crates/omoi-sandbox/src/container/verify.rs",
        "try_overlay",
        "fills a folder that goes away with the question",
    ),
    (
        "crates/omoi-execution/src/reaper.rs",
        "clear_away",
        "removes sockets that nobody listens on; the next start does it again",
    ),
    (
        "crates/omoi-sandbox/src/container.rs",
        "write_files",
        "fills a folder that goes away with its attempt",
    ),
    (
        "crates/omoi-sandbox/src/session_rung.rs",
        "write_files",
        "fills a folder that goes away with its attempt",
    ),
    (
        "crates/omoi-sandbox/src/overlay.rs",
        "lay_over",
        "removes folders that go away with their attempt",
    ),
    (
        "crates/omoi-sandbox/src/process.rs",
        "owner_mapping",
        "writes to the kernel",
    ),
    (
        "crates/omoi-sandbox/src/workspace.rs",
        "",
        "removes a folder that goes away with its attempt",
    ),
    (
        "crates/omoi-store/src/dialect/connections.rs",
        "make_private",
        "makes an empty file, which the first migration fills",
    ),
    (
        "crates/omoi/src/cli/spec/export.rs",
        "",
        "writes copies for people",
    ),
    (
        "crates/omoi/src/server_profiles.rs",
        "read_key",
        "opens a file to read it",
    ),
    (
        "crates/omoi/src/server_profiles.rs",
        "remove_profile",
        "the key of a profile that no file lists any more opens nothing here, and goes with the next sign-in of its name",
    ),
    (
        "crates/omoi/src/data_folder.rs",
        "try_lock",
        "makes the empty file that is locked",
    ),
    (
        "crates/omoi/src/composition/listeners.rs",
        "bind_socket",
        "replaces the socket of a dead owner",
    ),
];

/// Checks every source file of the product.
pub(super) fn check(files: &Texts<'_>) -> Vec<Finding> {
    check_with(files, EXCUSED)
}

fn check_with(files: &Texts<'_>, excused: &[(&str, &str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = vec![false; excused.len()];
    for (file, text) in files {
        let in_crate = file.starts_with("crates") && file.iter().any(|part| part == "src");
        let is_code = file.extension().is_some_and(|kind| kind == "rs");
        if !in_crate || !is_code || is_test(file) || file.starts_with("crates/omoi-testkit") {
            continue;
        }
        for function in functions(text) {
            let Some((line, what)) = unnamed_write(&function) else {
                continue;
            };
            let name = name(&function);
            let excuse = excused.iter().position(|(place, of, _)| {
                Path::new(place) == *file && (of.is_empty() || *of == name)
            });
            match excuse {
                Some(at) => used[at] = true,
                None => findings.push(Finding::new(
                    file,
                    line,
                    format!("`{what}` in `{name}` without a crash point"),
                    "pass one before and after in the same function, or say in this rule why none is needed",
                )),
            }
        }
    }
    for ((place, of, _), _) in excused.iter().zip(used).filter(|(_, used)| !used) {
        findings.push(Finding::new(
            Path::new(place),
            1,
            format!("`{of}` needs no excuse for its writes any more"),
            "take it off the list in this rule",
        ));
    }
    findings
}

/// The first write of a function that names no point.
fn unnamed_write<'a>(function: &[(usize, &'a str)]) -> Option<(usize, &'a str)> {
    let code = |line: &'a str| line.split("//").next().unwrap_or_default();
    let names = |line: &'a str| POINTS.iter().any(|point| code(line).contains(point));
    if function.iter().any(|(_, line)| names(line)) {
        return None;
    }
    function.iter().find_map(|(number, line)| {
        let line = code(line);
        let write = WRITES.iter().find(|write| line.contains(**write))?;
        let at = line.find(write)?;
        Some((*number, &line[at..at + write.len()]))
    })
}

fn name<'a>(function: &[(usize, &'a str)]) -> &'a str {
    let first = function.first().map_or("", |(_, line)| *line);
    let after = first.split_once("fn ").map_or("", |(_, rest)| rest);
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &after[..end.unwrap_or(after.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_elsewhere_in_the_file_excuses_nothing() {
        let text = "fn named(point: CrashPoint) {\n    fs::rename(a, b);\n}\nfn unnamed() {\n    // fs::copy\n    file.persist(path);\n}\n\
                    fn reads() {\n    fs::read(a);\n}\nfn excused() {\n    fs::remove_file(a);\n}\n";
        let files = Texts::from([
            (Path::new("crates/a/src/lib.rs"), text),
            (
                Path::new("crates/a/tests/it.rs"),
                "fn t() {\n    fs::write(a);\n}\n",
            ),
            (
                Path::new("xtask/src/a.rs"),
                "fn t() {\n    fs::write(a);\n}\n",
            ),
        ]);
        let excused = [
            ("crates/a/src/lib.rs", "excused", "why"),
            ("crates/a/src/lib.rs", "reads", "why"),
        ];
        let found: Vec<String> = check_with(&files, &excused)
            .iter()
            .map(|finding| format!("{}: {}", finding.line, finding.what))
            .collect();
        assert_eq!(
            found,
            [
                "6: `.persist(` in `unnamed` without a crash point",
                "1: `reads` needs no excuse for its writes any more",
            ]
        );
    }
}
