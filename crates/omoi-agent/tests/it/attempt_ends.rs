//! How an attempt of the native loop ends, and what that is called.

use omoi_domain::attempt::{AttemptOutcome, AttemptStopReason};
use omoi_domain::retry::ErrorClass;

use crate::bench::{Bench, Seen, git};
use crate::native_loop::WRITE_AND_FINISH;

#[tokio::test]
async fn ends_are_named() {
    let chatter = "\n  - when: {turn: 0..}\n    reply: [{text: Hm.}]\n";
    let busy =
        "\n  - when: {turn: 0..}\n    reply: [{tool: {name: shell, input: {command: echo x}}}]\n";
    let fault = |fault: &str| {
        let reply = if fault.contains("status") {
            ""
        } else {
            "    reply: [{text: TASK_COMPLETE}]\n"
        };
        format!(
            "\n  - when: {turn_0}\n    fault: {fault}\n{reply}",
            turn_0 = "{turn: 0}"
        )
    };
    let in_words = "\n  - when: {turn: 0..}\n    reply: [{tool: {name: shell, in_words: true, input: {command: echo x}}}]\n";
    let unanswered = "\n  - when: {turn: 7}\n    reply: []\n";
    // Outcome, stop reason, error class and turns.
    let incomplete = |why, n_turns| (AttemptOutcome::Incomplete, why, None, n_turns);
    let failed = |class, n_turns| (AttemptOutcome::Failed, "error", Some(class), n_turns);
    let done = (AttemptOutcome::Succeeded, "completion_signal", None, 1);
    let cases = [
        (chatter.to_owned(), incomplete("no_completion_signal", 4)),
        (in_words.to_owned(), failed("tools_in_words", 4)),
        (busy.to_owned(), incomplete("max_turns_reached", 6)),
        (fault("{cut_after_bytes: 40, times: 2}"), done),
        (
            fault("{cut_after_bytes: 40, times: always}"),
            failed("network", 0),
        ),
        (fault("{broken_json: body, times: 2}"), done),
        (
            fault("{broken_json: body, times: always}"),
            failed("agent_error", 0),
        ),
        (fault("{stream_error: overloaded_error, times: 3}"), done),
        (
            fault("{status: 529, times: always}"),
            failed("upstream_5xx", 0),
        ),
        (
            fault("{status: 429, times: always}"),
            failed("rate_limited", 0),
        ),
        (unanswered.to_owned(), failed("upstream_refused", 0)),
    ];
    for (rules, (outcome, stop_reason, class, turns)) in cases {
        let bench = Bench::new(&rules).await;
        assert!(bench.run().await);
        let complete = bench.complete();
        assert_eq!(complete.outcome, outcome, "{rules}\n{complete:?}");
        assert_eq!(complete.stop_reason.as_str(), stop_reason, "{rules}");
        assert_eq!(
            complete.error_class.map(ErrorClass::as_str),
            class,
            "{rules}\n{complete:?}"
        );
        assert_eq!(bench.seen().turns.len(), turns, "{rules}");
        assert_eq!(complete.turns as usize, turns, "{rules}");
        assert!(complete.bundle.is_none(), "nothing changed: {rules}");
    }
}

#[tokio::test]
async fn a_spent_budget_a_useless_key_a_superseded_attempt_and_an_abort() {
    let bench = Bench::new(WRITE_AND_FINISH).await;
    bench.set(|s| (s.model_status, s.model_kind) = (Some(402), Some("budget_exhausted")));
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Failed);
    assert_eq!(complete.stop_reason, AttemptStopReason::MaxCostReached);
    assert_eq!(complete.error_class, Some(ErrorClass::QuotaExceeded));
    // In the words of the ledger: they say what to do.
    assert_eq!(complete.error_message.as_deref(), Some("spent"));

    let bench = Bench::new(WRITE_AND_FINISH).await;
    bench.set(|s| s.model_status = Some(403));
    assert!(bench.run().await);
    assert_eq!(bench.complete().error_class, Some(ErrorClass::AuthFailed));

    // What the gateway says after its pings means what it would have meant in the head, at once.
    for (late, class) in [
        ("rate_limit_error", "rate_limited"),
        ("overloaded_error", "upstream_5xx"),
        ("timeout_error", "upstream_5xx"),
        ("permission_error", "auth_failed"),
        ("invalid_request_error", "upstream_refused"),
        ("model_declined", "model_declined"),
        ("budget_exhausted", "quota_exceeded"),
    ] {
        let bench = Bench::new(WRITE_AND_FINISH).await;
        bench.set(|s| s.late_error = Some(late));
        assert!(bench.run().await);
        assert_eq!(
            bench.complete().error_class.map(ErrorClass::as_str),
            Some(class)
        );
        assert_eq!(bench.seen().asked, 1, "{late}");
    }

    // The gateway, the turn and the heartbeat each may be the first to know.
    let slow = "\n  - when: {turn: 0}\n    reply: [{delay_ms: 30000}, {text: TASK_COMPLETE}]\n";
    for (rules, set) in [
        (
            WRITE_AND_FINISH,
            (|s| s.model_status = Some(401)) as fn(&mut Seen),
        ),
        (WRITE_AND_FINISH, |s| s.turns_superseded = true),
        (slow, |s| s.abort = true),
    ] {
        let bench = Bench::new(rules).await;
        bench.set(set);
        assert!(bench.run().await, "a clean exit");
        assert!(bench.seen().completes.is_empty());
    }
}

#[tokio::test]
async fn a_refusal_of_the_gateway_that_passes_is_waited_for() {
    let bench = Bench::new(WRITE_AND_FINISH).await;
    bench.set(|s| s.passing_refusals = vec![503, 200, 429, 408]);
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
    assert!(bench.seen().passing_refusals.is_empty());
}

#[tokio::test]
async fn the_wall_limit_saves_what_there_is() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{tool: {name: shell, input: {command: \"echo x > half; sleep 60\"}}}]\n";
    let mut bench = Bench::new(rules).await;
    bench.context.limits.wall_s = 2;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(complete.outcome, AttemptOutcome::Incomplete);
    assert_eq!(complete.stop_reason, AttemptStopReason::MaxDurationReached);
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    assert_eq!(
        git(&bench.mirror(), &["show", &format!("{head}:half")]),
        "x"
    );
}
