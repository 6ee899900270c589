//! Scenarios: files that say what the simulated model answers.
//!
//! A scenario is a list of rules. A rule matches on the gateway's headers alone, never on words,
//! and the first rule that matches answers. Nothing is remembered between requests but how often
//! each rule's faults have happened, so a run can be killed and gone on with at any point.
//! The format is described in `docs/scenario-format.md`.

mod checker;
mod conditions;
mod error;
mod fault;
mod files;
mod limits;
mod node;
mod reply;
mod rule;
mod scenario_file;

use std::{fmt, path::Path};

use serde_json::{Map, Value as Json};

use self::{checker::ScenarioChecker, files::ScenarioFiles};
pub use self::{
    conditions::{RequestKeys, RuleConditions},
    error::{ScenarioError, ScenarioErrors, ScenarioProblem, SourcePlace},
    files::{FILE_BYTES_MAX, ReadFile, SCENARIO_BYTES_MAX},
    limits::{CountLimit, ProviderLimits, WindowLimit},
};

/// A scenario that has passed every check.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Short name, shown to people.
    pub name: String,
    /// What the scenario shows.
    pub description: String,
    /// How answers are cut into pieces unless a rule says otherwise.
    pub defaults: ScenarioDefaults,
    /// The rules, first match first.
    pub rules: Vec<ScenarioRule>,
}

/// How answers are sent unless a rule says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScenarioDefaults {
    /// Bytes of a stream sent at once.
    pub chunk_bytes: u64,
    /// Pause before each chunk.
    pub chunk_delay_ms: u64,
}

impl Default for ScenarioDefaults {
    fn default() -> Self {
        Self {
            chunk_bytes: 512,
            chunk_delay_ms: 0,
        }
    }
}

/// One rule: which requests it answers, and how.
#[derive(Clone, Debug)]
pub struct ScenarioRule {
    /// Its name, or `rule 3` for the third of the list.
    pub name: String,
    is_named: bool,
    /// Place of the rule in its file.
    pub at: SourcePlace,
    /// Conditions on the keys of a request.
    pub when: RuleConditions,
    /// Faults that happen before the reply, in order.
    pub faults: Vec<RuleFault>,
    /// The reply; empty where a fault never ends.
    pub reply: Vec<ReplyPart>,
    /// Reasoning ahead of the reply.
    pub reasoning: Option<String>,
    /// Token counts that replace the estimate.
    pub usage: RuleUsage,
    /// Limits of the provider that every answer of the rule tells.
    pub limits: ProviderLimits,
    /// A reason to stop that replaces the usual one: `max_tokens` or `refusal`.
    pub stop: Option<&'static str>,
    /// Bytes of a stream sent at once; replaces [`ScenarioDefaults::chunk_bytes`].
    pub chunk_bytes: Option<u64>,
    /// Pause before each chunk; replaces [`ScenarioDefaults::chunk_delay_ms`].
    pub chunk_delay_ms: Option<u64>,
}

/// Token counts a rule sets itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleUsage {
    /// Tokens of the request, those of a cache included.
    pub input: Option<u64>,
    /// Tokens of the answer, those of reasoning included.
    pub output: Option<u64>,
    /// Tokens read from the cache.
    pub cache_read: Option<u64>,
    /// Tokens written to the cache.
    pub cache_write: Option<u64>,
    /// Tokens of reasoning.
    pub reasoning: Option<u64>,
    /// The answer tells no figures at all.
    pub is_missing: bool,
}

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyPart {
    /// Text of the answer.
    Text(String),
    /// What the model thinks before it goes on.
    Reasoning(String),
    /// A call of any tool.
    Tool {
        /// Name of the tool.
        name: String,
        /// Arguments of the call.
        input: Map<String, Json>,
        /// How the call is made.
        manner: CallManner,
    },
    /// A call of `submit_item` for the phase of the request.
    Item {
        /// Section of the phase's output.
        section: String,
        /// Key of the item in its section; empty for a section of one value.
        key: String,
        /// The item's content as JSON.
        value: Json,
    },
    /// A call of `submit_done` for the phase of the request.
    Done,
    /// A pause at this point of the answer.
    Delay {
        /// Length of the pause.
        ms: u64,
    },
}

