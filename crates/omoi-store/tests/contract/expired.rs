//! Rows whose time is over: removed a few at a time, and no others.

use std::time::Duration;

use omoi_domain::access::sign_in_limit::{LimitCount, LimitScope};
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::id::UserId;
use omoi_store::expired_rows::{ExpiringTable, has_expired, remove_expired};
use omoi_store::one_time_tokens::{self, OneTimeToken};
use omoi_store::request_keys::{self, KeptAnswer, KeyedRequest, RequestDigests};
use omoi_store::{StoreError, Tx, sign_in_limits};

use crate::bench::{Bench, POINT};

both!(what_is_over_is_removed_a_few_rows_at_a_time);

const DAY: Duration = Duration::from_hours(24);

fn token(bench: &Bench, purpose: TokenPurpose, life: Duration) -> OneTimeToken {
    OneTimeToken {
        digest: format!("{purpose}"),
        purpose,
        user_id: Some(UserId::LOCAL),
        email: None,
        session_id: None,
        api_key_id: None,
        code_digest: None,
        label: None,
        expires_at: bench.now() + life,
        used_at: None,
        provider_flow: None,
    }
}

/// A request with a key, and its answer.
async fn keep_answer(bench: &Bench) -> Result<(), StoreError> {
    let digests = RequestDigests {
        request: "a".to_owned(),
        body: "b".to_owned(),
    };
    let claim = async |tx: &mut Tx| request_keys::claim(tx, &digests).await;
    let KeyedRequest::Run(running) = bench.store.system().write(POINT, claim).await? else {
        panic!("it is the first one")
    };
    let answer = KeptAnswer {
        request_id: running.id,
        org_id: bench.local.org(),
        body: "{}".to_owned(),
        etag: None,
        location: None,
    };
    let keep = async |tx: &mut Tx| request_keys::keep_answer(tx, running, 200, Some(&answer)).await;
    bench.local.write(POINT, keep).await
}

async fn fill(bench: &Bench) -> Result<(), StoreError> {
    let tokens = [
        token(bench, TokenPurpose::Verify, DAY),
        token(bench, TokenPurpose::Reset, DAY),
        token(bench, TokenPurpose::Unlock, DAY),
        token(bench, TokenPurpose::LocalLink, 3 * DAY),
    ];
    let count = LimitCount {
        window_start: bench.now(),
        count: 3,
        locked_until: None,
    };
    let fill = async |tx: &mut Tx| -> Result<(), StoreError> {
        for token in &tokens {
            one_time_tokens::replace(tx, token).await?;
        }
        for scope in [LimitScope::SignInAccount, LimitScope::SignInPair] {
            sign_in_limits::lock(tx, scope, "x").await?;
            sign_in_limits::set_count(tx, scope, "x", count).await?;
        }
        Ok(())
    };
    bench.store.system().write(POINT, fill).await?;
    keep_answer(bench).await
}

async fn what_is_over_is_removed_a_few_rows_at_a_time(bench: Bench) -> Result<(), StoreError> {
    fill(&bench).await?;
    let system = bench.store.system();
    let expired = async || {
        let look = async |tx: &mut Tx| -> Result<_, StoreError> {
            let mut expired = Vec::new();
            for &table in ExpiringTable::ALL {
                if has_expired(tx, table).await? {
                    expired.push(table);
                }
            }
            Ok(expired)
        };
        system.read(look).await
    };
    let remove = async |table, limit| {
        let remove = async |tx: &mut Tx| remove_expired(tx, table, limit).await;
        system.write(POINT, remove).await
    };
    assert_eq!(expired().await?, []);
    bench.advance(2 * DAY);
    let over = [
        ExpiringTable::OneTimeTokens,
        ExpiringTable::SignInLimits,
        ExpiringTable::RequestKeys,
    ];
    assert_eq!(expired().await?, over);
    assert_eq!(remove(ExpiringTable::OneTimeTokens, 2).await?, 2);
    for table in over {
        assert_eq!(remove(table, 500).await?, 1, "{table}");
        assert_eq!(remove(table, 500).await?, 0, "{table}");
    }
    assert_eq!(expired().await?, []);
    // What is left: the token that is good, the account that its owner opens; answers went with their requests.
    for (table, n_left) in [
        ("one_time_tokens", 1),
        ("sign_in_limits", 1),
        ("kept_answers", 0),
    ] {
        let count = format!("select count(*) from {table}");
        assert_eq!(bench.number(&count).await, n_left, "{table}");
    }
    Ok(())
}
