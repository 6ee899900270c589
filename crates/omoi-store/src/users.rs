//! People who use the platform, in all organisations.

use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::profile::AccountAttributes;
use omoi_domain::id::UserId;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::{GlobalRow, row};
use crate::tx::Tx;

row! {
    /// A person.
    User in "users" as "user" {
        /// Its id.
        id: UserId,
        /// What people call them.
        name: String,
        /// Their mail address in its one form; none for the user of a laptop.
        email: Option<String>,
        /// The hash of their password; none before they set one.
        password_hash: Option<String>,
        /// Whether they may sign in.
        is_active: bool,
        /// Whether they run the platform.
        is_staff: bool,
        /// When they showed that the address is theirs.
        verified_at: Option<Timestamp>,
        /// Grows when every access token of theirs is to end.
        token_epoch: i64,
        /// When they signed in last.
        last_sign_in_at: Option<Timestamp>,
        /// When the account was made; none for the user of a laptop.
        created_at: Option<Timestamp>,
        /// Where they work.
        department: Option<String>,
        /// Settings of the dashboard.
        attributes: Option<Json<AccountAttributes>>,
        /// Since when the account waits to be let in; none for one that does not.
        waiting_since_at: Option<Timestamp>,
    }
}

impl GlobalRow for User {}

impl User {
    /// Whether nothing is left to show of their mail address: it is known to be theirs, or they have none.
    pub const fn is_verified(&self) -> bool {
        self.email.is_none() || self.verified_at.is_some()
    }
}

/// The user with that id.
///
/// # Errors
/// [`StoreError::NotFound`], and when the database cannot be read.
pub async fn get(tx: &mut Tx, id: UserId) -> Result<User, StoreError> {
    let found = find(tx, id).await?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "user",
        key: id.to_string(),
    })
}

/// The user with that id, if there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, id: UserId) -> Result<Option<User>, StoreError> {
    tx.find_global("id = $1", args![id]).await
}

/// The user with that address.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_by_email(tx: &mut Tx, email: &MailAddress) -> Result<Option<User>, StoreError> {
    tx.find_global("email = $1", args![email.as_str()]).await
}

/// Keeps others from changing what belongs to the user until the transaction ends.
///
/// # Errors
/// When the database cannot be written.
pub async fn lock(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    tx.execute_global("update users set name = name where id = $1", args![id])
        .await
        .map(drop)
}

/// Every user, by address.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_all(tx: &mut Tx) -> Result<Vec<User>, StoreError> {
    tx.all_global("true order by email, id", args![]).await
}

/// Keeps a new user.
///
/// # Errors
/// [`StoreError::Exists`] when the address is taken.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    tx.insert(user).await
}

/// Notes that the user showed that the address is theirs, unless they did before.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_verified(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute_global(
        "update users set verified_at = $2 where id = $1 and verified_at is null",
        args![id, now],
    )
    .await
    .map(drop)
}

/// Notes a sign-in of an active user whose password is still `checked`, and keeps `rehashed` in its place; whether
/// there is such a user.
///
/// # Errors
/// When the database cannot be written.
pub async fn note_sign_in(
    tx: &mut Tx,
    id: UserId,
    checked: &str,
    rehashed: &str,
) -> Result<bool, StoreError> {
    let now = tx.now();
    let n_rows = tx
        .execute_global(
            "update users set last_sign_in_at = $4, password_hash = $3
             where id = $1 and password_hash = $2 and is_active",
            args![id, checked, rehashed, now],
        )
        .await?;
    Ok(n_rows == 1)
}

/// Sets a new password, which ends every access token.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_password(tx: &mut Tx, id: UserId, hash: &str) -> Result<(), StoreError> {
    tx.execute_global(
        "update users set password_hash = $2, token_epoch = token_epoch + 1 where id = $1",
        args![id, hash],
    )
    .await
    .map(drop)
}

/// Ends every access token of the user.
///
/// # Errors
/// When the database cannot be written.
pub async fn raise_epoch(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    tx.execute_global(
        "update users set token_epoch = token_epoch + 1 where id = $1",
        args![id],
    )
    .await
    .map(drop)
}

/// Lets the user sign in, or no longer; the latter ends every access token.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_active(tx: &mut Tx, id: UserId, is_active: bool) -> Result<(), StoreError> {
    tx.execute_global(
        "update users set is_active = $2, token_epoch = token_epoch + 1 where id = $1 and is_active <> $2",
        args![id, is_active],
    )
    .await
    .map(drop)
}

/// Keeps what the user says of themselves.
///
/// # Errors
/// When the database cannot be written.
pub async fn save_profile(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    tx.execute_global(
        "update users set name = $2, department = $3, attributes = $4 where id = $1",
        args![user.id, user.name, user.department, user.attributes],
    )
    .await
    .map(drop)
}

/// Accounts that wait to be let in, those that wait longest first; `limit` at most.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_waiting(tx: &mut Tx, limit: i64) -> Result<Vec<User>, StoreError> {
    let tail =
        "waiting_since_at is not null and is_active = $1 order by waiting_since_at, id limit $2";
    tx.all_global(tail, args![true, limit]).await
}

/// Lets a user in who waits; whether they did.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_wait(tx: &mut Tx, id: UserId) -> Result<bool, StoreError> {
    let sql =
        "update users set waiting_since_at = null where id = $1 and waiting_since_at is not null";
    Ok(tx.execute_global(sql, args![id]).await? == 1)
}

/// Takes everything that tells who the user is from their row, which others name; nobody signs in by it any more.
///
/// # Errors
/// When the database cannot be written.
pub async fn erase_person(tx: &mut Tx, id: UserId, name: &str) -> Result<(), StoreError> {
    tx.execute_global(
        "update users set name = $2, email = null, password_hash = null, is_active = $3, is_staff = $3,
             token_epoch = token_epoch + 1, department = null, attributes = null, waiting_since_at = null
         where id = $1",
        args![id, name, false],
    )
    .await
    .map(drop)
}
