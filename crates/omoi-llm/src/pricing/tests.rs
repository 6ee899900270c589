use serde_json::{Value, json};

use omoi_domain::model_route::RouteName;

use super::*;
use crate::route::{ModelRoute, RouteTable};
use crate::token_count::RequestSize;
use crate::wire::anthropic::{MessagesRequest, TokenUsage};
use crate::wire::dialect::Dialect;

const NONE: TokenCounts = TokenCounts {
    input: 0,
    output: 0,
    cache_read: 0,
    cache_write: 0,
    cache_write_1h: 0,
};

fn sonnet() -> ModelPrice {
    let tier = PriceTier {
        input: 3_000_000_000,
        output: 15_000_000_000,
        cache_read: 300_000_000,
        cache_write_5m: 3_750_000_000,
        cache_write_1h: 6_000_000_000,
        ..PriceTier::default()
    };
    let long = PriceTier {
        above_tokens: 200_000,
        input: 6_000_000_000,
        output: 22_500_000_000,
        ..tier
    };
    let batch = PriceTier {
        service: ServiceLevel::Batch,
        input: 1_500_000_000,
        output: 7_500_000_000,
        ..tier
    };
    ModelPrice {
        tiers: vec![tier, long, batch],
        search_nanousd: 10_000_000,
        us_permille: 1_100,
        is_assumed: false,
    }
}

fn priced_route(price: ModelPrice, max_tokens: u32) -> ModelRoute {
    let simulated = RouteTable::all_simulated(Dialect::Messages, "http://127.0.0.1:9");
    ModelRoute {
        max_tokens,
        price,
        ..simulated.route_named(RouteName::Agent).clone()
    }
}

fn nanos(tokens: TokenCounts) -> i64 {
    let usage = BilledUsage {
        tokens,
        ..BilledUsage::default()
    };
    sonnet().cost_of(&usage).as_nanos()
}

#[test]
fn costs_are_exact_and_follow_caches_and_tiers() {
    let all = TokenCounts {
        input: u64::MAX,
        output: u64::MAX,
        cache_read: u64::MAX,
        cache_write: u64::MAX,
        cache_write_1h: u64::MAX,
    };
    let input = |input| TokenCounts { input, ..NONE };
    for (tokens, expected) in [
        (NONE, 0),
        (input(1), 3_000),
        (
            TokenCounts {
                output: 1_000,
                ..input(1_000)
            },
            18_000_000,
        ),
        (
            TokenCounts {
                cache_read: 1_000,
                cache_write: 1_000,
                cache_write_1h: 1_000,
                ..NONE
            },
            300_000 + 3_750_000 + 6_000_000,
        ),
        // The tier begins above its figure, counts cached tokens, and holds for the answer too.
        (
            TokenCounts {
                output: 1,
                ..input(200_000)
            },
            600_015_000,
        ),
        (
            TokenCounts {
                cache_read: 1,
                output: 1,
                ..input(200_000)
            },
            1_200_022_800,
        ),
        (all, i64::MAX),
    ] {
        assert_eq!(nanos(tokens), expected, "{tokens:?}");
    }
    let usage = BilledUsage {
        tokens: all,
        ..BilledUsage::default()
    };
    assert_eq!(ModelPrice::FREE.cost_of(&usage), NanoUsd::ZERO);
    // Less than a billionth is not nothing.
    let cheap = ModelPrice {
        tiers: vec![PriceTier {
            input: 1,
            ..PriceTier::default()
        }],
        ..ModelPrice::FREE
    };
    let usage = BilledUsage {
        tokens: input(1),
        ..BilledUsage::default()
    };
    assert_eq!(cheap.cost_of(&usage).as_nanos(), 1);
}

