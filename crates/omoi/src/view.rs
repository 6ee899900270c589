//! What people and scripts see of a run.
//!
//! [`run_view`] folds events into the state of a run; [`header`], [`progress`], [`log_line`] and
//! [`summary`] turn that state into lines without touching a terminal; [`live_screen`] draws lines on one.

/// The events that those who watch a board or the budgets of an organisation are told of, as a pattern: a run shows
/// nothing of them.
macro_rules! people_event {
    () => {
        Event::TaskEdited(_)
            | Event::ProjectUpdated(_)
            | Event::SpecArchived(_)
            | Event::SpecUnarchived(_)
            | Event::OperationStarted(_)
            | Event::OperationFinished(_)
            | Event::BudgetWarning(_)
            | Event::BudgetCritical(_)
            | Event::BudgetChanged(_)
            | Event::BudgetExceeded(_)
            | Event::TicketPhaseChanged(_)
            | Event::TicketUpdated(_)
            | Event::TicketBlocked(_)
            | Event::TicketUnblocked(_)
            | Event::TicketDependencyChanged(_)
            | Event::BoardTicketMoved(_)
            | Event::ApprovalDecided(_)
            | Event::ApprovalExpired(_)
            | Event::ApprovalWithdrawn(_)
            | Event::CommentCreated(_)
            | Event::CommentEdited(_)
            | Event::CommentDeleted(_)
            | Event::NotificationCreated(_)
            | Event::ThreadOpened(_)
            | Event::ThreadJoined(_)
            | Event::ThreadClosed(_)
            | Event::ThreadExpired(_)
            | Event::MessageSent(_)
            | Event::MessageRead(_)
            | Event::MessageExpired(_)
            | Event::TaskResultSubmitted(_)
            | Event::TaskResultVerified(_)
            | Event::TaskResultDisputed(_)
            | Event::WorkflowResultSubmitted(_)
            | Event::WorkflowResultValidated(_)
            | Event::WorkflowResultRejected(_)
            | Event::ResultCriteriaChanged(_)
    };
}

pub(crate) mod header;
pub(crate) mod live_screen;
pub(crate) mod log_line;
pub(crate) mod plan_opinion;
pub(crate) mod process_line;
pub(crate) mod progress;
pub(crate) mod run_view;
pub(crate) mod summary;
pub(crate) mod task_log;
pub(crate) mod text_layout;
pub(crate) mod trace_tree;

#[cfg(test)]
mod tests;
