//! Every act that changes an account. One transaction each, but where a password is hashed in between.

pub mod grant;
pub mod invitation;
pub mod key;
pub mod member;
pub mod operator;
pub mod organisation;
pub mod organisation_changes;
pub mod password;
pub mod provider_sign_in;
pub mod refresh;
pub mod register;
pub mod role;
pub mod sign_in;
pub mod sign_out;
pub mod staff;
pub mod transfer;
pub mod unlock;
pub mod verify;

mod limits;
mod one_time;

/// A mail that follows from an act, with the token in it.
#[derive(Debug)]
pub struct AccountMail {
    /// To whom.
    pub to: omoi_domain::access::mail_address::MailAddress,
    /// What it says.
    pub kind: AccountMailKind,
}

/// What a mail to an account says.
#[derive(Debug)]
pub enum AccountMailKind {
    /// Follow the link, to show that the address is yours.
    Verify(secrecy::SecretString),
    /// Somebody registered with your address, which has an account.
    AlreadyRegistered,
    /// Follow the link, to set a new password.
    Reset(secrecy::SecretString),
    /// Too many tried your account; follow the link to open it.
    Unlock(secrecy::SecretString),
    /// Somebody invites you to their organisation; follow the link.
    Invitation(secrecy::SecretString),
    /// An old token of yours was used: somebody has a copy, and that session is over.
    TokenReuse,
}
