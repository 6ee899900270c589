//! What mails say. Every wording is here, once for text and HTML.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::time::Timestamp;
use serde::Serialize;

/// Most characters of a value that people choose, such as the name of an organisation.
const VALUE_CHARS_MAX: usize = 200;
/// Most characters of a link.
const LINK_CHARS_MAX: usize = 2_000;
/// Most keys that a mail lists.
const KEYS_MAX: usize = 50;

/// What a mail is about, with all that stands in it.
///
/// Links carry their code in the fragment, so no server on the way logs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailContent {
    /// Somebody registered with this address.
    Verification(MailLink),
    /// Somebody registered with this address, which has an account.
    KnownAddress {
        /// Where one signs in.
        sign_in: String,
    },
    /// A new password was asked for.
    Reset {
        /// Where it is set.
        link: MailLink,
        /// Names of the API keys that go on working.
        keys: Vec<String>,
    },
    /// A person is invited to an organisation.
    Invitation {
        /// Where it is accepted.
        link: MailLink,
        /// The name of the organisation.
        organization: String,
        /// The name of whoever invites.
        invited_by: String,
        /// The name of the role.
        role: String,
    },
    /// Too many strangers tried the account's password.
    Unlock(MailLink),
    /// A refresh token was used twice, so the session was ended.
    TokenReuse {
        /// When it was used again.
        seen_at: Timestamp,
        /// From where, if that is known.
        address: Option<String>,
        /// Where the sessions of the account are listed.
        sessions: String,
    },
}

/// A link that is good once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailLink {
    /// An address of this server.
    pub url: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// A value that cannot stand in a mail.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// Nothing could add a header, but a line of a mail is one line.
    #[error("`{field}` has a line end or another control character")]
    Control {
        /// The name of the value.
        field: &'static str,
    },
    /// More than a name has.
    #[error("`{field}` has more than {max} characters")]
    TooLong {
        /// The name of the value.
        field: &'static str,
        /// Most characters.
        max: usize,
    },
    /// A link leads somewhere over http or https.
    #[error("`{field}` is no http or https address")]
    NoLink {
        /// The name of the value.
        field: &'static str,
    },
    /// A template is broken, which a test of each letter rules out.
    #[error("a template of mails is broken")]
    Template(#[from] minijinja::Error),
}

/// A mail in plain words: what text and HTML are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MailLetter {
    /// One line.
    pub subject: String,
    /// What stands before the link.
    pub paragraphs: Vec<String>,
    /// What to click on.
    pub link: LetterLink,
    /// What stands after it.
    pub closing: Vec<String>,
}

/// A link with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LetterLink {
    /// What it does.
    pub label: &'static str,
    /// Where it leads.
    pub url: String,
}

impl MailContent {
    /// The mail in words for the reader with this address.
    ///
    /// # Errors
    /// [`LetterError`] where a value cannot stand in a mail; none of them could add a header.
    pub fn write_letter(&self, to: &MailAddress) -> Result<MailLetter, LetterError> {
        match self {
            Self::Verification(link) => verification(link, to),
            Self::KnownAddress { sign_in } => known_address(sign_in, to),
            Self::Reset { link, keys } => reset(link, keys, to),
            Self::Invitation {
                link,
                organization,
                invited_by,
                role,
            } => invitation(
                link,
                line("organization", organization)?,
                line("invited_by", invited_by)?,
                line("role", role)?,
            ),
            Self::Unlock(link) => unlock(link, to),
            Self::TokenReuse {
                seen_at,
                address,
                sessions,
            } => token_reuse(*seen_at, address.as_deref(), sessions),
        }
    }
}

fn verification(link: &MailLink, to: &MailAddress) -> Result<MailLetter, LetterError> {
    Ok(MailLetter {
        subject: "Confirm your address".to_owned(),
        paragraphs: vec![format!(
            "Somebody registered at OmoiOS with the address {to}. If it was you, confirm it."
        )],
        link: letter_link("Confirm the address", &link.url)?,
        closing: vec![until(link), IF_NOT_YOU.to_owned()],
    })
}

fn known_address(sign_in: &str, to: &MailAddress) -> Result<MailLetter, LetterError> {
    Ok(MailLetter {
        subject: "You have an account already".to_owned(),
        paragraphs: vec![format!(
            "Somebody registered at OmoiOS with the address {to}, which has an account. If it was you, sign in; \
             a forgotten password can be set anew there."
        )],
        link: letter_link("Sign in", sign_in)?,
        closing: vec![IF_NOT_YOU.to_owned()],
    })
}

