//! Scenarios: files that say what the simulated model answers.
//!
//! A scenario is a list of rules. A rule matches on the gateway's headers alone, never on words,
//! and the first rule that matches answers. Nothing is remembered between requests but how often
//! each rule's faults have happened, so a run can be killed and gone on with at any point.
//! The format is described in `docs/scenario-format.md`.

mod check;
mod error;
mod fault;
mod files;
mod node;
mod reply;
mod rule;
mod top;
mod when;

use std::{fmt, path::Path};

use serde_json::{Map, Value as Json};

use self::{check::Checker, files::Files};
pub use self::{
    error::{Place, Problem, ScenarioError, ScenarioErrors},
    files::{FILE_BYTES_MAX, ReadFile, SCENARIO_BYTES_MAX},
    when::{RequestKeys, When},
};

/// A scenario that has passed every check.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Short name, shown to people.
    pub name: String,
    /// What the scenario shows.
    pub description: String,
    /// How answers are cut into pieces unless a rule says otherwise.
    pub defaults: Defaults,
    /// The rules, first match first.
    pub rules: Vec<Rule>,
}

/// How answers are sent unless a rule says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Bytes of a stream sent at once.
    pub chunk_bytes: u64,
    /// Pause before each chunk.
    pub chunk_delay_ms: u64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            chunk_bytes: 512,
            chunk_delay_ms: 0,
        }
    }
}

/// One rule: which requests it answers, and how.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, or `rule 3` for the third of the list.
    pub name: String,
    is_named: bool,
    /// Where it stands.
    pub at: Place,
    /// Its conditions.
    pub when: When,
    /// Faults that happen before the reply, in order.
    pub faults: Vec<Fault>,
    /// The reply; empty where a fault never ends.
    pub reply: Vec<Part>,
    /// Token counts that replace the estimate.
    pub usage: Usage,
    /// A reason to stop that replaces the usual one: `max_tokens` or `refusal`.
    pub stop: Option<&'static str>,
    /// Replaces [`Defaults::chunk_bytes`].
    pub chunk_bytes: Option<u64>,
    /// Replaces [`Defaults::chunk_delay_ms`].
    pub chunk_delay_ms: Option<u64>,
}

/// Token counts a rule sets itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub input: Option<u64>,
    /// Tokens of the answer.
    pub output: Option<u64>,
}

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words.
    Text(String),
    /// A call of any tool.
    Tool {
        /// The tool.
        name: String,
        /// Its arguments.
        input: Map<String, Json>,
        /// Whether it is called although the request does not offer it.
        unoffered: bool,
    },
    /// A call of `submit_item` for the phase of the request.
    Item {
        /// Section of the phase's output.
        section: String,
        /// Key of the item in its section; empty for a section of one value.
        key: String,
        /// The item.
        value: Json,
    },
    /// A call of `submit_done` for the phase of the request.
    Done,
    /// A pause at this point of the answer.
    Delay {
        /// How long.
        ms: u64,
    },
}

impl Part {
    fn is_tool_call(&self) -> bool {
        matches!(self, Self::Tool { .. } | Self::Item { .. } | Self::Done)
    }
}

/// Something going wrong on purpose.
#[derive(Clone, Debug)]
pub struct Fault {
    at: Place,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How often.
    pub times: Times,
}

/// How often a fault happens before what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// This many times.
    Count(u32),
    /// Every time.
    Always,
}

/// The ways in which an answer can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An error status in place of an answer.
    Status {
        /// The HTTP status.
        status: u16,
        /// Value of the `retry-after` header.
        retry_after_s: Option<u64>,
    },
    /// JSON that cannot be parsed, in an answer that is otherwise complete.
    BrokenJson(BrokenJson),
    /// An error event in the middle of a stream; without a stream, the matching status.
    StreamError {
        /// The error's type on the wire.
        error: &'static str,
    },
    /// The connection breaks after this many bytes of the body.
    CutAfterBytes {
        /// Bytes sent before.
        bytes: usize,
    },
    /// Silence, then the connection breaks.
    Hang {
        /// How long.
        s: u64,
    },
}

