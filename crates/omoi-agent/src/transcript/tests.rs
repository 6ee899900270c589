#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails where it stands"
)]
use proptest::prelude::*;
use serde_json::Value;

use omoi_protocol::worker::TurnRecord;

use super::*;
use crate::test_context::task_context;

/// An attempt whose model reads files and whose turns are recorded, as the worker's loop does it.
struct Replay {
    context: AttemptContext,
    transcript: Transcript,
    records: Vec<TurnRecord>,
    requests: Vec<DigestedRequest>,
    n_summaries: usize,
}

impl Replay {
    fn new(context: AttemptContext) -> Self {
        Self {
            transcript: Transcript::new(&context).unwrap(),
            context,
            records: Vec::new(),
            requests: Vec::new(),
            n_summaries: 0,
        }
    }

    /// Takes one turn that reads `text`; false when the window is too small for anything.
    fn take_turn(&mut self, text: &str) -> bool {
        loop {
            match self.transcript.next_step(&self.context).unwrap() {
                NextStep::Ask(asked) => {
                    let id = format!("t{}", self.records.len());
                    let call = ContentBlock::tool_use(&id, "read", json!({ "path": id }));
                    let reply = AgentReply::new(vec![ContentBlock::text("Look."), call]);
                    let mut results = vec![ContentBlock::tool_result(&id, text, false)];
                    self.transcript.cap_results(&mut results);
                    self.keep(asked, TurnKind::Answer, &reply, &results);
                    self.transcript.push_turn(reply, results, None);
                    return true;
                }
                NextStep::SumUp(question) => {
                    let words = vec![ContentBlock::text("## Goal\nThe task.")];
                    self.sum_up(question, words);
                }
                NextStep::SumUpAlone => {
                    let request = MessagesRequest::new("agent", 1, Vec::new());
                    let digest = String::new();
                    self.sum_up(DigestedRequest { request, digest }, Vec::new());
                    self.requests.pop();
                }
                NextStep::OverWindow => return false,
            }
        }
    }

    fn sum_up(&mut self, asked: DigestedRequest, words: Vec<ContentBlock>) {
        let compacted = CompactedTurns::new(words, &self.transcript.work_record());
        let CompactedTurns { summary, record } = compacted.clone();
        self.keep(asked, TurnKind::Compaction, &summary, &record);
        self.transcript.push_summary(compacted);
        self.n_summaries += 1;
    }

    fn keep(
        &mut self,
        asked: DigestedRequest,
        kind: TurnKind,
        reply: &AgentReply,
        results: &[ContentBlock],
    ) {
        self.records.push(TurnRecord {
            n: u32::try_from(self.records.len()).unwrap(),
            kind,
            request_digest: asked.digest.clone(),
            request_tokens: None,
            response: serde_json::to_value(&reply.0).unwrap(),
            tool_results: serde_json::to_value(results).unwrap(),
            session: None,
        });
        self.requests.push(asked);
    }
}

/// The messages of a request as they are cached: without the marks.
fn unmarked(request: &MessagesRequest) -> Vec<Value> {
    let mut messages = serde_json::to_value(&request.messages).unwrap();
    for message in messages.as_array_mut().unwrap() {
        for block in message["content"].as_array_mut().unwrap() {
            block.as_object_mut().unwrap().remove("cache_control");
        }
    }
    messages.as_array().unwrap().clone()
}

fn mark_places(request: &MessagesRequest) -> Vec<usize> {
    let messages = serde_json::to_value(&request.messages).unwrap();
    let is_marked = |message: &Value| {
        let blocks = message["content"].as_array().unwrap();
        let marked: Vec<bool> = blocks
            .iter()
            .map(|b| b.get("cache_control").is_some())
            .collect();
        // Behind a whole message, or before the question for a summary.
        marked.contains(&true)
    };
    let messages = messages.as_array().unwrap();
    let places = (0..messages.len()).filter(|at| is_marked(&messages[*at]));
    places.collect()
}

#[test]
fn a_request_begins_with_the_one_before_and_is_marked_where_it_may_be_cut() {
    let mut replay = Replay::new(task_context(Some(200_000), 8_000));
    for n in 0..10 {
        assert!(replay.take_turn(&format!("{n} short")));
    }
    for pair in replay.requests.windows(2) {
        let (before, after) = (&pair[0].request, &pair[1].request);
        assert_eq!(
            (&before.system, &before.tools),
            (&after.system, &after.tools)
        );
        let (before, after) = (unmarked(before), unmarked(after));
        assert_eq!(after[..before.len()], before[..], "the beginning stays");
        assert_eq!(after.len(), before.len() + 2);
    }
    let places: Vec<_> = replay
        .requests
        .iter()
        .map(|r| mark_places(&r.request))
        .collect();
    assert_eq!(
        places[..4],
        [vec![0], vec![0, 2], vec![0, 2, 4], vec![0, 4, 6]]
    );
    let system = serde_json::to_value(&replay.requests[0].request.system).unwrap();
    assert_eq!(system[0]["cache_control"], json!({"type": "ephemeral"}));
}

