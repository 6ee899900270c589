//! Lists: which page of them a request asks for, and how the page is answered.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use omoi_domain::error_code::ErrorCode;
use omoi_protocol::api::{ApiTime, ListPage, PAGE_LIMIT_MAX};
use omoi_store::list_order::{ListOrder, ListedRow, PagePosition};
use omoi_store::row_page::{ListWindow, PageRequest, RowPage};

use super::ApiSurface;
use super::caller::ApiCaller;
use super::query::{QueryPairs, query_pairs, read_pairs};
use crate::error::ApiError;

/// Rows of a page where nothing else is asked for.
const LIMIT_USUAL: u32 = 50;
/// Rows that may be passed over at most: whoever reads further goes by cursors.
const OFFSET_MAX: u32 = 10_000;
/// Rows that a list is counted up to.
const COUNTED_MAX: u32 = 10_000;
/// Values of all filters at most.
const VALUES_MAX: usize = 50;

/// What every list says of `sort`, whose columns are its own.
pub(super) const SORT_DESCRIPTION: &str = "Columns by weight, each with a `-` where the greatest value comes first. Rows \
     that are equal in all of them follow their ids.";

/// What every list takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Rows of the page at most; 50 where it is absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the filters and the order of that page.
    cursor: Option<String>,
    /// Rows to pass over before the page begins; not together with `cursor`.
    #[param(maximum = 10_000)]
    offset: Option<u32>,
    #[param(ignore)]
    sort: Option<String>,
    /// Whether to count the rows of the whole list, up to 10,000.
    #[serde(default)]
    include_total: bool,
    /// Only what was made after this.
    created_after: Option<ApiTime>,
    /// Only what was made before this.
    created_before: Option<ApiTime>,
    /// Only what last changed after this.
    updated_after: Option<ApiTime>,
    /// Only what last changed before this.
    updated_before: Option<ApiTime>,
}

/// What lists take of it that are sorted by when their rows were made alone.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `ListParams` reads")]
pub(super) struct PagedParams {
    /// Rows of the page at most; 50 where it is absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the filters and the order of that page.
    cursor: Option<String>,
    /// `created_at`, or `-created_at` where the newest comes first.
    #[param(pattern = "^-?created_at$")]
    sort: Option<String>,
    /// Whether to count the rows of the whole list, up to 10,000.
    include_total: Option<bool>,
    /// Only what was made after this.
    created_after: Option<ApiTime>,
    /// Only what was made before this.
    created_before: Option<ApiTime>,
}

/// The names of [`ListParams`], and whether a cursor is good only for the value that it came with.
const SHARED: &[(&str, bool)] = &[
    ("limit", false),
    ("cursor", false),
    ("offset", false),
    ("sort", true),
    ("include_total", false),
    ("created_after", true),
    ("created_before", true),
    ("updated_after", true),
    ("updated_before", true),
];

/// A request for a page of a list that `F` filters.
pub(crate) struct ApiList<F> {
    pub(crate) filter: F,
    params: ListParams,
    /// Tells the list, with its filters and order, from every other of an organisation.
    scope: Vec<u8>,
}

impl<F: DeserializeOwned> FromRequestParts<ApiSurface> for ApiList<F> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiSurface) -> Result<Self, ApiError> {
        let pairs = query_pairs(parts);
        let scope = list_scope(parts.uri.path(), &pairs);
        let is_shared = |name: &str| SHARED.iter().any(|(shared, _)| *shared == name);
        let (shared, own): (QueryPairs, QueryPairs) =
            pairs.into_iter().partition(|(name, _)| is_shared(name));
        if own.len() > VALUES_MAX {
            let says = format!("there are more than {VALUES_MAX} values of filters");
            return Err(ApiError::invalid_value(says));
        }
        Ok(Self {
            filter: read_pairs(own)?,
            params: read_pairs(shared)?,
            scope,
        })
    }
}

/// The path with every parameter that a cursor is bound to, in an order of their own.
pub(super) fn list_scope(path: &str, pairs: &[(String, String)]) -> Vec<u8> {
    let is_bound = |name: &str| {
        SHARED
            .iter()
            .all(|(shared, is_bound)| *shared != name || *is_bound)
    };
    let mut bound: Vec<_> = pairs.iter().filter(|(name, _)| is_bound(name)).collect();
    bound.sort();
    let mut scope = Vec::new();
    let texts = bound
        .into_iter()
        .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for text in std::iter::once(path).chain(texts) {
        scope.extend_from_slice(&(text.len() as u64).to_be_bytes());
        scope.extend_from_slice(text.as_bytes());
    }
    scope
}

