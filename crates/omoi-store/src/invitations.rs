//! Invitations. Looked up by what a mail carried, before an organisation is known.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::role::MemberRole;
use omoi_domain::id::{InvitationId, OrgId, UserId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// That whoever has an address may become a member.
    Invitation in "invitations" as "invitation" {
        /// Its id.
        id: InvitationId,
        /// Where to.
        org_id: OrgId,
        /// The address, in its one form.
        email: String,
        /// As what.
        role: MemberRole,
        /// Who invited; none for the operator.
        invited_by_id: Option<UserId>,
        /// SHA-256 of what the mail carries.
        digest: String,
        /// When it ends.
        expires_at: Timestamp,
        /// When it was followed.
        accepted_at: Option<Timestamp>,
        /// When it was taken back.
        revoked_at: Option<Timestamp>,
    }
}

impl GlobalRow for Invitation {}

impl Invitation {
    /// Whether it can be followed at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.accepted_at.is_none() && self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Keeps a new invitation in place of open ones to the same address.
///
/// # Errors
/// When the database cannot be written.
pub async fn replace(tx: &mut Tx, invitation: &Invitation) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update invitations set revoked_at = $3
         where org_id = $1 and email = $2 and accepted_at is null and revoked_at is null",
        args![invitation.org_id, invitation.email, now],
    )
    .await?;
    tx.insert(invitation).await
}

/// The invitation with that digest, without keeping anybody from it.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, digest: &str) -> Result<Option<Invitation>, StoreError> {
    tx.find_global("digest = $1", args![digest]).await
}

/// The invitation with that digest, which nobody else follows until the transaction ends. Its organisation's members
/// are locked before.
///
/// # Errors
/// When the database cannot be read.
pub async fn lock(tx: &mut Tx, digest: &str) -> Result<Option<Invitation>, StoreError> {
    tx.lock_global(
        "update invitations set digest = digest where digest = $1 returning id",
        "digest = $1",
        || Ok(args![digest]),
    )
    .await
}

/// Notes that it was followed.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_accepted(tx: &mut Tx, id: InvitationId) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update invitations set accepted_at = $2 where id = $1",
        args![id, now],
    )
    .await
    .map(drop)
}

/// Takes open invitations of `email` to `org` back; how many there were.
///
/// # Errors
/// When the database cannot be written.
pub async fn cancel(tx: &mut Tx, org: OrgId, email: &MailAddress) -> Result<u64, StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update invitations set revoked_at = $3
         where org_id = $1 and email = $2 and accepted_at is null and revoked_at is null",
        args![org, email.as_str(), now],
    )
    .await
}

/// Takes every open invitation to `org` by `inviter` back; how many there were.
///
/// # Errors
/// When the database cannot be written.
pub async fn cancel_of_inviter(
    tx: &mut Tx,
    org: OrgId,
    inviter: UserId,
) -> Result<u64, StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update invitations set revoked_at = $3
         where org_id = $1 and invited_by_id = $2 and accepted_at is null and revoked_at is null",
        args![org, inviter, now],
    )
    .await
}

/// The open invitations of `org`, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_open(tx: &mut Tx, org: OrgId) -> Result<Vec<Invitation>, StoreError> {
    let now = tx.now();
    let tail = "org_id = $1 and accepted_at is null and revoked_at is null and expires_at > $2 order by id";
    tx.all_global(tail, args![org, now]).await
}

/// The open invitations to `email`, wherever to, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_address(tx: &mut Tx, email: &str) -> Result<Vec<Invitation>, StoreError> {
    let now = tx.now();
    let tail =
        "email = $1 and accepted_at is null and revoked_at is null and expires_at > $2 order by id";
    tx.all_global(tail, args![email, now]).await
}

/// Takes the open invitation `id` of `org` back; to which address it was, if it was there.
///
/// # Errors
/// When the database cannot be written.
pub async fn cancel_one(
    tx: &mut Tx,
    org: OrgId,
    id: InvitationId,
) -> Result<Option<String>, StoreError> {
    let now = tx.now();
    let rows = tx
        .raw(
            "update invitations set revoked_at = $3
             where org_id = $1 and id = $2 and accepted_at is null and revoked_at is null returning email",
            args![org, id, now],
        )
        .await?;
    let email = rows.first().map(|row| Column::read(row, "email"));
    email.transpose()
}

/// The invitation `id`.
///
/// # Errors
/// [`StoreError::NotFound`], and when the database cannot be read.
pub async fn get(tx: &mut Tx, id: InvitationId) -> Result<Invitation, StoreError> {
    let found = tx.find_global("id = $1", args![id]).await?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "invitation",
        key: id.to_string(),
    })
}

/// Gives the open invitation `id` another token, in place of the one before; whether it is open.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_digest(tx: &mut Tx, id: InvitationId, digest: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    let n_rows = tx
        .execute_global(
            "update invitations set digest = $2
             where id = $1 and accepted_at is null and revoked_at is null and expires_at > $3",
            args![id, digest, now],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Whether somebody invites `email` to any organisation.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_invited(tx: &mut Tx, email: &MailAddress) -> Result<bool, StoreError> {
    let now = tx.now();
    let tail =
        "email = $1 and accepted_at is null and revoked_at is null and expires_at > $2 limit 1";
    let found: Option<Invitation> = tx.find_global(tail, args![email.as_str(), now]).await?;
    Ok(found.is_some())
}
