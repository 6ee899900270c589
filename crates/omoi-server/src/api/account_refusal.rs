//! How each refusal of an act on an account is answered.

use omoi_accounts::error::AccountError;
use omoi_accounts::password_pool::PoolError;
use omoi_domain::access::password_rules::PasswordFault;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::time::Timestamp;
use omoi_protocol::error::FieldProblem;

use super::ApiSurface;
use crate::error::ApiError;

impl ApiSurface {
    /// The refusal that `error` is answered with, with the time left until a limit lets in again.
    pub(super) fn refuse_account(&self, error: AccountError) -> ApiError {
        refuse_account_at(error, self.parts.clock.now())
    }
}

impl ApiSurface {
    /// The same for a token of a link, which is no credential.
    pub(super) fn refuse_link(&self, error: AccountError) -> ApiError {
        match error {
            AccountError::InvalidToken => {
                ApiError::new(ErrorCode::InvalidToken, error.to_string()).hint("ask for a new link")
            }
            other => self.refuse_account(other),
        }
    }
}

fn refuse_account_at(error: AccountError, now: Timestamp) -> ApiError {
    let says = error.to_string();
    let refuse = |code| ApiError::new(code, says.clone());
    match error {
        AccountError::Limited { until } => {
            refuse(ErrorCode::RateLimited).retry_after(until.since(now))
        }
        AccountError::Locked { until: Some(until) } => {
            refuse(ErrorCode::AccountLocked).retry_after(until.since(now))
        }
        AccountError::Locked { until: None } => refuse(ErrorCode::AccountLocked)
            .hint("follow the link that came by mail; whoever runs the platform opens it, too: `omoi admin enable-user MAIL`"),
        AccountError::InvalidCredentials => refuse(ErrorCode::InvalidCredentials),
        AccountError::InvalidToken => refuse(ErrorCode::Unauthenticated),
        AccountError::TokenReused => refuse(ErrorCode::TokenReused),
        AccountError::WeakPassword(faults) => password_refusal(&faults, "/new_password"),
        AccountError::RegistrationClosed(_) => refuse(ErrorCode::RegistrationClosed)
            .hint("ask an organisation for an invitation and follow its link"),
        AccountError::Profile(_) => refuse(ErrorCode::ValidationFailed),
        AccountError::Escalation(_) => refuse(ErrorCode::PrivilegeEscalation),
        AccountError::ProviderKey(_) => refuse(ErrorCode::ValidationFailed).with_field("/key"),
        AccountError::UnaskedProvider(_) => refuse(ErrorCode::UnaskedProvider),
        AccountError::NoEncryption => refuse(ErrorCode::EncryptionNotConfigured)
            .hint("whoever runs the platform sets AUTH_ENCRYPTION_KEYS"),
        AccountError::TooManyKeys => refuse(ErrorCode::TooManyKeys),
        AccountError::KeyLife => refuse(ErrorCode::ValidationFailed).with_field("/expires_in_days"),
        AccountError::MachineName(_) => refuse(ErrorCode::ValidationFailed).with_field("/machine"),
        AccountError::MailAddress(_) => refuse(ErrorCode::ValidationFailed).with_field("/email"),
        AccountError::Name(_) => refuse(ErrorCode::ValidationFailed).with_field("/name"),
        AccountError::LastOwner(_) => refuse(ErrorCode::LastOwner),
        AccountError::StaleVersion => refuse(ErrorCode::StaleVersion),
        AccountError::RoleInUse | AccountError::TooManyRoles | AccountError::NotArchived => {
            refuse(ErrorCode::Conflict)
        }
        AccountError::RoleText | AccountError::RoleChain(_) => refuse(ErrorCode::ValidationFailed),
        AccountError::NotGranted => refuse(ErrorCode::ValidationFailed).with_field("/permission"),
        AccountError::StaffReason => refuse(ErrorCode::ValidationFailed).with_field("/reason"),
        AccountError::NotOwner | AccountError::NotStaff => refuse(ErrorCode::Forbidden),
        AccountError::Passwords(PoolError::Full) => refuse(ErrorCode::NotReady),
        AccountError::Store(store) => store.into(),
        AccountError::Passwords(_) | AccountError::Signing(_) | AccountError::Sealing(_) => {
            ApiError::internal_failure(&error)
        }
    }
}

/// The refusal of a password that stands at `path` of the body.
pub(super) fn password_refusal(faults: &[PasswordFault], path: &str) -> ApiError {
    let says = AccountError::WeakPassword(Vec::new()).to_string();
    let refused = ApiError::new(ErrorCode::ValidationFailed, says);
    faults.iter().fold(refused, |refused, fault| {
        refused.with_problem(password_problem(*fault, path))
    })
}

fn password_problem(fault: PasswordFault, path: &str) -> FieldProblem {
    FieldProblem {
        path: path.to_owned(),
        code: ErrorCode::ValidationFailed,
        message: fault.remedy_text().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

    fn check(error: AccountError, code: ErrorCode, field: Option<&str>) {
        let told = format!("{error:?}");
        let refused = refuse_account_at(error, NOW);
        assert_eq!(refused.error_code(), code, "{told}");
        assert_eq!(refused.first_field().as_deref(), field, "{told}");
    }

    #[test]
    fn a_refusal_tells_what_to_change_and_when_to_come_back() {
        let until = NOW + Duration::from_secs(60);
        check(
            AccountError::Limited { until },
            ErrorCode::RateLimited,
            None,
        );
        for until in [None, Some(until)] {
            check(
                AccountError::Locked { until },
                ErrorCode::AccountLocked,
                None,
            );
        }
        let weak = vec![PasswordFault::NoDigit, PasswordFault::NoSign];
        let (code, place) = (ErrorCode::ValidationFailed, Some("/new_password"));
        check(AccountError::WeakPassword(weak), code, place);
        check(AccountError::KeyLife, code, Some("/expires_in_days"));
        check(AccountError::TooManyKeys, ErrorCode::TooManyKeys, None);
        let full = AccountError::Passwords(PoolError::Full);
        check(full, ErrorCode::NotReady, None);
        let failed = AccountError::Passwords(PoolError::Failed);
        check(failed, ErrorCode::Internal, None);
    }
}
