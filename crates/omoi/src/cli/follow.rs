//! Follows a run to its end: live on a terminal, a line per event otherwise, JSON for scripts.

mod disk_stall;
mod ending;
mod questions;
mod run_display;
mod sole_question;
mod stop_sources;
use std::process::ExitCode;
use std::time::Duration;

use self::disk_stall::StallStep;
use futures::stream::{BoxStream, StreamExt as _};
use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::event::{Event, StoredEvent};
use omoi_domain::spec::SpecStatus;
use omoi_protocol::api::{ApprovalView, SpecView};
use omoi_protocol::shell_word::shell_word;
use omoi_runtime::clock::{Clock as _, SystemClock};
use omoi_runtime::lifecycle::stop_signals;

use self::run_display::RunDisplay;
use self::stop_sources::StopSources;
use super::CommandContext;
use super::owner_access::OwnerAccess;
use crate::api_client::{ApiClient, ClientError};
use crate::view::run_view::RunView;
use crate::view::text_layout::clean_line;

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(250);
/// Time between two looks at whether work stands still.
const LOOK: Duration = Duration::from_secs(2);

/// Blocked, or waiting for a person.
pub(crate) const WAITING: u8 = 3;

/// The run to follow, and how far it is known.
pub(crate) struct FollowedRun {
    pub(crate) spec: SpecView,
    /// The state after the events up to `after`.
    pub(crate) view: RunView,
    /// The last event in it.
    pub(crate) after: i64,
    /// How long work may stand still on a full disk before the run is given up.
    pub(crate) disk_wait: Duration,
}

/// Why the command stops following the run.
enum FollowEnd {
    /// The run stopped by itself.
    Over,
    /// The plan waits for a person.
    Waiting,
    /// What a phase made waits for a person, or what an agent asks, without which nothing goes on.
    Asked(Box<ApprovalView>),
    /// SIGINT or SIGTERM asked this process to stop.
    Interrupted,
    /// The owner of the data went away.
    Lost,
    /// A disk stays full.
    Stalled(String),
}

/// Follows `followed` to its end, then stops what this process started.
pub(crate) async fn follow_run(
    context: &CommandContext,
    access: OwnerAccess,
    followed: FollowedRun,
) -> anyhow::Result<ExitCode> {
    let mut stops = StopSources {
        signals: stop_signals()?,
        own: access.lifecycle_handle(),
    };
    let again = context.data_flags();
    let spec = shell_word(&followed.spec.name);
    // Nothing more will be told of a spec whose end has been told.
    let is_over = followed.spec.status == SpecStatus::Delivered
        && followed.view.status == Some(SpecStatus::Delivered);
    let mut run = RunFollower {
        context,
        client: access.client.clone(),
        show: RunDisplay::new(context, followed.view),
        id: followed.spec.id.to_string(),
        resume: format!("omoi spec resume {spec}{again}"),
        deliver: format!("omoi spec deliver {spec}{again}"),
        is_over,
        is_stall_told: false,
        n_idle_looks: 0,
        disk_wait: followed.disk_wait,
    };
    let resume = run.resume.clone();
    let events = run.client.follow_events(&run.id, followed.after).await?;
    // Somebody may have been asked before this look.
    let end = match run.find_asked(|_| true).await? {
        Some(asked) => FollowEnd::Asked(asked),
        None => run.follow_events(events.boxed(), &mut stops).await?,
    };
    if !matches!(end, FollowEnd::Over | FollowEnd::Lost) {
        // Before the socket closes.
        run.print_json_summary().await?;
    }
    let code = match end {
        FollowEnd::Over => run.print_end().await?,
        FollowEnd::Waiting => {
            eprintln!("The plan waits for you: omoi spec approve {spec}{again}");
            WAITING
        }
        FollowEnd::Asked(ref asked) => {
            print_asked(asked, &again);
            eprintln!("Then resume: {resume}");
            WAITING
        }
        FollowEnd::Interrupted if access.is_own() => {
            eprintln!("Saving what agents hold. Ctrl-C again stops now; both lose nothing.");
            WAITING
        }
        FollowEnd::Interrupted => {
            eprintln!("The run goes on in {}.", access.place_text());
            eprintln!("Follow it: {resume}\nStop it:   omoi spec cancel {spec}{again}");
            WAITING
        }
        FollowEnd::Stalled(ref reason) => {
            eprintln!("Given up: {reason}.\nFree some space, then resume: {resume}");
            WAITING
        }
        FollowEnd::Lost => {
            eprintln!("The process that did the work has stopped. Resume: {resume}");
            WAITING
        }
    };
    let was_own = access.is_own();
    access.close(stops.signals).await?;
    if was_own && matches!(end, FollowEnd::Interrupted) {
        eprintln!("Stopped. Resume: {resume}");
    }
    Ok(ExitCode::from(code))
}

/// Says what a person is asked, and how to decide it.
fn print_asked(asked: &ApprovalView, again: &str) {
    let id = asked.id;
    match (asked.kind, &asked.question) {
        (ApprovalKind::Question, Some(question)) => {
            eprintln!("An agent asks: {}", clean_line(question));
            eprintln!("Answer it: omoi approvals answer {id} TEXT{again}");
        }
        (kind, _) => eprintln!("Waiting for you ({kind}): omoi approvals approve {id}{again}"),
    }
}

/// A run being followed.
struct RunFollower<'a> {
    context: &'a CommandContext,
    client: ApiClient,
    show: RunDisplay,
    id: String,
    resume: String,
    deliver: String,
    is_over: bool,
    is_stall_told: bool,
    /// Looks in a row in which nobody worked and an agent waited for an answer.
    n_idle_looks: u32,
    disk_wait: Duration,
}

