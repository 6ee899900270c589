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

    #[test]
    fn each_maker_is_told_in_its_own_way() {
        use Dialect::{ChatCompletions, Messages, Responses};
        use ThinkingForm::{Budget, Effort, Reasoning, Untold};
        let high = ThinkingSettings {
            effort: Some(EffortLevel::High),
            ..ThinkingSettings::default()
        };
        let off = ThinkingSettings {
            enabled: Some(false),
            ..high.clone()
        };
        let tokens = ThinkingSettings {
            budget_tokens: Some(3_000),
            enabled: Some(true),
            ..ThinkingSettings::default()
        };
        let open = ThinkingSettings {
            enabled: Some(true),
            ..ThinkingSettings::default()
        };
        let adaptive = json!({"type": "adaptive"});
        for (dialect, form, wanted, expected) in [
            (
                Messages,
                Effort,
                &high,
                json!({"thinking": adaptive, "output_config": {"effort": "high"}}),
            ),
            (
                Messages,
                Effort,
                &off,
                json!({"thinking": {"type": "disabled"}}),
            ),
            (
                Messages,
                Effort,
                &tokens,
                json!({"thinking": adaptive, "output_config": {"effort": "low"}}),
            ),
            (Messages, Effort, &open, json!({"thinking": adaptive})),
            (
                Messages,
                Budget,
                &tokens,
                json!({"thinking": {"type": "enabled", "budget_tokens": 3_000}}),
            ),
            // It must leave room for words.
            (
                Messages,
                Budget,
                &high,
                json!({"thinking": {"type": "enabled", "budget_tokens": 10_000}}),
            ),
            (Messages, Untold, &high, json!({})),
            (
                ChatCompletions,
                Effort,
                &high,
                json!({"reasoning_effort": "high"}),
            ),
            (
                ChatCompletions,
                Effort,
                &off,
                json!({"reasoning_effort": "none"}),
            ),
            (ChatCompletions, Effort, &open, json!({})),
            (
                ChatCompletions,
                Reasoning,
                &tokens,
                json!({"reasoning": {"max_tokens": 3_000}}),
            ),
            (
                ChatCompletions,
                Reasoning,
                &off,
                json!({"reasoning": {"enabled": false}}),
            ),
            (
                ChatCompletions,
                Reasoning,
                &high,
                json!({"reasoning": {"effort": "high"}}),
            ),
            (
                Responses,
                Effort,
                &high,
                json!({"reasoning": {"effort": "high"}}),
            ),
            (Responses, Untold, &high, json!({})),
        ] {
            let fields = Value::Object(thinking_fields(form, dialect, wanted, 20_000));
            assert_eq!(fields, expected, "{dialect} {form:?} {wanted:?}");
        }
        let small = thinking_fields(Budget, Messages, &high, 2_000);
        assert!(small.is_empty(), "{small:?}");
    }
}
