//! Why an act on an account was refused.

use omoi_domain::access::api_key::{AGENT_KEY_DAYS_MAX, KEY_DAYS_MAX, KEYS_ACTIVE_MAX};
use omoi_domain::access::device_login::BadMachineName;
use omoi_domain::access::grant::{LastOwner, PrivilegeEscalation};
use omoi_domain::access::mail_address::BadMailAddress;
use omoi_domain::access::password_rules::PasswordFault;
use omoi_domain::access::profile::BadProfile;
use omoi_domain::access::registration::RegistrationClosed;
use omoi_domain::access::role_chain::RoleChainError;
use omoi_domain::plain_title::BadGivenName;
use omoi_domain::provider_key::{BadProviderKey, UnaskedProvider};
use omoi_domain::time::Timestamp;
use omoi_store::StoreError;

use crate::access_token::SigningError;
use crate::commands::role::{ROLE_DESCRIPTION_MAX, ROLE_NAME_MAX, ROLES_MAX};
use crate::commands::staff::STAFF_REASON_MAX;
use crate::password_pool::PoolError;
use crate::sealed_secret::SealError;

/// Why an act on an account was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Too many tried from there, or for that address.
    #[error("too many tries")]
    Limited {
        /// When the next one is let in.
        until: Timestamp,
    },
    /// Too many failed for that account; without an instant its owner opens it by a mailed link.
    #[error("the account is locked")]
    Locked {
        /// When the next try is let in.
        until: Option<Timestamp>,
    },
    /// Address or password are wrong, or the account may not sign in; which is told to nobody.
    #[error("mail address or password are wrong")]
    InvalidCredentials,
    /// A token is not good, or not any more.
    #[error("the token is not valid any more")]
    InvalidToken,
    /// An old refresh token came, and its session is over.
    #[error("the refresh token was used before; its session was ended")]
    TokenReused,
    /// The password is not good enough.
    #[error("the password is not good enough")]
    WeakPassword(Vec<PasswordFault>),
    /// The caller would give more than they have.
    #[error(transparent)]
    Escalation(#[from] PrivilegeEscalation),
    /// The only owner stays.
    #[error(transparent)]
    LastOwner(#[from] LastOwner),
    /// A custom role cannot be followed.
    #[error(transparent)]
    RoleChain(#[from] RoleChainError),
    /// There are as many keys as there may be.
    #[error("there are {KEYS_ACTIVE_MAX} keys; revoke one")]
    TooManyKeys,
    /// A key cannot live so long.
    #[error("a key lives 1 to {KEY_DAYS_MAX} days, an agent's at most {AGENT_KEY_DAYS_MAX}")]
    KeyLife,
    /// The row was changed since the version that the change is meant for.
    #[error("it was changed meanwhile")]
    StaleVersion,
    /// Somebody or something has the role.
    #[error("a member, an invitation, a key or another role has this role")]
    RoleInUse,
    /// There are as many roles as there may be.
    #[error("there are {ROLES_MAX} roles; remove one")]
    TooManyRoles,
    /// A role is called or described by what is no such text.
    #[error(
        "a role has a name of 1 to {ROLE_NAME_MAX} characters in one line, none of the system's, and a description of at most {ROLE_DESCRIPTION_MAX}"
    )]
    RoleText,
    /// Roles alone give that permission.
    #[error("only `spec:approve` and `ticket:approve` are granted for a project")]
    NotGranted,
    /// Only an owner hands an organisation over.
    #[error("only an owner of the organisation may do this")]
    NotOwner,
    /// Only staff enters other organisations.
    #[error("only staff of the platform may do this")]
    NotStaff,
    /// Whoever enters an organisation says why.
    #[error("the reason has 1 to {STAFF_REASON_MAX} characters")]
    StaffReason,
    /// The organisation was put away, or is not.
    #[error("the organisation was put away longer ago than it can be taken back, or not at all")]
    NotArchived,
    /// Nobody makes an account here without an invitation.
    #[error(transparent)]
    RegistrationClosed(#[from] RegistrationClosed),
    /// What somebody says of themselves cannot be kept.
    #[error(transparent)]
    Profile(#[from] BadProfile),
    /// That is no name of a machine.
    #[error(transparent)]
    MachineName(#[from] BadMachineName),
    /// That is no mail address.
    #[error(transparent)]
    MailAddress(#[from] BadMailAddress),
    /// That is no name.
    #[error(transparent)]
    Name(#[from] BadGivenName),
    /// That is no key of a provider.
    #[error(transparent)]
    ProviderKey(#[from] BadProviderKey),
    /// The deployment asks no such provider with a key.
    #[error(transparent)]
    UnaskedProvider(#[from] UnaskedProvider),
    /// There is nothing to encrypt secrets with.
    #[error("this server has nothing to encrypt a secret of an organisation with")]
    NoEncryption,
    /// A secret could not be encrypted.
    #[error(transparent)]
    Sealing(#[from] SealError),
    /// Passwords cannot be hashed now.
    #[error(transparent)]
    Passwords(#[from] PoolError),
    /// A token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The rows could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