/// The next thing that the loop reacts to.
#[expect(clippy::large_enum_variant, reason = "one at a time, never stored")]
enum FollowEvent {
    Event(Option<Result<StoredEvent, ClientError>>),
    Frame,
    Look,
    Stop(FollowEnd),
}

impl RunFollower<'_> {
    async fn follow_events(
        &mut self,
        mut events: BoxStream<'static, Result<StoredEvent, ClientError>>,
        stops: &mut StopSources,
    ) -> anyhow::Result<FollowEnd> {
        if self.is_over {
            return Ok(FollowEnd::Over);
        }
        let mut frame = SystemClock.sleep(FRAME);
        let mut look = SystemClock.sleep(LOOK);
        loop {
            // Cancel-safe: streams keep their place, and the timers run on.
            let news = tokio::select! {
                biased;
                end = stops.wait_stop() => FollowEvent::Stop(end),
                () = &mut frame, if self.show.is_live() => FollowEvent::Frame,
                () = &mut look => FollowEvent::Look,
                event = events.next() => FollowEvent::Event(event),
            };
            match news {
                FollowEvent::Stop(end) => {
                    self.show.leave_picture()?;
                    return Ok(end);
                }
                FollowEvent::Event(None | Some(Err(ClientError::Unreachable(_)))) => {
                    self.show.leave_picture()?;
                    return Ok(FollowEnd::Lost);
                }
                FollowEvent::Event(Some(Err(error))) => return Err(error.into()),
                FollowEvent::Look => {
                    if let Some(reason) = self.stays_full().await? {
                        return Ok(FollowEnd::Stalled(reason));
                    }
                    if let Some(asked) = self.find_sole_question().await {
                        return Ok(FollowEnd::Asked(asked));
                    }
                    look = SystemClock.sleep(LOOK);
                }
                FollowEvent::Frame => {
                    self.show.draw_frame()?;
                    frame = SystemClock.sleep(FRAME);
                }
                FollowEvent::Event(Some(Ok(event))) => {
                    if let Some(end) = self.apply_event(event, stops).await? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Which disk has been full for too long; tells of it at once.
    async fn stays_full(&mut self) -> anyhow::Result<Option<String>> {
        // Who does not answer is found by the events that end.
        let status = self.client.get_status().await.ok();
        let (stalled, reason) = match status.and_then(|status| status.stall) {
            Some(stall) => (
                Some(Duration::from_millis(stall.ms)),
                clean_line(&stall.reason),
            ),
            None => (None, String::new()),
        };
        let stall = StallStep::next_step(stalled, self.is_stall_told, self.disk_wait);
        self.is_stall_told = matches!(stall, StallStep::Tell | StallStep::Wait);
        match stall {
            StallStep::None | StallStep::Wait => Ok(None),
            StallStep::Tell => {
                self.show.leave_picture()?;
                eprintln!("Work waits: {reason}. Free some space.");
                Ok(None)
            }
            StallStep::GiveUp => {
                self.show.leave_picture()?;
                Ok(Some(reason))
            }
        }
    }

    /// A question about this spec that nobody has answered.
    async fn find_asked(
        &self,
        is_meant: impl Fn(&ApprovalView) -> bool,
    ) -> Result<Option<Box<ApprovalView>>, ClientError> {
        let pending = self.client.list_approvals(ApprovalState::Pending).await?;
        // An agent that asks does not end the run, and what planning left open holds nothing up.
        let is_own = |asked: &ApprovalView| {
            asked.kind != ApprovalKind::Question && asked.subject.id.to_string() == self.id
        };
        let found = pending
            .into_iter()
            .find(|asked| is_own(asked) && is_meant(asked));
        Ok(found.map(Box::new))
    }

    async fn apply_event(
        &mut self,
        event: StoredEvent,
        stops: &mut StopSources,
    ) -> anyhow::Result<Option<FollowEnd>> {
        let mut waits = false;
        if matches!(event.event, Event::SpecExecutionCompleted(_)) {
            let detail = self.client.get_spec_detail(&self.id).await?;
            self.show.view.estimate = detail.estimate;
            // One that may go on by itself was released in the same transaction.
            waits = detail.spec.status == SpecStatus::Completed;
        }
        self.show.show_event(&event)?;
        let over = match &event.event {
            Event::SpecExecutionCompleted(_) if waits => {
                return self.ask_release(stops).await;
            }
            Event::ApprovalRequested(asked) => {
                let id = asked.approval_id;
                let asked = self.find_asked(|pending| pending.id == id).await?;
                if asked.is_some() {
                    self.show.leave_picture()?;
                }
                return Ok(asked.map(FollowEnd::Asked));
            }
            Event::SpecBlocked(_) if self.ask_accept_red(stops).await? => return Ok(None),
            Event::SpecDelivered(_)
            | Event::SpecBlocked(_)
            | Event::SpecWorkFailed(_)
            | Event::SpecExecutionFailed(_)
            | Event::SpecCancelled(_) => true,
            _ => false,
        };
        if over {
            self.show.leave_picture()?;
        }
        Ok(over.then_some(FollowEnd::Over))
    }
}

/// Everything that happened to a spec so far, as a picture, with its last event.
pub(crate) async fn replay_run(
    client: &ApiClient,
    spec: &SpecView,
) -> anyhow::Result<(RunView, i64)> {
    let id = spec.id.to_string();
    let mut view = RunView::default();
    let mut last = 0;
    for event in client.list_events(&id, 0).await? {
        view.apply(&event);
        last = event.seq;
    }
    if spec.status != SpecStatus::Executing {
        view.estimate = client.get_spec_detail(&id).await?.estimate;
    }
    Ok((view, last))
}
