//! Mails that follow from an act, written in its transaction. The [`Mailer`](crate::mailer::Mailer) sends them.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::mail_intent::{MAIL_KEPT_FOR, MailKind, MailState};
use omoi_domain::id::{InvitationId, UserId};
use omoi_store::mail_intents::{self, MailIntent};
use omoi_store::{StoreError, Tx};

/// What a mail is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum MailSubject {
    /// An account.
    Account(MailKind, UserId),
    /// An invitation.
    Invitation(InvitationId),
}

/// Writes a mail to `to` down, which goes out once the transaction has committed.
pub(super) async fn plan_mail(
    tx: &mut Tx,
    to: &MailAddress,
    subject: MailSubject,
) -> Result<(), StoreError> {
    let now = tx.now();
    let (kind, user_id, invitation_id) = match subject {
        MailSubject::Account(kind, user) => (kind, Some(user), None),
        MailSubject::Invitation(id) => (MailKind::Invitation, None, Some(id)),
    };
    let intent = MailIntent {
        id: tx.new_id(),
        kind,
        email: to.as_str().to_owned(),
        user_id,
        invitation_id,
        state: MailState::Planned,
        tries: 0,
        next_at: now,
        created_at: now,
        expires_at: now + MAIL_KEPT_FOR,
        error: None,
    };
    mail_intents::insert(tx, &intent).await
}
