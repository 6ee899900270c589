//! `omoi spec export`: the files of a plan, as they stand in the database.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::cli::CommandContext;
use crate::cli::error_report::UsageError;
use crate::cli::owner_access::OwnerAccess;
use crate::cli::terminal::print_done;
use crate::view::text_layout::{clean_lines, count_noun};

/// What to export, and where to.
#[derive(clap::Args, Debug)]
pub(crate) struct ExportArgs {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
    /// Folder to write them below; printed when absent
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the files or writes them.
pub(super) async fn export_plan(
    context: &CommandContext,
    access: &OwnerAccess,
    arguments: ExportArgs,
) -> anyhow::Result<()> {
    let files = access.client.export_spec(&arguments.spec).await?;
    let Some(folder) = arguments.output else {
        if context.is_json() {
            return Ok(context.print_json(&files)?);
        }
        for file in &files {
            context.print_lines(&[format!("==> {} <==", file.path)])?;
            context.print_lines(&clean_lines(&file.text))?;
        }
        return Ok(());
    };
    for file in &files {
        let path = folder.join(path_inside(&file.path)?);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("could not make `{}`", parent.display()))?;
        }
        let mut out =
            File::create(&path).with_context(|| format!("could not write `{}`", path.display()))?;
        out.write_all(file.text.as_bytes())?;
    }
    if context.is_json() {
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let written = json!({ "folder": folder, "files": paths });
        return Ok(context.print_json(&written)?);
    }
    print_done(&format!(
        "Wrote {} below {}",
        count_noun(files.len() as u64, "file"),
        folder.display()
    ));
    Ok(())
}

/// A path that cannot leave the folder it is joined to.
fn path_inside(path: &str) -> anyhow::Result<&Path> {
    let path = Path::new(path);
    let stays = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match stays {
        true => Ok(path),
        false => Err(UsageError(format!(
            "the server named a file outside: {}",
            path.display()
        ))
        .into()),
    }
}
