//! Commands: what a person asks of a spec, of its plan or of a repository, one per file.
//!
//! A command opens its write transaction in the scope of who asks, loads the facts, asks a pure rule of
//! `omoi_domain::lifecycle`, applies what it decided and commits.

mod approve_spec;
mod archive_project;
mod cancel_spec;
mod create_project;
mod create_spec;
mod deliver_spec;
mod edit_item;
mod error;
mod month_budget;
mod project_error;
mod resume_spec;
mod retitle_spec;
mod retry_task;
mod spec_changes;
mod spec_model;
mod trust_repository;
mod update_project;
mod wake_spent;

pub use approve_spec::approve_spec;
pub use archive_project::archive_project;
pub use cancel_spec::cancel_spec;
pub use create_project::{ProjectDraft, create_folder_project, create_project};
pub use create_spec::{CreateError, IDEA_CHARS_MAX, create_spec};
pub use deliver_spec::deliver_spec;
pub use edit_item::{ItemEdit, edit_item};
pub use error::SpecCommandError;
pub use month_budget::{
    BudgetCommandError, MonthBudgetChange, NewMonthBudget, change_month_budget,
    create_month_budget, remove_month_budget,
};
pub use project_error::ProjectCommandError;
pub use resume_spec::resume_spec;
pub use retitle_spec::retitle_spec;
pub use retry_task::retry_task;
pub use spec_model::resume_command;
pub use trust_repository::trust_repository;
pub use update_project::{ProjectChange, update_project};
pub use wake_spent::{WakeReason, wake_spent_work};
