//! What can be configured of mails, and of who makes an account.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use omoi_domain::access::mail_address::{BadMailAddress, MailAddress};
use omoi_domain::access::mail_intent::MAIL_TIMEOUT_MAX;
use omoi_domain::access::registration::RegistrationMode;
use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;
use omoi_integrations::mail::SendMail;
use omoi_integrations::mail::smtp::{
    MailEncryption, MailServer, MailServerError, MailUser, SmtpMailer,
};
use secrecy::SecretString;

config_keys! {
    /// Keys of who makes an account.
    ACCOUNTS_KEYS of ACCOUNTS = "accounts", "ACCOUNTS_";

    /// Who makes an account: `open` everybody, whose organisations begin with a budget of 0; `invite` whoever is invited to an organisation; `waitlist` everybody, until staff of the platform lets them in.
    ACCOUNTS_REGISTRATION: RegistrationMode = ConfigKey::choice(&ACCOUNTS, "registration", "invite")
        .closed_to_repository();
}

omoi_domain::choice! {
    /// How the line to the mail server is kept from others.
    MailTls {
        /// Begins in the clear and turns to TLS before anything is said.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// In the clear, which a server of this machine may be spoken to alone.
        None = "none",
    }
}

config_keys! {
    /// Keys of mails.
    MAIL_KEYS of MAIL = "mail", "OMOI_MAIL_";

    /// The mail server that verification, reset, invitation and unlock mails are handed to. Without it those operations answer `mail_not_configured`, and `omoi admin` prints their links. Needs `mail.from` and `server.public_url`.
    MAIL_HOST: Option<String> = ConfigKey::new(&MAIL, "host", ValueKind::Text, "")
        .closed_to_repository();
    /// Its port: 587 with STARTTLS, 465 with TLS.
    MAIL_PORT: u16 = ConfigKey::new(&MAIL, "port", ValueKind::int_range(1, 65_535), "587")
        .closed_to_repository();
    /// How the line to it is kept from others: `starttls`, `tls`, or `none`, which only a server of this machine may have.
    MAIL_TLS: MailTls = ConfigKey::choice(&MAIL, "tls", "starttls").closed_to_repository();
    /// The user that it knows; empty where it asks nobody.
    MAIL_USER: Option<String> = ConfigKey::new(&MAIL, "user", ValueKind::Text, "")
        .closed_to_repository();
    /// Their password.
    MAIL_PASSWORD: Option<SecretString> = ConfigKey::new(&MAIL, "password", ValueKind::Secret, "")
        .closed_to_repository();
    /// The address that mails come from, such as `omoi@example.org`.
    MAIL_FROM: Option<String> = ConfigKey::new(&MAIL, "from", ValueKind::Text, "")
        .closed_to_repository();
    /// How long it may take for one mail.
    MAIL_TIMEOUT: Duration = ConfigKey::new(
        &MAIL, "timeout", ValueKind::Seconds { min: 1, max: MAIL_TIMEOUT_MAX.as_secs() }, "30",
    )
    .closed_to_repository();
    /// A file with certificates (PEM) to trust beside those of the machine.
    MAIL_CA_FILE: Option<PathBuf> = ConfigKey::new(&MAIL, "ca_file", ValueKind::Path, "")
        .closed_to_repository();
}

/// Why mails cannot be sent as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum MailOptionsError {
    /// Mails come from somebody.
    #[error("`mail.host` is set, but not the address that mails come from")]
    NoSender,
    /// That is no address.
    #[error("`mail.from` is no mail address")]
    Sender(#[source] BadMailAddress),
    /// A user has a password, and a password a user.
    #[error("of `mail.user` and `mail.password` one is set")]
    HalfUser,
    /// A mail leads back to the server.
    #[error("`mail.host` is set, but not the address that the links of mails lead to")]
    NoPublicUrl,
    /// The certificates cannot be read.
    #[error("could not read the certificates in `{}`", path.display())]
    Certificates {
        /// The configured file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server cannot be used.
    #[error(transparent)]
    Server(#[from] MailServerError),
}

/// Who makes an account.
pub fn registration_mode(config: &Config) -> RegistrationMode {
    config.get(&ACCOUNTS_REGISTRATION)
}

/// Hands mails over to the server that `config` names; none where it names none.
///
/// # Errors
/// [`MailOptionsError`].
pub fn mail_sender(
    config: &Config,
    public_url: Option<&str>,
) -> Result<Option<Arc<dyn SendMail>>, MailOptionsError> {
    let Some(host) = config.get(&MAIL_HOST) else {
        return Ok(None);
    };
    if public_url.is_none() {
        return Err(MailOptionsError::NoPublicUrl);
    }
    let from: MailAddress = config
        .get(&MAIL_FROM)
        .ok_or(MailOptionsError::NoSender)?
        .parse()
        .map_err(MailOptionsError::Sender)?;
    let user = match (config.get(&MAIL_USER), config.get(&MAIL_PASSWORD)) {
        (Some(name), Some(password)) => Some(MailUser { name, password }),
        (None, None) => None,
        _ => return Err(MailOptionsError::HalfUser),
    };
    let more_roots = match config.get(&MAIL_CA_FILE) {
        Some(path) => Some(
            std::fs::read_to_string(&path)
                .map_err(|source| MailOptionsError::Certificates { path, source })?,
        ),
        None => None,
    };
    let server = MailServer {
        host,
        port: config.get(&MAIL_PORT),
        encryption: match config.get(&MAIL_TLS) {
            MailTls::StartTls => MailEncryption::StartTls,
            MailTls::Tls => MailEncryption::Tls,
            MailTls::None => MailEncryption::None,
        },
        user,
        from,
        timeout: config.get(&MAIL_TIMEOUT),
        more_roots,
    };
    Ok(Some(Arc::new(SmtpMailer::new(&server)?)))
}
