//! What people are told of by themselves, written in the transaction of what they are told.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::access::permission::Permission;
use omoi_domain::access::role_chain::{CustomRole, RolePower};
use omoi_domain::actor::Actor;
use omoi_domain::event::{Event, NotificationChange};
use omoi_domain::id::{
    ApprovalId, CommentId, NotificationId, OrgId, ProjectId, RoleId, SpecId, TicketId, UserId,
};
use omoi_domain::notification::NotificationKind;
use omoi_domain::time::Timestamp;

use crate::approvals::Approval;
use crate::args;
use crate::column::Column;
use crate::comments::Comment;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;
use crate::{memberships, project_grants, roles};

row! {
    /// That a person is told of something.
    Notification in "notifications" as "notification" {
        /// Its id; a later one is greater.
        id: NotificationId,
        /// The organisation of what they are told.
        org_id: OrgId,
        /// Its project.
        project_id: ProjectId,
        /// Who is told.
        user_id: UserId,
        /// Why.
        kind: NotificationKind,
        /// The ticket that it is about, where it is about one.
        ticket_id: Option<TicketId>,
        /// The spec whose plan it is about, where it is about one.
        spec_id: Option<SpecId>,
        /// The comment that mentions them.
        comment_id: Option<CommentId>,
        /// The question that waits for their answer.
        approval_id: Option<ApprovalId>,
        /// Who mentions them, or asks.
        actor: Actor,
        /// Since when.
        created_at: Timestamp,
        /// When they took note of it, or it was over.
        read_at: Option<Timestamp>,
    }
}

/// Tells each of `users` but its author that `comment` mentions them.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn tell_mentioned(
    tx: &mut Tx,
    comment: &Comment,
    users: &BTreeSet<UserId>,
) -> Result<(), StoreError> {
    for user in users {
        let notification = Notification {
            id: tx.new_id(),
            org_id: tx.org(),
            project_id: comment.project_id,
            user_id: *user,
            kind: NotificationKind::Mention,
            ticket_id: Some(comment.ticket_id),
            spec_id: None,
            comment_id: Some(comment.id),
            approval_id: None,
            actor: tx.current_actor(),
            created_at: tx.now(),
            read_at: None,
        };
        tell(tx, &notification).await?;
    }
    Ok(())
}

/// Tells those who may answer it that `approval` waits for an answer.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn tell_approvers(tx: &mut Tx, approval: &Approval) -> Result<(), StoreError> {
    let needed = match approval.ticket_id {
        Some(_) => Permission::TicketApprove,
        None => Permission::SpecApprove,
    };
    for user in list_approvers(tx, approval.project_id, needed).await? {
        let notification = Notification {
            id: tx.new_id(),
            org_id: tx.org(),
            project_id: approval.project_id,
            user_id: user,
            kind: NotificationKind::Approval,
            ticket_id: approval.ticket_id,
            spec_id: approval.spec_id,
            comment_id: None,
            approval_id: Some(approval.id),
            actor: approval.actor,
            created_at: tx.now(),
            read_at: None,
        };
        tell(tx, &notification).await?;
    }
    Ok(())
}

/// Writes a notification with its event; nobody is told of what they do themselves.
async fn tell(tx: &mut Tx, notification: &Notification) -> Result<(), StoreError> {
    if tx.current_actor() == Actor::User(notification.user_id) {
        return Ok(());
    }
    tx.insert(notification).await?;
    let event = Event::NotificationCreated(NotificationChange {
        notification_id: notification.id,
        user_id: notification.user_id,
        ticket_id: notification.ticket_id,
        spec_id: notification.spec_id,
        notification_kind: notification.kind,
    });
    tx.emit(Some(notification.project_id), notification.spec_id, event);
    Ok(())
}

/// The members who have the permission `needed` in `project`, by their role or as granted for it.
async fn list_approvers(
    tx: &mut Tx,
    project: ProjectId,
    needed: Permission,
) -> Result<Vec<UserId>, StoreError> {
    let org = tx.org();
    let custom: BTreeMap<RoleId, CustomRole> = roles::list_all(tx)
        .await?
        .into_iter()
        .map(|row| {
            let role = CustomRole {
                permissions: row.permissions.0,
                inherits_from: row.inherits_from_id,
            };
            (row.id, role)
        })
        .collect();
    let granted = project_grants::list_holders(tx, project, needed).await?;
    let members = memberships::list_of_organisation(tx, org).await?;
    let approvers = members.into_iter().filter(|member| {
        // Whoever has a role that cannot be followed may do nothing by it.
        let power = RolePower::of_role(member.role, &custom).unwrap_or(RolePower::NONE);
        power.permissions.contains(needed) || granted.contains(&member.id)
    });
    Ok(approvers.map(|member| member.user_id).collect())
}

/// Notes that nobody has to be told of `approval` any more.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn end_approval(tx: &mut Tx, approval: ApprovalId) -> Result<(), StoreError> {
    let now = tx.now();
    tx.execute(
        "update notifications set read_at = $3
         where org_id = $1 and approval_id = $2 and read_at is null",
        args![approval, now],
    )
    .await
    .map(drop)
}

/// Which notifications of a person are listed.
#[derive(Clone, Copy, Debug)]
pub struct NotificationFilter {
    /// Whether those that they took note of are left out.
    pub is_unread: bool,
    /// Those before this one.
    pub before: Option<NotificationId>,
    /// How many, at most.
    pub limit: u32,
}

/// What `user` is told, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_user(
    tx: &mut Tx,
    user: UserId,
    filter: NotificationFilter,
) -> Result<Vec<Notification>, StoreError> {
    let NotificationFilter {
        is_unread,
        before,
        limit,
    } = filter;
    tx.all(
        "user_id = $2 and ($3 = $4 or read_at is null) and ($5 is null or id < $5)
         order by id desc limit $6",
        args![user, is_unread, false, before, i64::from(limit)],
    )
    .await
}

/// How many notifications `user` took no note of.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_unread(tx: &mut Tx, user: UserId) -> Result<u32, StoreError> {
    let rows = tx
        .rows(
            "select count(*) as n from notifications
             where org_id = $1 and user_id = $2 and read_at is null",
            args![user],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| u32::read(row, "n"))
}

/// Notes that `user` knows of `ids`; of all there are, where none is named. What is not theirs stays as it is.
///
/// # Errors
/// When the database cannot be written.
pub async fn mark_read(
    tx: &mut Tx,
    user: UserId,
    ids: Option<&[NotificationId]>,
) -> Result<u64, StoreError> {
    let now = tx.now();
    let Some(ids) = ids else {
        return tx
            .execute(
                "update notifications set read_at = $3
                 where org_id = $1 and user_id = $2 and read_at is null",
                args![user, now],
            )
            .await;
    };
    let mut n_read = 0;
    for id in ids {
        n_read += tx
            .execute(
                "update notifications set read_at = $4
                 where org_id = $1 and user_id = $2 and id = $3 and read_at is null",
                args![user, *id, now],
            )
            .await?;
    }
    Ok(n_read)
}
