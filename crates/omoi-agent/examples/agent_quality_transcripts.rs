//! Replays 40 transcripts of the native agent and prints, as JSON lines, how much of its input is read from cache,
//! which planted facts last through summaries, and how often it is over the window.
//!
//! The transcripts are generated from a seed with the sizes that turns have in practice: no model is asked. Their
//! models count tokens differently. Asked for a summary, each writes down the decisions and constraints that it sees, if
//! it is asked for them, and nothing else: facts of all other kinds last by the record of the work alone.

#![allow(clippy::print_stdout, reason = "it prints its figures")]

use std::error::Error;

use omoi_agent::context_replay::{ContextReplay, ReplayFigures};
use omoi_domain::attempt::TurnKind;
use omoi_domain::id::AttemptId;
use omoi_protocol::worker::{AgentTool, AttemptContext, AttemptLimits, TurnRecord};
use omoi_runtime::clock::SystemClock;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::rng::Rng;
use omoi_testkit::sample_attempt::task_attempt;
use serde_json::{Value, json};

const TRANSCRIPTS: u64 = 40;
const RECORDED_FACTS: usize = 20;
const TOLD_FACTS: usize = 10;
/// Windows of models in use, small local ones among them.
const WINDOWS: [u64; 5] = [32_768, 65_536, 128_000, 200_000, 400_000];
/// Tokens that different models make of a thousand bytes: of prose, of code, of code by a fine tokenizer.
const RATES: [u64; 3] = [230, 300, 420];
const WORDS: [&str; 16] = [
    "request",
    "let",
    "error",
    "return",
    "match",
    "config",
    "value",
    "=>",
    "fn",
    "parse_header",
    "{",
    "}",
    "self",
    "0x1f",
    "// checks",
    "Result<(), Error>",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut total = ReplayFigures::default();
    let (mut recorded, mut told) = (PlantedFacts::default(), PlantedFacts::default());
    let mut resumed = 0;
    for n in 0..TRANSCRIPTS {
        let transcript = GeneratedTranscript::generate(n);
        let mut replay = ContextReplay::new(transcript.context.clone(), transcript.rate)?;
        for turn in &transcript.turns {
            replay.take_turn(turn)?;
        }
        let figures = replay.replay_figures();
        add_figures(&mut total, figures);
        if figures.n_summaries > 0 {
            let text = replay.last_request_text();
            recorded.look_for(&transcript.recorded_facts, &text, RECORDED_FACTS);
            told.look_for(&transcript.told_facts, &text, TOLD_FACTS);
        }
        let mut context = transcript.context.clone();
        context.resume = replay.stored_turns().to_vec();
        let again = ContextReplay::new(context, transcript.rate)?;
        resumed += u64::from(again.next_digest()? == replay.next_digest()?);
    }
    print_measure(
        "input read from a cache by marks",
        share(total.marked_tokens, total.read_tokens),
        0.85,
    );
    print_measure(
        "input read from a cache of beginnings",
        share(total.prefix_tokens, total.read_tokens),
        0.85,
    );
    print_measure(
        "planted facts of the record kept through summaries",
        recorded.kept as f64,
        RECORDED_FACTS as f64,
    );
    print_measure(
        "planted decisions and constraints kept through summaries",
        told.kept as f64,
        TOLD_FACTS as f64,
    );
    print_measure("requests over the window", total.n_over_window as f64, 0.0);
    print_measure(
        "resumed attempts that send the same bytes",
        resumed as f64,
        TRANSCRIPTS as f64,
    );
    print_measure(
        "summaries in these transcripts",
        total.n_summaries as f64,
        1.0,
    );
    Ok(())
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn print_measure(measure: &str, value: f64, target: f64) {
    let value = (value * 1_000.0).round() / 1_000.0;
    println!(
        "{}",
        json!({"measure": measure, "value": value, "target": target})
    );
}

fn add_figures(total: &mut ReplayFigures, figures: ReplayFigures) {
    total.n_requests += figures.n_requests;
    total.n_summaries += figures.n_summaries;
    total.n_over_window += figures.n_over_window;
    total.read_tokens += figures.read_tokens;
    total.marked_tokens += figures.marked_tokens;
    total.prefix_tokens += figures.prefix_tokens;
}

/// The first facts that were planted, and how many of them the last request still held.
#[derive(Default)]
struct PlantedFacts {
    planted: usize,
    kept: usize,
}

impl PlantedFacts {
    /// Looks for `facts` in `text`, as long as no more than `most` were planted.
    fn look_for(&mut self, facts: &[String], text: &str, most: usize) {
        let facts = &facts[..facts.len().min(most - self.planted)];
        self.planted += facts.len();
        let kept = facts.iter().filter(|fact| text.contains(fact.as_str()));
        self.kept += kept.count();
    }
}

/// One attempt: its orders, its turns, and the facts that stand in them.
struct GeneratedTranscript {
    context: AttemptContext,
    turns: Vec<TurnRecord>,
    /// Facts that the record of the work keeps.
    recorded_facts: Vec<String>,
    /// Facts of early answers and results that only a summary can keep.
    told_facts: Vec<String>,
    rate: u64,
}

impl GeneratedTranscript {
    fn generate(n: u64) -> Self {
        let rng = Rng::seeded(n);
        let window = WINDOWS[(n % 5) as usize];
        let n_turns = 25 + rng.number_below(100);
        let port = 4_000 + rng.number_below(1_000);
        let told = format!("Listen on port {port}, never on another.");
        let note = format!("the lock is held by `shard_{port}`, found by the trace");
        let changed = format!("crates/shard/src/part_{port}.rs");
        let failing = format!("cargo test -p shard case_{port}");
        let step = format!("move the table of shard {port}");
        let rule = format!("Keep the file format of version {port}.");
        let decision =
            format!("Decision: shard {port} is moved first, a lock was tried and is too slow.");
        let constraint = format!("Constraint: shard {port} takes no more than {n} writers.");
        let mut writer = GeneratedTurns {
            rng: &rng,
            turns: Vec::new(),
            statement: None,
        };
        for turn in 0..n_turns {
            match turn {
                1 => {
                    writer.statement = Some(decision.clone());
                    let said = format!("# Limits\n{constraint}\n{}", writer.text(1_000));
                    writer.push("read", json!({"path": "docs/limits.md"}), &said, None);
                }
                2 => writer.push("notes", json!({"add": note}), &format!("1. {note}"), None),
                3 => writer.push(
                    "plan",
                    json!({"steps": [{"step": step, "state": "active"}]}),
                    &format!("[>] {step}"),
                    None,
                ),
                4 => writer.push(
                    "write",
                    json!({"path": changed, "content": writer.text(2_000)}),
                    "wrote it",
                    None,
                ),
                5 => writer.push(
                    "shell",
                    json!({"command": failing}),
                    "1 failed\n[exit code 101]",
                    Some(&told),
                ),
                _ => writer.push_work(window),
            }
        }
        let context = context(
            window,
            format!("Do the task.\n\n{rule}\n\n{}", writer.text(6_000)),
        );
        Self {
            turns: writer.turns,
            context,
            recorded_facts: vec![told, note, changed, failing, step, rule],
            told_facts: vec![decision, constraint],
            rate: RATES[(n % 3) as usize],
        }
    }
}

fn context(window: u64, prompt: String) -> AttemptContext {
    let id = AttemptId::from_uuid(uuid_v7(&SystemClock, &Rng::seeded(0)));
    let attempt = task_attempt(id);
    AttemptContext {
        max_tokens: 8_192,
        system: "You are a software engineer working alone on one task. ".repeat(30),
        prompt,
        tools: vec![
            AgentTool::Read,
            AgentTool::Glob,
            AgentTool::Grep,
            AgentTool::Write,
            AgentTool::Edit,
            AgentTool::Shell,
            AgentTool::Notes,
            AgentTool::Plan,
        ],
        limits: AttemptLimits {
            window_tokens: Some(window),
            ..attempt.limits
        },
        ..attempt
    }
}

/// Writes turns in the shape in which they are stored.
struct GeneratedTurns<'a> {
    rng: &'a Rng,
    turns: Vec<TurnRecord>,
    /// What the next answer says beside its usual words.
    statement: Option<String>,
}

