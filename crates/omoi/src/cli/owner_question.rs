//! What commands have in common that ask whoever owns the data, or the server that was chosen, and print the answer.

use serde::Serialize;

use super::command_context::{CommandContext, ConfigOverrides};
use super::owner_access::{AccessPurpose, OwnerAccess, reach_owner};
use super::terminal::print_done;

/// What `ask` finds out from the owner; it is left again whatever that is.
///
/// # Errors
/// Those of `ask`, and where nobody can be asked.
pub(super) async fn ask_owner<T>(
    context: &CommandContext,
    ask: impl AsyncFnOnce(&OwnerAccess) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::Ask).await?;
    let found = ask(&access).await;
    access.close(futures::stream::pending()).await?;
    found
}

/// Prints `rows` for scripts, or one in a line that fits the page; `none` says what to do where there is none.
///
/// # Errors
/// When standard output takes nothing.
pub(super) fn print_rows<T: Serialize>(
    context: &CommandContext,
    rows: &[T],
    none: &str,
    row_line: impl Fn(&T, usize) -> String,
) -> anyhow::Result<()> {
    if context.is_json() {
        return Ok(context.print_json(&rows)?);
    }
    if rows.is_empty() {
        print_done(none);
    }
    let width = context.stdout_page().width;
    let lines = rows.iter().map(|row| row_line(row, width));
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

/// What is wrong with a word that is none of `known`.
pub(super) fn unknown_word(known: impl Iterator<Item = &'static str>) -> String {
    format!("it is one of {}", known.collect::<Vec<_>>().join(", "))
}
