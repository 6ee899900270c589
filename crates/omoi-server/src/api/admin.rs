//! The process that answers, for those who run it.

mod allow_egress;
mod get_status;

use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(get_status::get_status))
        .add(operation!(allow_egress::allow_egress))
}
