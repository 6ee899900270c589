#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod access_token;
pub mod api_key;
pub mod audit;
pub mod brought_keys;
pub mod browser_cookie;
pub mod commands;
pub mod context;
pub mod denial_samples;
pub mod error;
pub mod holder;
pub mod holder_cache;
pub mod key_ring;
pub mod mail_links;
pub mod mail_options;
pub mod mailer;
pub mod options;
pub mod password_hash;
pub mod password_pool;
pub mod provider_options;
pub mod providers;
pub mod reach;
pub mod refresh_token;
mod refusal_audit;
pub mod sealed_secret;
pub mod secret_token;
pub mod share_token;
