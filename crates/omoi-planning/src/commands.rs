//! Commands: what a person asks of a spec, of its plan or of a repository, one per file.
//!
//! A command opens its write transaction in the scope of who asks, loads the facts, asks a pure rule of
//! `omoi_domain::lifecycle`, applies what it decided and commits.

mod approve_spec;
mod archive_project;
mod archive_spec;
mod begin_ticket;
mod cancel_spec;
mod create_branch;
mod create_project;
mod create_spec;
mod create_task;
mod create_uploaded_spec;
mod deliver_spec;
mod edit_item;
mod edit_planned_task;
mod error;
mod execute_spec;
mod judged_edit;
mod month_budget;
mod project_error;
mod restore_version;
mod resume_spec;
mod resume_ticket_work;
mod retitle_spec;
mod retry_task;
mod share_spec;
mod spec_changes;
mod spec_model;
mod sync_spec;
mod trust_repository;
mod update_project;
mod upload_commits;
mod wake_spent;

pub use approve_spec::approve_spec;
pub use archive_project::archive_project;
pub use archive_spec::archive_spec;
pub(crate) use begin_ticket::TicketBeginner;
pub use cancel_spec::cancel_spec;
pub use create_branch::{CreateBranchError, SpecBranch, create_spec_branch};
pub use create_project::{ProjectDraft, create_folder_project, create_project};
pub use create_spec::{AskedSpec, CreateError, IDEA_CHARS_MAX, SpecStart, create_spec};
pub use create_task::{NewTask, NewTaskError, create_task};
pub use create_uploaded_spec::{ProjectLaunch, create_uploaded_spec};
pub use deliver_spec::deliver_spec;
pub use edit_item::{PhaseEdit, edit_items};
pub use edit_planned_task::{PlannedTaskEdit, PlannedTaskWish, edit_planned_task};
pub use error::SpecCommandError;
pub use execute_spec::execute_spec;
pub use judged_edit::ItemEdit;
pub use month_budget::{
    BudgetCommandError, MonthBudgetChange, NewMonthBudget, change_month_budget,
    create_month_budget, remove_month_budget,
};
pub use project_error::ProjectCommandError;
pub use restore_version::{RestoreWish, restore_version};
pub use resume_spec::resume_spec;
pub use resume_ticket_work::resume_ticket_work;
pub use retitle_spec::retitle_spec;
pub use retry_task::retry_task;
pub use share_spec::{SharedSpec, WantedShare, look_at_shared_spec, share_spec, unshare_spec};
pub use spec_model::resume_command;
pub use sync_spec::sync_spec;
pub use trust_repository::trust_repository;
pub use update_project::{ProjectChange, update_project};
pub use upload_commits::{CommitUpload, KnownCommits, find_known_commits, upload_commits};
pub use wake_spent::{WakeReason, wake_spent_work};
