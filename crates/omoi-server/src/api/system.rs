//! What belongs to no group: the API's description of itself, and what no operation answers.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;

use omoi_domain::error_code::ErrorCode;

use super::ApiSurface;
use super::caller::AccountCaller;
use super::earlier_routes::refuse_gone;
use super::policy::needs;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

/// Swagger UI sets styles from its script, and loads nothing from elsewhere.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'",
);

/// The text of the description, made when somebody asks for it: a command that looks something up never does.
static DESCRIPTION: LazyLock<String> = LazyLock::new(super::openapi_text);

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new().add(operation!(get_openapi))
}

/// Describes this API in OpenAPI 3.1.
///
/// `/docs` shows it to people, with forms that call the operations.
#[utoipa::path(
    get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "This document.", content_type = "application/json", body = Object))
)]
pub(super) async fn get_openapi(_: AccountCaller<needs::Credential>) -> Response {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str()).into_response()
}

/// The description as it is served and committed: keys in the order of the alphabet, so that no run differs.
#[expect(
    clippy::expect_used,
    reason = "a description holds nothing but texts, lists and objects"
)]
pub(crate) fn sorted_text(api: &OpenApi) -> String {
    let mut api = serde_json::to_value(api).expect("a description is JSON");
    api.sort_all_objects();
    let text = serde_json::to_string_pretty(&api).expect("JSON is text");
    text + "\n"
}

/// The script that begins Swagger UI: with the word that goes with the cookie, so that a page can call what changes
/// something, too.
const DOCS_SCRIPT: &str = include_str!("../../pages/docs.js");
/// Its place among the files of the page.
const DOCS_SCRIPT_FILE: &str = "/swagger-initializer.js";

/// Lets a page load what this process serves, and nothing else.
pub(super) async fn with_page_policy(request: Request, next: Next) -> Response {
    let is_script = request.uri().path().ends_with(DOCS_SCRIPT_FILE);
    let mut response = match is_script {
        true => ([(CONTENT_TYPE, "text/javascript")], DOCS_SCRIPT).into_response(),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    response
}

/// Answers what no operation has the path of.
pub(super) async fn refuse_unknown_path(method: Method, uri: Uri) -> ApiError {
    if let Some(gone) = refuse_gone(&method, uri.path()) {
        return gone;
    }
    let says = format!("there is no operation at `{}`", uri.path());
    ApiError::new(ErrorCode::NotFound, says)
}

/// Answers what an operation has the path of, but not the method.
pub(super) async fn refuse_method(method: Method, uri: Uri) -> ApiError {
    if let Some(gone) = refuse_gone(&method, uri.path()) {
        return gone;
    }
    let says = format!("`{}` is not to be asked with {method}", uri.path());
    ApiError::new(ErrorCode::MethodNotAllowed, says)
}