/// The scope of a list among those of all organisations.
pub(super) fn scope_for(caller: &ApiCaller, scope: &[u8]) -> Vec<u8> {
    let org = caller.own_rows().org().as_uuid();
    [&org.as_bytes()[..], scope].concat()
}

/// The refusal of a cursor that the list did not give.
pub(super) fn refuse_cursor() -> ApiError {
    let says = "`cursor` is none of this list with these filters in this order";
    ApiError::new(ErrorCode::InvalidCursor, says)
        .with_field("cursor")
        .hint("send `next_cursor` as it came, with the same filters and `sort`")
}

/// Rows of a page, where `limit` are asked for.
pub(super) fn page_limit(limit: Option<u32>) -> Result<u32, ApiError> {
    let limit = limit.unwrap_or(LIMIT_USUAL);
    if (1..=PAGE_LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    let says = format!("`limit` is 1 to {PAGE_LIMIT_MAX}");
    Err(ApiError::invalid_value(says).with_field("limit"))
}

impl<F> ApiList<F> {
    /// When the listed rows were made and changed.
    pub(super) fn asked_window(&self) -> ListWindow {
        let params = &self.params;
        ListWindow {
            created_after: params.created_after.map(ApiTime::to_timestamp),
            created_before: params.created_before.map(ApiTime::to_timestamp),
            updated_after: params.updated_after.map(ApiTime::to_timestamp),
            updated_before: params.updated_before.map(ApiTime::to_timestamp),
        }
    }

    /// When the listed rows were made, of rows that are listed by that alone.
    ///
    /// # Errors
    /// [`ErrorCode::ValidationFailed`] where it is asked when they changed.
    pub(super) fn created_window(&self) -> Result<ListWindow, ApiError> {
        let window = self.asked_window();
        if window.updated_after.is_some() || window.updated_before.is_some() {
            let says = "these rows are listed by when they were made, not by when they changed";
            return Err(ApiError::invalid_value(says).with_field("updated_after"));
        }
        Ok(window)
    }

    /// The page that `caller` asks for, in the order `usual` where it names none.
    pub(super) fn asked_page<R: ListedRow>(
        &self,
        surface: &ApiSurface,
        caller: &ApiCaller,
        usual: &str,
    ) -> Result<PageRequest<R>, ApiError> {
        let params = &self.params;
        let order = params.sort.as_deref().unwrap_or(usual);
        let order = ListOrder::parse(order)
            .map_err(|error| ApiError::invalid_value(error.to_string()).with_field("sort"))?;
        let cursor = params.cursor.as_deref();
        let after = cursor.map(|cursor| self.read_cursor(surface, caller, &order, cursor));
        let after = after.transpose()?;
        let limit = page_limit(params.limit)?;
        let offset = params.offset.unwrap_or(0);
        if offset > OFFSET_MAX || (params.offset.is_some() && cursor.is_some()) {
            let says =
                format!("`offset` is at most {OFFSET_MAX}, and there is none beside `cursor`");
            return Err(ApiError::invalid_value(says).with_field("offset"));
        }
        Ok(PageRequest {
            order,
            after,
            offset,
            limit,
            count_max: params.include_total.then_some(COUNTED_MAX),
        })
    }

    fn read_cursor<R: ListedRow>(
        &self,
        surface: &ApiSurface,
        caller: &ApiCaller,
        order: &ListOrder<R>,
        cursor: &str,
    ) -> Result<PagePosition, ApiError> {
        let scope = scope_for(caller, &self.scope);
        let place = surface.cursor_keys.read_place(&scope, cursor);
        let place = place.and_then(|place| order.read_position(&place));
        place.ok_or_else(refuse_cursor)
    }

    /// The answer with `page` of what `caller` asked for.
    pub(super) fn answer_page<T>(
        &self,
        surface: &ApiSurface,
        caller: &ApiCaller,
        page: RowPage<T>,
    ) -> Json<ListPage<T>> {
        let sign = |place: PagePosition| {
            let scope = scope_for(caller, &self.scope);
            surface.cursor_keys.sign_place(&scope, &place.to_bytes())
        };
        Json(ListPage {
            next_cursor: page.next.map(sign),
            total: page.total.map(|total| total.rows),
            total_is_lower_bound: page.total.is_some_and(|total| total.is_lower_bound),
            items: page.rows,
        })
    }
}
