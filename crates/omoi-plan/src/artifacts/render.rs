//! The templates: one function per kind of file.

mod before;
mod plan;

pub(super) use before::{design, prd, requirements};
pub(super) use plan::{index, summary, task, ticket};

use super::{Meta, feature_slug};

/// The number of a feature's only document of a kind.
const FIRST: &str = "001";

fn document_id(prefix: &str, meta: &Meta) -> String {
    let feature = feature_slug(&meta.feature).replace('-', "").to_uppercase();
    format!("{prefix}-{feature}-{FIRST}")
}
