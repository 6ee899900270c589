//! How the work of agents is looked at.

mod get_validation_status;

use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new().add(operation!(get_validation_status::get_validation_status))
}
