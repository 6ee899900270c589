//! Search on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use omoi_domain::id::{ProjectId, TicketId};
use omoi_domain::search_kind::SearchKind;

use super::ApiTime;

/// A row that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// What it is.
    pub kind: SearchKind,
    /// Its row id.
    pub id: Uuid,
    /// Its project.
    pub project_id: ProjectId,
    /// The ticket of a comment.
    pub ticket_id: Option<TicketId>,
    /// Its title; none of a comment.
    pub title: Option<String>,
    /// The piece of its text around what was asked for, as it was written: nothing in it is markup.
    pub excerpt: String,
    /// When its text was last written.
    pub updated_at: ApiTime,
}

/// What a search found. `GET /search`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResults {
    /// Titles that have all of the query first, then the last written.
    pub items: Vec<SearchHit>,
}
