//! Follows a run to its end: live on a terminal, a line per event otherwise, JSON for scripts.

mod show;

use std::io::{self, IsTerminal as _, Write as _};
use std::pin::Pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::signal::unix::{SignalKind, signal};

use omoi_domain::block::SpecBlock;
use omoi_domain::event::{Event, StoredEvent};
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::TaskStatus;
use omoi_protocol::control::{ResumeSpec, SpecView, TaskView};
use omoi_protocol::summary::{RunOutcome, RunSummary};
use omoi_runtime::clock::{Clock as _, SystemClock};
use omoi_runtime::lifecycle::LifecycleHandle;

use self::show::Show;
use super::Context;
use super::access::Access;
use super::trust::is_yes;
use crate::client::{Client, ClientError};
use crate::view::ending::{Ending, Stopped, red_suite_lines};
use crate::view::state::RunView;
use crate::view::text::{clean, shell, usd};
use crate::view::{ending, live};

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(250);
/// Time between two looks at whether work stands still.
const LOOK: Duration = Duration::from_secs(2);
/// Stopped tasks of an ending.
const STOPPED_MAX: usize = 5;

/// Blocked, or waiting for a person.
pub(crate) const WAITING: u8 = 3;

/// What to follow.
pub(crate) struct Subject {
    /// The spec.
    pub(crate) spec: SpecView,
    /// What happened already.
    pub(crate) view: RunView,
    /// The last event in it.
    pub(crate) after: i64,
    /// How long work may stand still on a full disk before the run is given up.
    pub(crate) disk_wait: Duration,
}

/// How following ended.
enum End {
    /// The run stopped by itself.
    Over,
    /// The plan waits for a person.
    Waiting,
    /// A signal came.
    Interrupted,
    /// The owner of the data went away.
    Lost,
    /// A disk stays full.
    Stalled(String),
}

/// What to do about work that stands still for want of space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stall {
    /// It does not.
    None,
    /// Say so, and that it is tried again.
    Tell,
    /// It was said; it is tried again.
    Wait,
    /// Give the run up.
    GiveUp,
}

impl Stall {
    fn of(stalled: Option<Duration>, is_told: bool, disk_wait: Duration) -> Self {
        match stalled {
            None => Self::None,
            Some(stalled) if stalled >= disk_wait => Self::GiveUp,
            Some(_) if is_told => Self::Wait,
            Some(_) => Self::Tell,
        }
    }
}

/// Follows `subject` to its end, then stops what this process started.
pub(crate) async fn follow(
    context: &Context,
    access: Access,
    subject: Subject,
) -> anyhow::Result<ExitCode> {
    let mut stops = Stops {
        signals: signals()?,
        own: access.handle(),
    };
    let again = context.again();
    let spec = shell(&subject.spec.name);
    // Nothing more will be told of a spec whose end has been told.
    let is_over = subject.spec.status == SpecStatus::Delivered
        && subject.view.status == Some(SpecStatus::Delivered);
    let mut run = Run {
        context,
        client: access.client.clone(),
        show: Show::new(context, subject.view),
        id: subject.spec.id.to_string(),
        resume: format!("omoi spec resume {spec}{again}"),
        deliver: format!("omoi spec deliver {spec}{again}"),
        is_over,
        is_stall_told: false,
        disk_wait: subject.disk_wait,
    };
    let resume = run.resume.clone();
    let events = run
        .client
        .events(subject.after, Some(&run.id), false)
        .await?;
    let end = run.drive(events.boxed(), &mut stops).await?;
    if !matches!(end, End::Over | End::Lost) {
        // Before the socket closes.
        run.tell_summary().await?;
    }
    let code = match end {
        End::Over => run.tell_end().await?,
        End::Waiting => {
            eprintln!("The plan waits for you: omoi spec approve {spec}{again}");
            WAITING
        }
        End::Interrupted if access.is_own() => {
            eprintln!("Saving what agents hold. Ctrl-C again stops now; both lose nothing.");
            WAITING
        }
        End::Interrupted => {
            eprintln!("The run goes on in process {}.", access.status.pid);
            eprintln!("Follow it: {resume}\nStop it:   omoi spec cancel {spec}{again}");
            WAITING
        }
        End::Stalled(ref reason) => {
            eprintln!("Given up: {reason}.\nFree some space, then resume: {resume}");
            WAITING
        }
        End::Lost => {
            eprintln!("The process that did the work has stopped. Resume: {resume}");
            WAITING
        }
    };
    let was_own = access.is_own();
    access.close(stops.signals).await?;
    if was_own && matches!(end, End::Interrupted) {
        eprintln!("Stopped. Resume: {resume}");
    }
    Ok(ExitCode::from(code))
}

