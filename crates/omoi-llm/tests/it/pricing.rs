//! Usages in the words of their vendors, priced to the nano-dollar.
//!
//! The expected prices in `fixtures/usages.json` were worked out apart from this program, in decimals,
//! from the table that `models.json` is made of (litellm 1.110.2):
//!
//! ```text
//! figure(F, level, limit) = row[F_above_limit_level]                          where the table has it, else
//!                           max(row[F_level], row[F_above_limit])             of those that it has, else row[F]
//! limit    = the highest one below the tokens read, cached ones included (xAI: or equal to them)
//! level    = batch, flex, priority, ultrafast where the row has an input price for it, else the plain one
//! factor   = row.provider_specific_entry.fast for fast calls, × .us for those served in the US alone
//! nanousd  = ⌈(input·I + output·O + read·R + written·W + written_long·L) · factor · 10⁹⌉ + searches · S · 10⁹
//! ```
//!
//! R and W are I where the row has none, L is W; L is `…_above_1hr` or `…_above_12hr`.

use serde::Deserialize;
use serde_json::{Value, json};

use omoi_llm::catalogue::ModelCatalogue;
use omoi_llm::conversation::{AnswerParser, MessagesEvents, ToolNames};
use omoi_llm::pricing::BilledUsage;
use omoi_llm::wire::answer_signs::read_whole;
use omoi_llm::wire::anthropic::{StreamEvent, TokenUsage};
use omoi_llm::wire::dialect::Dialect;

const USAGES: &str = include_str!("fixtures/usages.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedUsage {
    provider: String,
    dialect: Dialect,
    model: String,
    usage: Value,
    /// Stands beside the usage in OpenAI's answers.
    service_tier: Option<String>,
    nanousd: i64,
}

impl RecordedUsage {
    fn billed_usage(&self) -> BilledUsage {
        if self.dialect == Dialect::Messages {
            let usage: TokenUsage = serde_json::from_value(self.usage.clone()).unwrap();
            return BilledUsage::of_usage(&usage);
        }
        let answer = serde_json::to_vec(&self.whole_answer()).unwrap();
        let passed = read_whole(self.dialect, &answer).unwrap().unwrap();
        let billed = BilledUsage::of_usage(&passed.usage.unwrap());
        let translated = translated_usage(self.dialect, &answer);
        assert_eq!(BilledUsage::of_usage(&translated), billed, "{}", self.usage);
        billed
    }

    /// An answer of an OpenAI API that tells the usage.
    fn whole_answer(&self) -> Value {
        let (model, usage, service_tier) = (&self.model, &self.usage, &self.service_tier);
        match self.dialect {
            Dialect::Responses => json!({
                "id": "r", "object": "response", "created_at": 1, "status": "completed", "model": model,
                "usage": usage, "service_tier": service_tier,
                "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "x", "annotations": []}]}],
            }),
            Dialect::Messages | Dialect::ChatCompletions => json!({
                "id": "c", "model": model, "usage": usage, "service_tier": service_tier,
                "choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
            }),
        }
    }
}

/// What is told of the usage where the answer is put into the words of Messages.
fn translated_usage(dialect: Dialect, answer: &[u8]) -> TokenUsage {
    let events = AnswerParser::read_whole(dialect, "maker", answer);
    let mut writer = MessagesEvents::new(ToolNames::default());
    let events = events.unwrap().unwrap().into_iter();
    let mut events = events.flat_map(|event| writer.push_event(event));
    let told = events.find_map(|event| match event {
        StreamEvent::MessageDelta(delta) => Some(delta.usage),
        _ => None,
    });
    told.unwrap()
}

#[test]
fn two_hundred_usages_cost_what_the_table_says_to_the_nano_dollar() {
    let list = ModelCatalogue::load_embedded().unwrap();
    let usages: Vec<RecordedUsage> = serde_json::from_str(USAGES).unwrap();
    let in_dialect = |dialect| usages.iter().filter(|one| one.dialect == dialect).count();
    assert_eq!(Dialect::ALL.map(in_dialect), [90, 70, 40]);
    let mut wrong = Vec::new();
    for (n, recorded) in usages.iter().enumerate() {
        let price = list.price_of(
            Some(&recorded.provider),
            &recorded.provider,
            &recorded.model,
        );
        assert!(!price.is_assumed, "{} is in the list", recorded.model);
        let cost = price.cost_of(&recorded.billed_usage()).as_nanos();
        if cost != recorded.nanousd {
            let expected = recorded.nanousd;
            wrong.push(format!(
                "{n}: {} {}: {cost} and not {expected}",
                recorded.model, recorded.usage
            ));
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}
