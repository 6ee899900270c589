//! Ends of calls: failed, untold, left behind by a process, refused by the database, of an attempt that is over.

use super::*;

omoi_testkit::on_both_databases!(
    a_call_of_a_dead_process_is_settled_once,
    a_cost_that_is_refused_stays_open_until_it_is_recorded,
    an_attempt_that_is_over_gets_no_call,
    untold_usage_is_marked,
);

async fn told_failure(it: &TestDeployment, caller: &ModelCaller) -> CallFailed {
    let at = it.clock.now();
    let failed = FailedTry {
        provider: "api.example".to_owned(),
        model: "m".to_owned(),
        status: Some(529),
        words: "Overloaded".to_owned(),
        n_calls: 1,
        calls_max: 12,
        next_at: Some(at + Duration::from_secs(1)),
        reset_at: None,
        wait: CallWait::Brief,
        until: at + Duration::from_mins(2),
    };
    it.build_part::<CallLedger>()
        .report_failure(caller, &failed)
        .await;
    let kind = EventKind::ModelCallFailed;
    let told = events::of_kind(&mut it.read_tx().await, it.spec.id, kind).await;
    match told.unwrap().pop().map(|stored| stored.event) {
        Some(Event::ModelCallFailed(told)) => told,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failed_call_is_told_with_whose_it_is() {
    let it = TestDeployment::new().await;
    it.leaves_open_attempts();
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let agent = caller_of(&it, &attempt).await;
    let told = told_failure(&it, &agent).await;
    assert_eq!(
        (told.attempt_id, told.subject.task_id()),
        (attempt.id, Some(task.id))
    );
    let at = it.clock.now();
    let (next, until) = (at + Duration::from_secs(1), at + Duration::from_mins(2));
    let expected = format!(
        "api.example answered 529: Overloaded; try 2 of 12 at {}, until {}",
        next.time_of_day(),
        until.time_of_day()
    );
    assert_eq!(told.one_line(), expected);
    // The judge's call has no attempt of an agent; the platform's own is named.
    let new = it.new_attempt(AttemptSubject::PlanOpinion, AgentRole::Judge);
    let asks = it.commit(async |tx| insert_attempt(tx, &it.build_part(), new).await);
    let asks = asks.await.unwrap().attempt;
    let told = told_failure(&it, &judge(&agent)).await;
    assert_eq!((told.attempt_id, told.role.as_str()), (asks.id, "judge"));
}

async fn reap(parts: &DeploymentParts, it: &TestDeployment) {
    let mut reaper = Reaper::from_parts(parts);
    tick_once(&mut reaper, it.clock.now()).await;
}

/// A process dies between the question and the record: whoever comes next charges the call once, with
/// what it may have cost.
async fn a_call_of_a_dead_process_is_settled_once(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |parts| parts.limits.task.budget = usd(9)).await;
    let agent = worker(&it, 1).await;
    let call = it
        .build_part::<CallLedger>()
        .reserve_call(&agent, &projection(usd(4)))
        .await;
    let call = call.unwrap();
    // Who follows its call settles it itself.
    reap(&it.deployment, &it).await;
    assert_eq!((open_calls_of(&it).await, spent(&it).await), (1, usd(0)));

    let next = successor(&it);
    let refused = CallLedger::from_parts(&next)
        .reserve_call(&agent, &projection(usd(6)))
        .await;
    assert!(refused.is_err(), "a call of a dead process still counts");
    for _ in 0..2 {
        reap(&next, &it).await;
        assert_eq!((open_calls_of(&it).await, spent(&it).await), (0, usd(4)));
    }
    let told = told(&it).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].estimated && told[0].unrecorded, "{told:?}");
    assert_eq!(told[0].tokens, 1_100);
    // The one that was taken for dead may not charge it again.
    let late = call.record_usage(&usage(usd(1))).await;
    assert!(matches!(late, Err(RecordError::Refused(_))), "{late:?}");
    assert_eq!(spent(&it).await, usd(4));
    // Its attempt is over: only the one after it is given another call.
    let after = CallLedger::from_parts(&next)
        .reserve_call(&agent, &projection(usd(5)))
        .await;
    assert!(matches!(after, Err(ReserveError::Superseded)));
}

