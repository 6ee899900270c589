//! Mails to people.

pub mod fake;
pub mod letter;
pub mod rendered;
pub mod smtp;

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::time::Timestamp;
use uuid::Uuid;

use letter::{LetterError, MailContent};

/// A mail that is ready to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMail {
    /// The same at every try: the `Message-ID` is made of it, so that a repeat is known for one.
    pub id: Uuid,
    /// Who gets it.
    pub to: MailAddress,
    /// What it says.
    pub content: MailContent,
    /// Its date.
    pub written_at: Timestamp,
}

/// Hands mails over to a server that delivers them.
pub trait SendMail: Send + Sync + fmt::Debug {
    /// Returns once the server took the mail. When the line breaks after the server took it, an error comes all the
    /// same: whoever tries again sends twice, under one `Message-ID`.
    ///
    /// # Errors
    /// [`SendMailError`], which says whether another try may help.
    fn send_mail<'a>(&'a self, mail: &'a OutgoingMail) -> BoxFuture<'a, Result<(), SendMailError>>;
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendMailError {
    /// The mail cannot be written.
    #[error("the mail cannot be written")]
    Letter(#[from] LetterError),
    /// The address is one that mail servers do not know.
    #[error("no mail server takes an address like that")]
    Address,
    /// The server refuses this mail for good.
    #[error("the mail server refused the mail with {code}: {answer}")]
    Refused {
        /// Between 500 and 599.
        code: u16,
        /// The server's words, on one line.
        answer: String,
    },
    /// The server cannot take it now.
    #[error("the mail server cannot take the mail now, {code}: {answer}")]
    Busy {
        /// Between 400 and 499.
        code: u16,
        /// The server's words, on one line.
        answer: String,
    },
    /// The server does not know the user or the password.
    #[error("the mail server does not accept the configured user and password, {code}: {answer}")]
    SignIn {
        /// One of 530, 534, 535 and 538.
        code: u16,
        /// The server's words, on one line.
        answer: String,
    },
    /// The line was not there, broke, or had no TLS that can be trusted.
    #[error("could not talk to the mail server")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server said nothing for too long.
    #[error("the mail server did not take the mail within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl SendMailError {
    /// Whether no later try can help: the fault is the mail's. All other faults are the server's.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Letter(_) | Self::Address | Self::Refused { .. } => true,
            Self::Busy { .. } | Self::SignIn { .. } | Self::Unreachable(_) | Self::TimedOut(_) => {
                false
            }
        }
    }
}