#[test]
fn how_and_where_a_call_was_served_decides_about_its_price() {
    let tokens = json!({"input_tokens": 1_000, "output_tokens": 1_000});
    for (fields, expected) in [
        (json!({}), 18_000_000),
        (json!({"service_tier": "batch"}), 9_000_000),
        // Levels without a price of their own cost what everybody pays.
        (json!({"service_tier": "priority"}), 18_000_000),
        (json!({"speed": "fast"}), 18_000_000),
        (json!({"inference_geo": "us"}), 19_800_000),
        (json!({"inference_geo": "global"}), 18_000_000),
        (
            json!({"server_tool_use": {"web_search_requests": 2}}),
            38_000_000,
        ),
        // Searches are no tokens: where they were made does not count.
        (
            json!({"server_tool_use": {"web_search_requests": 1}, "inference_geo": "US", "service_tier": "batch"}),
            19_900_000,
        ),
        // What a provider may say one day.
        (
            json!({"service_tier": 7, "server_tool_use": "yes"}),
            18_000_000,
        ),
    ] {
        let mut usage = tokens.clone();
        let (Value::Object(usage_map), Value::Object(more)) = (&mut usage, fields.clone()) else {
            unreachable!("both are objects")
        };
        usage_map.extend(more);
        let usage: TokenUsage = serde_json::from_value(usage).unwrap();
        let cost = sonnet().cost_of(&BilledUsage::of_usage(&usage));
        assert_eq!(cost.as_nanos(), expected, "{fields}");
    }
}

#[test]
fn a_request_is_projected_with_the_level_it_asks_for() {
    let request = |more: Value| -> MessagesRequest {
        let mut body = json!({"model": "m", "max_tokens": 90, "messages": [{"role": "user", "content": "hi"}]});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        serde_json::from_value(body).unwrap()
    };
    for (more, service, is_us_only) in [
        (json!({}), ServiceLevel::Standard, false),
        (json!({"speed": "fast"}), ServiceLevel::Fast, false),
        (
            json!({"service_tier": "ultrafast", "inference_geo": "us"}),
            ServiceLevel::Ultrafast,
            true,
        ),
    ] {
        let size = RequestSize::of_message(&request(more.clone()));
        let projected = BilledUsage::projected_usage(&size, &priced_route(sonnet(), 50));
        assert_eq!(projected.tokens.output, 50);
        assert!(projected.tokens.cache_write > 0);
        let told = (projected.service, projected.is_us_only);
        assert_eq!(told, (service, is_us_only), "{more}");
    }
}

#[test]
fn a_request_is_projected_as_the_dearest_that_it_may_be_billed_as() {
    let size = |content: Value| {
        let body = json!({"model": "m", "max_tokens": 90, "messages": [{"role": "user", "content": content}]});
        RequestSize::of_body(Dialect::Messages, &body, body.to_string().len())
    };
    let marked = |life: &str| json!([{"type": "text", "text": "word ".repeat(1_000), "cache_control": {"type": "ephemeral", "ttl": life}}]);
    let cheap_writes = ModelPrice {
        tiers: vec![PriceTier {
            input: 3,
            cache_write_5m: 2,
            cache_write_1h: 2,
            ..PriceTier::default()
        }],
        ..ModelPrice::FREE
    };
    for (price, content, kind) in [
        // Some makers write to their cache without being asked.
        (sonnet(), json!("word ".repeat(1_000)), "5m"),
        (sonnet(), marked("5m"), "5m"),
        (sonnet(), marked("1h"), "1h"),
        (cheap_writes, marked("1h"), "input"),
        (ModelPrice::FREE, marked("1h"), "input"),
    ] {
        let tokens = BilledUsage::projected_usage(&size(content), &priced_route(price, 50)).tokens;
        let found = [
            ("input", tokens.input),
            ("5m", tokens.cache_write),
            ("1h", tokens.cache_write_1h),
        ];
        for (name, read) in found {
            let expected = if name == kind { 1_200..1_260 } else { 0..1 };
            assert!(expected.contains(&read), "{kind}: {tokens:?}");
        }
    }
    // Nothing is read beyond the window.
    let mut route = priced_route(sonnet(), 50);
    route.window_tokens = Some(100);
    let tokens = BilledUsage::projected_usage(&size(marked("5m")), &route).tokens;
    assert_eq!(tokens.read_tokens(), 100);
}
