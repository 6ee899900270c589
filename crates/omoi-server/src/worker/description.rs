//! What the description of the worker API says by itself.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};

use crate::api::document::{BEARER, error_schemas};

/// The description of the worker API without operations.
pub(super) fn describe_worker_api() -> OpenApi {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The token that a worker finds in its context file. It is good for one attempt and its sandbox.",
        ));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(error_schemas())
        .security_scheme(BEARER, SecurityScheme::Http(token.build()));
    let info = InfoBuilder::new()
        .title("OmoiOS workers")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What a worker inside a sandbox reports, on the Unix socket that is mounted there. A report of an attempt that \
             is over is recorded and refused with `superseded_attempt`. On the same socket the model gateway speaks the \
             protocols of providers, at `/v1`.",
        ));
    let sandbox = ServerVariableBuilder::new()
        .default_value("01930000-0000-7000-8000-00000000000b")
        .description(Some("The sandbox of the attempt."));
    let server = ServerBuilder::new()
        .url("/api/v1/sandboxes/{sandbox_id}")
        .parameter("sandbox_id", sandbox);
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server.build()]))
        .components(Some(components.build()))
        .build()
}
