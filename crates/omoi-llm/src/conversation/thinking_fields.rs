//! How each maker is told how much to think.

use serde_json::{Map, Value, json};

use super::{EffortLevel, ThinkingForm, ThinkingSettings};
use crate::wire::dialect::Dialect;

/// Least tokens of thought that the maker of [`ThinkingForm::Budget`] takes.
const BUDGET_TOKENS_MIN: u32 = 1_024;
/// Tokens of thought where nobody names any.
const BUDGET_TOKENS_USUAL: u32 = 8_192;

/// The fields of a request of `dialect` that ask for `wanted`, whose answer may have `answer_max` tokens. None
/// where a model of that form cannot be told, or nothing is wanted.
pub(crate) fn thinking_fields(
    form: ThinkingForm,
    dialect: Dialect,
    wanted: &ThinkingSettings,
    answer_max: u32,
) -> Map<String, Value> {
    let level = wanted.effort_level();
    let fields = match (dialect, form) {
        (_, ThinkingForm::Untold) => Value::Null,
        (Dialect::Messages, ThinkingForm::Budget) => budget_field(wanted, answer_max),
        (Dialect::Messages, ThinkingForm::Effort | ThinkingForm::Reasoning) => {
            adaptive_fields(wanted)
        }
        (Dialect::ChatCompletions, ThinkingForm::Reasoning) => {
            match (wanted.budget_tokens, level) {
                (_, Some(EffortLevel::Off)) => json!({"reasoning": {"enabled": false}}),
                (Some(tokens), _) => json!({"reasoning": {"max_tokens": tokens}}),
                (None, Some(level)) => json!({"reasoning": {"effort": level.openai_word()}}),
                (None, None) if wanted.enabled == Some(true) => {
                    json!({"reasoning": {"enabled": true}})
                }
                (None, None) => Value::Null,
            }
        }
        (Dialect::ChatCompletions, ThinkingForm::Effort | ThinkingForm::Budget) => match level {
            Some(level) => json!({"reasoning_effort": level.openai_word()}),
            None => Value::Null,
        },
        (Dialect::Responses, _) => match level {
            Some(level) => json!({"reasoning": {"effort": level.openai_word()}}),
            None => Value::Null,
        },
    };
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Newer models decide by themselves how long they think; the effort says how hard.
fn adaptive_fields(wanted: &ThinkingSettings) -> Value {
    let effort = match wanted.effort_level() {
        None if wanted.enabled == Some(true) => return json!({"thinking": {"type": "adaptive"}}),
        None => return Value::Null,
        Some(EffortLevel::Off) => return json!({"thinking": {"type": "disabled"}}),
        Some(EffortLevel::Minimal | EffortLevel::Low) => "low",
        Some(EffortLevel::Medium) => "medium",
        Some(EffortLevel::High) => "high",
        Some(EffortLevel::Highest) => "max",
    };
    json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}})
}

/// Older ones want a number of tokens, which the answer has to hold beside its words.
fn budget_field(wanted: &ThinkingSettings, answer_max: u32) -> Value {
    let tokens = match (wanted.budget_tokens, wanted.effort_level()) {
        (_, Some(EffortLevel::Off)) => return json!({"thinking": {"type": "disabled"}}),
        (Some(tokens), _) => tokens,
        (None, Some(EffortLevel::Minimal | EffortLevel::Low)) => 4_096,
        (None, Some(EffortLevel::Medium)) => 16_384,
        (None, Some(EffortLevel::High | EffortLevel::Highest)) => 32_768,
        (None, None) if wanted.enabled == Some(true) => BUDGET_TOKENS_USUAL,
        (None, None) => return Value::Null,
    };
    match tokens.min(answer_max / 2) {
        tokens if tokens >= BUDGET_TOKENS_MIN => {
            json!({"thinking": {"type": "enabled", "budget_tokens": tokens}})
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn high() -> ThinkingSettings {
        ThinkingSettings {
            effort: Some(EffortLevel::High),
            ..ThinkingSettings::default()
        }
    }

    fn off() -> ThinkingSettings {
        ThinkingSettings {
            enabled: Some(false),
            ..high()
        }
    }

    fn tokens() -> ThinkingSettings {
        ThinkingSettings {
            budget_tokens: Some(3_000),
            ..open()
        }
    }

    fn open() -> ThinkingSettings {
        ThinkingSettings {
            enabled: Some(true),
            ..ThinkingSettings::default()
        }
    }

    fn assert_fields(dialect: Dialect, table: &[(ThinkingForm, ThinkingSettings, Value)]) {
        for (form, wanted, expected) in table {
            let fields = Value::Object(thinking_fields(*form, dialect, wanted, 20_000));
            assert_eq!(&fields, expected, "{dialect} {form:?} {wanted:?}");
        }
    }

    #[test]
    fn claude_is_told_by_effort_or_by_a_budget() {
        use ThinkingForm::{Budget, Effort, Untold};
        let adaptive = json!({"type": "adaptive"});
        let told =
            |effort: &str| json!({"thinking": adaptive, "output_config": {"effort": effort}});
        let budget =
            |tokens: u32| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
        assert_fields(
            Dialect::Messages,
            &[
                (Effort, high(), told("high")),
                (Effort, off(), json!({"thinking": {"type": "disabled"}})),
                (Effort, tokens(), told("low")),
                (Effort, open(), json!({"thinking": adaptive})),
                (Budget, tokens(), budget(3_000)),
                // It must leave room for words.
                (Budget, high(), budget(10_000)),
                (Untold, high(), json!({})),
            ],
        );
        let small = thinking_fields(Budget, Dialect::Messages, &high(), 2_000);
        assert!(small.is_empty(), "{small:?}");
    }

    #[test]
    fn openai_and_openrouter_are_told_in_their_own_ways() {
        use ThinkingForm::{Effort, Reasoning, Untold};
        assert_fields(
            Dialect::ChatCompletions,
            &[
                (Effort, high(), json!({"reasoning_effort": "high"})),
                (Effort, off(), json!({"reasoning_effort": "none"})),
                (Effort, open(), json!({})),
                (
                    Reasoning,
                    tokens(),
                    json!({"reasoning": {"max_tokens": 3_000}}),
                ),
                (Reasoning, off(), json!({"reasoning": {"enabled": false}})),
                (Reasoning, high(), json!({"reasoning": {"effort": "high"}})),
            ],
        );
        assert_fields(
            Dialect::Responses,
            &[
                (Effort, high(), json!({"reasoning": {"effort": "high"}})),
                (Untold, high(), json!({})),
            ],
        );
    }
}
