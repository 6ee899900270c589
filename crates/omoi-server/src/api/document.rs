//! What every operation's description says by itself: who may call it, and how it refuses.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Schema,
};
use utoipa::{PartialSchema as _, ToSchema};

use omoi_domain::error_code::ErrorCode;
use omoi_domain::request_key::KEY_CHARS_MAX;
use omoi_protocol::error::ErrorBody;

use super::policy::RoutePolicy;

/// The name of the bearer token among the ways to sign in.
pub(crate) const BEARER: &str = "bearer";

/// The description of an API without operations.
pub(super) fn describe_api() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An access token of a sign-in, a key, or on the machine of a data folder its token. Keys may come by \
             `X-API-Key` instead.",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(error_schemas())
        .security_scheme(BEARER, SecurityScheme::Http(bearer));
    let info = InfoBuilder::new()
        .title("OmoiOS")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Specs, their tasks, and the agents that work on them. Every refusal is an `ErrorBody` with a code of \
             `docs/errors/`. A request takes place in the organisation of the row that it names; one that names none, from \
             a caller of several, says its organisation by the header `X-Organization-ID`.",
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .build()
}

/// The schemas of a refusal.
pub(crate) fn error_schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    ErrorBody::schemas(&mut schemas);
    schemas
}

/// The operations of one path.
pub(super) fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Says of an operation that changes something by `POST` that its requests may have a key.
pub(super) fn describe_key(operation: &mut Operation) {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(KEY_CHARS_MAX))
        .pattern(Some("^[ -~]+$"));
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Names the request for 24 h: one that comes again with the same key and body changes nothing, and is answered \
             as the first one was, with `Idempotent-Replayed: true`.",
        ))
        .schema(Some(text))
        .build();
    operation
        .parameters
        .get_or_insert_default()
        .push(RefOr::T(key));
}

/// What an operation refuses with because of keys of requests.
pub(super) const KEY_CODES: [ErrorCode; 6] = [
    ErrorCode::AlreadyDone,
    ErrorCode::IdempotencyInProgress,
    ErrorCode::IdempotencyKeyReused,
    ErrorCode::SlowRequest,
    ErrorCode::TooLarge,
    ErrorCode::ValidationFailed,
];

/// Completes the description of an operation by what its policy and its refusals are.
pub(super) fn complete_operation(
    operation: &mut Operation,
    policy: RoutePolicy,
    codes: &[ErrorCode],
) {
    let security = match policy {
        RoutePolicy::Public => Vec::new(),
        _ => vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])],
    };
    operation.security = Some(security);
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in usual_codes(operation, policy).iter().chain(codes) {
        let of_status = by_status.entry(code.http_status()).or_default();
        if !of_status.contains(code) {
            of_status.push(*code);
        }
    }
    let names = by_status.values().flatten().map(|code| code.as_str());
    let extensions: [(&str, Value); 2] = [
        ("x-permission", policy.as_str().into()),
        ("x-error-codes", names.collect::<Vec<_>>().into()),
    ];
    let extensions = extensions.into_iter().collect::<Extensions>();
    operation
        .extensions
        .get_or_insert_default()
        .merge(extensions);
    for (status, codes) in by_status {
        let refusal = refusal_response(&codes);
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), refusal);
    }
}

/// What an operation refuses with because of its policy, parameters and body.
fn usual_codes(operation: &Operation, policy: RoutePolicy) -> Vec<ErrorCode> {
    use ErrorCode::{
        ConflictingCredentials, CsrfRefused, EmailNotVerified, Forbidden, InsufficientScope,
        Internal, MalformedJson, NotFound, NotReady, OnWaitlist, OriginRefused, RateLimited,
        SlowRequest, TooLarge, Unauthenticated, UnknownField, UnsupportedMediaType, UrlTooLong,
        ValidationFailed,
    };
    let mut codes = match policy {
        RoutePolicy::Public => Vec::new(),
        RoutePolicy::SignedIn => vec![Unauthenticated, EmailNotVerified, OnWaitlist],
        RoutePolicy::Staff => vec![Unauthenticated, EmailNotVerified, OnWaitlist, Forbidden],
        RoutePolicy::Account => vec![Unauthenticated, Forbidden],
        RoutePolicy::Person => vec![Unauthenticated, Forbidden, InsufficientScope],
        RoutePolicy::Attempt => return report_codes(operation),
        // Its place is looked for, or chosen by a header.
        RoutePolicy::Needs(_) => vec![
            Unauthenticated,
            EmailNotVerified,
            OnWaitlist,
            Forbidden,
            InsufficientScope,
            NotFound,
            ValidationFailed,
        ],
    };
    if operation.parameters.is_some() || operation.request_body.is_some() {
        codes.extend([UnknownField, ValidationFailed]);
    }
    if operation.request_body.is_some() {
        codes.extend([MalformedJson, SlowRequest, TooLarge, UnsupportedMediaType]);
    }
    if policy != RoutePolicy::Public {
        codes.extend([ConflictingCredentials, CsrfRefused]);
    }
    codes.extend([OriginRefused, UrlTooLong, RateLimited, Internal, NotReady]);
    codes
}

/// What a report of a worker is refused with because of its token and its body.
fn report_codes(operation: &Operation) -> Vec<ErrorCode> {
    use ErrorCode::{
        Internal, MalformedJson, NotReady, RateLimited, SlowRequest, SupersededAttempt, TooLarge,
        TooManyConnections, Unauthenticated, UnsupportedMediaType, ValidationFailed, WrongSandbox,
    };
    let mut codes = vec![
        Unauthenticated,
        WrongSandbox,
        SupersededAttempt,
        TooManyConnections,
        RateLimited,
        Internal,
        NotReady,
    ];
    if operation.request_body.is_some() {
        codes.extend([
            MalformedJson,
            SlowRequest,
            TooLarge,
            UnsupportedMediaType,
            ValidationFailed,
        ]);
    }
    codes
}

fn refusal_response(codes: &[ErrorCode]) -> RefOr<utoipa::openapi::Response> {
    let names = codes.iter().map(|code| format!("`{code}`"));
    let example = codes.first().map(|code| {
        json!({
            "error": code,
            "message": "what happened, and where",
            "detail": "what happened, and where",
            "request_id": "019a5f00-0000-7000-8000-000000000000",
        })
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ErrorBody::name())))
        .example(example);
    ResponseBuilder::new()
        .description(names.collect::<Vec<_>>().join(", "))
        .content("application/json", content.build())
        .build()
        .into()
}
