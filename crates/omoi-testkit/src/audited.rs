//! Acts of the audit log that no operation of the API comes to when all goes well: those of the command line, and those that
//! somebody does by trying in vain. The tests of accounts expect each of them, those of the server all others.

use omoi_domain::audit::AuditAction;

/// These acts.
pub const ACTS_OF_COMMANDS: [AuditAction; 8] = [
    AuditAction::LoginFailed,
    AuditAction::LoginBlockedLockout,
    AuditAction::AccountLocked,
    AuditAction::AccountDisabled,
    AuditAction::AccountEnabled,
    AuditAction::RefreshTokenReuse,
    AuditAction::AccountLinkMade,
    AuditAction::ApiKeyDenied,
];
