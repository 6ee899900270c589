//! Changes that people make to tasks.

use omoi_domain::event::{Event, TaskEdit};

use super::{Task, save};
use crate::error::StoreError;
use crate::search_documents;
use crate::tx::Tx;

/// Writes the `fields` that a person changed, and tells of them.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save_edited(
    tx: &mut Tx,
    task: &mut Task,
    fields: &[&'static str],
) -> Result<(), StoreError> {
    save(tx, task).await?;
    search_documents::index_task(tx, task).await?;
    let edit = TaskEdit {
        task_id: task.id,
        ticket_id: task.ticket_id,
        number: task.number,
        title: task.title.clone(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    let (project, spec) = (Some(task.project_id), Some(task.spec_id));
    tx.emit(project, spec, Event::TaskEdited(edit));
    Ok(())
}