/// What ends the following before the run is over.
struct Stops {
    signals: Signals,
    /// This process's own life, where it does the work.
    own: Option<LifecycleHandle>,
}

impl Stops {
    /// Waits for the next of them. Cancel-safe: a stream keeps its place, a token its state.
    async fn next(&mut self) -> End {
        let stopping = async {
            match &self.own {
                Some(own) => own.soft_token().cancelled_owned().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(_) = self.signals.next() => End::Interrupted,
            () = stopping => End::Lost,
        }
    }
}

/// A run being followed.
struct Run<'a> {
    context: &'a Context,
    client: Client,
    show: Show,
    id: String,
    resume: String,
    deliver: String,
    is_over: bool,
    is_stall_told: bool,
    disk_wait: Duration,
}

/// What happens next.
#[expect(clippy::large_enum_variant, reason = "one at a time, never stored")]
enum News {
    Event(Option<Result<StoredEvent, ClientError>>),
    Frame,
    Look,
    Stop(End),
}

impl Run<'_> {
    async fn drive(
        &mut self,
        mut events: BoxStream<'static, Result<StoredEvent, ClientError>>,
        stops: &mut Stops,
    ) -> anyhow::Result<End> {
        if self.is_over {
            return Ok(End::Over);
        }
        let mut frame = SystemClock.sleep(FRAME);
        let mut look = SystemClock.sleep(LOOK);
        loop {
            // Cancel-safe: streams keep their place, and the timers run on.
            let news = tokio::select! {
                biased;
                end = stops.next() => News::Stop(end),
                () = &mut frame, if self.show.is_live() => News::Frame,
                () = &mut look => News::Look,
                event = events.next() => News::Event(event),
            };
            match news {
                News::Stop(end) => {
                    self.show.settle()?;
                    return Ok(end);
                }
                News::Event(None | Some(Err(ClientError::Unreachable(_)))) => {
                    self.show.settle()?;
                    return Ok(End::Lost);
                }
                News::Event(Some(Err(error))) => return Err(error.into()),
                News::Look => {
                    if let Some(reason) = self.stays_full().await? {
                        return Ok(End::Stalled(reason));
                    }
                    look = SystemClock.sleep(LOOK);
                }
                News::Frame => {
                    self.show.frame()?;
                    frame = SystemClock.sleep(FRAME);
                }
                News::Event(Some(Ok(event))) => {
                    if let Some(end) = self.take_in(event, stops).await? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Which disk has been full for too long; tells of it at once.
    async fn stays_full(&mut self) -> anyhow::Result<Option<String>> {
        // Who does not answer is found by the events that end.
        let status = self.client.status().await.ok();
        let (stalled, reason) = match status.and_then(|status| status.stall) {
            Some(stall) => (Some(Duration::from_millis(stall.ms)), clean(&stall.reason)),
            None => (None, String::new()),
        };
        let stall = Stall::of(stalled, self.is_stall_told, self.disk_wait);
        self.is_stall_told = matches!(stall, Stall::Tell | Stall::Wait);
        match stall {
            Stall::None | Stall::Wait => Ok(None),
            Stall::Tell => {
                self.show.settle()?;
                eprintln!("Work waits: {reason}. Free some space.");
                Ok(None)
            }
            Stall::GiveUp => {
                self.show.settle()?;
                Ok(Some(reason))
            }
        }
    }

    async fn take_in(
        &mut self,
        event: StoredEvent,
        stops: &mut Stops,
    ) -> anyhow::Result<Option<End>> {
        let mut waits = false;
        if matches!(event.event, Event::SpecExecutionCompleted(_)) {
            let detail = self.client.get_spec_detail(&self.id).await?;
            self.show.view.estimate = detail.estimate;
            // One that may go on by itself was released in the same transaction.
            waits = detail.spec.status == SpecStatus::Completed;
        }
        self.show.event(&event)?;
        let over = match &event.event {
            Event::SpecExecutionCompleted(_) if waits => {
                return self.released(stops).await;
            }
            Event::SpecBlocked(_) if self.accepted_red(stops).await? => return Ok(None),
            Event::SpecDelivered(_)
            | Event::SpecBlocked(_)
            | Event::SpecWorkFailed(_)
            | Event::SpecExecutionFailed(_)
            | Event::SpecCancelled(_) => true,
            _ => false,
        };
        if over {
            self.show.settle()?;
        }
        Ok(over.then_some(End::Over))
    }

    /// Asks a person at the terminal whether the run may begin although the suite fails on the base
    /// commit; true when it goes on.
    async fn accepted_red(&mut self, stops: &mut Stops) -> anyhow::Result<bool> {
        if self.context.json() || !(io::stdin().is_terminal() && live::is_watched()) {
            return Ok(false);
        }
        let summary = self.client.get_spec_summary(&self.id).await?;
        let suite = summary
            .suite
            .filter(|suite| suite.acceptable && !suite.accept_red);
        let Some(suite) = suite.filter(|suite| suite.base_passed == Some(false)) else {
            return Ok(false);
        };
        self.show.settle()?;
        for line in red_suite_lines(&suite) {
            eprintln!("{line}");
        }
        eprint!("\n  Begin all the same, and count new failures only? [y/N] ");
        io::stderr().flush()?;
        let answer = tokio::select! {
            biased;
            _ = stops.next() => {
                eprintln!();
                return Ok(false);
            }
            answer = typed() => answer?,
        };
        if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
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
    async fn released(&mut self, stops: &mut Stops) -> anyhow::Result<Option<End>> {
        self.show.settle()?;
        if self.context.json() {
            return Ok(Some(End::Waiting));
        }
        let detail = self.client.get_spec_detail(&self.id).await?;
        let page = self.context.stderr_page();
        for line in super::spec::plan_lines(&detail, page) {
            eprintln!("{line}");
        }
        if let Some(estimate) = &detail.estimate {
            eprintln!(
                "\n  about {:.1} hours of a person's work; the run stops at {}",
                estimate.hours,
                usd(estimate.cost_cap_nanousd)
            );
        }
        if !(io::stdin().is_terminal() && live::is_watched()) {
            return Ok(Some(End::Waiting));
        }
        eprint!("\n  Build this? [y/N] ");
        io::stderr().flush()?;
        let answer = tokio::select! {
            biased;
            end = stops.next() => {
                eprintln!();
                return Ok(Some(match end {
                    // Nobody works yet: leaving the question is an answer to it.
                    End::Interrupted => End::Waiting,
                    end => end,
                }));
            }
            answer = typed() => answer?,
        };
        if !is_yes(&answer) {
            return Ok(Some(End::Waiting));
        }
        self.client.approve_spec(&self.id).await?;
        eprintln!();
        Ok(None)
    }

    /// The end of the run, for people or scripts, and the exit code.
    async fn tell_end(&mut self) -> anyhow::Result<u8> {
        let summary = self.client.get_spec_summary(&self.id).await?;
        if self.context.json() {
            self.context.print_json(&summary)?;
        } else {
            let (stopped, next) = self.stopped(&summary).await?;
            let home = self.context.home();
            let told = Ending {
                summary: &summary,
                stopped: &stopped,
                home: home.as_deref(),
                again: &self.context.again(),
                next: &next,
            };
            eprintln!();
            for line in ending::render(&told, self.context.stderr_page()) {
                eprintln!("{line}");
            }
        }
        Ok(match summary.outcome {
            RunOutcome::Succeeded => 0,
            RunOutcome::Failed => 1,
            RunOutcome::Blocked => WAITING,
        })
    }

    async fn tell_summary(&self) -> anyhow::Result<()> {
        if self.context.json() {
            self.context
                .print_json(&self.client.get_spec_summary(&self.id).await?)?;
        }
        Ok(())
    }

    /// The tasks that stopped the run, with their snapshots, and what can be done next.
    async fn stopped(&self, summary: &RunSummary) -> anyhow::Result<(Vec<Stopped>, Vec<String>)> {
        let mut stopped = Vec::new();
        if summary.outcome == RunOutcome::Succeeded {
            return Ok((stopped, Vec::new()));
        }
        let tasks = self.client.list_tasks(Some(&self.id)).await?;
        let status = self.client.get_spec_to_act(&self.id).await?.status;
        let resume = match is_weak(summary) {
            true => format!("Accept: {} --accept-weak", self.resume),
            false => format!("Resume: {}", self.resume),
        };
        let next = next_steps(status, &tasks, resume, &self.deliver);
        // What is blocked is so because something failed or was called off, unless nothing was.
        let of = |status| {
            let mut tasks = tasks.iter();
            tasks.any(|task| task.needed && task.status == status)
        };
        let at_fault = [TaskStatus::Failed, TaskStatus::Cancelled];
        let at_fault = at_fault.into_iter().find(|status| of(*status));
        let at_fault = at_fault.unwrap_or(TaskStatus::Blocked);
        if status == SpecStatus::Cancelled {
            return Ok((stopped, next));
        }
        let at_fault = tasks
            .into_iter()
            .filter(|task| task.needed && task.status == at_fault);
        for task in at_fault.take(STOPPED_MAX) {
            let detail = self.client.get_task_detail(&task.id.to_string()).await?;
            let wip_ref = detail.wip_ref;
            stopped.push(Stopped { task, wip_ref });
        }
        Ok((stopped, next))
    }
}

/// Whether all that stops the run is that criteria are proven without the work for them.
fn is_weak(summary: &RunSummary) -> bool {
    summary.blocked_by == Some(SpecBlock::WeakProof)
}

/// What can be done with a spec that stopped in `status`; only what would not be refused.
fn next_steps(
    status: SpecStatus,
    tasks: &[TaskView],
    resume: String,
    deliver: &str,
) -> Vec<String> {
    if status == SpecStatus::Cancelled {
        return Vec::new();
    }
    let needed = |status| move |task: &&TaskView| task.needed && task.status == status;
    let waits_for_cancelled = tasks
        .iter()
        .any(|task| needed(TaskStatus::Cancelled)(&task))
        && !tasks.iter().any(|task| needed(TaskStatus::Failed)(&task));
    let has_landed = tasks
        .iter()
        .any(|task| task.integration_state.satisfies_dependents());
    let mut next = Vec::new();
    if !waits_for_cancelled {
        next.push(resume);
    }
    if has_landed && matches!(status, SpecStatus::Failed | SpecStatus::Blocked) {
        next.push(format!("Hand over what stands: {deliver}"));
    }
    next
}

/// The next line typed at this process; its reader stays behind when nobody waits for it.
pub(crate) async fn typed() -> io::Result<String> {
    let asked = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    asked.await?
}

/// Everything that happened to a spec so far, as a picture, with its last event.
pub(crate) async fn so_far(client: &Client, spec: &SpecView) -> anyhow::Result<(RunView, i64)> {
    let id = spec.id.to_string();
    let mut view = RunView::default();
    let mut last = 0;
    let mut events = Box::pin(client.events(0, Some(&id), true).await?);
    while let Some(event) = events.next().await {
        let event = event?;
        view.apply(&event);
        last = event.seq;
    }
    if spec.status != SpecStatus::Executing {
        view.estimate = client.get_spec_detail(&id).await?.estimate;
    }
    Ok((view, last))
}

/// Lines for people above a run.
pub(crate) fn tell(context: &Context, lines: &[String]) {
    if context.json() {
        return;
    }
    for line in lines {
        eprintln!("{line}");
    }
}

/// One line for people about something that was done.
pub(crate) fn tell_done(text: &str) {
    eprintln!("{}", clean(text));
}

type Signals = Pin<Box<dyn Stream<Item = &'static str> + Send>>;

/// Signals that ask this process to stop; from now on they do not end it by themselves.
fn signals() -> io::Result<Signals> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(Box::pin(stream::poll_fn(move |cx| {
        if terminate.poll_recv(cx).is_ready() {
            Poll::Ready(Some("SIGTERM"))
        } else if interrupt.poll_recv(cx).is_ready() {
            Poll::Ready(Some("SIGINT"))
        } else {
            Poll::Pending
        }
    })))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Stall;

    #[test]
    fn a_full_disk_is_told_once_and_ends_the_run_when_it_lasts() {
        let disk_wait = Duration::from_secs(30);
        let just_before = Duration::from_millis(29_999);
        for (stalled, is_told, expected) in [
            (None, false, Stall::None),
            (None, true, Stall::None),
            (Some(Duration::ZERO), false, Stall::Tell),
            (Some(just_before), true, Stall::Wait),
            (Some(disk_wait), true, Stall::GiveUp),
            (Some(disk_wait), false, Stall::GiveUp),
        ] {
            let found = Stall::of(stalled, is_told, disk_wait);
            assert_eq!(found, expected, "{stalled:?}");
        }
    }
}
