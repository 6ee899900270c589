//! The mail server of a deployment, over SMTP.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::quotation::single_line;
use secrecy::{ExposeSecret as _, SecretString};

use super::{OutgoingMail, SendMail, SendMailError};

/// Answers to a wrong user or password, and to none.
const SIGN_IN_CODES: [u16; 4] = [530, 534, 535, 538];
/// Most characters of an answer that are kept.
const ANSWER_CHARS_MAX: usize = 300;

/// How the line to a mail server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailEncryption {
    /// Begins in the clear and turns to TLS before anything is said; without that, nothing is sent.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// In the clear, which only a server of this machine may be spoken to.
    None,
}

/// Whom a mail server lets in.
#[derive(Clone, Debug)]
pub struct MailUser {
    /// The name.
    pub name: String,
    /// Its password.
    pub password: SecretString,
}

/// A mail server and how it is used.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// A name, or an address of this machine.
    pub host: String,
    /// The port of submission: 587 with STARTTLS, 465 with TLS.
    pub port: u16,
    /// How the line is kept from others.
    pub encryption: MailEncryption,
    /// Whom it lets in; `None` where it asks nobody.
    pub user: Option<MailUser>,
    /// The address that mails come from.
    pub from: MailAddress,
    /// How long one mail may take.
    pub timeout: Duration,
    /// Certificates to trust beside those of the machine, as PEM.
    pub more_roots: Option<String>,
}

/// Why a mail server cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum MailServerError {
    /// Mails and the password would go over the network in the clear.
    #[error("`{host}` is not this machine, so mails may not go there without TLS")]
    InTheClear {
        /// The configured host.
        host: String,
    },
    /// The sender is an address that mail servers do not know.
    #[error("mails cannot come from that address")]
    Sender(#[source] lettre::address::AddressError),
    /// The certificates cannot be read, or TLS cannot be used.
    #[error("could not prepare TLS to `{host}`")]
    Tls {
        /// The configured host.
        host: String,
        /// Why.
        #[source]
        source: lettre::transport::smtp::Error,
    },
}

/// Sends over a connection of its own for each mail.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
}

impl SmtpMailer {
    /// Talks to nobody yet.
    ///
    /// # Errors
    /// [`MailServerError`].
    pub fn new(server: &MailServer) -> Result<Self, MailServerError> {
        let from = address(&server.from).map_err(MailServerError::Sender)?;
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
                .port(server.port)
                .tls(tls(server)?)
                .timeout(Some(server.timeout))
                // The machine's own name is nobody's business; servers look at the address anyway.
                .hello_name(ClientId::Domain(from.domain().to_owned()));
        if let Some(user) = &server.user {
            let password = user.password.expose_secret().to_owned();
            transport = transport.credentials(Credentials::new(user.name.clone(), password));
        }
        Ok(Self {
            transport: transport.build(),
            from: Mailbox::new(Some("OmoiOS".to_owned()), from),
            timeout: server.timeout,
        })
    }

    async fn send(&self, mail: &OutgoingMail) -> Result<(), SendMailError> {
        let message = self.message(mail)?;
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_taken)) => Ok(()),
            Ok(Err(error)) => Err(read_error(error)),
            Err(_elapsed) => Err(SendMailError::TimedOut(self.timeout)),
        }
    }

    fn message(&self, mail: &OutgoingMail) -> Result<Message, SendMailError> {
        let to = address(&mail.to).map_err(|_| SendMailError::Address)?;
        let letter = mail.content.write_letter(&mail.to)?;
        let rendered = letter.render_letter()?;
        let written_at = u64::try_from(mail.written_at.as_micros()).unwrap_or(0);
        let id = format!("<{}@{}>", mail.id, self.from.email.domain());
        let parts = MultiPart::alternative()
            .boundary(format!("part-of-{}", mail.id.simple()))
            .singlepart(SinglePart::plain(rendered.text))
            .singlepart(SinglePart::html(rendered.html));
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            .message_id(Some(id))
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(written_at))
            .multipart(parts)
            .map_err(|_| SendMailError::Address)
    }
}

impl SendMail for SmtpMailer {
    fn send_mail<'a>(&'a self, mail: &'a OutgoingMail) -> BoxFuture<'a, Result<(), SendMailError>> {
        self.send(mail).boxed()
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").finish_non_exhaustive()
    }
}

fn address(address: &MailAddress) -> Result<Address, lettre::address::AddressError> {
    address.as_str().parse()
}

fn tls(server: &MailServer) -> Result<Tls, MailServerError> {
    let host = server.host.clone();
    if server.encryption == MailEncryption::None {
        let is_here = host
            .parse::<IpAddr>()
            .map_or(host == "localhost", |address| address.is_loopback());
        return match is_here {
            true => Ok(Tls::None),
            false => Err(MailServerError::InTheClear { host }),
        };
    }
    let mut parameters = TlsParameters::builder(host.clone());
    let of_host = |source| MailServerError::Tls { host, source };
    if let Some(roots) = &server.more_roots {
        match Certificate::from_pem(roots.as_bytes()) {
            Ok(certificate) => parameters = parameters.add_root_certificate(certificate),
            Err(error) => return Err(of_host(error)),
        }
    }
    let parameters = parameters.build_rustls().map_err(of_host)?;
    Ok(match server.encryption {
        MailEncryption::StartTls => Tls::Required(parameters),
        MailEncryption::Tls => Tls::Wrapper(parameters),
        MailEncryption::None => Tls::None,
    })
}

/// What a failure means: an answer of the server by its code, all else is the line's.
fn read_error(error: lettre::transport::smtp::Error) -> SendMailError {
    let Some(code) = error.status().map(u16::from) else {
        return SendMailError::Unreachable(Box::new(error));
    };
    let answer = error.source().map(ToString::to_string).unwrap_or_default();
    let answer: String = single_line(&answer)
        .chars()
        .take(ANSWER_CHARS_MAX)
        .collect();
    match code {
        code if SIGN_IN_CODES.contains(&code) => SendMailError::SignIn { code, answer },
        500.. => SendMailError::Refused { code, answer },
        _ => SendMailError::Busy { code, answer },
    }
}
