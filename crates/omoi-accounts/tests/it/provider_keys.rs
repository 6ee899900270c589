//! Keys that organisations bring for providers of models: kept encrypted, each for its organisation alone.

use std::sync::Arc;

use omoi_accounts::brought_keys::{BroughtKeyReader, OpenKeyError};
use omoi_accounts::commands::member::MemberAuthority;
use omoi_accounts::commands::provider_key::{remove_provider_key, set_provider_key};
use omoi_accounts::context::AccountContext;
use omoi_accounts::error::AccountError;
use omoi_accounts::key_ring::KeyRing;
use omoi_accounts::sealed_secret::SealError;
use omoi_domain::access::role::SystemRole;
use omoi_domain::audit::AuditAction;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::OrgId;
use omoi_store::{StoreError, Tx, audit_log, deployment};
use omoi_testkit::organisations::add_organisation;
use secrecy::ExposeSecret as _;

use crate::desk::Desk;
use crate::members::{add, by};

both!(
    a_key_is_kept_for_its_organisation_alone,
    a_key_that_was_altered_opens_nothing,
    a_second_key_of_the_ring_takes_the_first_ones_place,
);

const ORG: OrgId = OrgId::LOCAL;
const ELSEWHERE: &str = "01930000-0000-7000-8000-0000000000e1";
const KEY: &str = "sk-ant-0123456789-x4f9";
const OTHER: &str = "sk-ant-9876543210-w1b2";
const OLD: &str = "old:kJ3f0vQmZ8xw-Tq41LrYb7NcUe5sGhPd";
const NEW: &str = "new:Wz8d1tBnX6yu-Rp52MsAc9KfVg4jHqLe";

async fn ask_providers(accounts: &AccountContext, names: &[&str]) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let keep = async |tx: &mut Tx| deployment::keep_key_providers(tx, &names).await;
    let kept = accounts.store.system();
    kept.write(CrashPoint::DeploymentTaken, keep).await.unwrap();
}

fn with_ring(accounts: &AccountContext, ring: &str) -> AccountContext {
    let ring = KeyRing::parse(&ring.to_owned().into()).unwrap();
    AccountContext {
        encryption_ring: Some(Arc::new(ring)),
        ..accounts.clone()
    }
}

fn reader(accounts: &AccountContext) -> BroughtKeyReader {
    BroughtKeyReader {
        store: accounts.store.clone(),
        ring: accounts.encryption_ring.clone(),
    }
}

/// What `org` brought, by provider.
async fn opened(
    accounts: &AccountContext,
    org: OrgId,
) -> Result<Vec<(String, String)>, OpenKeyError> {
    let keys = reader(accounts).read_keys(org).await?;
    let plain = keys
        .into_iter()
        .map(|(provider, key)| (provider, key.expose_secret().to_owned()));
    Ok(plain.collect())
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = list
        .iter()
        .map(|(provider, key)| ((*provider).to_owned(), (*key).to_owned()));
    owned.collect()
}

async fn set(
    accounts: &AccountContext,
    by: MemberAuthority,
    provider: &str,
    key: &str,
) -> Result<String, AccountError> {
    let set = set_provider_key(accounts, by, provider, &key.to_owned().into()).await;
    set.map(|row| row.last_four)
}

async fn a_key_is_kept_for_its_organisation_alone(desk: Desk) {
    let accounts = &desk.accounts;
    let (ada, _) = add(&desk, "ada@example.org", SystemRole::Owner).await;
    let (owner, elsewhere) = (by(ada, SystemRole::Owner), ELSEWHERE.parse().unwrap());
    add_organisation(&accounts.store, elsewhere).await;
    let refused = set(accounts, owner, "anthropic", KEY).await;
    assert!(matches!(refused, Err(AccountError::UnaskedProvider(_))));
    ask_providers(accounts, &["anthropic", "rack"]).await;
    let refused = set(accounts, owner, "anthropic", "short").await;
    assert!(matches!(refused, Err(AccountError::ProviderKey(_))));
    let without = AccountContext {
        encryption_ring: None,
        ..accounts.clone()
    };
    let refused = set(&without, owner, "anthropic", KEY).await;
    assert!(matches!(refused, Err(AccountError::NoEncryption)));

    assert_eq!(
        set(accounts, owner, "anthropic", KEY).await.unwrap(),
        "x4f9"
    );
    let other = MemberAuthority::of_operator(elsewhere);
    set(accounts, other, "rack", OTHER).await.unwrap();
    // Another process reads them as they are.
    let process = desk.another().await;
    assert_eq!(
        opened(&process, ORG).await.unwrap(),
        pairs(&[("anthropic", KEY)])
    );
    let theirs = opened(&process, elsewhere).await.unwrap();
    assert_eq!(theirs, pairs(&[("rack", OTHER)]));
    let closed = opened(&without, ORG).await;
    assert!(matches!(closed, Err(OpenKeyError::NoRing { .. })));

    set(accounts, owner, "anthropic", OTHER).await.unwrap();
    assert_eq!(
        opened(&process, ORG).await.unwrap(),
        pairs(&[("anthropic", OTHER)])
    );
    remove_provider_key(accounts, owner, "anthropic")
        .await
        .unwrap();
    assert!(opened(&process, ORG).await.unwrap().is_empty());
    let gone = remove_provider_key(accounts, owner, "anthropic").await;
    let gone = gone.unwrap_err();
    assert!(matches!(
        gone,
        AccountError::Store(StoreError::NotFound { .. })
    ));
    audit_tells_endings_alone(accounts).await;
}

