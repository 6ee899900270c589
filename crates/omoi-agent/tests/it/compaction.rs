//! A conversation that outgrows its model's window, through the whole worker.

use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptStopReason, TurnKind};
use omoi_domain::message::MessageType;
use omoi_protocol::worker::TurnRecord;

use crate::bench::Bench;

/// A turn with words that no stub takes the place of.
fn reads() -> String {
    let words = "word and word ".repeat(140);
    format!("reply: [{{text: \"{words}\"}}, {{tool: {{name: read, input: {{path: long.txt}}}}}}]")
}

async fn bench(rules: &str) -> Bench {
    let mut bench = Bench::new(rules).await;
    std::fs::write(
        bench.work().join("long.txt"),
        "word word word word\n".repeat(20),
    )
    .unwrap();
    bench.context.limits.window_tokens = Some(10_000);
    bench.context.limits.turns_max = 30;
    bench.context.max_tokens = 1_000;
    bench
}

fn records(bench: &Bench) -> Vec<TurnRecord> {
    bench.seen().turns.iter().map(|t| t.turn.clone()).collect()
}

fn first_summary(turns: &[TurnRecord]) -> usize {
    let found = turns.iter().position(|t| t.kind == TurnKind::Compaction);
    found.expect("the conversation was summed up")
}

#[tokio::test]
async fn a_long_conversation_is_summed_up_in_a_turn_and_resumed_through_it() {
    // A model that goes on working when it is asked for a summary: the record stands alone.
    let reads = reads();
    let deaf = bench(&format!("\n  - when: {{turn: 0..}}\n    {reads}\n")).await;
    deaf.post_message(MessageType::UserMessage, "Use port 4317.");
    assert!(deaf.run().await);
    let turns = records(&deaf);
    assert_eq!(turns.len(), 30, "summaries are turns");
    assert_eq!(
        deaf.complete().stop_reason,
        AttemptStopReason::MaxTurnsReached
    );
    let k = first_summary(&turns);
    assert_eq!(
        turns[k].response.as_array().map(Vec::len),
        Some(1),
        "its call is dropped"
    );
    let record = turns[k].tool_results[0]["text"].as_str().unwrap();
    for kept in [
        "Message from user (user_message):\nUse port 4317.",
        "- `long.txt`",
    ] {
        assert!(record.contains(kept), "{kept}: {record}");
    }
    let event = deaf
        .seen()
        .events
        .into_iter()
        .find(|e| e.event_type == AgentEventKind::ContextCompacted);
    let event = event.expect("people are told");
    assert!(
        event
            .summary
            .unwrap()
            .starts_with("summed up its conversation of about ")
    );

    // One that answers with words.
    let summary = "## Goal\\nRead it.";
    let rules = format!(
        "\n  - when: {{turn: {k}}}\n    reply: [{{text: \"{summary}\"}}]\n  - when: {{turn: 0..}}\n    {reads}\n"
    );
    let first = bench(&rules).await;
    first.post_message(MessageType::UserMessage, "Use port 4317.");
    assert!(first.run().await);
    let turns = records(&first);
    assert_eq!(first_summary(&turns), k);
    assert_eq!(
        turns[k].response,
        json!([{"type": "text", "text": "## Goal\nRead it."}])
    );
    assert!(turns[k].request_tokens.is_some());

    // As after a loss right before the summary, right behind it, and two turns later.
    for lost_at in [k, k + 1, k + 3] {
        let mut second = bench(&rules).await;
        second.context.resume = turns[..lost_at].to_vec();
        assert!(second.run().await);
        let again = records(&second);
        let digests = |turns: &[TurnRecord]| -> Vec<String> {
            turns.iter().map(|t| t.request_digest.clone()).collect()
        };
        assert_eq!(
            digests(&again),
            digests(&turns[lost_at..]),
            "lost at {lost_at}"
        );
    }
}

#[tokio::test]
async fn a_model_that_reads_less_than_was_thought_is_met_with_a_record() {
    let reads = reads();
    let bench = bench(&format!("\n  - when: {{turn: 0..}}\n    {reads}\n")).await;
    bench.set(|seen| seen.over_window_after = Some(6));
    assert!(bench.run().await);
    let turns = records(&bench);
    let k = first_summary(&turns);
    assert_eq!(k, 6, "the sixth answer was the last that fitted");
    assert!(turns[k].request_digest.is_empty() && turns[k].request_tokens.is_some());
    assert!(turns.len() > k + 1, "it goes on");
    let texts: Value = turns[k].response.clone();
    assert!(
        texts[0]["text"].as_str().unwrap().contains("no summary"),
        "{texts}"
    );
}

#[tokio::test]
async fn a_brief_that_no_window_holds_fails_by_name() {
    let mut bench = bench("\n  - when: {turn: 0..}\n    reply: [{text: TASK_COMPLETE}]\n").await;
    bench.context.prompt = "word ".repeat(20_000);
    assert!(bench.run().await);
    let complete = bench.complete();
    let says = complete.error_message.unwrap();
    assert!(
        says.contains("takes 8872 at most; choose a model with a larger window"),
        "{says}"
    );
    assert_eq!(complete.turns, 0);
    assert_eq!(bench.seen().asked, 0, "the model is not asked");
}
