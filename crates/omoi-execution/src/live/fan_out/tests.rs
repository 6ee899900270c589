#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
use std::str::FromStr;
use std::time::Duration;

use futures::FutureExt as _;
use omoi_domain::actor::Actor;
use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::event::{AgentActivity, StoredEvent};
use omoi_domain::live::activity_merge::HELD_ITEMS_MAX;
use omoi_domain::live::event_filter::{FilterLists, SubscribeMode};
use serde_json::Value;

use super::*;

const START: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

fn id<T: FromStr<Err: std::fmt::Debug>>(n: i64) -> T {
    format!("00000000-0000-7000-8000-{n:012x}").parse().unwrap()
}

/// The event `seq`: the agent `agent` did something that takes `n_bytes` to say.
fn activity(seq: i64, agent: i64, n_bytes: usize) -> LoggedEvent {
    LoggedEvent {
        org_id: OrgId::LOCAL,
        project_id: None,
        ticket_id: None,
        stored: StoredEvent {
            seq,
            event_id: id(seq),
            spec_id: None,
            actor: Actor::System,
            occurred_at: START,
            event: Event::AgentActivity(AgentActivity {
                attempt_id: id(agent),
                subject: AttemptSubject::BaseSuite,
                kind: AgentEventKind::ToolUse,
                summary: "x".repeat(n_bytes),
                lines_added: 0,
                lines_removed: 0,
            }),
        },
    }
}

/// Activity of one agent.
fn run_of(seqs: impl IntoIterator<Item = i64>, n_bytes: usize) -> Vec<LoggedEvent> {
    let run = seqs.into_iter().map(|seq| activity(seq, 1, n_bytes));
    run.collect()
}

/// A fan-out that has taken in nothing, and one who knows the log up to `known_seq`.
fn followed(known_seq: i64) -> (FanOut, Arc<Receiver>) {
    let fan_out = FanOut::new(OrgId::LOCAL, 0);
    let filter = LiveFilter::default();
    let receiver = Arc::new(Receiver::new(ReaderAccess::FULL, filter));
    assert!(fan_out.admit_receiver(&receiver, known_seq, START));
    (fan_out, receiver)
}

/// What waits for `receiver`.
fn waiting_frames(receiver: &Receiver) -> Vec<Arc<LiveFrame>> {
    let next = || match receiver.next_item().now_or_never()? {
        ReceivedItem::Queued(QueuedItem::Frame(frame)) => Some(frame),
        ReceivedItem::Queued(QueuedItem::Gap(gap)) => panic!("{gap:?}"),
        ReceivedItem::Over => None,
    };
    std::iter::from_fn(next).collect()
}

/// The events that a frame tells of, of one or of several.
fn told_seqs(frame: &LiveFrame) -> Vec<i64> {
    let read: Value = serde_json::from_str(&frame.text).unwrap();
    assert_eq!(read.get("truncated"), None, "{read}");
    let first = read["seq"].as_i64().unwrap();
    let Some(items) = read["payload"]["items"].as_array() else {
        assert_eq!(
            read["event_id"],
            id::<omoi_domain::id::EventId>(first).to_string()
        );
        return vec![first];
    };
    let seqs: Vec<i64> = items
        .iter()
        .map(|item| item["seq"].as_i64().unwrap())
        .collect();
    // It has the number of the first and, as the first may be known already, the id of the last.
    assert_eq!(
        (first, read["last_seq"].as_i64()),
        (seqs[0], seqs.last().copied())
    );
    assert_eq!(read["event_id"], items.last().unwrap()["event_id"]);
    seqs
}

fn all_told(frames: &[Arc<LiveFrame>]) -> Vec<i64> {
    frames.iter().flat_map(|frame| told_seqs(frame)).collect()
}

#[test]
fn a_large_report_is_split_and_nothing_of_it_left_out() {
    let (fan_out, receiver) = followed(0);
    fan_out.take_in(run_of(1..=41, 800), START);
    fan_out.release_due(START + Duration::from_millis(100));
    let frames = waiting_frames(&receiver);
    assert_eq!(all_told(&frames), (1..=41).collect::<Vec<_>>());
    assert_eq!(frames.len(), 4, "one at once, then three");
    for frame in &frames {
        let read: Value = serde_json::from_str(&frame.text).unwrap();
        assert!(read["payload"].to_string().len() <= 16 << 10);
    }
    // One that has no room by itself says so, under its own number.
    let later = START + Duration::from_secs(1);
    fan_out.take_in(run_of([42, 43], 20_000), later);
    fan_out.take_in(run_of([44], 800), later);
    fan_out.release_due(later + Duration::from_millis(100));
    let frames = waiting_frames(&receiver);
    let seqs: Vec<_> = frames.iter().map(|frame| frame.seqs.first).collect();
    assert_eq!(seqs, [42, 43, 44]);
    for frame in &frames[..2] {
        let read: Value = serde_json::from_str(&frame.text).unwrap();
        assert_eq!(read["truncated"], true);
        assert_eq!(read["seq"], frame.seqs.first);
    }
}

