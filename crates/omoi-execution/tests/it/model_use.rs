//! What is kept of the models of an attempt: who was passed over, and what the prompt cache gave.

use std::time::Duration;

use omoi_domain::event::{Event, EventKind};
use omoi_domain::id::TaskId;
use omoi_domain::model_fallback::{FallbackClass, PassedModels};
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::retry::ErrorClass;
use omoi_execution::intake::complete_attempt;
use omoi_execution::metering::{CallLedger, StoredQuota};
use omoi_llm::meter::{
    CallMeter as _, CallOutcome, CallUsage, CostProjection, FallbackNote, ModelCaller,
};
use omoi_llm::pricing::TokenCounts;
use omoi_llm::quota::{ClosedCredential, QuotaBook as _, QuotaChange};
use omoi_runtime::clock::Clock as _;
use omoi_store::{attempts, closed_credentials, costs, events, model_fallbacks};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::{TestDeployment, failed_report};

use crate::open_attempt::{caller_of, open_attempt};
use crate::provider_wait::{save, turned_away};

omoi_testkit::on_both_databases!(
    a_fallback_is_counted_and_told_once,
    the_share_of_the_cache_and_its_misses_are_kept,
    the_maker_of_the_reasoning_stays,
    closed_credentials_are_shared,
    a_receipt_names_the_models_of_its_head,
);

fn note(to_model: &str, class: FallbackClass) -> FallbackNote {
    FallbackNote {
        route: RouteName::Agent,
        from_model: "first".to_owned(),
        to_model: to_model.to_owned(),
        class,
        words: "Overloaded".to_owned(),
    }
}

async fn a_fallback_is_counted_and_told_once(database: TestDatabase) {
    let (it, task, attempt) = open_attempt(database).await;
    let caller = caller_of(&it, &attempt).await;
    assert_eq!(caller.task_type, Some(task.task_type));
    let ledger: CallLedger = it.build_part();
    for note in [
        note("second", FallbackClass::Away),
        note("second", FallbackClass::Away),
        note("second", FallbackClass::Limited),
    ] {
        ledger.report_fallback(&caller, &note).await;
    }
    let mut tx = it.read_tx().await;
    let kept = model_fallbacks::of_attempt(&mut tx, attempt.id).await;
    let kept: Vec<_> = kept
        .unwrap()
        .into_iter()
        .map(|kept| (kept.class, kept.n, kept.to_model))
        .collect();
    let second = || "second".to_owned();
    let expected = [
        (FallbackClass::Away, 2, second()),
        (FallbackClass::Limited, 1, second()),
    ];
    assert_eq!(kept, expected);
    let told = events::of_kind(&mut tx, it.spec.id, EventKind::ModelFellBack).await;
    let told: Vec<_> = told
        .unwrap()
        .into_iter()
        .filter_map(|stored| match stored.event {
            Event::ModelFellBack(fallback) => Some(fallback.one_line()),
            _ => None,
        })
        .collect();
    let expected = [
        "asks second in the place of first: it is away (Overloaded)",
        "asks second in the place of first: it is limited (Overloaded)",
    ];
    assert_eq!(told, expected);
}

/// Asks `model` and records that it read and wrote so much of the prompt cache.
async fn answered(it: &TestDeployment, caller: &ModelCaller, used: (&str, [u64; 3])) {
    answered_by_route(it, caller, RouteName::Agent, used).await;
}

async fn answered_by_route(
    it: &TestDeployment,
    caller: &ModelCaller,
    route: RouteName,
    used: (&str, [u64; 3]),
) {
    let (model, [input, cache_read, cache_write]) = used;
    let ledger: CallLedger = it.build_part();
    let projection = CostProjection {
        route,
        model: model.to_owned(),
        simulated: false,
        tokens: TokenCounts::default(),
        cost: NanoUsd::ZERO,
    };
    let call = ledger.reserve_call(caller, &projection).await.unwrap();
    let usage = CallUsage {
        route,
        model: model.to_owned(),
        tokens: TokenCounts {
            input,
            output: 5,
            cache_read,
            cache_write,
            cache_write_1h: 0,
        },
        is_estimated: false,
        cost: NanoUsd::ZERO,
        latency_ms: 1,
        calls: 1,
        simulated: false,
        outcome: CallOutcome::Complete,
        cache_miss: None,
    };
    call.record_usage(&usage).await.unwrap();
}

async fn the_share_of_the_cache_and_its_misses_are_kept(database: TestDatabase) {
    let (it, _, attempt) = open_attempt(database).await;
    let caller = caller_of(&it, &attempt).await;
    for (pause, used) in [
        (0, ("first", [100, 0, 900])),
        (60, ("first", [50, 900, 50])),
        // Ten minutes later the cache has forgotten it.
        (600, ("first", [50, 0, 1_000])),
        // And this is another beginning.
        (10, ("first", [1_000, 0, 0])),
        // Another model has another cache.
        (10, ("second", [500, 0, 0])),
    ] {
        it.advance_clock(pause);
        answered(&it, &caller, used).await;
    }
    let mut tx = it.read_tx().await;
    let spends = costs::by_model(&mut tx, attempt.id).await.unwrap();
    let figures: Vec<_> = spends
        .iter()
        .map(|s| {
            (
                s.model.as_str(),
                s.calls,
                s.input_tokens,
                s.cache_read_tokens,
            )
        })
        .collect();
    assert_eq!(figures, [("first", 4, 1_200, 900), ("second", 1, 500, 0)]);
    let missed = [("expired".to_owned(), 1), ("prefix_changed".to_owned(), 1)];
    assert_eq!(spends[0].cache_misses, missed);
    assert_eq!(spends[1].cache_misses, []);
}

