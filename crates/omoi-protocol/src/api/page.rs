//! Lists on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Rows of a page at most.
pub const PAGE_LIMIT_MAX: u32 = 200;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListPage<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// `cursor` of the next page, asked with the same filters and order; none on the last one.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// Rows of the whole list, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// Whether the list has more rows than `total`, which are no longer counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub total_is_lower_bound: bool,
}

impl<T> ListPage<T> {
    /// A list that is always answered whole.
    pub const fn whole_list(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
            total: None,
            total_is_lower_bound: false,
        }
    }
}