fn reset(link: &MailLink, keys: &[String], to: &MailAddress) -> Result<MailLetter, LetterError> {
    let names: Vec<&str> = keys
        .iter()
        .take(KEYS_MAX)
        .map(|key| line("keys", key))
        .collect::<Result<_, _>>()?;
    let mut closing = vec![
        until(link),
        "Setting it ends every session of the account.".to_owned(),
    ];
    if !names.is_empty() {
        let more = match keys.len() - names.len() {
            0 => String::new(),
            n_more => format!(" and {n_more} more"),
        };
        closing.push(format!(
            "API keys go on working: {}{more}. Revoke those that you do not know.",
            names.join(", ")
        ));
    }
    closing.push(IF_NOT_YOU.to_owned());
    Ok(MailLetter {
        subject: "Set a new password".to_owned(),
        paragraphs: vec![format!(
            "Somebody asked for a new password of the account {to}. If it was you, set it."
        )],
        link: letter_link("Set a new password", &link.url)?,
        closing,
    })
}

fn invitation(
    link: &MailLink,
    organization: &str,
    invited_by: &str,
    role: &str,
) -> Result<MailLetter, LetterError> {
    Ok(MailLetter {
        subject: format!("Invitation to \u{201c}{organization}\u{201d}"),
        paragraphs: vec![format!(
            "\u{201c}{invited_by}\u{201d} invites you to the organization \u{201c}{organization}\u{201d} at OmoiOS, \
             with the role \u{201c}{role}\u{201d}."
        )],
        link: letter_link("Accept the invitation", &link.url)?,
        closing: vec![
            until(link),
            "If you do not know who that is, do nothing: nobody joins without accepting."
                .to_owned(),
        ],
    })
}

fn unlock(link: &MailLink, to: &MailAddress) -> Result<MailLetter, LetterError> {
    Ok(MailLetter {
        subject: "Your account is locked".to_owned(),
        paragraphs: vec![format!(
            "Wrong passwords were tried for the account {to}, so often that it is locked. Unlock it to sign in."
        )],
        link: letter_link("Unlock the account", &link.url)?,
        closing: vec![
            until(link),
            "If you did not try them, set a new password afterwards.".to_owned(),
        ],
    })
}

fn token_reuse(
    seen_at: Timestamp,
    address: Option<&str>,
    sessions: &str,
) -> Result<MailLetter, LetterError> {
    let from = match address {
        Some(address) => format!(" from {}", line("address", address)?),
        None => String::new(),
    };
    Ok(MailLetter {
        subject: "A session was ended".to_owned(),
        paragraphs: vec![
            format!(
                "On {} UTC a credential of one of your sessions was used for a second time{from}. Somebody may have \
                 copied it, so that session was ended.",
                seen_at.date_and_time()
            ),
            "Sign in again, look through your sessions, and set a new password if you do not know one of them."
                .to_owned(),
        ],
        link: letter_link("Look through your sessions", sessions)?,
        closing: Vec::new(),
    })
}

const IF_NOT_YOU: &str = "If it was not you, do nothing.";

fn until(link: &MailLink) -> String {
    format!(
        "The link is good once, until {} UTC.",
        link.expires_at.date_and_time()
    )
}

fn letter_link(label: &'static str, url: &str) -> Result<LetterLink, LetterError> {
    let field = "link";
    let is_link = url.starts_with("https://") || url.starts_with("http://");
    if !is_link || url.contains(char::is_whitespace) {
        return Err(LetterError::NoLink { field });
    }
    fit(field, url, LINK_CHARS_MAX)?;
    Ok(LetterLink {
        label,
        url: url.to_owned(),
    })
}

/// A value that people choose.
fn line<'a>(field: &'static str, value: &'a str) -> Result<&'a str, LetterError> {
    fit(field, value, VALUE_CHARS_MAX).map(|()| value)
}

fn fit(field: &'static str, value: &str, max: usize) -> Result<(), LetterError> {
    // The two separators end a line for some readers of mail.
    if value.contains(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c)) {
        return Err(LetterError::Control { field });
    }
    match value.chars().nth(max) {
        Some(_) => Err(LetterError::TooLong { field, max }),
        None => Ok(()),
    }
}
