//! What the answers to the small questions say about the model behind them.

use omoi_domain::closed_set;

use crate::pricing::TokenCounts;
use crate::token_count::BYTES_PER_TOKEN;

closed_set! {
    /// What a model must do so that agents can work with it.
    ProbeFeature {
        /// Answers in words.
        Text = "text",
        /// Calls a tool with the arguments it was told.
        Tools = "tools",
        /// Sends its answer piece by piece.
        Streaming = "streaming",
        /// Tells what it read and answered, as far as that can be checked.
        Usage = "usage",
    }
}

/// Whether one feature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFinding {
    /// What was looked at.
    pub feature: ProbeFeature,
    /// Why it does not hold.
    pub problem: Option<String>,
}

/// The word that the tool is to be called with.
pub(super) const WORD: &str = "harbour";
/// The tool that is offered.
pub(super) const TOOL: &str = "note_word";

/// A told figure may be so many times too large or too small: tokenizers differ.
const USAGE_FACTOR: u64 = 8;
/// Tokens that a provider may put in front of every question.
const PREAMBLE_TOKENS: u64 = 4_000;

/// A tool call of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenCall {
    pub(super) name: String,
    /// The argument `word`, where it is a text.
    pub(super) word: Option<String>,
    /// What is wrong with the arguments as JSON.
    pub(super) broken: Option<String>,
}

/// What came back for one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenAnswer {
    pub(super) text: String,
    /// Pieces that the text came in.
    pub(super) n_pieces: usize,
    pub(super) calls: Vec<SeenCall>,
    /// Bytes of everything that was answered, reasoning and arguments included.
    pub(super) answered_bytes: u64,
    /// What the provider says, and nothing that we reckon.
    pub(super) told: TokenCounts,
    /// About what the question holds.
    pub(super) asked_tokens: u64,
    /// The most it was allowed to answer.
    pub(super) tokens_max: u64,
}

/// The answers, or in words why there is none.
#[derive(Clone, Debug)]
pub(super) struct SeenAnswers {
    pub(super) text: Result<SeenAnswer, String>,
    pub(super) tool: Result<SeenAnswer, String>,
    pub(super) stream: Result<SeenAnswer, String>,
}

/// Whether each feature holds, in the order of [`ProbeFeature::ALL`].
pub(super) fn judge_answers(seen: &SeenAnswers) -> Vec<ProbeFinding> {
    let features = ProbeFeature::ALL.iter().copied();
    features
        .map(|feature| ProbeFinding {
            feature,
            problem: match feature {
                ProbeFeature::Text => text_problem(&seen.text),
                ProbeFeature::Tools => match &seen.text {
                    Err(_) => seen.tool.as_ref().err().cloned(),
                    Ok(_) => tool_problem(&seen.tool),
                },
                ProbeFeature::Streaming => stream_problem(&seen.stream),
                ProbeFeature::Usage => usage_problem(seen),
            },
        })
        .collect()
}

fn text_problem(answer: &Result<SeenAnswer, String>) -> Option<String> {
    match answer {
        Err(error) => Some(error.clone()),
        Ok(answer) if answer.text.trim().is_empty() => Some("it answers no words".to_owned()),
        Ok(_) => None,
    }
}

fn tool_problem(answer: &Result<SeenAnswer, String>) -> Option<String> {
    let answer = match answer {
        Err(error) => return Some(format!("it takes no question with tools: {error}")),
        Ok(answer) => answer,
    };
    let Some(call) = answer.calls.first() else {
        return Some(match answer.text.contains(TOOL) {
            true => "it calls tools in words: the call stands in the text of its answer".to_owned(),
            false => "it calls no tool, although it was told to".to_owned(),
        });
    };
    if call.name != TOOL {
        return Some("it calls a tool that was not offered".to_owned());
    }
    if let Some(problem) = &call.broken {
        return Some(format!(
            "the arguments of its call are no JSON object: {problem}"
        ));
    }
    match call.word.as_deref() {
        Some(word) if word.trim().eq_ignore_ascii_case(WORD) => None,
        Some(_) => Some("it calls the tool with another word than it was told".to_owned()),
        None => Some("it calls the tool without the argument that its schema demands".to_owned()),
    }
}

fn stream_problem(answer: &Result<SeenAnswer, String>) -> Option<String> {
    match answer {
        Err(error) => Some(error.clone()),
        Ok(answer) if answer.text.trim().is_empty() => Some("it answers no words".to_owned()),
        Ok(answer) if answer.n_pieces < 2 => {
            Some("it sends an answer of forty numbers in one piece, at its end".to_owned())
        }
        Ok(_) => None,
    }
}

/// The first figure that cannot be, over all answers that came.
fn usage_problem(seen: &SeenAnswers) -> Option<String> {
    let answers = [&seen.text, &seen.tool, &seen.stream];
    let came: Vec<&SeenAnswer> = answers.iter().filter_map(|one| one.as_ref().ok()).collect();
    if came.is_empty() {
        return Some("no answer came".to_owned());
    }
    came.into_iter().find_map(answer_usage_problem)
}

