//! Why something asked of a ticket or of a board was refused.

use omoi_domain::board::{BadColumns, WipExceeded};
use omoi_domain::comment::BadComment;
use omoi_domain::id::{HumanRef, UserId};
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::lifecycle::ticket::TicketMoveRefusal;
use omoi_domain::plain_title::BadTitle;
use omoi_domain::ticket_text::{BadCommands, BadLabels, DESCRIPTION_CHARS_MAX};
use omoi_domain::workflow::{ArtifactType, PhaseId};
use omoi_store::StoreError;
use omoi_store::comments::Comment;
use omoi_store::tickets::Ticket;

use super::ARTIFACT_BYTES_MAX;
use super::link_tickets::LINKED_TICKETS_MAX;
use crate::tickets::PersonMoveError;

/// Why something asked of a ticket or of a board was not done; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum TicketCommandError {
    /// A title that cannot be shown.
    #[error(transparent)]
    Title(#[from] BadTitle),
    /// A description that is too long.
    #[error("a description has at most {DESCRIPTION_CHARS_MAX} characters")]
    LongDescription,
    /// Labels that it cannot have.
    #[error(transparent)]
    Labels(#[from] BadLabels),
    /// Commands that it cannot have.
    #[error(transparent)]
    Commands(#[from] BadCommands),
    /// The work on it is begun, and goes on in the way that it was begun.
    #[error("the work on the ticket is begun already")]
    Begun,
    /// Commands of a ticket whose work is judged by what it has.
    #[error("the work on the ticket is judged by its checks already")]
    ChecksStand,
    /// A comment that is not taken.
    #[error(transparent)]
    Comment(#[from] BadComment),
    /// Somebody who does not belong to the organisation.
    #[error("{0} is no member of this organisation")]
    NoMember(UserId),
    /// Open tickets say the same.
    #[error("an open ticket says the same")]
    Duplicate(Vec<Ticket>),
    /// It was changed after the version that the change is meant for.
    #[error("the ticket was changed meanwhile")]
    StaleTicket(Box<Ticket>),
    /// The comment was changed after the version that the change is meant for.
    #[error("the comment was changed meanwhile")]
    StaleComment(Box<Comment>),
    /// The board was changed after the version that the change is meant for.
    #[error("the board was changed meanwhile: its version is {0}")]
    StaleBoard(i64),
    /// A move that a rule is against.
    #[error(transparent)]
    Refused(TicketMoveRefusal),
    /// The ticket is in its last phase.
    #[error("no phase follows {0}")]
    NothingFollows(PhaseId),
    /// A question to people that is answered already, or not in full.
    #[error(transparent)]
    Approval(#[from] ApprovalRefusal),
    /// Nobody was asked about the ticket, or about what the phase made.
    #[error("nobody was asked about it")]
    NotAsked,
    /// What the platform saw itself, and nobody's word stands for.
    #[error("{0} is what the platform sees itself: nobody gives it")]
    NotGiven(ArtifactType),
    /// What is no such artifact.
    #[error(
        "{0}: a document has 1 to {ARTIFACT_BYTES_MAX} bytes of text, coverage 0 to 100 hundredths"
    )]
    BadArtifact(ArtifactType),
    /// More than are kept.
    #[error("a ticket is given at most {0} artifacts")]
    ManyArtifacts(u32),
    /// Something is passed by, and nobody says why.
    #[error("what is forced needs a reason")]
    NoReason,
    /// Tickets of two projects cannot wait for each other.
    #[error("{0} is of another project")]
    OtherProject(HumanRef),
    /// A spec has as many tickets tied to it as it may.
    #[error("at most {LINKED_TICKETS_MAX} tickets are tied to a spec")]
    TooManyLinks,
    /// The ticket is of the plan of the spec, is its plan, or follows it.
    #[error("{0} belongs to the work of the spec")]
    OfPlan(HumanRef),
    /// Tickets would wait for each other.
    #[error("they would wait for each other: {}", told_cycle(.0))]
    Circular(Vec<HumanRef>),
    /// The board has no such column.
    #[error("the board has no column `{0}`")]
    NoColumn(String),
    /// Tickets do not come into this column by a move.
    #[error("`{0}` shows tickets that are held up: say what holds it up")]
    BlockedColumn(String),
    /// The column goes on to no other.
    #[error("tickets of `{0}` go on to no other column by themselves")]
    NoNextColumn(String),
    /// The column is full.
    #[error(transparent)]
    Full(#[from] WipExceeded),
    /// Columns that make no board.
    #[error(transparent)]
    Columns(#[from] BadColumns),
    /// The comment is somebody else's.
    #[error("only its author may change a comment")]
    NotAuthor,
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

fn told_cycle(cycle: &[HumanRef]) -> String {
    let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
    names.join(" → ")
}

impl From<PersonMoveError> for TicketCommandError {
    fn from(source: PersonMoveError) -> Self {
        match source {
            PersonMoveError::Refused(refusal) => Self::Refused(refusal),
            PersonMoveError::Full(full) => Self::Full(full),
            PersonMoveError::Store(store) => Self::Store(store),
        }
    }
}
