//! `omoi spec export`: the files of a plan, as they stand in the database.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::cli::Context;
use crate::cli::access::Access;
use crate::cli::fail::Usage;
use crate::cli::follow::tell_done;
use crate::view::text::{clean_lines, count};

/// What to export, and where to.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
    /// Folder to write them below; printed when absent
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the files or writes them.
pub(super) async fn run(
    context: &Context,
    access: &Access,
    arguments: Arguments,
) -> anyhow::Result<()> {
    let files = access.client.export_spec(&arguments.spec).await?;
    let Some(folder) = arguments.output else {
        if context.json() {
            return Ok(context.print_json(&files)?);
        }
        for file in &files {
            context.print(&[format!("==> {} <==", file.path)])?;
            context.print(&clean_lines(&file.text))?;
        }
        return Ok(());
    };
    for file in &files {
        let path = folder.join(inside(&file.path)?);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("could not make `{}`", parent.display()))?;
        }
        let mut out =
            File::create(&path).with_context(|| format!("could not write `{}`", path.display()))?;
        out.write_all(file.text.as_bytes())?;
    }
    if context.json() {
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let written = json!({ "folder": folder, "files": paths });
        return Ok(context.print_json(&written)?);
    }
    tell_done(&format!(
        "Wrote {} below {}",
        count(files.len() as u64, "file"),
        folder.display()
    ));
    Ok(())
}

/// A path that cannot leave the folder it is joined to.
fn inside(path: &str) -> anyhow::Result<&Path> {
    let path = Path::new(path);
    let stays = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match stays {
        true => Ok(path),
        false => Err(Usage(format!(
            "the server named a file outside: {}",
            path.display()
        ))
        .into()),
    }
}
