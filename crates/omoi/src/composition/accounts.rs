//! The accounts of a process: its key ring, and what changes an account.

use std::sync::Arc;

use anyhow::Context as _;

use omoi_accounts::access_token::AccessTokens;
use omoi_accounts::context::AccountContext;
use omoi_accounts::holder_cache::{HolderCache, follow_revocations};
use omoi_accounts::key_ring::{KeyPurpose, KeyRing, RingKey};
use omoi_accounts::options::AccountOptions;
use omoi_accounts::password_pool::PasswordPool;
use omoi_accounts::provider_options;
use omoi_accounts::providers::SignInProviders;
use omoi_domain::config::Config;
use omoi_execution::DeploymentParts;
use omoi_runtime::bus::Bus;
use omoi_runtime::clock::{Clocked, SystemClock};
use omoi_runtime::rng::Rng;
use omoi_server::api::CursorKeys;
use omoi_store::Store;

use crate::ErrorHint;
use crate::data_folder::OpenedFolder;

/// Whose tokens they are: those of another program by the same key are none of ours.
const ISSUER: &str = "omoios";

/// Opens the accounts of a process that serves, which tells other processes what is revoked here and hears of theirs.
///
/// # Errors
/// As [`open_accounts`].
pub(super) fn start_accounts(
    config: &Config,
    folder: &OpenedFolder,
    parts: &DeploymentParts,
    bus: &Arc<dyn Bus>,
) -> anyhow::Result<AccountContext> {
    let accounts = open_accounts(config, folder, parts.store.store().clone(), &parts.rng)?;
    follow_revocations(&accounts.holders, &parts.lifecycle, bus);
    Ok(accounts)
}

/// What cursors of lists are signed with.
pub(super) fn cursor_keys(ring: &KeyRing) -> CursorKeys {
    let key_of = |key: &RingKey| key.derived_key(KeyPurpose::Cursor);
    let earlier = ring.verifying_keys().iter().skip(1).map(key_of);
    CursorKeys::new(key_of(ring.signing_key()), earlier)
}

/// The providers by which people sign in, too.
///
/// # Errors
/// When an address of one is neither https nor of this machine.
pub(super) fn sign_in_providers(config: &Config) -> anyhow::Result<SignInProviders> {
    let public_url = omoi_server::options::public_url(config);
    provider_options::sign_in_providers(config, public_url.as_deref()).map_err(|error| {
        let hint = "name https addresses in server.public_url and oauth.*_url".to_owned();
        anyhow::Error::new(error).context(ErrorHint(hint))
    })
}

/// Opens the accounts in `store`.
///
/// # Errors
/// When a key is not good enough, or the data folder's cannot be read.
pub(crate) fn open_accounts(
    config: &Config,
    folder: &OpenedFolder,
    store: Store,
    rng: &Rng,
) -> anyhow::Result<AccountContext> {
    let options = AccountOptions::from_config(config);
    let keys = match options.signing_keys {
        Some(keys) => keys,
        None => folder.signing_keys(rng)?,
    };
    let ring = KeyRing::parse(&keys).map_err(|error| {
        let hint =
            ErrorHint("set OMOI_AUTH_KEYS, or unset it to use the data folder's key".to_owned());
        anyhow::Error::new(error).context(hint)
    });
    let ring = ring.context("the keys that sign tokens cannot be used")?;
    let clock: Clocked = Arc::new(SystemClock);
    Ok(AccountContext {
        store,
        holders: HolderCache::new(clock),
        access_tokens: Arc::new(AccessTokens::new(&ring, ISSUER)?),
        ring: Arc::new(ring),
        passwords: PasswordPool::new(rng.fork()),
        password_rules: options.password_rules,
        organization_month: options.organization_month,
        rng: rng.fork(),
    })
}
