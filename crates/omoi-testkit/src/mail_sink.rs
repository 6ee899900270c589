//! The mail server of the tests, which demands STARTTLS and AUTH and keeps every mail as a file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use xtask::servers::mail;

use crate::server::SharedServer;

/// Where the server is, what it wants from a client, and where it keeps mails.
///
/// To an address that begins with `refused` it answers 550, to one that begins with `later` 451.
#[derive(Clone, Debug)]
pub struct MailSink {
    /// An address of loopback.
    pub host: String,
    /// The port of the submission.
    pub port: u16,
    /// The user that it knows.
    pub user: String,
    /// That user's password.
    pub password: String,
    folder: PathBuf,
}

/// The server of this run; all tests share it, so each writes to addresses of its own.
///
/// # Panics
/// When there is no server, with the package to install.
#[expect(
    clippy::panic,
    reason = "a test that needs the server fails without it"
)]
pub fn mail_sink() -> MailSink {
    static SERVER: SharedServer = SharedServer::new(mail::URL_VARIABLE, mail::start);
    let url = SERVER.url();
    read_url(url).unwrap_or_else(|| panic!("{url} is no address of a mail server"))
}

fn read_url(url: &str) -> Option<MailSink> {
    let (user, rest) = url.strip_prefix("smtp://")?.split_once(':')?;
    let (password, rest) = rest.split_once('@')?;
    let (host, rest) = rest.split_once(':')?;
    let (port, folder) = rest.split_once('/')?;
    Some(MailSink {
        host: host.to_owned(),
        port: port.parse().ok()?,
        user: user.to_owned(),
        password: password.to_owned(),
        folder: PathBuf::from(format!("/{folder}")),
    })
}

impl MailSink {
    /// The certificate of the server, which clients have to be told to trust.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.join(mail::CERTIFICATE)
    }

    /// Every mail to `address`, the first one first, with its head.
    ///
    /// # Panics
    /// When the folder of mails cannot be read.
    #[expect(clippy::panic, reason = "a test fails where it stands")]
    pub fn mails_to(&self, address: &str) -> Vec<String> {
        self.read_mails(address)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn read_mails(&self, address: &str) -> Result<Vec<String>> {
        let folder = self.folder.join(mail::MAILS);
        let mut mails = Vec::new();
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("could not read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.split_once(' ').is_some_and(|(to, _)| to == address) {
                mails.push(path);
            }
        }
        mails.sort();
        let read = |mail: PathBuf| fs::read_to_string(mail);
        Ok(mails.into_iter().map(read).collect::<Result<_, _>>()?)
    }
}
