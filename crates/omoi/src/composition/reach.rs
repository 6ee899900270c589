//! How a process is reached by browsers and programs, and how often one of them may ask.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;

use omoi_accounts::options::AccountOptions;
use omoi_domain::config::Config;
use omoi_runtime::clock::Clocked;
use omoi_runtime::options::RedisOptions;
use omoi_runtime::rate_limiter::RateLimiter;
use omoi_server::RequestLimits;
use omoi_server::options::{ListenOptions, ServerMode, SiteOptions, body_time, has_request_limits};
use omoi_server::site::{Site, SiteError};

use super::{ListenMode, StartOptions};
use crate::ErrorHint;
use crate::cli::UsageError;

/// The server that `start` configures, before it listens.
///
/// # Errors
/// When a team's server does not say where it is, who stands before it, or what its tokens are signed with; and where
/// others would reach a laptop.
pub(super) fn site_of(start: &StartOptions) -> anyhow::Result<Site> {
    let options = SiteOptions::from_config(&start.config);
    let site = Site::of_options(&options).map_err(with_remedy)?;
    if !(start.roles.api && start.door == ListenMode::FolderAndHttp) {
        return Ok(site);
    }
    // A name is looked up when it is listened at, and looked at once more.
    let ListenOptions { host, port } = ListenOptions::from_config(&start.config);
    if let Ok(address) = host.parse::<IpAddr>() {
        site.listening_at(address, port).map_err(with_remedy)?;
    }
    let accounts = AccountOptions::from_config(&start.config);
    if options.mode == ServerMode::Team && accounts.signing_keys.is_none() {
        let missing = "mode `team` needs the keys that tokens are signed with: `auth.keys`";
        let hint = "set AUTH_KEYS to `name:secret`, with a secret of `openssl rand -base64 48`";
        let missing = UsageError(missing.to_owned());
        return Err(anyhow::Error::new(missing).context(ErrorHint(hint.to_owned())));
    }
    Ok(site)
}

/// The same at the address that it listens at.
///
/// # Errors
/// Where others would reach a laptop.
pub(super) fn site_at(site: &Site, address: SocketAddr) -> anyhow::Result<Site> {
    site.listening_at(address.ip(), address.port())
        .map_err(with_remedy)
}

fn with_remedy(error: SiteError) -> anyhow::Error {
    let hint = match &error {
        SiteError::NotLoopback(_) => {
            "serve a team with server.mode=team, or listen at 127.0.0.1: server.host"
        }
        SiteError::NoPublicUrl | SiteError::Exposed(_) => {
            "name an https address in server.public_url, as https://omoi.example.org"
        }
        SiteError::NoProxies(_) | SiteError::BadProxy(_) => {
            "name the address that the proxy asks from, as server.trusted_proxies=127.0.0.1"
        }
        SiteError::BadOrigin(_) => "write each origin as browsers do, without a path",
    };
    let wrong = UsageError(error.to_string());
    anyhow::Error::new(wrong).context(ErrorHint(hint.to_owned()))
}

/// Counts requests where `config` asks for it: for all processes where they share a server.
///
/// # Errors
/// When the address of that server is malformed.
pub(super) fn request_limits(config: &Config, clock: &Clocked) -> anyhow::Result<RequestLimits> {
    let body_time = body_time(config);
    if !has_request_limits(config) {
        return Ok(RequestLimits::default().with_body_time(body_time));
    }
    let limiter = match RedisOptions::from_config(config) {
        Some(options) => RateLimiter::of_server(clock.clone(), &options)
            .context("the server that counts requests cannot be used")?,
        None => RateLimiter::of_process(clock.clone()),
    };
    Ok(RequestLimits::counted_by(limiter).with_body_time(body_time))
}
