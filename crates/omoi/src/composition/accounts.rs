//! The accounts of a process: its key ring, and what changes an account.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use omoi_accounts::access_token::AccessTokens;
use omoi_accounts::brought_keys::BroughtKeyReader;
use omoi_accounts::context::AccountContext;
use omoi_accounts::denial_samples::DenialSamples;
use omoi_accounts::holder_cache::{HolderCache, follow_revocations};
use omoi_accounts::key_ring::{KeyPurpose, KeyRing, RingKey};
use omoi_accounts::mail_links::MailLinks;
use omoi_accounts::mail_options::mail_sender;
use omoi_accounts::mailer::Mailer;
use omoi_accounts::options::AccountOptions;
use omoi_accounts::password_pool::PasswordPool;
use omoi_accounts::provider_options;
use omoi_accounts::providers::SignInProviders;
use omoi_domain::config::Config;
use omoi_execution::DeploymentParts;
use omoi_runtime::bus::Bus;
use omoi_runtime::clock::{Clocked, SystemClock};
use omoi_runtime::reconcile::{Nudge, ReconcileDriver, StatusReader};
use omoi_runtime::rng::Rng;
use omoi_server::api::CursorKeys;
use omoi_server::options::{ServerMode, SiteOptions};
use omoi_store::Store;
use tracing::info;

use crate::ErrorHint;
use crate::data_folder::OpenedFolder;

/// Whose tokens they are: those of another program by the same key are none of ours.
const ISSUER: &str = "omoios";

/// How often a process looks for mails that others wrote down.
const MAIL_PERIOD: Duration = Duration::from_secs(5);

/// The accounts of a process that serves.
pub(super) struct StartedAccounts {
    pub(super) accounts: AccountContext,
    /// Whether mails go out.
    pub(super) sends_mail: bool,
    /// What sends them, where something does.
    pub(super) mailer: Option<StatusReader>,
}

/// Opens the accounts of a process that serves, which tells other processes what is revoked here and hears of theirs.
///
/// # Errors
/// As [`open_accounts`], and when mails cannot be sent as it is configured.
pub(super) fn start_accounts(
    config: &Config,
    folder: &OpenedFolder,
    parts: &DeploymentParts,
    bus: &Arc<dyn Bus>,
) -> anyhow::Result<StartedAccounts> {
    let mut accounts = open_accounts(config, folder, parts.store.store().clone(), &parts.rng)?;
    follow_revocations(&accounts.holders, &parts.lifecycle, bus);
    let mailer = start_mailer(config, parts, &accounts)?;
    let (nudge, mailer) = mailer.unzip();
    let sends_mail = nudge.is_some();
    accounts.mails = nudge.unwrap_or_default();
    Ok(StartedAccounts {
        accounts,
        sends_mail,
        mailer,
    })
}

/// Starts what sends mails, where a mail server is configured. Any process does: a mail is claimed before it is sent.
fn start_mailer(
    config: &Config,
    parts: &DeploymentParts,
    accounts: &AccountContext,
) -> anyhow::Result<Option<(Nudge, StatusReader)>> {
    let public_url = omoi_server::options::public_url(config);
    let sender = mail_sender(config, public_url.as_deref()).map_err(|error| {
        let hint = "set mail.from, mail.user with mail.password, and server.public_url, or unset mail.host";
        anyhow::Error::new(error).context(ErrorHint(hint.to_owned()))
    })?;
    let (Some(sender), Some(links)) = (sender, mail_links(config)) else {
        return Ok(None);
    };
    let mailer = Mailer::new(accounts.clone(), sender, links);
    let (clock, rng) = (parts.clock.clone(), parts.rng.fork());
    let driver = ReconcileDriver::new(Box::new(mailer), MAIL_PERIOD, clock, rng);
    let started = (driver.nudge_handle(), driver.status_reader());
    driver.spawn(&parts.lifecycle);
    Ok(Some(started))
}

/// The links of mails; none where nobody knows at which address people reach this server.
pub(crate) fn mail_links(config: &Config) -> Option<MailLinks> {
    let public_url = omoi_server::options::public_url(config)?;
    Some(MailLinks::new(&public_url))
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

/// Opens the keys that organisations bring for providers of models.
///
/// # Errors
/// As [`encryption_ring`].
pub(super) fn brought_keys(
    config: &Config,
    folder: &OpenedFolder,
    store: &Store,
    rng: &Rng,
) -> anyhow::Result<BroughtKeyReader> {
    let ring = encryption_ring(config, folder, rng)?;
    let store = store.clone();
    Ok(BroughtKeyReader { store, ring })
}

/// Has the newest key of the ring open all of `brought`, so that the one before it can go.
///
/// # Errors
/// When the database cannot be read or written.
pub(super) async fn rewrap_keys(brought: &BroughtKeyReader, rng: &Rng) -> anyhow::Result<()> {
    let n_keys = brought.rewrap_keys(rng).await?;
    if n_keys > 0 {
        info!(
            n_keys,
            "{n_keys} keys of organisations are encrypted with the newest key of `auth.encryption_keys` now"
        );
    }
    Ok(())
}

/// What secrets of organisations are encrypted with: the configured keys, else on a laptop the data folder's. The folder of a
/// team's process is not that of the others, so that there is none.
///
/// # Errors
/// When a key is not good enough, or the data folder's cannot be read.
fn encryption_ring(
    config: &Config,
    folder: &OpenedFolder,
    rng: &Rng,
) -> anyhow::Result<Option<Arc<KeyRing>>> {
    let configured = AccountOptions::from_config(config).encryption_keys;
    let mode = SiteOptions::from_config(config).mode;
    let keys = match (configured, mode) {
        (Some(keys), _) => keys,
        (None, ServerMode::Local) => folder.encryption_keys(rng)?,
        (None, ServerMode::Team) => return Ok(None),
    };
    let ring = KeyRing::parse(&keys).map_err(|error| {
        let hint = "set AUTH_ENCRYPTION_KEYS, or unset it to use the data folder's key";
        anyhow::Error::new(error).context(ErrorHint(hint.to_owned()))
    });
    let ring = ring.context("the keys that encrypt secrets of organisations cannot be used")?;
    Ok(Some(Arc::new(ring)))
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
        encryption_ring: encryption_ring(config, folder, rng)?,
        holders: HolderCache::new(clock),
        access_tokens: Arc::new(AccessTokens::new(&ring, ISSUER)?),
        ring: Arc::new(ring),
        passwords: PasswordPool::new(rng.fork()),
        password_rules: options.password_rules,
        organization_month: options.organization_month,
        registration: options.registration,
        mails: Nudge::default(),
        denials: DenialSamples::default(),
        rng: rng.fork(),
    })
}
