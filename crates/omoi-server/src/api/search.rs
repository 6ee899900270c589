//! Operations that search.

mod search_everything;
mod search_project;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::search_kind::SearchKind;
use omoi_domain::search_words::SearchQuery;
use omoi_protocol::api::{SearchHit, SearchResults};
use omoi_store::search_documents::{self, FoundDocument, SearchFilter};
use omoi_store::{StoreError, Tx, projects};

use super::ApiSurface;
use super::body::expect_chars;
use super::caller::ApiCaller;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

/// Rows that are given where nothing else is asked for.
const HITS_USUAL: u32 = 20;
/// Rows that are given at most.
const HITS_MAX: u32 = 100;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            search_everything::search_everything,
            Forbidden,
            NotFound
        ))
        .add(operation!(search_project::search_project, NotFound))
}

/// Characters of what is searched for.
const QUERY_CHARS_MAX: usize = 500;

/// What is searched for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchText {
    /// Words, each of which must begin a word of the text; signs between them mean nothing. A reference such as `TKT-12`
    /// finds what it names first, then what mentions it.
    #[param(example = "tag", min_length = 1, max_length = 500)]
    q: String,
    /// What may be found; any of it, when it is repeated, and everything without it.
    #[serde(default)]
    #[param(inline)]
    kind: Vec<SearchKind>,
    /// Rows at most: 1 to 100, 20 without it.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

impl SearchText {
    /// What `caller` finds in `project`, or in all that the caller reaches.
    async fn answer(
        &self,
        caller: &ApiCaller,
        project: Option<ProjectId>,
    ) -> Result<SearchResults, ApiError> {
        expect_chars("q", &self.q, QUERY_CHARS_MAX)?;
        let says = "`q` holds no word to search for";
        let query = SearchQuery::parse(&self.q);
        let query = query.ok_or_else(|| ApiError::invalid_value(says).with_field("q"))?;
        let limit = self.limit.unwrap_or(HITS_USUAL);
        if !(1..=HITS_MAX).contains(&limit) {
            let says = format!("`limit` is 1 to {HITS_MAX}");
            return Err(ApiError::invalid_value(says).with_field("limit"));
        }
        let access = caller.live_access();
        let is_wanted = |kind: &SearchKind| self.kind.is_empty() || self.kind.contains(kind);
        let may_read = |kind: &SearchKind| access.permissions.contains(kind.read_permission());
        let kinds = SearchKind::ALL.iter().copied();
        let filter = SearchFilter {
            query,
            kinds: kinds
                .filter(|kind| is_wanted(kind) && may_read(kind))
                .collect(),
            // A key of one project finds nothing elsewhere.
            project: project.or_else(|| access.projects.and_then(|own| own.first().copied())),
            limit: limit as usize,
        };
        let search = async |tx: &mut Tx| -> Result<_, StoreError> {
            if let Some(project) = project {
                projects::get(tx, project).await?;
            }
            search_documents::search_texts(tx, &filter).await
        };
        let found = caller.own_rows().read(search).await?;
        let hits = found
            .into_iter()
            .map(|document| search_hit(&filter.query, document));
        Ok(SearchResults {
            items: hits.collect(),
        })
    }
}

fn search_hit(query: &SearchQuery, document: FoundDocument) -> SearchHit {
    SearchHit {
        kind: document.kind,
        id: document.row_id,
        project_id: document.project_id,
        ticket_id: document.ticket_id,
        title: (!document.title.is_empty()).then_some(document.title),
        excerpt: query.cut_excerpt(&document.body),
        updated_at: document.updated_at.into(),
    }
}
