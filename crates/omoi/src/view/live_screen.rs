//! A block of lines on a terminal, redrawn in place.

use std::io::{self, IsTerminal as _, Write as _};

use super::text_layout::OutputPage;

/// Rows assumed when the terminal does not say.
const ROWS: usize = 24;

/// Whether a person sees what is written to standard error.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Columns and rows of the terminal behind `stream`, if it is one.
pub(crate) fn terminal_size(stream: impl std::os::fd::AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// The block at the bottom of a terminal.
pub(crate) struct LiveScreen {
    colour: bool,
    drawn: Vec<String>,
}

impl LiveScreen {
    /// An empty block below what is there.
    pub(crate) fn new(colour: bool) -> Self {
        Self {
            colour,
            drawn: Vec::new(),
        }
    }

    /// The page to lay lines out for, as wide as the terminal is now.
    pub(crate) fn current_page(&self) -> OutputPage {
        let columns = terminal_size(io::stderr())
            .map_or(super::text_layout::WIDTH_MIN, |(columns, _)| columns);
        OutputPage::new(columns, self.colour)
    }

    /// Lines that can be redrawn: a block taller than the terminal could not be taken back.
    pub(crate) fn usable_rows(&self) -> usize {
        terminal_size(io::stderr())
            .map_or(ROWS, |(_, rows)| rows)
            .max(8)
            - 1
    }

    /// Shows `lines` in place of what was shown.
    pub(crate) fn draw_lines(&mut self, lines: Vec<String>) -> io::Result<()> {
        if lines == self.drawn {
            return Ok(());
        }
        let mut frame = self.cursor_back();
        for line in &lines {
            frame.push_str(line);
            // To the end of the line, where an older one was longer.
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J");
        self.drawn = lines;
        let mut out = io::stderr().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// Leaves `lines` above the block for good.
    pub(crate) fn leave_lines(&mut self, lines: &[String]) -> io::Result<()> {
        let mut frame = self.cursor_back();
        frame.push_str("\x1b[J");
        for line in lines {
            frame.push_str(line);
            frame.push('\n');
        }
        self.drawn.clear();
        let mut out = io::stderr().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }

    /// The way back to the block's first line.
    fn cursor_back(&self) -> String {
        match self.drawn.len() {
            0 => "\r".to_owned(),
            rows => format!("\r\x1b[{rows}A"),
        }
    }
}