#[test]
fn results_become_stubs_at_60_percent_and_turns_a_summary_at_80() {
    let mut replay = Replay::new(task_context(Some(100_000), 8_000));
    let text = "word ".repeat(4_000);
    let mut filled = Vec::new();
    while replay.n_summaries < 2 {
        filled.push(replay.transcript.token_count());
        assert!(replay.take_turn(&text));
    }
    let most = filled.iter().max().copied().unwrap();
    assert!((60_000..87_400).contains(&most), "{filled:?}");
    let stubs: Vec<bool> = replay
        .requests
        .iter()
        .map(|asked| {
            serde_json::to_string(&asked.request.messages)
                .unwrap()
                .contains("is left out here")
        })
        .collect();
    let first = stubs.iter().position(|is| *is).unwrap();
    assert!(
        filled[first - 1] > 50_000,
        "not before it is needed: {filled:?}"
    );
    let question = replay
        .records
        .iter()
        .position(|t| t.kind == TurnKind::Compaction)
        .unwrap();
    let asked = unmarked(&replay.requests[question].request);
    let last = asked.last().unwrap()["content"].as_array().unwrap();
    assert_eq!(last.last().unwrap()["text"], COMPACTION_QUESTION);
    // Behind it: brief, summary, record, and the last turns word for word.
    let before = unmarked(&replay.requests[question - 1].request);
    let after = unmarked(&replay.requests[question + 1].request);
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1]["content"][0]["text"], "## Goal\nThe task.");
    let record = after[2]["content"][0]["text"].as_str().unwrap();
    assert!(record.contains("## Files looked at\n- `t"), "{record}");
    assert!(after.len() > 3, "the last turn stays");
    let last_turn = &replay.records[question - 1];
    assert_eq!(after[after.len() - 2]["content"], last_turn.response);
    assert_eq!(after[after.len() - 1]["content"], last_turn.tool_results);
}

#[test]
fn a_resumed_attempt_sends_the_same_bytes_at_every_turn() {
    let mut replay = Replay::new(task_context(Some(16_000), 2_000));
    let mut digests = Vec::new();
    while replay.n_summaries < 3 {
        let n = replay.records.len();
        assert!(replay.take_turn(&format!("{n} {}", "word ".repeat(600))));
    }
    for n in 0..replay.records.len() {
        let mut context = replay.context.clone();
        context.resume = replay.records[..n].to_vec();
        let resumed = Transcript::new(&context).unwrap();
        let digest = match resumed.next_step(&context).unwrap() {
            NextStep::Ask(asked) | NextStep::SumUp(asked) => asked.digest,
            NextStep::SumUpAlone => String::new(),
            NextStep::OverWindow => panic!("turn {n} was taken before"),
        };
        digests.push(digest);
    }
    let asked: Vec<_> = replay
        .records
        .iter()
        .map(|t| t.request_digest.clone())
        .collect();
    assert_eq!(digests, asked);
    let mut last = replay.context.clone();
    last.resume = replay.records.clone();
    let n = TurnCount::of_context(&last).unwrap().next_turn as usize;
    assert_eq!(n, replay.records.len());
    let question = replay
        .records
        .iter()
        .position(|t| t.kind == TurnKind::Compaction)
        .unwrap();
    last.resume.truncate(question + 1);
    assert!(
        final_reply(&last).unwrap().is_none(),
        "a summary ends nothing"
    );
}

#[test]
fn a_refusal_is_learnt_from_and_recalled() {
    let mut replay = Replay::new(task_context(None, 1_000));
    for _ in 0..6 {
        assert!(replay.take_turn(&"word ".repeat(1_500)));
    }
    let before = replay.transcript.token_count();
    replay.transcript.learn_refusal(before);
    let compacted = CompactedTurns::without_summary(&replay.transcript.work_record());
    let (reply, results) = (compacted.summary.clone(), compacted.record.clone());
    let request = MessagesRequest::new("agent", 1, Vec::new());
    let digest = String::new();
    replay.keep(
        DigestedRequest { request, digest },
        TurnKind::Compaction,
        &reply,
        &results,
    );
    replay.records.last_mut().unwrap().request_tokens = Some(before);
    replay.transcript.push_summary(compacted);
    let after = replay.transcript.token_count();
    assert!(after < before / 2, "{before} {after}");
    let mut context = replay.context.clone();
    context.resume = replay.records.clone();
    let resumed = Transcript::new(&context).unwrap();
    assert_eq!(resumed.window(), replay.transcript.window());
    assert_eq!(resumed.token_count(), after);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever is read, in whatever window: no request is over it, and at most four marks are set.
    #[test]
    fn no_request_is_over_the_window(
        window in 8_000_u64..200_000,
        answer in 500_u32..64_000,
        sizes in prop::collection::vec((0_usize..40_000, 0_usize..3), 1..24),
    ) {
        let mut replay = Replay::new(task_context(Some(window), answer));
        for (size, shape) in sizes {
            let pattern = ["word and word ", "a1f9e0c4b7", "漢字"][shape];
            let text: String = pattern.chars().cycle().take(size).collect();
            prop_assert!(replay.take_turn(&text), "a turn always fits");
        }
        for asked in &replay.requests {
            let request = &asked.request;
            let tokens: u64 = request.messages.iter().map(|m| match &m.content {
                MessageContent::Blocks(blocks) => estimate_blocks(blocks),
                MessageContent::Text(text) => estimate_text(text),
            }).sum();
            prop_assert!(tokens + u64::from(request.max_tokens) <= window, "{tokens} + {}", request.max_tokens);
            prop_assert!(mark_places(request).len() <= 3);
            let roles: Vec<_> = request.messages.iter().map(|m| m.role).collect();
            prop_assert!(roles.chunks(2).all(|pair| pair[0] == MessageRole::User), "roles alternate");
        }
    }
}
