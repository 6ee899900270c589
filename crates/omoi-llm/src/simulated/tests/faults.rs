//! Each fault, as a client sees it, and the reply when the faults are over.

use std::time::Duration;

use super::*;

const RULES: &str = "
- when: {}
  fault:
    - {status: 429, retry_after_s: 3, times: 2}
    - {status: 529}
    - {stream_error: overloaded_error}
    - {broken_json: tool_input}
    - {broken_json: body}
    - {cut_after_bytes: 40}
    - {cut_after_bytes: 100000}
    - {hang_s: 0}
  reply:
    - text: A few words before the call.
    - tool: {name: write, input: {path: a/long/path/to/some/file.txt}}
";

fn data(got: &Got) -> Vec<String> {
    let frames = SseDecoder::default().push(&got.body).unwrap();
    frames.into_iter().map(|frame| frame.data).collect()
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Json>(text).is_ok()
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn faults_happen_in_order_and_then_the_reply_comes() {
    for (wire, stream) in [
        (Dialect::Messages, true),
        (Dialect::Messages, false),
        (Dialect::ChatCompletions, true),
        (Dialect::ChatCompletions, false),
        (Dialect::Responses, true),
        (Dialect::Responses, false),
    ] {
        let server = start(RULES).await;
        let mut body = request(wire);
        if stream {
            body["stream"] = json!(true);
        }
        if stream && wire == Dialect::ChatCompletions {
            body["stream_options"] = json!({"include_usage": true});
        }
        let ask = || server.ask(wire, &[], &body);

        for _ in 0..2 {
            let got = ask().await;
            assert_eq!(
                (got.status, got.headers["retry-after"].to_str().unwrap()),
                (429, "3")
            );
            assert_eq!(got.json()["error"]["type"], "rate_limit_error");
        }
        let got = ask().await;
        assert_eq!((got.status, got.headers.get("retry-after")), (529, None));
        assert_eq!(got.json()["error"]["type"], "overloaded_error");

        let got = ask().await;
        if stream {
            assert_eq!((got.status, got.is_whole), (200, true));
            let last: Json = serde_json::from_str(data(&got).last().unwrap()).unwrap();
            let error = match wire {
                Dialect::Responses => &last["response"]["error"]["code"],
                Dialect::Messages | Dialect::ChatCompletions => &last["error"]["type"],
            };
            let want = match wire {
                Dialect::Responses => "server_is_overloaded",
                Dialect::Messages | Dialect::ChatCompletions => "overloaded_error",
            };
            assert_eq!(error, want);
            assert!(data(&got).len() > 4);
        } else {
            assert_eq!(got.status, 529);
        }

        let got = ask().await;
        assert_eq!((got.status, got.is_whole), (200, true));
        assert_eq!(
            broken_tool_input(wire, stream, &got),
            "{\"path\":\"a/long/pat"
        );

        let got = ask().await;
        assert_eq!((got.status, got.is_whole), (200, true));
        if stream {
            let broken: Vec<_> = data(&got)
                .into_iter()
                .filter(|data| !is_json(data))
                .collect();
            let done = usize::from(wire == Dialect::ChatCompletions);
            assert_eq!(broken.len(), 1 + done, "{broken:?}");
        } else {
            assert!(!is_json(std::str::from_utf8(&got.body).unwrap()));
        }

        let got = ask().await;
        assert_eq!((got.status, got.is_whole, got.body.len()), (200, false, 40));
        let got = ask().await;
        assert_eq!((got.status, got.is_whole), (200, false));
        let cut_at_the_end = got.body;

        let got = ask().await;
        assert_eq!((got.is_whole, got.body.len()), (false, 0));

        let got = ask().await;
        assert_eq!((got.status, got.is_whole), (200, true));
        assert_eq!(got.body, cut_at_the_end);
        assert_eq!(said_by(wire, stream, &got).0.len(), 2);
    }
}

/// The broken arguments, in an answer that is otherwise as it should be.
fn broken_tool_input(wire: Dialect, stream: bool, got: &Got) -> String {
    if (wire, stream) == (Dialect::Messages, false) {
        assert!(!is_json(std::str::from_utf8(&got.body).unwrap()));
        return "{\"path\":\"a/long/pat".to_owned();
    }
    let input = said_by(wire, stream, got).0[1].clone();
    input.strip_prefix("write ").unwrap().to_owned()
}

#[tokio::test]
async fn some_faults_never_end_and_need_no_reply() {
    let rules = "
- {when: {role: a}, fault: [{status: 503}, {status: 400, times: always}]}
- {when: {role: b}, fault: {cut_after_bytes: 3, times: always}, reply: [{text: hi}]}
";
    let server = start(rules).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let body = request(Dialect::ChatCompletions);
        statuses.push(
            server
                .ask(Dialect::ChatCompletions, &[("x-omoi-role", "a")], &body)
                .await
                .status,
        );
        let got = server
            .ask(Dialect::ChatCompletions, &[("x-omoi-role", "b")], &body)
            .await;
        assert_eq!((got.is_whole, got.body.len()), (false, 3));
    }
    assert_eq!(statuses, [503, 400, 400, 400]);
}

#[tokio::test]
async fn a_hang_lasts_as_long_as_it_says() {
    let server = start("- {when: {}, fault: {hang_s: 1}, reply: []}").await;
    let before = std::time::Instant::now();
    let got = server
        .ask(
            Dialect::ChatCompletions,
            &[],
            &request(Dialect::ChatCompletions),
        )
        .await;
    assert!(!got.is_whole && before.elapsed() >= Duration::from_secs(1));
}