impl FaultKind {
    /// Whether the fault happens to a reply, as opposed to taking its place.
    fn spoils_a_reply(&self) -> bool {
        match self {
            Self::BrokenJson(_) | Self::StreamError { .. } | Self::CutAfterBytes { .. } => true,
            Self::Status { .. } | Self::Hang { .. } => false,
        }
    }

    fn breaks_a_tool_input(&self) -> bool {
        *self == Self::BrokenJson(BrokenJson::ToolInput)
    }
}

/// Which JSON is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenJson {
    /// The arguments of the first tool call end halfway.
    ToolInput,
    /// The last piece of JSON on the wire ends halfway.
    Body,
}

impl Scenario {
    /// Reads a scenario from disk.
    ///
    /// # Errors
    /// Gives every error found in the file and in the files it names.
    pub fn load(path: &Path) -> Result<Self, ScenarioErrors> {
        let root = path.parent().unwrap_or(Path::new(""));
        let Some(entry) = path.file_name().and_then(|name| name.to_str()) else {
            let shown = path.display().to_string();
            let place = Place {
                file: shown.as_str().into(),
                line: 0,
                column: 0,
            };
            let problem = Problem::PathOutside { path: shown };
            return Err(ScenarioErrors(vec![ScenarioError { place, problem }]));
        };
        Self::read(entry, &|path| files::read_on_disk(root, path))
    }

    /// Reads a scenario from any tree of files, for example one that is part of the program.
    ///
    /// `entry` is the path of the scenario file for `read`.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn read(entry: &str, read: ReadFile<'_>) -> Result<Self, ScenarioErrors> {
        let mut checker = Checker::new(Files::new(read));
        let scenario = top::scenario(&mut checker, entry);
        let errors = checker.into_errors();
        match scenario {
            Some(scenario) if errors.is_empty() => Ok(scenario),
            _ => Err(ScenarioErrors(errors)),
        }
    }

    /// The rule that answers a request, with its index.
    ///
    /// # Errors
    /// When no rule matches, names the nearest ones and what keeps them from matching.
    pub fn find(&self, keys: &RequestKeys) -> Result<(usize, &Rule), Box<NoMatch>> {
        let mut rules = self.rules.iter().enumerate();
        rules
            .find(|(_, rule)| rule.when.matches(keys))
            .ok_or_else(|| self.no_match(keys))
    }

    fn no_match(&self, keys: &RequestKeys) -> Box<NoMatch> {
        let mut nearest: Vec<_> = self
            .rules
            .iter()
            .map(|rule| NearMiss {
                rule: rule.name.clone(),
                at: rule.at.clone(),
                differences: rule.when.differences(keys),
            })
            .collect();
        // A stable sort: among equals the order of the file stays.
        nearest.sort_by_key(|miss| miss.differences.len());
        nearest.truncate(NEAREST_MAX);
        Box::new(NoMatch {
            keys: keys.clone(),
            nearest,
        })
    }
}

const NEAREST_MAX: usize = 3;

/// The kind of error by which the simulated model says that no rule answers a request.
pub const NO_RULE: &str = "no_rule";

/// No rule of the scenario answers a request.
#[derive(Clone, Debug, thiserror::Error)]
pub struct NoMatch {
    /// The keys of the request.
    pub keys: RequestKeys,
    /// The rules that came nearest, best first.
    pub nearest: Vec<NearMiss>,
}

/// A rule that almost matched.
#[derive(Clone, Debug)]
pub struct NearMiss {
    /// Name of the rule.
    pub rule: String,
    /// Where it stands.
    pub at: Place,
    /// The conditions that do not hold.
    pub differences: Vec<String>,
}

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no rule of the scenario answers this request: {}",
            self.keys
        )?;
        if !self.nearest.is_empty() {
            f.write_str("; the nearest rules are")?;
        }
        for (index, miss) in self.nearest.iter().enumerate() {
            let separator = if index == 0 { " " } else { "; " };
            let differences = miss.differences.join(", ");
            write!(
                f,
                "{separator}`{}` at {} ({differences})",
                miss.rule, miss.at
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
