//! When a phase is tried again, and what the next attempt knows.

use std::time::Duration;

use serde_json::json;

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason, TurnKind};
use omoi_domain::block::SpecBlock;
use omoi_domain::phase::Phase;
use omoi_domain::retry::ErrorClass;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::intake;
use omoi_planning::commands::resume_spec;
use omoi_protocol::api::ResumeSpec;
use omoi_protocol::worker::{CommitTurn, TurnRecord};
use omoi_runtime::clock::Clock as _;
use omoi_runtime::reconcile::Next;
use omoi_store::attempts::Attempt;
use omoi_testkit::deployment::{ended_report, failed_report};

use crate::desk::Desk;

const EXPLORE: Phase = Phase::Explore;

impl Desk {
    /// The agent of the running attempt hands a summary in and stops.
    async fn stops_early(&mut self, summary: &str) -> String {
        let (attempt, told) = self.agent(EXPLORE).await;
        let place = ("codebase_summary", "");
        self.submit(&attempt, place, json!(summary)).await.unwrap();
        self.end(
            &attempt,
            ended_report(AttemptOutcome::Succeeded, AttemptStopReason::Done),
        )
        .await;
        told.prompt
    }

    /// The provider goes away during the running attempt.
    async fn outage(&mut self) {
        let (attempt, _) = self.agent(EXPLORE).await;
        self.end(&attempt, failed_report(ErrorClass::Upstream5xx, "503"))
            .await;
        self.tick().await;
    }

    /// Lets the pause of a phase pass, and not a moment less.
    async fn after_pause(&mut self, pause: Duration) {
        let begun = self.attempts(EXPLORE).await.len();
        let due = self.run(EXPLORE).await.not_before;
        assert_eq!(due, self.it.clock.now() + pause);
        self.it
            .clock
            .advance(pause.saturating_sub(Duration::from_millis(1)));
        assert_eq!(self.tick().await, Next::At(due));
        assert_eq!(self.attempts(EXPLORE).await.len(), begun);
        self.it.clock.advance(Duration::from_millis(1));
        self.tick().await;
        assert_eq!(self.attempts(EXPLORE).await.len(), begun + 1);
    }

    /// The model answered once, and that is durable.
    pub(crate) async fn answered(&self, attempt: &Attempt, n: u32) {
        let turn = TurnRecord {
            n,
            kind: TurnKind::Answer,
            request_digest: n.to_string(),
            request_tokens: None,
            response: json!([]),
            tool_results: json!([]),
            session: None,
        };
        let snapshot = None;
        let body = CommitTurn {
            turn,
            snapshot,
            messages: Vec::new(),
        };
        intake::commit_turn(&self.it.build_part(), attempt, body)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_phase_has_three_attempts_that_build_on_each_other() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    let first = desk.stops_early("The first look at the code.").await;
    assert!(!first.contains("Why the last attempt was refused"));
    desk.tick().await;
    desk.after_pause(Duration::from_secs(2)).await;

    // The provider is away for a moment: that is nobody's attempt.
    desk.outage().await;
    assert_eq!(desk.run(EXPLORE).await.attempts, 1);
    desk.after_pause(Duration::from_secs(5)).await;
    assert_eq!(desk.run(EXPLORE).await.attempts, 2);

    let second = desk.stops_early("The second look at the code.").await;
    desk.tick().await;
    desk.after_pause(Duration::from_secs(4)).await;
    let third = desk.stops_early("The third look at the code.").await;
    for (prompt, item) in [(second, "first"), (third, "second")] {
        assert!(
            prompt.contains(&format!("The {item} look at the code.")),
            "{prompt}"
        );
        assert!(
            prompt.contains("Why the last attempt was refused"),
            "{prompt}"
        );
        assert!(
            prompt.contains("`project_type` needs 1 item(s), 0 came"),
            "{prompt}"
        );
        // What was replaced is not shown any more.
        assert_eq!(prompt.matches("look at the code.").count(), 1, "{prompt}");
    }

    assert_eq!(desk.tick().await, Next::Idle);
    let run = desk.run(EXPLORE).await;
    assert_eq!((run.state, run.attempts), (PhaseState::Failed, 3));
    assert_eq!(desk.spec_now().await.status, SpecStatus::Failed);
    desk.it.clock.advance(Duration::from_hours(1));
    desk.tick().await;
    assert_eq!(desk.attempts(EXPLORE).await.len(), 4);
}

#[tokio::test]
async fn more_attempts_may_be_allowed() {
    let mut desk = Desk::with(false, |parts| parts.limits.phase.attempts_max = 5).await;
    desk.tick().await;
    for pause in [2, 4, 8, 16] {
        desk.stops_early("A look at the code.").await;
        desk.tick().await;
        desk.after_pause(Duration::from_secs(pause)).await;
    }
    desk.stops_early("The last look at the code.").await;
    desk.tick().await;
    assert_eq!(desk.run(EXPLORE).await.state, PhaseState::Failed);
}

#[tokio::test]
async fn an_attempt_that_ran_out_of_time_leaves_its_items() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    let (attempt, told) = desk.agent(EXPLORE).await;
    assert_eq!(told.limits.wall_s, 900);
    let output = desk.plan.phase_output(EXPLORE).clone();
    let items = omoi_plan::items::split_output(EXPLORE, &output);
    for item in &items[..7] {
        let place = (item.section.as_str(), item.key.as_str());
        let value = item.value.clone();
        desk.submit(&attempt, place, value).await.unwrap();
    }
    desk.it.clock.advance(Duration::from_mins(15));
    desk.end(
        &attempt,
        failed_report(ErrorClass::Timeout, "no end after 900 s"),
    )
    .await;
    desk.tick().await;
    desk.after_pause(Duration::from_secs(2)).await;
    let (second, told) = desk.agent(EXPLORE).await;
    let shown = told.prompt.split("Items accepted so far").nth(1).unwrap();
    assert_eq!(shown.matches("\"section\"").count(), 7, "{shown}");
    // The rest is all that is missing.
    for item in &items[7..] {
        let place = (item.section.as_str(), item.key.as_str());
        let value = item.value.clone();
        desk.submit(&second, place, value).await.unwrap();
    }
    let done = omoi_planning::items::done(&desk.it.deployment.store, &second).await;
    assert_eq!(done.unwrap().items as usize, items.len());
}