#[test]
fn of_a_merged_frame_everybody_gets_what_it_does_not_know() {
    let (fan_out, receiver) = followed(0);
    // This one has read the log further than the reader.
    let ahead = Arc::new(Receiver::new(ReaderAccess::FULL, LiveFilter::default()));
    assert!(fan_out.admit_receiver(&ahead, 5, START));
    fan_out.take_in(run_of(1..=8, 10), START);
    fan_out.release_due(START + Duration::from_millis(100));
    assert_eq!(
        all_told(&waiting_frames(&receiver)),
        (1..=8).collect::<Vec<_>>()
    );
    assert_eq!(all_told(&waiting_frames(&ahead)), [6, 7, 8]);
}

#[test]
fn the_known_number_of_a_frame_covers_what_was_told_and_no_more() {
    let (fan_out, receiver) = followed(0);
    let ahead = Arc::new(Receiver::new(ReaderAccess::FULL, LiveFilter::default()));
    assert!(fan_out.admit_receiver(&ahead, 4, START));
    let events = [(1, 1), (2, 1), (3, 2), (4, 3), (5, 1)];
    let events = events.map(|(seq, agent)| activity(seq, agent, 10));
    fan_out.take_in(events.to_vec(), START);
    assert_eq!(fan_out.settled_seq(&ahead), None, "something is held");
    fan_out.release_due(START + Duration::from_millis(100));
    let known = |receiver: &Receiver| {
        let frames = waiting_frames(receiver);
        let known = frames
            .iter()
            .map(|frame| (told_seqs(frame), frame.known_seq));
        known.collect::<Vec<_>>()
    };
    assert_eq!(fan_out.settled_seq(&receiver), None, "something waits");
    assert_eq!(
        known(&receiver),
        [(vec![1], 1), (vec![2, 5], 2), (vec![3], 3), (vec![4], 5)]
    );
    assert_eq!(known(&ahead), [(vec![5], 4)]);
    for settled in [&receiver, &ahead] {
        assert_eq!(fan_out.settled_seq(settled), Some(5));
    }
}

#[test]
fn held_activity_goes_while_news_keeps_coming() {
    let (fan_out, receiver) = followed(0);
    let mut now = START;
    // A batch each 20 ms for a second, and never a read without news.
    for seq in 1..=50 {
        fan_out.take_in(run_of([seq], 10), now);
        now = now + Duration::from_millis(20);
    }
    let frames = waiting_frames(&receiver);
    assert!((9..=11).contains(&frames.len()), "{}", frames.len());
    // A backlog that is read in no time.
    let n_held = i64::try_from(HELD_ITEMS_MAX).unwrap();
    fan_out.take_in(run_of(51..=50 + 10 * n_held, 10), now);
    let frames = waiting_frames(&receiver);
    let told: i64 = all_told(&frames).len().try_into().unwrap();
    assert!(told > 9 * n_held, "{told}");
}

#[test]
fn a_clock_set_back_holds_nothing_up() {
    let (fan_out, receiver) = followed(0);
    fan_out.take_in(run_of([1, 2], 10), START);
    assert_eq!(all_told(&waiting_frames(&receiver)), [1]);
    let earlier = Timestamp::from_micros(START.as_micros() - 3_600_000_000);
    fan_out.release_due(earlier);
    assert_eq!(all_told(&waiting_frames(&receiver)), [2]);
    fan_out.take_in(run_of([3], 10), earlier);
    fan_out.release_due(earlier + Duration::from_millis(100));
    assert_eq!(all_told(&waiting_frames(&receiver)), [3]);
}

#[test]
fn what_waits_is_not_told_once_it_is_not_asked_for() {
    let (fan_out, receiver) = followed(0);
    fan_out.take_in(run_of(1..=8, 10), START);
    fan_out.release_due(START + Duration::from_millis(100));
    let lists = FilterLists {
        event_types: Some(vec!["spec.*".to_owned()]),
        ..FilterLists::default()
    };
    let asked = LiveFilter::default().with_subscribed(&lists, SubscribeMode::Replace);
    receiver.change_filter(asked.unwrap());
    assert!(waiting_frames(&receiver).is_empty());
}
