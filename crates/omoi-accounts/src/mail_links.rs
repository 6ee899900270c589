//! Links of mails: pages of this server, with the token in the fragment, which no server on the way logs.

use omoi_domain::access::token_purpose::TokenPurpose;
use secrecy::{ExposeSecret as _, SecretString};

/// Makes the links of mails.
#[derive(Clone, Debug)]
pub struct MailLinks {
    /// Where people reach this server, without a slash at its end.
    public_url: String,
}

impl MailLinks {
    /// Links of the server that people reach at `public_url`.
    pub fn new(public_url: &str) -> Self {
        Self {
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The link that a mail with a token for `purpose` carries; none where no mail carries such a token.
    pub fn purpose_link(&self, purpose: TokenPurpose, token: &SecretString) -> Option<String> {
        let page = match purpose {
            TokenPurpose::Verify => "verify",
            TokenPurpose::Reset => "reset",
            TokenPurpose::Unlock => "unlock",
            TokenPurpose::LiveTicket
            | TokenPurpose::LocalLink
            | TokenPurpose::LoginCode
            | TokenPurpose::ProviderFlow => return None,
        };
        Some(self.page_link(page, token))
    }

    /// The link of an invitation.
    pub fn invitation_link(&self, token: &SecretString) -> String {
        self.page_link("invite", token)
    }

    /// Where people sign in and see to their sessions.
    pub fn start_page(&self) -> String {
        format!("{}/", self.public_url)
    }

    fn page_link(&self, page: &str, token: &SecretString) -> String {
        format!("{}/{page}#{}", self.public_url, token.expose_secret())
    }
}
