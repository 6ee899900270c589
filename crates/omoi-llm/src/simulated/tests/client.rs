//! The crate's own client against the server: what it sends is accepted, what it gets is understood,
//! and what goes wrong on the way is tried again.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderName, HeaderValue};

use omoi_domain::model_route::RouteName;
use omoi_domain::time::Timestamp;

use super::*;
use crate::{
    llm_client::{LlmClient, QuestionTally, RoutedRequest},
    pace::CallPace,
    retry::CallAllowance,
    route::RouteTable,
    wire::{
        anthropic::{ConversationMessage, MessagesRequest, MessagesTool},
        dialect::Dialect,
        headers as names,
    },
};

/// A clock that stands still, pauses that are over at once, guards that never strike.
struct Still;

impl CallPace for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        tokio::task::yield_now().boxed()
    }

    fn expire(&self, _: Duration) -> BoxFuture<'static, ()> {
        std::future::pending().boxed()
    }

    fn jitter(&self) -> f64 {
        0.0
    }
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn our_client_gets_through_faults_and_goes_on() {
    let rules = "
- when: {role: coder, task: TSK-001, round: 1, turn: 0}
  chunk_bytes: 5
  fault:
    - {status: 429, retry_after_s: 1}
    - {stream_error: overloaded_error}
    - {cut_after_bytes: 300}
  reply:
    - text: Zuerst lese ich — dann schreibe ich.
    - tool: {name: write, input: {path: ä.py, lines: [1, 2]}}
    - tool: {name: write, input: {path: b.py}}
- when: {task: TSK-001, turn: 1}
  reply: [{text: Done.}]
";
    for dialect in Dialect::ALL {
        let server = start(rules).await;
        let llm = client(dialect, &server.base);
        let mut request =
            MessagesRequest::new("agent", 500, vec![ConversationMessage::from_user("Go.")]);
        request.system = Some("You write.".into());
        request.tools = vec![MessagesTool::new("write", "Writes.", tool_schema())];
        let mut words = Vec::new();
        for turn in ["0", "1"] {
            let keys = [
                (names::ROLE, "coder"),
                (names::TASK, "TSK-001"),
                (names::ROUND, "1"),
                (names::TURN, turn),
            ];
            let headers = keys.map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            let headers = HeaderMap::from_iter(headers);
            let ask = RoutedRequest {
                route: RouteName::Agent.into(),
                request: &request,
                headers: &headers,
            };
            let mut tally = QuestionTally::new(CallAllowance::new(Still.now()));
            let answer = llm.complete_answer(ask, &mut tally).await.unwrap();
            let answer = answer.response;
            words.push(answer.content.iter().map(said_block).collect::<Vec<_>>());
            let results: Vec<_> = answer.content.iter().filter_map(result_of).collect();
            request
                .messages
                .push(ConversationMessage::from_assistant(answer.content));
            request
                .messages
                .push(ConversationMessage::from_user(results));
        }
        let want = [
            "text Zuerst lese ich — dann schreibe ich.",
            "write {\"path\":\"ä.py\",\"lines\":[1,2]}",
            "write {\"path\":\"b.py\"}",
        ];
        assert_eq!(words, [want.as_slice(), &["text Done."]]);
        let faulted = RequestOutcome::Faulted {
            rule: "rule 1".to_owned(),
        };
        let replied = |rule: &str| RequestOutcome::Replied {
            rule: rule.to_owned(),
        };
        let outcomes: Vec<_> = server
            .recorder
            .list_requests()
            .into_iter()
            .map(|r| r.outcome)
            .collect();
        let want = [
            faulted.clone(),
            faulted.clone(),
            faulted,
            replied("rule 1"),
            replied("rule 2"),
        ];
        assert_eq!(outcomes, want);
    }
}

fn client(dialect: Dialect, base: &str) -> LlmClient {
    let base = match dialect {
        Dialect::Messages => base.to_owned(),
        Dialect::ChatCompletions | Dialect::Responses => format!("{base}/v1"),
    };
    let routes = RouteTable::all_simulated(dialect, &base);
    LlmClient::new(routes, Arc::new(Still)).unwrap()
}

fn result_of(block: &ContentBlock) -> Option<ContentBlock> {
    match block {
        ContentBlock::ToolUse(call) => {
            Some(ContentBlock::tool_result(call.id.as_str(), "ok", false))
        }
        _ => None,
    }
}
