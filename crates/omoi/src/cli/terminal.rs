//! Words to and from the person at the terminal: standard error and standard input.

use std::io::{self, IsTerminal as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret as _, SecretString};

use super::CommandContext;
use super::error_report::UsageError;
use crate::view::text_layout::clean_line;

/// The next line typed at this process; its reader stays behind when nobody waits for it.
pub(crate) async fn read_typed_line() -> io::Result<String> {
    let asked = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    asked.await?
}

/// Reads a line that nobody sees, and asks for it where a person types.
pub(crate) async fn read_secret_line(question: &str) -> io::Result<SecretString> {
    let hidden = HiddenTyping::begin(question)?;
    let line = read_typed_line().await;
    drop(hidden);
    Ok(line?.trim_end_matches(['\r', '\n']).to_owned().into())
}

/// Reads a new password; a person at a terminal types it twice, since nobody sees a slip.
pub(crate) async fn read_new_password() -> anyhow::Result<SecretString> {
    let password = read_secret_line("Password: ").await?;
    if io::stdin().is_terminal() {
        let again = read_secret_line("The same again: ").await?;
        if again.expose_secret() != password.expose_secret() {
            let differ = "the two passwords differ, and nothing was changed".to_owned();
            return Err(UsageError(differ).into());
        }
    }
    Ok(password)
}

/// What is typed is not shown until this is dropped.
struct HiddenTyping(Option<Termios>);

impl HiddenTyping {
    fn begin(question: &str) -> io::Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self(None));
        }
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        // Asked before, a fast answer would be seen, or thrown away with what was typed ahead.
        eprint!("{question}");
        Ok(Self(Some(shown)))
    }
}

impl Drop for HiddenTyping {
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            // Where the terminal is gone, nobody types any more.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, shown);
            eprintln!();
        }
    }
}

/// Lines for people above a run.
pub(crate) fn print_for_people(context: &CommandContext, lines: &[String]) {
    if context.is_json() {
        return;
    }
    for line in lines {
        eprintln!("{line}");
    }
}

/// One line for people about something that was done.
pub(crate) fn print_done(text: &str) {
    eprintln!("{}", clean_line(text));
}
