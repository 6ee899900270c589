//! What people type for a row, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use omoi_domain::id::ProjectId;

omoi_domain::closed_set! {
    /// The kinds of rows that a reference can be resolved to.
    ReferenceKind {
        /// A spec, written `SPEC-7`.
        Spec = "spec",
        /// A ticket, written `TKT-007`.
        Ticket = "ticket",
        /// A task, written `TSK-007`.
        Task = "task",
        /// The project of the repository that is named, or the only one there is.
        Project = "project",
    }
}

omoi_domain::closed_set! {
    /// What is to be done with the row that a reference means.
    ReferenceUse {
        /// It is only shown.
        Read = "read",
        /// It is changed: then nothing is guessed.
        Act = "act",
    }
}

/// `GET /resolve`: the row that a reference means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResolvedReference {
    /// The kind of row.
    pub kind: ReferenceKind,
    /// Its id.
    pub id: Uuid,
    /// Its project.
    pub project_id: ProjectId,
    /// `project/SPEC-n`: what every command takes from anywhere; of a project what people call it.
    pub name: String,
}
