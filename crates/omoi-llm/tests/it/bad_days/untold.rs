//! Providers that do not tell what they bill.

use serde_json::json;

use omoi_domain::money::NanoUsd;
use omoi_llm::route::ModelRoute;
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::sse;

use crate::fallback::{house, question};
use crate::stub::{self, Says, Stub};
use crate::support::{TestMeter, route};

/// A chat answer of `n` characters, without a word of its tokens.
fn untold(n: usize) -> Says {
    let chunk = |delta, reason| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
        sse::encode_frame(None, &chunk.to_string())
    };
    let text = chunk(json!({"content": "x".repeat(n)}), json!(null));
    stub::raw(text + &chunk(json!({}), json!("stop")) + &sse::encode_frame(None, "[DONE]"))
}

#[tokio::test]
async fn usage_that_nobody_told_is_an_estimate_and_budgets_hold() {
    let stub = Stub::start(vec![stub::chat(&["Hel", "lo"], "stop")], untold(400)).await;
    let list = vec![ModelRoute {
        max_tokens: 1_000,
        ..route(Dialect::ChatCompletions, &stub.url)
    }];
    // An answer may cost 15 USD for a million tokens: 0.015 USD at most.
    let house = house(list, TestMeter::with_cap(NanoUsd::from_usd(0.02)));
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(house.ask(&question(true)).await.0);
    }
    let usages = house.meter.usages();
    let told: Vec<_> = usages.iter().map(|usage| usage.is_estimated).collect();
    assert_eq!(told[..2], [false, true], "{usages:?}");
    assert!(told[1..].iter().all(|is_estimated| *is_estimated));
    assert_eq!(usages[1].tokens.output, 100, "a token has four bytes");
    assert!(usages[1].tokens.input > 0, "{usages:?}");
    // Estimates count like figures: the last questions are refused, and nothing is overspent.
    assert_eq!(statuses.last(), Some(&402), "{statuses:?}");
    assert!(house.meter.spent() <= NanoUsd::from_usd(0.02));
}
