//! What is looked at before any route: under which name a request came, and from a page of whom.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, STRICT_TRANSPORT_SECURITY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use omoi_domain::error_code::ErrorCode;
use omoi_domain::planted_bug::{PlantedBug, is_planted};

use crate::access_log::ApiDoor;
use crate::error::ApiError;
use crate::options::ServerMode;
use crate::site::Site;

/// A server and one of its doors.
#[derive(Clone, Debug)]
pub(crate) struct SiteDoor {
    pub(crate) site: Site,
    pub(crate) door: ApiDoor,
}

/// Bytes of an address with its query.
const URL_BYTES_MAX: usize = 8 << 10;
/// What a page elsewhere is told that it may send, and for how long it need not ask.
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (
        ACCESS_CONTROL_ALLOW_METHODS,
        "GET, POST, PUT, PATCH, DELETE",
    ),
    (
        ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-type, idempotency-key, if-match, last-event-id, x-csrf-token, x-organization-id, x-request-id",
    ),
    (ACCESS_CONTROL_MAX_AGE, "600"),
];
/// What its scripts may read of an answer.
const EXPOSED: &str = "etag, idempotent-replayed, location, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, x-request-id";

/// Refuses a request under a name that is not the server's, and one from a page that has no business here.
pub(crate) async fn check_site(
    State(door): State<SiteDoor>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = answer_site(&door, request, next).await;
    // Refusals bear it, too.
    if door.door != ApiDoor::Folder && door.site.is_encrypted() {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        let headers = response.headers_mut();
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

async fn answer_site(door: &SiteDoor, request: Request, next: Next) -> Response {
    if let Err(refused) = check_url(request.uri()) {
        return refused.into_response();
    }
    if door.door == ApiDoor::Folder {
        return next.run(request).await;
    }
    let headers = request.headers();
    if let Err(refused) = door.check_names(headers) {
        return refused.into_response();
    }
    let origin = headers.get(ORIGIN).cloned();
    let allowed = origin.filter(|origin| door.is_page_elsewhere(origin));
    let is_preflight =
        request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &allowed {
        Some(_) if is_preflight => preflight_answer(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let yes = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// Refuses an address that is longer than those of all operations.
fn check_url(uri: &Uri) -> Result<(), ApiError> {
    let length = uri.path_and_query().map_or(0, |told| told.as_str().len());
    match length > URL_BYTES_MAX {
        true => {
            let says = format!("the address has {length} bytes, more than {URL_BYTES_MAX}");
            Err(ApiError::new(ErrorCode::UrlTooLong, says))
        }
        false => Ok(()),
    }
}

impl SiteDoor {
    fn check_names(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if is_planted(PlantedBug::SiteNames) {
            return Ok(());
        }
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if !self.site.answers_to(host) || hosts.next().is_some() {
            let says = "this server does not answer to the name that the request came under";
            let hint = self
                .site
                .first_address()
                .map(|url| format!("ask it at {url}"));
            let refused = ApiError::new(ErrorCode::OriginRefused, says);
            return Err(match hint {
                Some(hint) => refused.hint(hint),
                None => refused,
            });
        }
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(());
        };
        // Whoever has a credential of a team may ask from any page; a laptop's own pages are all that it serves.
        let is_known = self.site.server_mode() == ServerMode::Team || self.is_allowed(origin);
        match is_known {
            true => Ok(()),
            false => Err(foreign_origin()),
        }
    }

    fn is_allowed(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str();
        origin.is_ok_and(|origin| self.site.is_allowed_origin(origin))
    }

    fn is_page_elsewhere(&self, origin: &HeaderValue) -> bool {
        let is_own = origin
            .to_str()
            .is_ok_and(|origin| self.site.is_own_origin(origin));
        !is_own && self.is_allowed(origin)
    }
}

/// The refusal of a page of others.
pub(crate) fn foreign_origin() -> ApiError {
    let says = "the page that the request comes from is none of this server";
    ApiError::new(ErrorCode::OriginRefused, says)
        .hint("whoever runs the server lists pages of other servers in `server.allowed_origins`")
}

fn preflight_answer() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, value) in PREFLIGHT {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