impl GeneratedTurns<'_> {
    /// A usual turn: mostly short results, now and then a long file or a whole build log.
    fn push_work(&mut self, window: u64) {
        let bytes = match self.rng.number_below(10) {
            0..=5 => 200 + self.rng.number_below(3_000),
            6..=8 => 2_000 + self.rng.number_below(12_000),
            _ => 10_000 + self.rng.number_below(50_000),
        };
        // Agents of small models read files in parts.
        let bytes = bytes.min(window / 8);
        let text = self.text(bytes);
        let file = format!("src/file_{}.rs", self.rng.number_below(60));
        match self.rng.number_below(4) {
            0 => {
                let command = format!("cargo check -p part_{}", self.rng.number_below(9));
                let said = format!("{text}\n[exit code 0]");
                self.push("shell", json!({ "command": command }), &said, None);
            }
            1 => self.push(
                "grep",
                json!({"pattern": "fn parse", "path": file}),
                &text,
                None,
            ),
            2 => {
                let (old, new) = (self.text(300), self.text(400));
                let input = json!({"path": file, "old": old, "new": new});
                self.push("edit", input, "edited", None);
            }
            _ => self.push("read", json!({ "path": file }), &text, None),
        }
    }

    fn push(&mut self, tool: &str, input: Value, result: &str, told: Option<&str>) {
        let n = self.turns.len();
        let statement = self.statement.take().map(|said| format!("\n{said}"));
        let words = format!(
            "Step {n}: {}{}",
            self.text(150),
            statement.unwrap_or_default()
        );
        let id = format!("call_{n}");
        let mut results =
            vec![json!({"type": "tool_result", "tool_use_id": id, "content": result})];
        if let Some(told) = told {
            let text = format!("Message from user (user_message):\n{told}");
            results.push(json!({"type": "text", "text": text}));
        }
        self.turns.push(TurnRecord {
            n: n as u32,
            kind: TurnKind::Answer,
            request_digest: String::new(),
            request_tokens: None,
            response: json!([
                {"type": "text", "text": words},
                {"type": "tool_use", "id": id, "name": tool, "input": input},
            ]),
            tool_results: Value::Array(results),
            session: None,
        });
    }

    fn text(&self, bytes: u64) -> String {
        let mut text = String::new();
        while (text.len() as u64) < bytes {
            text.push_str(WORDS[self.rng.number_below(16) as usize]);
            text.push(if self.rng.number_below(8) == 0 {
                '\n'
            } else {
                ' '
            });
        }
        text
    }
}
