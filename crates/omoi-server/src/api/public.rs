//! What strangers are shown of specs, by those who may show it.

mod get_showcase;
mod share_spec;
mod unshare_spec;

use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            share_spec::share_spec_with_strangers,
            NotFound,
            UnclearReference,
            Conflict
        ))
        .add(operation!(
            unshare_spec::unshare_spec_with_strangers,
            NotFound,
            UnclearReference
        ))
        .add(operation!(get_showcase::get_showcase, NotFound))
}
