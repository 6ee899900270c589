//! Answers that end early: cut streams, costs that cannot be recorded, callers that go away.

use super::*;

#[tokio::test]
async fn a_cut_that_the_caller_has_seen_begin_becomes_an_error_event() {
    let stub = Stub::always(stub::first(5, End::Reset)).await;
    let house = house(&stub);
    let body = text(house.post(question(true)).await.body).await;
    let frames = SseDecoder::default().push(body.as_bytes()).unwrap();
    let last = frames.last().unwrap();
    assert_eq!(last.event.as_deref(), Some("error"));
    let error: Value = serde_json::from_str(&last.data).unwrap();
    assert_eq!(error["error"]["type"], "api_error");
    assert!(!body.contains("message_stop"));
    assert_eq!(stub.calls(), 1);
    let usage = house.meter.usages().pop().unwrap();
    // "Hello" is five bytes.
    assert_eq!(
        (usage.outcome, usage.tokens.input, usage.tokens.output),
        (CallOutcome::Cut, 100, 2)
    );
}

/// What a caller gets of a good answer, streamed or whole, when the first `refusals` records fail.
async fn asked_while_records_fail(refusals: u32, stream: bool) -> (House, GatewayReply) {
    let stub = Stub::always(stub::good()).await;
    let meter = TestMeter::failing(refusals);
    let house = house_of(route(Dialect::Messages, &stub.url), meter);
    let reply = house.post(question(stream)).await;
    (house, reply)
}

#[tokio::test]
async fn a_whole_answer_whose_cost_is_not_recorded_is_withheld() {
    let (house, reply) = asked_while_records_fail(u32::MAX, false).await;
    let (status, kind, message) = error(reply).await;
    assert_eq!((status, kind.as_str()), (503, "api_error"));
    assert!(message.contains("could not be recorded"), "{message}");
    assert!(house.meter.usages().is_empty());
    let tries = house.meter.log();
    assert_eq!(tries[1..], vec![Logged::NotTaken; 5], "bounded");
    assert!((15.0..30.0).contains(&house.pace.elapsed_s()));
}

#[tokio::test]
async fn a_stream_whose_cost_is_not_recorded_ends_with_an_error() {
    let (_house, reply) = asked_while_records_fail(u32::MAX, true).await;
    let body = text(reply.body).await;
    let frames = SseDecoder::default().push(body.as_bytes()).unwrap();
    let kinds: Vec<_> = frames.iter().filter_map(|f| f.event.as_deref()).collect();
    assert!(kinds.contains(&"content_block_stop"), "{kinds:?}");
    for withheld in ["message_delta", "message_stop"] {
        assert!(!kinds.contains(&withheld), "{kinds:?}");
    }
    let last = frames.last().unwrap();
    assert_eq!(last.event.as_deref(), Some("error"));
    let error: Value = serde_json::from_str(&last.data).unwrap();
    assert_eq!(error["error"]["type"], "api_error");
    assert_eq!(error["should_retry"], true, "our own agent asks again");
    let says = error["error"]["message"].as_str().unwrap();
    assert!(says.contains("could not be recorded"), "{says}");
}

#[tokio::test]
async fn a_cost_that_is_recorded_in_the_end_withholds_nothing() {
    for stream in [true, false] {
        let (house, reply) = asked_while_records_fail(4, stream).await;
        assert_eq!(reply.status, StatusCode::OK);
        let body = text(reply.body).await;
        assert!(body.contains("tool_use") && !body.contains("withheld"));
        assert_eq!(house.meter.usages().len(), 1);
        assert_eq!(house.pace.pauses().len(), 4);
    }
}

#[tokio::test]
async fn nothing_of_an_answer_is_told_whose_reservation_is_not_on_the_disk() {
    for stream in [true, false] {
        let stub = Stub::always(stub::good()).await;
        let house = house_of(
            route(Dialect::Messages, &stub.url),
            TestMeter::losing_grants(),
        );
        let reply = house.post(question(stream)).await;
        let (status, kind, _) = error(reply).await;
        assert_eq!((status, kind.as_str()), (503, "api_error"));
        // It was asked, so it is paid for.
        assert_eq!((stub.calls(), house.meter.usages().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_is_still_paid_for_and_the_upstream_is_let_go() {
    let stub = Stub::always(stub::first(5, End::Hang)).await;
    let house = house(&stub);
    let ReplyBody::Events(mut events) = house.post(question(true)).await.body else {
        panic!("not a stream");
    };
    let mut read = String::new();
    while read.matches("\n\n").count() < 5 {
        read += str::from_utf8(&events.next().await.unwrap()).unwrap();
    }
    drop(events);
    house.gateway.drain_questions().await;
    stub.left_alone().await;
    let usage = house.meter.usages().pop().unwrap();
    assert_eq!(
        (usage.outcome, usage.tokens.input, usage.tokens.output),
        (CallOutcome::Abandoned, 100, 2)
    );
    assert!(usage.cost.as_nanos() > 300_000);
}

#[tokio::test]
async fn a_caller_that_goes_away_before_the_head_is_recorded_too() {
    for stream in [true, false] {
        let stub = Stub::always(Says::Nothing).await;
        let house = house(&stub);
        let gone = async {
            while stub.calls() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = house.post(question(stream)) => panic!("answered"),
            () = gone => {}
        }
        house.gateway.drain_questions().await;
        stub.left_alone().await;
        let usage = house.meter.usages().pop().unwrap();
        // The provider has the request, and bills it.
        assert_eq!((usage.outcome, usage.calls), (CallOutcome::Abandoned, 1));
        assert!(usage.tokens.input > 0 && usage.cost > NanoUsd::ZERO);
    }
}

#[tokio::test]
async fn a_caller_that_reads_nothing_counts_as_gone() {
    let many: Vec<Value> = std::iter::once(stub::anthropic_start())
        .chain(std::iter::once(stub::anthropic_events()[1].clone()))
        .chain(std::iter::repeat_n(
            stub::anthropic_events()[3].clone(),
            5_000,
        ))
        .collect();
    let stub = Stub::always(stub::says(&many)).await;
    let mut house = house(&stub);
    // The clock runs faster than loopback here, so only the caller's guard may fire.
    let mut route = route(Dialect::Messages, &stub.url);
    route.limits.silence = Duration::from_hours(10);
    route.limits.total = Duration::from_hours(10);
    let llm = llm_of(route, &house.pace);
    house.gateway = ModelGateway::new(llm, Arc::clone(&house.meter) as _);
    let reply = house.post(question(true)).await;
    while house.meter.usages().is_empty() {
        tokio::task::yield_now().await;
        house.pace.advance(Duration::from_secs(1));
    }
    assert_eq!(house.meter.usages()[0].outcome, CallOutcome::Abandoned);
    drop(reply);
}
