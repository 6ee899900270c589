//! Showing that a mail address is one's own.

use omoi_domain::access::mail_intent::MailKind;
use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_store::{Tx, users};

use super::asked_mail::{AskedMail, send_asked_mail};
use super::limits::{CountedTry, count_tries};
use super::one_time::use_token;
use crate::context::{AccountContext, RequestSource};
use crate::error::AccountError;

/// Verifies the address of whoever has `token`.
///
/// # Errors
/// [`AccountError::InvalidToken`], [`AccountError::Limited`].
pub async fn verify_mail(
    context: &AccountContext,
    token: &str,
    source: &RequestSource,
) -> Result<(), AccountError> {
    let tries = [CountedTry::of_address(LimitScope::VerifyAddress, source.ip)];
    let count = async |tx: &mut Tx| count_tries(tx, &tries).await;
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, count).await??;
    let verify = async |tx: &mut Tx| -> Result<(), AccountError> {
        let user = use_token(tx, token, TokenPurpose::Verify).await?;
        let verified = AuditAct::done_to(AuditAction::EmailVerified, user);
        tx.record_act(verified.done_by(Actor::User(user)));
        Ok(users::set_verified(tx, user).await?)
    };
    context.write_revocation(verify).await
}

/// Has a new verification mail go to an account that is not verified. The caller's answer is the same without one.
///
/// # Errors
/// [`AccountError::MailAddress`], [`AccountError::Limited`].
pub async fn resend_verification(
    context: &AccountContext,
    email: &str,
    source: &RequestSource,
) -> Result<(), AccountError> {
    let mail = AskedMail {
        kind: MailKind::Verification,
        scope: LimitScope::ResendAddress,
        is_wanted: |user| !user.is_verified(),
    };
    send_asked_mail(context, email, source, mail).await
}
