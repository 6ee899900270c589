//! The registry of refusals: each code the API answers with, and the HTTP status it always has.
//!
//! `docs/errors/` has a page per code. A code that exists is never given another meaning or status.

use crate::closed_set;

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal, $status:literal;)+) => {
        closed_set! {
            /// A stable code of the error body.
            ErrorCode { $($(#[doc = $doc])+ $variant = $text,)+ }
        }

        impl ErrorCode {
            /// The HTTP status of every answer with this code.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }
        }
    };
}

error_codes! {
    /// Rows would wait for each other.
    CircularDependency = "circular_dependency", 400;
    /// The request carries two credentials of different holders.
    ConflictingCredentials = "conflicting_credentials", 400;
    /// The token of a link is not good, or not any more.
    InvalidToken = "invalid_token", 400;
    /// The cursor is none of this list or stream with these filters in this order.
    InvalidCursor = "invalid_cursor", 400;
    /// The body is no JSON, nests too deeply, holds too much, or names a field twice.
    MalformedJson = "malformed_json", 400;
    /// Mail address or password are wrong.
    InvalidCredentials = "invalid_credentials", 401;
    /// The refresh token was used before, and its session was ended.
    TokenReused = "token_reused", 401;
    /// The credential is missing or not valid.
    Unauthenticated = "unauthenticated", 401;
    /// A change by a cookie lacks the token that pages of this server send with it.
    CsrfRefused = "csrf_refused", 403;
    /// The mail address of the account is not verified yet.
    EmailNotVerified = "email_not_verified", 403;
    /// The caller lacks the permission, which the body names.
    Forbidden = "forbidden", 403;
    /// Whoever the key belongs to may do this, and the key may not.
    InsufficientScope = "insufficient_scope", 403;
    /// The attempt has no way out of its sandbox.
    NoEgress = "no_egress", 403;
    /// The account waits until staff of the platform lets it in.
    OnWaitlist = "on_waitlist", 403;
    /// The request came under a name that is not this server's, or from a page of another one.
    OriginRefused = "origin_refused", 403;
    /// The caller would give more than they have.
    PrivilegeEscalation = "privilege_escalation", 403;
    /// The password was given too long ago for this.
    ReauthRequired = "reauth_required", 403;
    /// Nobody makes an account here without an invitation.
    RegistrationClosed = "registration_closed", 403;
    /// The token belongs to another sandbox than the path names.
    WrongSandbox = "wrong_sandbox", 403;
    /// There is no such row for this caller.
    NotFound = "not_found", 404;
    /// The operation at this path is asked with another method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The body came too slowly.
    SlowRequest = "slow_request", 408;
    /// The agent program cannot be used here.
    AgentUnusable = "agent_unusable", 409;
    /// An earlier request with the same key did this, and its answer is lost.
    AlreadyDone = "already_done", 409;
    /// An earlier request with the same key was answered with what is told once.
    AlreadyShown = "already_shown", 409;
    /// An agent still works on it.
    AtWork = "at_work", 409;
    /// Somebody else changed the row meanwhile, or it exists already.
    Conflict = "conflict", 409;
    /// A file to be copied into sandboxes cannot be taken.
    CopyRefused = "copy_refused", 409;
    /// There is an open ticket that says the same.
    DuplicateCandidate = "duplicate_candidate", 409;
    /// The phase of the ticket does not show what it has to.
    GateNotMet = "gate_not_met", 409;
    /// It is the only way to sign in to the account.
    LastWayIn = "last_way_in", 409;
    /// An earlier request with the same key is not answered yet.
    IdempotencyInProgress = "idempotency_in_progress", 409;
    /// The key is that of another request.
    IdempotencyKeyReused = "idempotency_key_reused", 409;
    /// The state of the row does not allow this.
    InvalidTransition = "invalid_transition", 409;
    /// The only owner of an organisation who can sign in stays one.
    LastOwner = "last_owner", 409;
    /// The process that answers runs no sandboxes.
    NoSandbox = "no_sandbox", 409;
    /// The spec has no plan yet.
    NotPlanned = "not_planned", 409;
    /// Nothing of the spec has landed that could be handed over.
    NothingLanded = "nothing_landed", 409;
    /// The ticket asks for no result.
    NoResultCriteria = "no_result_criteria", 409;
    /// The spec was begun with a model of another kind.
    OtherModel = "other_model", 409;
    /// There is no room for more files.
    QuotaExceeded = "quota_exceeded", 409;
    /// The repository asks for something that nobody agreed to.
    RepositoryNotTrusted = "repository_not_trusted", 409;
    /// Tasks of the spec are not over yet.
    StillOpen = "still_open", 409;
    /// The attempt is over, or a newer one took its place.
    SupersededAttempt = "superseded_attempt", 409;
    /// All that is left waits for a task that a person cancelled.
    TaskCancelled = "task_cancelled", 409;
    /// The task is over.
    TaskIsOver = "task_is_over", 409;
    /// The thread takes no messages any more.
    ThreadClosed = "thread_closed", 409;
    /// There are as many keys as there may be.
    TooManyKeys = "too_many_keys", 409;
    /// The repository's file is another one than the person saw.
    TrustOutdated = "trust_outdated", 409;
    /// Several rows have this reference.
    UnclearReference = "unclear_reference", 409;
    /// The spec waits for a person.
    Waits = "waits", 409;
    /// The column has as many tickets as it takes.
    WipLimitExceeded = "wip_limit_exceeded", 409;
    /// The earlier API had this address; this one has it no more.
    Gone = "gone", 410;
    /// The row was changed after the version that the request names.
    StaleVersion = "stale_version", 412;
    /// The body is larger than the route takes.
    TooLarge = "too_large", 413;
    /// The address of the request is longer than any operation's.
    UrlTooLong = "url_too_long", 414;
    /// The body is of another media type than the route takes.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// The path does not lead to a repository that can be worked on.
    BadRepository = "bad_repository", 422;
    /// The repository's `.omoi.yaml` cannot be used.
    BadRepositoryFile = "bad_repository_file", 422;
    /// The bundle of commits cannot be taken in.
    BundleRefused = "bundle_refused", 422;
    /// The server takes no paths of its own disk.
    ServerPathRefused = "server_path_refused", 422;
    /// The deployment asks no such provider of models with a key.
    UnaskedProvider = "unasked_provider", 422;
    /// A rule of the plan or of a report forbids it.
    Refused = "refused", 422;
    /// The body or the query has a field that the operation does not know.
    UnknownField = "unknown_field", 422;
    /// A value is missing, of another type, or outside its bounds.
    ValidationFailed = "validation_failed", 422;
    /// The operation is a WebSocket, and the request asks for none.
    UpgradeRequired = "upgrade_required", 426;
    /// Too many tries failed for this account.
    AccountLocked = "account_locked", 423;
    /// The request has to name the version of the row that it is meant for.
    PreconditionRequired = "precondition_required", 428;
    /// The caller sends more than it may in that time.
    RateLimited = "rate_limited", 429;
    /// The caller holds as many connections as it may.
    TooManyConnections = "too_many_connections", 429;
    /// Something failed on our side.
    Internal = "internal", 500;
    /// The request cannot be answered for now.
    NotReady = "not_ready", 503;
    /// Secrets of organisations cannot be kept: nothing to encrypt them with is set up here.
    EncryptionNotConfigured = "encryption_not_configured", 503;
    /// The operation sends a mail, and no mail server is set up here.
    MailNotConfigured = "mail_not_configured", 503;
    /// Signing in by that provider is not set up here.
    OauthNotConfigured = "oauth_not_configured", 503;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ErrorCode;

    #[test]
    fn a_code_is_a_word_of_its_own_with_a_status_of_a_refusal() {
        let mut seen = BTreeSet::new();
        for &code in ErrorCode::ALL {
            let text = code.as_str();
            assert!(seen.insert(text), "{text}");
            assert!(
                text.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()),
                "{text}"
            );
            assert!((400..=504).contains(&code.http_status()), "{text}");
            assert_eq!(ErrorCode::parse(text), Some(code));
        }
    }
}
