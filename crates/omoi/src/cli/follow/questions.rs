//! What a person at the terminal is asked while a run is followed.

use std::io::{self, IsTerminal as _, Write as _};

use omoi_protocol::api::ResumeSpec;

use super::stop_sources::StopSources;
use super::{FollowEnd, RunFollower};
use crate::cli::spec::plan_lines;
use crate::cli::terminal::read_typed_line;
use crate::cli::trust::is_yes;
use crate::view::live_screen;
use crate::view::summary::red_suite_lines;
use crate::view::text_layout::format_usd;

impl RunFollower<'_> {
    /// Asks a person at the terminal whether the run may begin although the suite fails on the base
    /// commit; true when it goes on.
    pub(super) async fn ask_accept_red(&mut self, stops: &mut StopSources) -> anyhow::Result<bool> {
        if self.context.is_json() || !(io::stdin().is_terminal() && live_screen::is_watched()) {
            return Ok(false);
        }
        let summary = self.client.get_spec_summary(&self.id).await?;
        let suite = summary
            .suite
            .filter(|suite| suite.acceptable && !suite.accept_red);
        let Some(suite) = suite.filter(|suite| suite.base_passed == Some(false)) else {
            return Ok(false);
        };
        self.show.leave_picture()?;
        for line in red_suite_lines(&suite) {
            eprintln!("{line}");
        }
        eprint!("\n  Begin all the same, and count new failures only? [y/N] ");
        io::stderr().flush()?;
        let answer = tokio::select! {
            biased;
            _ = stops.wait_stop() => {
                eprintln!();
                return Ok(false);
            }
            answer = read_typed_line() => answer?,
        };
        if !is_yes(&answer) {
            return Ok(false);
        }
        let asked = ResumeSpec {
            accept_red: true,
            ..ResumeSpec::default()
        };
        self.client.resume_spec(&self.id, asked).await?;
        eprintln!();
        Ok(true)
    }

    /// Shows the plan and has a person release it; none when the run goes on.
    pub(super) async fn ask_release(
        &mut self,
        stops: &mut StopSources,
    ) -> anyhow::Result<Option<FollowEnd>> {
        self.show.leave_picture()?;
        if self.context.is_json() {
            return Ok(Some(FollowEnd::Waiting));
        }
        let detail = self.client.get_spec_detail(&self.id).await?;
        let page = self.context.stderr_page();
        for line in plan_lines(&detail, page) {
            eprintln!("{line}");
        }
        if let Some(estimate) = &detail.estimate {
            let cap = estimate.cost_cap_usd.told_amount();
            let stop = cap.map(|cap| format!("; the run stops at {}", format_usd(cap.to_nanos())));
            eprintln!(
                "\n  about {:.1} hours of a person's work{}",
                estimate.hours,
                stop.unwrap_or_default()
            );
        }
        if !(io::stdin().is_terminal() && live_screen::is_watched()) {
            return Ok(Some(FollowEnd::Waiting));
        }
        eprint!("\n  Build this? [y/N] ");
        io::stderr().flush()?;
        let answer = tokio::select! {
            biased;
            end = stops.wait_stop() => {
                eprintln!();
                return Ok(Some(match end {
                    // Nobody works yet: leaving the question is an answer to it.
                    FollowEnd::Interrupted => FollowEnd::Waiting,
                    end => end,
                }));
            }
            answer = read_typed_line() => answer?,
        };
        if !is_yes(&answer) {
            return Ok(Some(FollowEnd::Waiting));
        }
        self.client.approve_spec(&self.id).await?;
        eprintln!();
        Ok(None)
    }
}
