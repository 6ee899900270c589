//! Words to and from the person at the terminal: standard error and standard input.

use std::io;

use super::CommandContext;
use crate::view::text_layout::clean_line;

/// The next line typed at this process; its reader stays behind when nobody waits for it.
pub(crate) async fn read_typed_line() -> io::Result<String> {
    let asked = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    asked.await?
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
