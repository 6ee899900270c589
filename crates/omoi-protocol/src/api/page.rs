//! Lists on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListPage<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
}