/// An attempt that goes on from another one has its conversation, also after the first choice is another
/// model.
async fn the_maker_of_the_reasoning_stays(database: TestDatabase) {
    let (it, task, attempt) = open_attempt(database).await;
    let caller = caller_of(&it, &attempt).await;
    let ledger: CallLedger = it.build_part();
    for asked in ["first", "second"] {
        let kept = ledger.keep_maker(&caller, asked).await;
        assert_eq!(kept.as_deref(), Some("first"));
    }
    assert_eq!(
        it.attempt_now(&attempt).await.reasoning_maker.as_deref(),
        Some("first")
    );
    // The phase that was worked on is known by the models that answered.
    let phase = costs::models_of_phase(&mut it.read_tx().await, it.spec.id, Phase::Tasks).await;
    assert_eq!(phase.unwrap(), [] as [String; 0]);
    let failed = turned_away(&it, Some(it.clock.now() + Duration::from_secs(60)));
    assert!(save(&it, &attempt, &failed).await);
    it.advance_clock(3_600);
    let next = it.run_task(task.id).await.attempt;
    assert_ne!(next.id, attempt.id);
    assert_eq!(next.reasoning_maker.as_deref(), Some("first"));
}

async fn closed_credentials_are_shared(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let [one, other] = [(); 2].map(|()| it.build_part::<StoredQuota>());
    let at = |seconds| it.clock.now() + Duration::from_secs(seconds);
    let closed = |open_at| ClosedCredential {
        credential: "c".to_owned(),
        open_at,
    };
    let change = |closed_until| {
        [QuotaChange {
            credential: "c".to_owned(),
            closed_until,
        }]
    };
    assert_eq!(one.exchange_closed(&[]).await.unwrap(), []);
    // The later time holds, whoever comes last.
    for (told, kept) in [(at(60), at(60)), (at(30), at(60)), (at(90), at(90))] {
        assert_eq!(
            one.exchange_closed(&change(Some(told))).await.unwrap(),
            [closed(kept)]
        );
        assert_eq!(other.exchange_closed(&[]).await.unwrap(), [closed(kept)]);
    }
    // What answers is open for all.
    assert_eq!(other.exchange_closed(&change(None)).await.unwrap(), []);
    assert_eq!(one.exchange_closed(&[]).await.unwrap(), []);
    let again = change(Some(at(90)));
    one.exchange_closed(&again).await.unwrap();
    it.commit(async |tx| closed_credentials::open_all(tx).await)
        .await
        .unwrap();
    assert_eq!(other.exchange_closed(&[]).await.unwrap(), []);
    one.exchange_closed(&again).await.unwrap();
    it.advance_clock(90);
    assert_eq!(other.exchange_closed(&[]).await.unwrap(), []);
}

/// Has the next attempt at the task ask `model`, and hand in `head` where it does.
async fn next_attempt(it: &TestDeployment, task: TaskId, model: &str, head: Option<&str>) {
    let attempt = it.run_task(task).await.attempt;
    let caller = caller_of(it, &attempt).await;
    answered(it, &caller, (model, [1, 0, 0])).await;
    answered_by_route(it, &caller, RouteName::Title, ("small", [1, 0, 0])).await;
    let ledger: CallLedger = it.build_part();
    let passed = FallbackNote {
        from_model: format!("dear to {model}"),
        ..note(model, FallbackClass::Limited)
    };
    let of_title = FallbackNote {
        route: RouteName::Title,
        ..passed.clone()
    };
    for note in [&passed, &passed, &of_title] {
        ledger.report_fallback(&caller, note).await;
    }
    if let Some(head) = head {
        let hand_in = it.commit(async |tx| {
            let mut attempt = attempts::get(tx, attempt.id).await?;
            attempt.head_sha = Some(head.to_owned());
            attempts::save(tx, &mut attempt).await
        });
        hand_in.await.unwrap();
    }
    let lost = failed_report(ErrorClass::Network, "it broke");
    let attempt = it.attempt_now(&attempt).await;
    complete_attempt(&it.build_part(), &attempt, lost)
        .await
        .unwrap();
    it.advance_clock(3_600);
}

async fn a_receipt_names_the_models_of_its_head(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let task = it.add_task(1, &[]).await;
    next_attempt(&it, task.id, "lost", None).await;
    next_attempt(&it, task.id, "first", Some("one")).await;
    next_attempt(&it, task.id, "second", Some("two")).await;
    for (head, expected) in [
        ("one", &["first"][..]),
        ("two", &["first", "second"]),
        // A merge.
        ("other", &["first", "second"]),
    ] {
        let mut tx = it.read_tx().await;
        let work = costs::models_of_head(&mut tx, task.id, head).await.unwrap();
        assert_eq!(work.models, expected, "{head}");
        let passed = expected.iter().map(|model| PassedModels {
            from_model: format!("dear to {model}"),
            to_model: (*model).to_owned(),
            class: FallbackClass::Limited,
            n: 2,
        });
        assert_eq!(work.fallbacks, passed.collect::<Vec<_>>(), "{head}");
    }
}
