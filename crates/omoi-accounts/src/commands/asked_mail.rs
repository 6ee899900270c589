//! Mails that go to an account because somebody named its address.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::mail_intent::MailKind;
use omoi_domain::access::sign_in_limit::LimitScope;
use omoi_domain::crash::CrashPoint;
use omoi_store::Tx;
use omoi_store::users::{self, User};

use super::limits::{CountedTry, count_tries};
use super::mail_plan::{MailSubject, plan_mail};
use crate::context::{AccountContext, RequestSource};
use crate::error::AccountError;

/// A mail that anybody may ask for who knows an address.
pub(super) struct AskedMail {
    /// What it is.
    pub(super) kind: MailKind,
    /// How often it is asked for from one network.
    pub(super) scope: LimitScope,
    /// Whether it goes to an active account.
    pub(super) is_wanted: fn(&User) -> bool,
}

/// Has `mail` go to the account of `email`, where there is one that gets it. The caller's answer is the same without one.
///
/// # Errors
/// [`AccountError::MailAddress`], [`AccountError::Limited`].
pub(super) async fn send_asked_mail(
    context: &AccountContext,
    email: &str,
    source: &RequestSource,
    mail: AskedMail,
) -> Result<(), AccountError> {
    let to: MailAddress = email.parse()?;
    let tries = [
        CountedTry::of_address(mail.scope, source.ip),
        CountedTry::of_subject(LimitScope::MailTo, to.as_str()),
    ];
    let plan = async |tx: &mut Tx| -> Result<_, AccountError> {
        if let Err(refused) = count_tries(tx, &tries).await? {
            return Ok(Err(refused));
        }
        let user = users::find_by_email(tx, &to).await?;
        if let Some(user) = user.filter(|user| user.is_active && (mail.is_wanted)(user)) {
            plan_mail(tx, &to, MailSubject::Account(mail.kind, user.id)).await?;
        }
        Ok(Ok(()))
    };
    let system = context.store.system();
    system.write(CrashPoint::AccountChanged, plan).await??;
    context.mails.nudge();
    Ok(())
}
