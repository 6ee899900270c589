//! `omoi trust`: what the file of a repository asks for beyond the work, and a person's yes to it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use omoi_git::process::Git;
use omoi_git::repo::inspect_repository;
use omoi_protocol::control::{RepositoryTrustView, TrustRepository};

use super::access::{Purpose, reach};
use super::context::{Context, Overrides};
use super::fail::Usage;
use super::follow::typed;
use crate::Hint;
use crate::client::Client;
use crate::view::live;
use crate::view::text::{clean, shell, short};

const EXAMPLES: &str = "\
Examples:
  omoi trust                what the repository here asks for, and a question
  omoi trust --repo ~/src/x

The answer holds for you, this repository and this very text of its .omoi.yaml at HEAD. Only a person at a
terminal can give it; what you allow for all repositories belongs into your own configuration.";

/// What to look at.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The repository
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: PathBuf,
}

/// Shows what the repository asks for, and asks.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let repo = std::path::absolute(&arguments.repo).context("could not name the repository")?;
    let git = Git::find_on_path(&context.variable("PATH").unwrap_or_default()).await?;
    let found = inspect_repository(&git, &repo).await?;
    let repo = found.toplevel.to_str().map(ToOwned::to_owned);
    let repo = repo.ok_or_else(|| Usage("the repository's path is not UTF-8".to_owned()))?;
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let access = reach(context, settings, Purpose::Ask).await?;
    let answered = answered(context, &access.client, &repo).await;
    access.close(futures::stream::pending()).await?;
    answered?;
    Ok(ExitCode::SUCCESS)
}

async fn answered(context: &Context, client: &Client, repo: &str) -> anyhow::Result<()> {
    let asked = client.get_trust(repo).await?;
    if context.json() {
        return Ok(context.print_json(&asked)?);
    }
    context.print(&lines(&asked))?;
    match asked.is_trusted {
        true => Ok(()),
        false => allow(client, &asked).await,
    }
}

/// What the file asks for, and whether it is allowed.
fn lines(asked: &RepositoryTrustView) -> Vec<String> {
    let at = short(&asked.commit);
    if asked.asks.is_empty() {
        return vec![format!(
            "{} asks for nothing that needs your yes (HEAD {at})",
            clean(&asked.repo)
        )];
    }
    let mut lines = vec![format!(
        ".omoi.yaml of {} (HEAD {at}) asks to:",
        clean(&asked.repo)
    )];
    lines.extend(asked.asks.iter().map(|ask| format!("  {}", clean(ask))));
    if asked.is_trusted {
        lines.push("You allowed this text.".to_owned());
    }
    lines
}

/// Asks a person at a terminal and keeps a yes; anything else is a refusal that names the command.
///
/// # Errors
/// When nobody can be asked, or the person did not say yes.
pub(crate) async fn allow(client: &Client, asked: &RepositoryTrustView) -> anyhow::Result<()> {
    let again = Hint(format!(
        "answer on a terminal: omoi trust --repo {}",
        shell(&asked.repo)
    ));
    if !can_ask() {
        let what = Usage("only a person at a terminal can allow this".to_owned());
        return Err(anyhow::Error::new(what).context(again));
    }
    eprint!("Allow this, for this text of the file? [y/N] ");
    io::stderr().flush()?;
    if !is_yes(&typed().await?) {
        let what = Usage("nothing was allowed".to_owned());
        return Err(anyhow::Error::new(what).context(again));
    }
    let file_digest = asked.file_digest.clone().unwrap_or_default();
    let repo = asked.repo.clone();
    client
        .trust_repository(&TrustRepository { repo, file_digest })
        .await?;
    Ok(())
}

/// Shows what `repo` asks for and asks a person, in a run.
pub(crate) async fn ask_in_run(client: &Client, repo: &str) -> anyhow::Result<()> {
    let asked = client.get_trust(repo).await?;
    for line in lines(&asked) {
        eprintln!("{line}");
    }
    allow(client, &asked).await
}

/// Whether a person can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && live::is_watched()
}

/// Whether a typed answer is a yes.
pub(crate) fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(asks: &[&str], is_trusted: bool) -> RepositoryTrustView {
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
        let lines = lines(&asked(&["let sandboxes read `/srv/\u{1b}[2Jx`"], false));
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
