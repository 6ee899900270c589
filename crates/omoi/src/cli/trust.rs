//! `omoi trust`: what the file of a repository asks for beyond the work, and a person's yes to it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use omoi_protocol::api::{RepositoryTrustView, TrustRepository};

use omoi_protocol::shell_word::shell_word;

use super::command_context::CommandContext;
use super::error_report::UsageError;
use super::named_repository::NamedRepository;
use super::owner_access::OwnerAccess;
use super::owner_question::ask_owner;
use super::terminal::read_typed_line;
use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::view::live_screen;
use crate::view::text_layout::{clean_line, short_sha};

const EXAMPLES: &str = "\
Examples:
  omoi trust                what the repository here asks for, and a question
  omoi trust --repo ~/src/x

The answer holds for you, this repository and this very text of its .omoi.yaml at HEAD. Only a person at a
terminal can give it; what you allow for all repositories belongs into your own configuration.";

/// What to look at.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrustArgs {
    /// The repository
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: PathBuf,
}

/// Shows what the repository asks for, and asks.
pub(crate) async fn run_trust(
    context: &CommandContext,
    arguments: TrustArgs,
) -> anyhow::Result<ExitCode> {
    let NamedRepository { path, .. } =
        NamedRepository::inspect_given(context, &arguments.repo).await?;
    let ask = async |access: &OwnerAccess| ask_trust(context, &access.client, &path).await;
    ask_owner(context, ask).await?;
    Ok(ExitCode::SUCCESS)
}

async fn ask_trust(context: &CommandContext, client: &ApiClient, repo: &str) -> anyhow::Result<()> {
    let trust = client.get_trust(repo).await?;
    if context.is_json() {
        return Ok(context.print_json(&trust)?);
    }
    context.print_lines(&request_lines(&trust))?;
    match trust.is_trusted {
        true => Ok(()),
        false => ask_and_allow(client, &trust).await,
    }
}

/// What the file asks for, and whether it is allowed.
fn request_lines(trust: &RepositoryTrustView) -> Vec<String> {
    let at = short_sha(&trust.commit);
    if trust.asks.is_empty() {
        return vec![format!(
            "{} asks for nothing that needs your yes (HEAD {at})",
            clean_line(&trust.repo)
        )];
    }
    let mut lines = vec![format!(
        ".omoi.yaml of {} (HEAD {at}) asks to:",
        clean_line(&trust.repo)
    )];
    lines.extend(
        trust
            .asks
            .iter()
            .map(|ask| format!("  {}", clean_line(ask))),
    );
    if trust.is_trusted {
        lines.push("You allowed this text.".to_owned());
    }
    lines
}

/// Asks a person at a terminal and keeps a yes; anything else is a refusal that names the command.
///
/// # Errors
/// When nobody can be asked, or the person did not say yes.
pub(crate) async fn ask_and_allow(
    client: &ApiClient,
    trust: &RepositoryTrustView,
) -> anyhow::Result<()> {
    let again = ErrorHint(format!(
        "answer on a terminal: omoi trust --repo {}",
        shell_word(&trust.repo)
    ));
    if !can_ask() {
        let error = UsageError("only a person at a terminal can allow this".to_owned());
        return Err(anyhow::Error::new(error).context(again));
    }
    eprint!("Allow this, for this text of the file? [y/N] ");
    io::stderr().flush()?;
    if !is_yes(&read_typed_line().await?) {
        let error = UsageError("nothing was allowed".to_owned());
        return Err(anyhow::Error::new(error).context(again));
    }
    let file_digest = trust.file_digest.clone().unwrap_or_default();
    let repo_path = trust.repo.clone();
    let agreed = TrustRepository {
        repo_path,
        file_digest,
    };
    client.trust_repository(&agreed).await?;
    Ok(())
}

/// Shows what `repo` asks for and asks a person, in a run.
pub(crate) async fn ask_in_run(client: &ApiClient, repo: &str) -> anyhow::Result<()> {
    let trust = client.get_trust(repo).await?;
    for line in request_lines(&trust) {
        eprintln!("{line}");
    }
    ask_and_allow(client, &trust).await
}

/// Whether a person can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && live_screen::is_watched()
}

/// Whether a typed answer is a yes.
pub(crate) fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust_view(asks: &[&str], is_trusted: bool) -> RepositoryTrustView {
        RepositoryTrustView {
            repo: "/src/x".to_owned(),
            commit: "0123456789abcdef".to_owned(),
            file_digest: Some("d".to_owned()),
            asks: asks.iter().map(|ask| (*ask).to_owned()).collect(),
            is_trusted,
        }
    }

    #[test]
    fn what_is_asked_for_is_shown_without_escape_codes() {
        let lines = request_lines(&trust_view(
            &["let sandboxes read `/srv/\u{1b}[2Jx`"],
            false,
        ));
        assert_eq!(lines.len(), 2);
        assert!(
            lines.iter().all(|line| !line.contains('\u{1b}')),
            "{lines:?}"
        );
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, yes) in [("y\n", true), ("YES", true), ("", false), ("yep", false)] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