fn answer_usage_problem(answer: &SeenAnswer) -> Option<String> {
    let SeenAnswer {
        told,
        asked_tokens: asked,
        answered_bytes,
        ..
    } = answer;
    let (read, answered) = (told.read_tokens(), told.output);
    let least = answered_bytes / BYTES_PER_TOKEN / USAGE_FACTOR;
    if read == 0 {
        return Some("it does not tell what it read".to_owned());
    }
    if answered == 0 && *answered_bytes > 0 {
        return Some("it does not tell what it answered".to_owned());
    }
    if read
        > asked
            .saturating_mul(USAGE_FACTOR)
            .saturating_add(PREAMBLE_TOKENS)
        || read.saturating_mul(USAGE_FACTOR) < *asked
    {
        return Some(format!(
            "it tells that it read {read} tokens of a question of about {asked}"
        ));
    }
    if answered > answer.tokens_max {
        let most = answer.tokens_max;
        return Some(format!(
            "it tells that it answered {answered} tokens where {most} were allowed"
        ));
    }
    (answered < least).then(|| {
        format!("it tells that it answered {answered} tokens with {answered_bytes} bytes of text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> SeenAnswer {
        SeenAnswer {
            text: "ok".to_owned(),
            n_pieces: 3,
            calls: vec![SeenCall {
                name: TOOL.to_owned(),
                word: Some(WORD.to_owned()),
                broken: None,
            }],
            answered_bytes: 80,
            told: TokenCounts {
                input: 40,
                output: 30,
                ..TokenCounts::default()
            },
            asked_tokens: 30,
            tokens_max: 2_000,
        }
    }

    /// The features that do not hold when all three answers are `answer`.
    fn lacking(answer: &SeenAnswer) -> Vec<&'static str> {
        let answer = || Ok(answer.clone());
        let findings = judge_answers(&SeenAnswers {
            text: answer(),
            tool: answer(),
            stream: answer(),
        });
        let lacking = findings.iter().filter(|f| f.problem.is_some());
        lacking.map(|f| f.feature.as_str()).collect()
    }

    #[test]
    fn each_lie_is_found_out() {
        let call = |word: Option<&str>, broken: Option<&str>| {
            vec![SeenCall {
                name: TOOL.to_owned(),
                word: word.map(ToOwned::to_owned),
                broken: broken.map(ToOwned::to_owned),
            }]
        };
        let told = |input, output| TokenCounts {
            input,
            output,
            ..TokenCounts::default()
        };
        assert_eq!(lacking(&good()), [] as [&str; 0]);
        type Spoil = Box<dyn Fn(&mut SeenAnswer)>;
        let cases: [(&[&str], Spoil); 13] = [
            (&["text", "streaming"], Box::new(|a| a.text.clear())),
            (&["tools"], Box::new(|a| a.calls.clear())),
            (
                &["tools"],
                Box::new(move |a| a.calls = call(Some("port"), None)),
            ),
            (&["tools"], Box::new(move |a| a.calls = call(None, None))),
            (
                &["tools"],
                Box::new(move |a| a.calls = call(None, Some("EOF"))),
            ),
            (
                &["tools"],
                Box::new(|a| "other".clone_into(&mut a.calls[0].name)),
            ),
            (&["streaming"], Box::new(|a| a.n_pieces = 1)),
            (&["usage"], Box::new(move |a| a.told = told(0, 30))),
            (&["usage"], Box::new(move |a| a.told = told(40, 0))),
            (&["usage"], Box::new(move |a| a.told = told(100_000, 30))),
            (&["usage"], Box::new(move |a| a.told = told(3, 30))),
            (&["usage"], Box::new(move |a| a.told = told(40, 2_001))),
            (&["usage"], Box::new(move |a| a.told = told(40, 1))),
        ];
        assert_eq!(lacking(&good()), [] as [&str; 0]);
        for (lacks, spoil) in cases {
            let mut answer = good();
            spoil(&mut answer);
            assert_eq!(lacking(&answer), lacks, "{answer:?}");
        }
    }

    #[test]
    fn a_call_in_words_and_a_failed_question_are_told_as_such() {
        let words = SeenAnswer {
            text: format!("{TOOL}(word=\"{WORD}\")"),
            calls: Vec::new(),
            ..good()
        };
        let findings = judge_answers(&SeenAnswers {
            text: Ok(good()),
            tool: Ok(words),
            stream: Err("the connection broke".to_owned()),
        });
        let problems: Vec<_> = findings.iter().map(|f| f.problem.as_deref()).collect();
        assert_eq!(
            problems,
            [
                None,
                Some("it calls tools in words: the call stands in the text of its answer"),
                Some("the connection broke"),
                None
            ]
        );
    }
}
