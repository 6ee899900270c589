//! Sends the mails that acts have written down.
//!
//! A mail is claimed in one transaction, which makes its token and stores the digest; then it is handed over, and what
//! came of it is noted. Whoever dies in between leaves a mail that another one sends again, under the same
//! `Message-ID` and with a new token: the one before is void.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::mail_intent::{
    MAIL_LEASE, MAIL_TRIED_FOR, MailKind, MailState, next_mail_try,
};
use omoi_domain::access::role::MemberRole;
use omoi_domain::access::token_purpose::TokenPurpose;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{InvitationId, OrgId, UserId};
use omoi_domain::plain_title::plain_title;
use omoi_domain::time::Timestamp;
use omoi_integrations::mail::letter::{MailContent, MailLink};
use omoi_integrations::mail::{OutgoingMail, SendMail, SendMailError};
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next, Reconciler};
use omoi_runtime::telemetry::error_chain;
use omoi_store::mail_intents::{self, MailIntent, MailOutcome};
use omoi_store::{StoreError, Tx, api_keys, invitations, organisations, roles, users};
use tracing::{info, warn};

use crate::commands::make_account_token;
use crate::context::AccountContext;
use crate::mail_links::MailLinks;
use crate::secret_token::FreshSecret;

/// Mails of one pass.
const MAILS_MAX: i64 = 20;
/// Characters of a name in a mail.
const NAME_CHARS_MAX: usize = 100;

/// Sends mails. Many may run at once, also in several processes.
pub struct Mailer {
    context: AccountContext,
    sender: Arc<dyn SendMail>,
    links: MailLinks,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

impl Mailer {
    /// Hands the mails of the accounts in `context` over to `sender`.
    pub fn new(context: AccountContext, sender: Arc<dyn SendMail>, links: MailLinks) -> Self {
        Self {
            context,
            sender,
            links,
        }
    }

    /// Sends what is due; when there is something to do again.
    ///
    /// # Errors
    /// When the rows cannot be read or written.
    pub async fn send_due(&self) -> Result<Next, StoreError> {
        let system = self.context.store.system();
        let due = system
            .read(async |tx: &mut Tx| mail_intents::list_due(tx, MAILS_MAX).await)
            .await?;
        for intent in &due {
            self.send_one(intent).await?;
        }
        if due.len() as i64 == MAILS_MAX {
            return Ok(Next::Now);
        }
        let next = system
            .read(async |tx: &mut Tx| mail_intents::next_due(tx).await)
            .await?;
        Ok(next.map_or(Next::Idle, Next::At))
    }

    async fn send_one(&self, intent: &MailIntent) -> Result<(), StoreError> {
        let Some(mail) = self.take_mail(intent).await? else {
            return Ok(());
        };
        let sent = self.sender.send_mail(&mail).await;
        let tries = intent.tries + 1;
        let note = async |tx: &mut Tx| -> Result<(), StoreError> {
            let outcome = outcome_of(&sent, intent, tries, tx.now());
            mail_intents::save_outcome(tx, intent.id, tries, &outcome).await
        };
        let system = self.context.store.system();
        system.write(CrashPoint::AccountChanged, note).await?;
        let (mail, kind) = (intent.id, intent.kind);
        match sent {
            Ok(()) => info!(%mail, %kind, tries, "The mail server took a mail"),
            Err(error) => {
                let error = error_chain(&error);
                warn!(%mail, %kind, tries, error, "The mail server did not take a mail");
            }
        }
        Ok(())
    }

    /// Claims a mail and makes what stands in it; none where another one has it, or nobody needs it any more.
    async fn take_mail(&self, intent: &MailIntent) -> Result<Option<OutgoingMail>, StoreError> {
        let org = match intent.invitation_id {
            Some(id) => self.organisation_of(id).await?,
            None => OrgId::PLATFORM,
        };
        let take = async |tx: &mut Tx| -> Result<_, StoreError> {
            let now = tx.now();
            if !mail_intents::claim(tx, intent, now + MAIL_LEASE).await? {
                return Ok(None);
            }
            let is_late = now.since(intent.created_at) >= MAIL_TRIED_FOR;
            let to: Option<MailAddress> = intent.email.parse().ok().filter(|_| !is_late);
            let content = match to {
                Some(_) => self.content_of(tx, intent).await?,
                None => None,
            };
            let Some((to, content)) = to.zip(content) else {
                let outcome = MailOutcome {
                    state: MailState::Failed,
                    next_at: now,
                    error: Some("nobody needs it any more".to_owned()),
                };
                mail_intents::save_outcome(tx, intent.id, intent.tries + 1, &outcome).await?;
                return Ok(None);
            };
            Ok(Some(OutgoingMail {
                id: intent.id.as_uuid(),
                to,
                content,
                written_at: intent.created_at,
            }))
        };
        let tenant = self.context.store.tenant(org);
        tenant.write(CrashPoint::AccountChanged, take).await
    }

