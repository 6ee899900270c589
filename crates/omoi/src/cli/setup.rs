//! `omoi setup`: installs the packages of a repository before a run needs them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use omoi_protocol::api::{SetUpRepository, SetupView};

use super::command_context::{CommandContext, ConfigOverrides};
use super::named_repository::NamedRepository;
use super::owner_access::{AccessPurpose, reach_owner};
use crate::view::text_layout::{clean_line, short_sha};

const EXAMPLES: &str = "\
Examples:
  omoi setup                install what HEAD of the repository here needs
  omoi setup --rebuild      install it again

Runs `setup:` of .omoi.yaml at HEAD, else what the lock files call for, once, in a sandbox that reaches the package
registries. Every attempt and every check of commits with the same lock files gets the result.";

/// Where, and whether again.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SetupArgs {
    /// The repository
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: PathBuf,
    /// Install the packages again, though they are there
    #[arg(long)]
    rebuild: bool,
}

/// Installs packages and says what came of it.
pub(crate) async fn run_setup(
    context: &CommandContext,
    arguments: SetupArgs,
) -> anyhow::Result<ExitCode> {
    let NamedRepository { path, info, .. } =
        NamedRepository::inspect_given(context, &arguments.repo).await?;
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::SetUp).await?;
    if !context.is_json() {
        eprintln!(
            "Installing what {} needs (HEAD {}) …",
            clean_line(&path),
            short_sha(info.head.as_str())
        );
    }
    let asked = SetUpRepository {
        repo_path: path,
        rebuild: arguments.rebuild,
        only_find: false,
    };
    let answer = access.client.set_up_repository(&asked).await;
    access.close(futures::stream::pending()).await?;
    let view = answer?;
    match context.is_json() {
        true => context.print_json(&view)?,
        false => context.print_lines(&result_lines(&view))?,
    }
    Ok(match view.failure {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

/// What came of it, for people.
fn result_lines(view: &SetupView) -> Vec<String> {
    if view.commands.is_empty() {
        return vec!["Nothing is to be installed: no lock file names a package.".to_owned()];
    }
    let commands = clean_line(&view.commands.join("; "));
    let Some(failure) = &view.failure else {
        let seconds = view.took_ms.unwrap_or_default() as f64 / 1_000.0;
        let installed = view.installed.join(", ");
        return vec![format!(
            "Installed by `{commands}` in {seconds:.1} s: {}",
            clean_line(&installed)
        )];
    };
    let mut lines = vec![format!("`{commands}` failed: {}", clean_line(failure))];
    let output = view.output.as_deref().unwrap_or_default();
    let last: Vec<&str> = output.lines().rev().take(12).collect();
    lines.extend(
        last.iter()
            .rev()
            .map(|line| format!("  {}", clean_line(line))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use omoi_protocol::api::CheckSandboxView;

    use super::*;

    fn view() -> SetupView {
        SetupView {
            repo: "/src/x".to_owned(),
            commit: "0123456789abcdef".to_owned(),
            commands: vec!["npm ci".to_owned()],
            is_written: false,
            packages: Vec::new(),
            installed: vec!["node_modules".to_owned()],
            packages_layer: None,
            took_ms: Some(1_500),
            failure: None,
            output: None,
            checks: CheckSandboxView::default(),
        }
    }

    #[test]
    fn what_was_installed_and_what_failed_is_told_without_escape_codes() {
        let lines = result_lines(&view());
        assert_eq!(lines, ["Installed by `npm ci` in 1.5 s: node_modules"]);
        let failed = SetupView {
            failure: Some("it ended with code 1".to_owned()),
            output: Some("a\n\u{1b}[2Jnot found".to_owned()),
            ..view()
        };
        let lines = result_lines(&failed);
        assert_eq!(lines[0], "`npm ci` failed: it ended with code 1");
        assert!(
            lines.iter().all(|line| !line.contains('\u{1b}')),
            "{lines:?}"
        );
        let nothing = SetupView {
            commands: Vec::new(),
            ..view()
        };
        assert!(result_lines(&nothing)[0].starts_with("Nothing"));
    }
}
