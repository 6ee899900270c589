//! What a run cost, while it runs and at its end.

use omoi_domain::principal::PurposeKind;
use omoi_protocol::summary::PurposeCost;

use super::*;

/// What agents cost, what else, and what nobody knows.
#[test]
fn the_cost_of_a_run_says_what_it_was_for() {
    let mut summary = summary("succeeded");
    summary.cost_nanousd = Some(NanoUsd::from_dollars(7));
    let cost = |dollars, estimated| PurposeCost {
        cost_nanousd: NanoUsd::from_dollars(dollars),
        estimated_nanousd: NanoUsd::from_dollars(estimated),
        ..PurposeCost::default()
    };
    for (judge, agents, expected) in [
        (
            cost(0, 0),
            cost(7, 0),
            "$7.00
",
        ),
        (
            cost(2, 1),
            cost(5, 3),
            "~$7.00 ($2.00 for the second opinion, $4.00 estimated)
",
        ),
    ] {
        summary.cost_by_purpose =
            [(PurposeKind::Judge, judge), (PurposeKind::Attempt, agents)].into();
        let told = SummaryFacts {
            summary: &summary,
            stopped: &[],
            home: None,
            again: "",
            next: &[],
        };
        let shown = shown(&summary::render_summary(&told, OutputPage::new(200, false)));
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_call_that_nobody_recorded_is_told() {
    for (unrecorded, notes) in [(false, 0), (true, 1)] {
        let mut log = Log::default();
        log.push(
            1,
            "cost.recorded",
            json!({ "purpose": "judge", "attempt_id": null,
            "role": "judge", "model": "m", "tokens": 9, "cost_nanousd": 1_500_000_000_i64,
            "latency_ms": 0, "estimated": unrecorded, "unrecorded": unrecorded }),
        );
        let view = view(&log);
        assert_eq!(view.notes.len(), notes);
        assert!(
            view.notes
                .iter()
                .all(|note| note.text.ends_with("the $1.50 it may have cost"))
        );
        assert_eq!(view.cost_nanousd.as_nanos(), 1_500_000_000);
    }
}
