//! How a run is shown while it is followed: as objects, as lines, or redrawn in place.

use std::io::{self, Write as _};

use omoi_domain::event::StoredEvent;

use crate::cli::Context;
use crate::root;
use crate::view::live::{self, Screen};
use crate::view::state::RunView;
use crate::view::{block, plain};

/// Notes of a frame.
const NOTES_MAX: usize = 6;

/// The picture of a run, and how it is shown.
pub(super) struct Show {
    pub(super) view: RunView,
    way: Way,
}

enum Way {
    Json,
    Plain,
    Live(Screen),
}

impl Show {
    pub(super) fn new(context: &Context, view: RunView) -> Self {
        let way = match (context.json(), live::is_watched()) {
            (true, _) => Way::Json,
            (false, true) => Way::Live(Screen::new(context.colour_on_stderr())),
            (false, false) => Way::Plain,
        };
        Self { view, way }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.way, Way::Live(_))
    }

    pub(super) fn event(&mut self, event: &StoredEvent) -> io::Result<()> {
        self.view.apply(event);
        match self.way {
            Way::Json => {
                let mut line = serde_json::to_vec(event)?;
                line.push(b'\n');
                let mut out = io::stdout().lock();
                out.write_all(&line)?;
                out.flush()
            }
            Way::Plain => {
                if let Some(line) = plain::line(&self.view, event) {
                    writeln!(io::stderr().lock(), "{line}")?;
                }
                Ok(())
            }
            // The next frame shows it.
            Way::Live(_) => Ok(()),
        }
    }

    pub(super) fn frame(&mut self) -> io::Result<()> {
        let Way::Live(screen) = &mut self.way else {
            return Ok(());
        };
        let now = root::now();
        let mut lines = block::render(&self.view, now, screen.page(), NOTES_MAX);
        lines.truncate(screen.rows());
        screen.draw(lines)
    }

    /// Leaves the whole picture on the terminal.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let Way::Live(screen) = &mut self.way else {
            return Ok(());
        };
        let lines = block::render(&self.view, root::now(), screen.page(), usize::MAX);
        screen.leave(&lines)
    }
}