#[tokio::test]
async fn a_call_that_its_own_process_gave_up_is_settled_too() {
    let it = TestDeployment::new().await;
    let agent = worker(&it, 1).await;
    drop(
        it.build_part::<CallLedger>()
            .reserve_call(&agent, &projection(usd(4)))
            .await,
    );
    assert_eq!(open_calls_of(&it).await, 1, "it stays counted");
    reap(&it.deployment, &it).await;
    assert_eq!((open_calls_of(&it).await, spent(&it).await), (0, usd(4)));
}

async fn rename_table(url: &str, sql: &'static str) {
    let mut db = RawConnection::open(url).await.unwrap();
    db.execute(sql).await.unwrap();
    db.close().await.unwrap();
}

/// What the ledger does not take stays counted, and is taken once the ledger can.
async fn a_cost_that_is_refused_stays_open_until_it_is_recorded(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let agent = worker(&it, 1).await;
    let call = it
        .build_part::<CallLedger>()
        .reserve_call(&agent, &projection(usd(4)))
        .await;
    let call = call.unwrap();
    rename_table(it.database_url(), "alter table cost_entries rename to away").await;
    assert!(call.record_usage(&usage(usd(1))).await.is_err());
    assert_eq!(open_calls_of(&it).await, 1);
    rename_table(it.database_url(), "alter table away rename to cost_entries").await;
    // Told twice, as after a commit whose answer was lost, it is charged once.
    for _ in 0..2 {
        call.record_usage(&usage(usd(1))).await.unwrap();
        assert_eq!((open_calls_of(&it).await, spent(&it).await), (0, usd(1)));
    }
    assert_eq!(told(&it).await.len(), 1);
}

async fn an_attempt_that_is_over_gets_no_call(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    let agent = worker(&it, 1).await;
    let ledger: CallLedger = it.build_part();
    let ask = async |caller: &ModelCaller| {
        let asked = ledger.reserve_call(caller, &projection(usd(1))).await;
        asked.map(|_| ()).map_err(|error| error.to_string())
    };
    let under_way = open(&it, std::slice::from_ref(&agent)).await;
    end_attempt(&it, &agent).await;
    let refused = ledger.reserve_call(&agent, &projection(usd(1))).await;
    assert!(matches!(refused, Err(ReserveError::Superseded)));
    assert_eq!(open_calls_of(&it).await, 1, "the one from before");
    // What it asked before its end is paid for all the same; and a second opinion has no attempt.
    under_way[0].record_usage(&usage(usd(1))).await.unwrap();
    assert_eq!(spent(&it).await, usd(1));
    assert_eq!(ask(&judge(&agent)).await, Ok(()));
}

/// What a provider did not tell is recorded as an estimate, which is no call that nobody recorded.
async fn untold_usage_is_marked(database: TestDatabase) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    it.leaves_open_attempts();
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    let caller = caller_of(&it, &attempt).await;
    let ledger: CallLedger = it.build_part();
    for is_estimated in [true, false] {
        let call = ledger.reserve_call(&caller, &projection(usd(1))).await;
        let usage = CallUsage {
            is_estimated,
            ..usage(usd(1))
        };
        let call = call.unwrap();
        call.record_usage(&usage).await.unwrap();
        // As after a commit whose answer was lost.
        call.record_usage(&usage).await.unwrap();
    }
    let told = told(&it).await;
    let marks: Vec<_> = told.iter().map(|c| (c.estimated, c.unrecorded)).collect();
    assert_eq!(marks, [(true, false), (false, false)]);
    let hand_in = it.commit(async |tx| {
        let mut attempt = attempts::get(tx, attempt.id).await?;
        attempt.head_sha = Some("head".to_owned());
        attempts::save(tx, &mut attempt).await
    });
    hand_in.await.unwrap();
    let mut tx = it.read_tx().await;
    let spends = costs::by_model(&mut tx, attempt.id).await.unwrap();
    assert_eq!((spends[0].calls, spends[0].estimated_calls), (2, 1));
    let work = costs::models_of_head(&mut tx, task.id, "head").await;
    assert_eq!(work.unwrap().estimated, ["simulated"]);
    let purposes = costs::by_purpose(&mut tx, it.spec.id).await.unwrap();
    let figures = (
        purposes[0].spend.cost_nanousd,
        purposes[0].estimated_nanousd,
    );
    assert_eq!(figures, (usd(2), usd(1)));
}