    async fn organisation_of(&self, id: InvitationId) -> Result<OrgId, StoreError> {
        let system = self.context.store.system();
        let invitation = system.read(async |tx: &mut Tx| invitations::get(tx, id).await);
        Ok(invitation.await?.org_id)
    }

    /// What stands in a mail, with its token; none where nobody needs it any more.
    async fn content_of(
        &self,
        tx: &mut Tx,
        intent: &MailIntent,
    ) -> Result<Option<MailContent>, StoreError> {
        if let Some(invitation) = intent.invitation_id {
            return self.invitation_content(tx, invitation).await;
        }
        let Some(user) = intent.user_id else {
            return Ok(None);
        };
        let row = users::get(tx, user).await?;
        if !row.is_active || row.email.as_ref() != Some(&intent.email) {
            return Ok(None);
        }
        Ok(match intent.kind {
            MailKind::Verification if row.verified_at.is_some() => None,
            MailKind::Verification => {
                let link = self.link_for(tx, user, TokenPurpose::Verify).await?;
                link.map(MailContent::Verification)
            }
            MailKind::Reset => {
                let keys = live_key_names(tx, user).await?;
                let link = self.link_for(tx, user, TokenPurpose::Reset).await?;
                link.map(|link| MailContent::Reset { link, keys })
            }
            MailKind::Unlock => {
                let link = self.link_for(tx, user, TokenPurpose::Unlock).await?;
                link.map(MailContent::Unlock)
            }
            MailKind::KnownAddress => Some(MailContent::KnownAddress {
                sign_in: self.links.start_page(),
            }),
            MailKind::TokenReuse => Some(MailContent::TokenReuse {
                seen_at: intent.created_at,
                address: None,
                sessions: self.links.start_page(),
            }),
            MailKind::Invitation => None,
        })
    }

    /// A link with a new token of `user`, in place of earlier ones for that purpose.
    async fn link_for(
        &self,
        tx: &mut Tx,
        user: UserId,
        purpose: TokenPurpose,
    ) -> Result<Option<MailLink>, StoreError> {
        let token = make_account_token(tx, &self.context.rng, user, purpose).await?;
        let expires_at = tx.now() + purpose.token_lifetime();
        let url = self.links.purpose_link(purpose, &token);
        Ok(url.map(|url| MailLink { url, expires_at }))
    }

    async fn invitation_content(
        &self,
        tx: &mut Tx,
        id: InvitationId,
    ) -> Result<Option<MailContent>, StoreError> {
        let fresh = FreshSecret::draw_secret("", &self.context.rng);
        if !invitations::set_digest(tx, id, &fresh.digest).await? {
            return Ok(None);
        }
        let invitation = invitations::get(tx, id).await?;
        let role = match invitation.role {
            MemberRole::System(role) => role.as_str().to_owned(),
            MemberRole::Custom(role) => roles::get(tx, role).await?.name,
        };
        let inviter = match invitation.invited_by_id {
            Some(inviter) => users::get(tx, inviter).await?.name,
            None => "the operator".to_owned(),
        };
        Ok(Some(MailContent::Invitation {
            link: MailLink {
                url: self.links.invitation_link(&fresh.secret),
                expires_at: invitation.expires_at,
            },
            organization: short_name(&organisations::get(tx).await?.name),
            invited_by: short_name(&inviter),
            role: short_name(&role),
        }))
    }
}

impl Reconciler for Mailer {
    fn name(&self) -> &'static str {
        "mailer"
    }

    fn tick<'a>(
        &'a mut self,
        _: Timestamp,
        _: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        async { Ok(self.send_due().await?) }.boxed()
    }
}

/// Names of the keys that go on working when a password is set anew.
async fn live_key_names(tx: &mut Tx, user: UserId) -> Result<Vec<String>, StoreError> {
    let now = tx.now();
    let keys = api_keys::list_of_user(tx, user).await?;
    let live = keys.iter().filter(|key| key.is_live(now));
    Ok(live.map(|key| short_name(&key.name)).collect())
}

/// What people call something, fit for a mail.
fn short_name(name: &str) -> String {
    let line = plain_title(name);
    match line.chars().nth(NAME_CHARS_MAX) {
        None => line,
        Some(_) => {
            let kept: String = line.chars().take(NAME_CHARS_MAX - 1).collect();
            kept + "\u{2026}"
        }
    }
}

fn outcome_of(
    sent: &Result<(), SendMailError>,
    intent: &MailIntent,
    tries: u32,
    now: Timestamp,
) -> MailOutcome {
    let Err(error) = sent else {
        return MailOutcome {
            state: MailState::Confirmed,
            next_at: now,
            error: None,
        };
    };
    let next = next_mail_try(tries, intent.created_at, now);
    let state = match next {
        _ if error.is_final() => MailState::Bounced,
        Some(_) => MailState::Planned,
        None => MailState::Failed,
    };
    MailOutcome {
        state,
        next_at: next.unwrap_or(now),
        error: Some(error_chain(error)),
    }
}