#[tokio::test]
async fn only_waiting_counts_against_a_provider() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    desk.outage().await;
    for n in 0..3 {
        // It is back and answers for a long time, then blips again.
        desk.it.advance_clock(60);
        desk.tick().await;
        let (attempt, _) = desk.agent(EXPLORE).await;
        desk.it.clock.advance(Duration::from_mins(14));
        desk.answered(&attempt, n).await;
        desk.end(&attempt, failed_report(ErrorClass::Upstream5xx, "reset"))
            .await;
        desk.tick().await;
        assert_eq!(desk.run(EXPLORE).await.state, PhaseState::Backoff, "{n}");
    }
    // Now it is gone for longer than anybody waits: a person decides.
    for _ in 0..2 {
        desk.it.clock.advance(Duration::from_secs(8 * 60));
        desk.tick().await;
        desk.outage().await;
    }
    let spec = desk.spec_now().await;
    assert_eq!(spec.status, SpecStatus::Blocked);
    let reason = "provider_unavailable (upstream_5xx): 503";
    assert_eq!(spec.last_error.as_deref(), Some(reason));
    let run = desk.run(EXPLORE).await;
    assert_eq!((run.state, run.attempts), (PhaseState::Pending, 0));

    // Whoever resumes has all the time again.
    let asked = ResumeSpec::default();
    resume_spec(
        &desk.it.build_part(),
        &desk.it.deployment.store,
        spec.id,
        asked,
    )
    .await
    .unwrap();
    desk.tick().await;
    desk.outage().await;
    assert_eq!(desk.spec_now().await.status, SpecStatus::Executing);
    assert_eq!(desk.run(EXPLORE).await.state, PhaseState::Backoff);
}

#[tokio::test]
async fn what_waiting_does_not_mend_stops_the_plan_at_once() {
    for (class, says) in [
        (
            ErrorClass::AuthFailed,
            "the provider refused the platform's key with status 401: no such key",
        ),
        (
            ErrorClass::UpstreamRefused,
            "the model answered with status 404 (not_found_error): no such model",
        ),
    ] {
        let mut desk = Desk::new().await;
        desk.tick().await;
        let (attempt, _) = desk.agent(EXPLORE).await;
        desk.end(&attempt, failed_report(class, says)).await;
        desk.tick().await;
        let spec = desk.spec_now().await;
        assert_eq!(spec.status, SpecStatus::Blocked, "{class}");
        let reason = spec.last_error.unwrap();
        assert_eq!(reason, format!("provider_unavailable ({class}): {says}"));
        assert_eq!(desk.attempts(EXPLORE).await.len(), 1, "{class}");
    }
}

#[tokio::test]
async fn a_spent_budget_blocks_the_plan_until_it_is_raised_and_takes_no_attempt() {
    let mut desk = Desk::new().await;
    desk.tick().await;
    let (attempt, _) = desk.agent(EXPLORE).await;
    desk.answered(&attempt, 0).await;
    let says = "the phase has spent 10.0000 USD of its 10.00 USD";
    let refused = failed_report(ErrorClass::QuotaExceeded, says);
    desk.end(&attempt, refused).await;
    desk.tick().await;
    let spec = desk.spec_now().await;
    assert_eq!(spec.status, SpecStatus::Blocked);
    assert_eq!(spec.blocked_by, Some(SpecBlock::Budget));
    let reason = format!("budget_exceeded: {says}");
    assert_eq!(spec.last_error, Some(reason));
    let run = desk.run(EXPLORE).await;
    assert_eq!((run.state, run.attempts), (PhaseState::Pending, 0));

    // Whoever raised it goes on from the last turn.
    let asked = ResumeSpec::default();
    let store = &desk.it.deployment.store;
    resume_spec(&desk.it.build_part(), store, spec.id, asked)
        .await
        .unwrap();
    desk.tick().await;
    assert_eq!(desk.run(EXPLORE).await.attempts, 1);
    let (_, told) = desk.agent(EXPLORE).await;
    assert_eq!(told.resume.len(), 1);
}