impl ReplyPart {
    fn is_tool_call(&self) -> bool {
        match self {
            Self::Tool { manner, .. } => *manner != CallManner::InWords,
            Self::Item { .. } | Self::Done => true,
            Self::Text(_) | Self::Reasoning(_) | Self::Delay { .. } => false,
        }
    }
}

/// How a tool is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallManner {
    /// As the request offers it; other programs get the tool of theirs that does the same.
    Offered,
    /// Although the request does not offer it.
    Unoffered,
    /// In the words of the answer, as models do that were trained on another form.
    InWords,
}

/// A fault that is injected before the reply.
#[derive(Clone, Debug)]
pub struct RuleFault {
    at: SourcePlace,
    /// The way the answer goes wrong.
    pub kind: FaultKind,
    /// How often it happens before the reply comes.
    pub times: FaultTimes,
}

/// How often a fault happens before what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultTimes {
    /// It happens this many times.
    Count(u32),
    /// It happens every time.
    Always,
}

/// The ways in which an answer can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An error status in place of an answer.
    Status {
        /// HTTP status of the answer.
        status: u16,
        /// Value of the `retry-after` header.
        retry_after_s: Option<u64>,
        /// Limits that it tells in place of those of the rule.
        limits: ProviderLimits,
    },
    /// The provider has no such model any more.
    RetiredModel,
    /// JSON that cannot be parsed, in an answer that is otherwise complete.
    BrokenJson(BrokenJson),
    /// An error event in the middle of a stream; without a stream, the matching status.
    StreamError {
        /// The error's type on the wire.
        error: &'static str,
    },
    /// The connection breaks after this many bytes of the body.
    CutAfterBytes {
        /// Bytes of the body sent before the cut.
        bytes: usize,
    },
    /// Silence, then the connection breaks.
    Hang {
        /// Length of the silence.
        s: u64,
    },
}

impl FaultKind {
    /// Whether the fault happens to a reply, as opposed to taking its place.
    fn spoils_a_reply(&self) -> bool {
        match self {
            Self::BrokenJson(_) | Self::StreamError { .. } | Self::CutAfterBytes { .. } => true,
            Self::Status { .. } | Self::RetiredModel | Self::Hang { .. } => false,
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
    pub fn load_file(path: &Path) -> Result<Self, ScenarioErrors> {
        let root = path.parent().unwrap_or(Path::new(""));
        let Some(entry) = path.file_name().and_then(|name| name.to_str()) else {
            let shown = path.display().to_string();
            let place = SourcePlace {
                file: shown.as_str().into(),
                line: 0,
                column: 0,
            };
            let problem = ScenarioProblem::PathOutside { path: shown };
            return Err(ScenarioErrors(vec![ScenarioError { place, problem }]));
        };
        Self::read_from(entry, &|path| files::read_on_disk(root, path))
    }

    /// Reads a scenario from any tree of files, for example one that is part of the program.
    ///
    /// `entry` is the path of the scenario file for `read`.
    ///
    /// # Errors
    /// As [`Scenario::load_file`].
    pub fn read_from(entry: &str, read: ReadFile<'_>) -> Result<Self, ScenarioErrors> {
        let mut checker = ScenarioChecker::new(ScenarioFiles::new(read));
        let scenario = scenario_file::read_scenario(&mut checker, entry);
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
    pub fn find_rule(&self, keys: &RequestKeys) -> Result<(usize, &ScenarioRule), Box<NoMatch>> {
        let mut rules = self.rules.iter().enumerate();
        rules
            .find(|(_, rule)| rule.when.matches_keys(keys))
            .ok_or_else(|| self.no_match(keys))
    }

    fn no_match(&self, keys: &RequestKeys) -> Box<NoMatch> {
        let mut nearest: Vec<_> = self
            .rules
            .iter()
            .map(|rule| NearMiss {
                rule: rule.name.clone(),
                at: rule.at.clone(),
                differences: rule.when.unmet_conditions(keys),
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
    /// Place of the rule in its file.
    pub at: SourcePlace,
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
