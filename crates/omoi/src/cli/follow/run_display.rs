//! How a run is shown while it is followed: as objects, as lines, or redrawn in place.

use std::io::{self, Write as _};

use omoi_domain::event::StoredEvent;

use crate::cli::CommandContext;
use crate::composition;
use crate::view::live_screen::{self, LiveScreen};
use crate::view::run_view::RunView;
use crate::view::{log_line, progress};

/// Notes of a frame.
const NOTES_MAX: usize = 6;

/// The picture of a run, and how it is shown.
pub(super) struct RunDisplay {
    pub(super) view: RunView,
    way: DisplayMode,
}

enum DisplayMode {
    Json,
    Plain,
    Live(LiveScreen),
}

impl RunDisplay {
    pub(super) fn new(context: &CommandContext, view: RunView) -> Self {
        let way = match (context.is_json(), live_screen::is_watched()) {
            (true, _) => DisplayMode::Json,
            (false, true) => DisplayMode::Live(LiveScreen::new(context.colour_on_stderr())),
            (false, false) => DisplayMode::Plain,
        };
        Self { view, way }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.way, DisplayMode::Live(_))
    }

    pub(super) fn show_event(&mut self, event: &StoredEvent) -> io::Result<()> {
        self.view.apply(event);
        match self.way {
            DisplayMode::Json => {
                let mut line = serde_json::to_vec(event)?;
                line.push(b'\n');
                let mut out = io::stdout().lock();
                out.write_all(&line)?;
                out.flush()
            }
            DisplayMode::Plain => {
                if let Some(line) = log_line::event_line(&self.view, event) {
                    writeln!(io::stderr().lock(), "{line}")?;
                }
                Ok(())
            }
            // The next frame shows it.
            DisplayMode::Live(_) => Ok(()),
        }
    }

    pub(super) fn draw_frame(&mut self) -> io::Result<()> {
        let DisplayMode::Live(screen) = &mut self.way else {
            return Ok(());
        };
        let now = composition::current_time();
        let mut lines =
            progress::render_progress(&self.view, now, screen.current_page(), NOTES_MAX);
        lines.truncate(screen.usable_rows());
        screen.draw_lines(lines)
    }

    /// Leaves the whole picture on the terminal.
    pub(super) fn leave_picture(&mut self) -> io::Result<()> {
        let DisplayMode::Live(screen) = &mut self.way else {
            return Ok(());
        };
        let lines = progress::render_progress(
            &self.view,
            composition::current_time(),
            screen.current_page(),
            usize::MAX,
        );
        screen.leave_lines(&lines)
    }
}
