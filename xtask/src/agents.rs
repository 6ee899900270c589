//! Where the agent programs are that tests run.

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
