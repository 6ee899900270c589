//! Writes a ticket that a person wants done.

use std::time::Duration;

use tracing::info;

use omoi_domain::actor::Actor;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, ProjectId, TicketId, UserId};
use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_domain::plain_title::given_title;
use omoi_domain::task::Priority;
use omoi_domain::ticket::{ApprovalStatus, WorkflowMode};
use omoi_domain::ticket_text::{DESCRIPTION_CHARS_MAX, given_commands, given_labels};
use omoi_domain::workflow::PhaseId;
use omoi_store::projects::{self, NumberCounter};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, StoreError, Tenant, Tx, approvals, memberships};

use super::TicketCommandError;
use super::change_ticket::tell_forced;
use crate::tickets::{PersonMove, move_for_person};

/// Tickets that are named where a new one says the same.
const DUPLICATES_MAX: u32 = 5;

/// A ticket that a person wants.
#[derive(Clone, Debug)]
pub struct NewTicket {
    /// Its project.
    pub project: ProjectId,
    /// Its title.
    pub title: String,
    /// What is wanted.
    pub description: String,
    /// How much it matters.
    pub priority: Priority,
    /// Words that people find it by.
    pub labels: Vec<String>,
    /// The person who takes care of it.
    pub assignee: Option<UserId>,
    /// The phase that it begins in; the caller may skip phases for a later one.
    pub phase: PhaseId,
    /// What is begun for it by itself, once it may be worked on.
    pub mode: Option<WorkflowMode>,
    /// Commands that show that it is done, and fail before.
    pub check_commands: Vec<String>,
    /// What it waits for.
    pub depends_on: Vec<TicketId>,
    /// Whether it is written although an open ticket says the same.
    pub takes_duplicate: bool,
    /// How long people may take to say yes to it where a program writes it; none where nobody is asked.
    pub review: Option<Duration>,
}

/// Writes a ticket, which waits in its phase until somebody moves it, or until what its mode says is begun for it.
///
/// # Errors
/// [`TicketCommandError::Duplicate`] where an open ticket says the same, and as of a text, a person or a ticket that cannot
/// be taken.
pub async fn create_ticket(tenant: &Tenant, new: NewTicket) -> Result<Ticket, TicketCommandError> {
    let title = given_title(&new.title)?;
    check_description(&new.description)?;
    let labels = given_labels(&new.labels)?;
    let check_commands = given_commands(&new.check_commands)?;
    let created = tenant.write(CrashPoint::TicketChanged, async |tx| {
        expect_member(tx, new.assignee).await?;
        hold_prerequisites(tx, &new).await?;
        // The number locks the project: of two that say the same, the second sees the first.
        let number = projects::take_numbers(tx, new.project, NumberCounter::Ticket, 1).await?;
        if !new.takes_duplicate {
            let (title, text) = (&title, &new.description);
            let same =
                tickets::saying_the_same(tx, new.project, title, text, DUPLICATES_MAX).await?;
            if !same.is_empty() {
                return Err(TicketCommandError::Duplicate(same));
            }
        }
        let mut ticket = Ticket {
            title,
            description: new.description,
            priority: new.priority,
            labels: Json(labels),
            workflow_mode: new.mode,
            check_commands: Json(check_commands),
            assignee_id: new.assignee,
            user_id: match tx.current_actor() {
                Actor::User(user) => Some(user),
                Actor::Key(_) | Actor::Agent(_) | Actor::System => None,
            },
            ..Ticket::in_backlog(tx, new.project, number)
        };
        let review = new.review.filter(|_| ticket.user_id.is_none());
        if review.is_some() {
            ticket.approval_status = ApprovalStatus::PendingReview;
        }
        tickets::insert(tx, &ticket).await?;
        if let Some(patience) = review {
            let deadline = tx.now() + patience;
            approvals::ask_about_ticket(tx, &ticket, deadline).await?;
        }
        for prerequisite in &new.depends_on {
            tickets::add_dependency(tx, &ticket, *prerequisite).await?;
        }
        let wanted = PersonMove {
            target: TicketTarget::Phase(new.phase),
            is_forced: true,
            reason: None,
        };
        move_for_person(tx, &mut ticket, wanted).await?;
        if new.phase != PhaseId::Backlog {
            tell_forced(tx, &ticket, Some("it was written in this phase"));
        }
        Ok(ticket)
    });
    created.await.inspect(|ticket: &Ticket| {
        info!(ticket.id = %ticket.id, "Wrote {} for a person", HumanRef::ticket(ticket.number));
    })
}

/// Locks what a new ticket waits for before the project, as everybody does.
async fn hold_prerequisites(tx: &mut Tx, new: &NewTicket) -> Result<(), TicketCommandError> {
    let mut prerequisites = new.depends_on.clone();
    prerequisites.sort();
    for id in prerequisites {
        tickets::hold_ticket(tx, id).await?;
        let prerequisite = tickets::get(tx, id).await?;
        if prerequisite.project_id != new.project {
            let number = HumanRef::ticket(prerequisite.number);
            return Err(TicketCommandError::OtherProject(number));
        }
    }
    Ok(())
}

pub(super) fn check_description(text: &str) -> Result<(), TicketCommandError> {
    match text.chars().count() <= DESCRIPTION_CHARS_MAX {
        true => Ok(()),
        false => Err(TicketCommandError::LongDescription),
    }
}

/// Refuses somebody who does not belong to the organisation.
pub(super) async fn expect_member(
    tx: &mut Tx,
    user: impl IntoIterator<Item = UserId>,
) -> Result<(), TicketCommandError> {
    let mut asked = user.into_iter().peekable();
    if asked.peek().is_none() {
        return Ok(());
    }
    let org = tx.org();
    let members = memberships::list_of_organisation(tx, org).await?;
    let mut strangers = asked.filter(|user| members.iter().all(|member| member.user_id != *user));
    match strangers.next() {
        Some(stranger) => Err(TicketCommandError::NoMember(stranger)),
        None => Ok(()),
    }
}

/// Open tickets of a project that say what a draft says.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_duplicates(
    tenant: &Tenant,
    project: ProjectId,
    title: &str,
    description: &str,
) -> Result<Vec<Ticket>, TicketCommandError> {
    let title = given_title(title)?;
    check_description(description)?;
    let found = tenant.read(async |tx| {
        projects::get(tx, project).await?;
        tickets::saying_the_same(tx, project, &title, description, DUPLICATES_MAX).await
    });
    found.await.map_err(|error: StoreError| error.into())
}
