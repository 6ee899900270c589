//! A mail server in memory, for tests of whoever sends.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::access::mail_address::MailAddress;
use uuid::Uuid;

use super::{OutgoingMail, SendMail, SendMailError};

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenMail {
    /// As it was given.
    pub id: Uuid,
    /// Who gets it.
    pub to: MailAddress,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
}

/// Takes mails and keeps them. As the real server of the tests it answers 550 to an address that begins with
/// `refused` and 451 to one that begins with `later`.
#[derive(Default)]
pub struct FakeMailer {
    kept: Mutex<KeptMails>,
}

#[derive(Default)]
struct KeptMails {
    taken: Vec<TakenMail>,
    is_away: bool,
}

impl FakeMailer {
    /// Whether it cannot be reached from now on.
    pub fn set_away(&self, is_away: bool) {
        self.lock(|kept| kept.is_away = is_away);
    }

    /// Every mail to `address`, the first one first.
    pub fn mails_to(&self, address: &MailAddress) -> Vec<TakenMail> {
        self.lock(|kept| {
            let to_address = kept.taken.iter().filter(|mail| mail.to == *address);
            to_address.cloned().collect()
        })
    }

    fn lock<T>(&self, with: impl FnOnce(&mut KeptMails) -> T) -> T {
        with(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_mail(&self, mail: &OutgoingMail) -> Result<(), SendMailError> {
        let letter = mail.content.write_letter(&mail.to)?;
        let text = letter.render_letter()?.text;
        let address = mail.to.as_str();
        self.lock(|kept| {
            let code = match () {
                () if kept.is_away => {
                    let error = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                    return Err(SendMailError::Unreachable(Box::new(error)));
                }
                () if address.starts_with("refused") => 550,
                () if address.starts_with("later") => 451,
                () => 250,
            };
            let answer = "as the address asks".to_owned();
            match code {
                500.. => return Err(SendMailError::Refused { code, answer }),
                400.. => return Err(SendMailError::Busy { code, answer }),
                _ => kept.taken.push(TakenMail {
                    id: mail.id,
                    to: mail.to.clone(),
                    subject: letter.subject,
                    text,
                }),
            }
            Ok(())
        })
    }
}

impl SendMail for FakeMailer {
    fn send_mail<'a>(&'a self, mail: &'a OutgoingMail) -> BoxFuture<'a, Result<(), SendMailError>> {
        futures::future::ready(self.take_mail(mail)).boxed()
    }
}

impl fmt::Debug for FakeMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeMailer").finish_non_exhaustive()
    }
}
