//! Specs in pages.

use uuid::Uuid;

use omoi_domain::id::ProjectId;
use omoi_domain::spec::{SpecKind, SpecStatus};

use super::Spec;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tx::Tx;

impl ListedRow for Spec {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[
        SortColumn {
            name: "created_at",
            sql: "created_at",
            value: SortValue::Instant,
            of_row: |spec| spec.created_at.as_micros(),
        },
        SortColumn {
            name: "updated_at",
            sql: "updated_at",
            value: SortValue::Instant,
            of_row: |spec| spec.updated_at.as_micros(),
        },
        SortColumn {
            name: "number",
            sql: "number",
            value: SortValue::Number,
            of_row: |spec| spec.number,
        },
    ];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// Which planned specs are listed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct SpecFilter {
    /// Those of one of these projects.
    pub projects: Vec<ProjectId>,
    /// Those in one of these states.
    pub statuses: Vec<SpecStatus>,
    /// Those that were put away, too.
    pub with_archived: bool,
    /// Those made and changed within this.
    pub window: ListWindow,
    /// Those with this in their title or request.
    pub text: Option<String>,
}

/// A page of the specs that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &SpecFilter,
    request: &PageRequest<Spec>,
) -> Result<RowPage<Spec>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("kind", &[SpecKind::Planned])?;
    conditions.one_of("project_id", &filter.projects)?;
    conditions.one_of("status", &filter.statuses)?;
    if !filter.with_archived {
        conditions.has_no_value("archived_at");
    }
    conditions.within_window(&filter.window)?;
    conditions.mentions_text(&["title", "original_request"], filter.text.as_deref())?;
    conditions.read_page(tx, request).await
}