async fn audit_tells_endings_alone(accounts: &AccountContext) {
    let read = async |tx: &mut Tx| audit_log::entries_after(tx, 0).await;
    let entries = accounts.store.tenant(ORG).read(read).await.unwrap();
    let told: Vec<_> = entries
        .into_iter()
        .filter(|entry| {
            [AuditAction::SecretSet, AuditAction::SecretRemoved].contains(&entry.action)
        })
        .map(|entry| {
            let text = |value: Option<String>| value.unwrap_or_default();
            let (before, after) = (text(entry.value_before), text(entry.value_after));
            for secret in [KEY, OTHER, "0123456789", "9876543210"] {
                assert!(!before.contains(secret) && !after.contains(secret));
            }
            let ending = |text: &str| {
                let endings = ["x4f9", "w1b2"];
                endings.into_iter().find(|ending| text.contains(ending))
            };
            (entry.action, ending(&before), ending(&after))
        })
        .collect();
    let (set, removed) = (AuditAction::SecretSet, AuditAction::SecretRemoved);
    assert_eq!(
        told,
        [
            (set, None, Some("x4f9")),
            (set, Some("x4f9"), Some("w1b2")),
            (removed, Some("w1b2"), None),
        ]
    );
}

async fn a_key_that_was_altered_opens_nothing(desk: Desk) {
    let accounts = &desk.accounts;
    let elsewhere: OrgId = ELSEWHERE.parse().unwrap();
    add_organisation(&accounts.store, elsewhere).await;
    ask_providers(accounts, &["anthropic", "rack"]).await;
    for (org, key) in [(ORG, KEY), (elsewhere, OTHER)] {
        let operator = MemberAuthority::of_operator(org);
        set(accounts, operator, "anthropic", key).await.unwrap();
    }
    let expect_altered = async || {
        let read = opened(accounts, elsewhere).await;
        assert!(
            matches!(&read, Err(OpenKeyError::Sealed { provider, source: SealError::Altered })
                if provider == "anthropic"),
            "{read:?}"
        );
    };
    // The row of another organisation in the place of its own.
    desk.raw(&format!(
        "update provider_keys set
             wrapped_key = (select o.wrapped_key from provider_keys o where o.org_id = '{ORG}'),
             sealed_key = (select o.sealed_key from provider_keys o where o.org_id = '{ORG}')
         where org_id = '{elsewhere}'"
    ))
    .await;
    expect_altered().await;
    // Its own again, under the name of another provider.
    let operator = MemberAuthority::of_operator(elsewhere);
    set(accounts, operator, "anthropic", OTHER).await.unwrap();
    assert!(opened(accounts, elsewhere).await.is_ok());
    let rename = "update provider_keys set provider_name = 'rack' where org_id";
    desk.raw(&format!("{rename} = '{elsewhere}'")).await;
    let read = opened(accounts, elsewhere).await;
    assert!(
        matches!(&read, Err(OpenKeyError::Sealed { provider, source: SealError::Altered })
            if provider == "rack")
    );
    // Nothing of it touches the other organisation.
    assert_eq!(
        opened(accounts, ORG).await.unwrap(),
        pairs(&[("anthropic", KEY)])
    );
    // A key of the ring that there is not.
    let unknown = "update provider_keys set ring_key = 'k9' where org_id";
    desk.raw(&format!("{unknown} = '{ORG}'")).await;
    let read = opened(accounts, ORG).await;
    assert!(
        matches!(&read, Err(OpenKeyError::Sealed { source: SealError::UnknownKey(name), .. })
            if name == "k9")
    );
}

async fn a_second_key_of_the_ring_takes_the_first_ones_place(desk: Desk) {
    let old = with_ring(&desk.accounts, OLD);
    ask_providers(&old, &["anthropic"]).await;
    let operator = MemberAuthority::of_operator(ORG);
    set(&old, operator, "anthropic", KEY).await.unwrap();
    let both = with_ring(&desk.accounts, &format!("{NEW},{OLD}"));
    let new = with_ring(&desk.accounts, NEW);
    let expected = pairs(&[("anthropic", KEY)]);
    assert_eq!(opened(&both, ORG).await.unwrap(), expected);
    assert!(opened(&new, ORG).await.is_err());
    // What cannot be read is left as it is.
    assert_eq!(reader(&new).rewrap_keys(&new.rng).await.unwrap(), 0);
    assert_eq!(reader(&both).rewrap_keys(&both.rng).await.unwrap(), 1);
    assert_eq!(reader(&both).rewrap_keys(&both.rng).await.unwrap(), 0);
    assert_eq!(opened(&new, ORG).await.unwrap(), expected);
    assert!(opened(&old, ORG).await.is_err());
}
