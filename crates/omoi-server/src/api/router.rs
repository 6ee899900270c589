//! The router that is built from documented operations alone.
//!
//! **Invariant:** [`ApiRouter::add`] is the only way into it, and takes nothing but an operation whose handler names
//! its policy ([`GuardedArguments`]) and has a description (`#[utoipa::path]`). Tidy refuses other routes below
//! `api/`.

use axum::Router;
use axum::handler::Handler;
use utoipa::openapi::path::Paths;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use omoi_domain::error_code::ErrorCode;

use super::document::{KEY_CODES, complete_operation, describe_api, describe_key, operations_of};
use super::policy::{GuardedArguments, RoutePolicy};

/// A handler with its description, policy and refusals.
pub(crate) struct DocumentedOperation<S> {
    schemas: Vec<(String, RefOr<Schema>)>,
    paths: Paths,
    method: axum::routing::MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> DocumentedOperation<S> {
    /// The operation of `handler`, which refuses with `codes` beside what every operation refuses with.
    pub(crate) fn new<H, T>(_: H, described: UtoipaMethodRouter<S>, codes: &[ErrorCode]) -> Self
    where
        H: Handler<T, S>,
        T: GuardedArguments,
    {
        let (schemas, mut paths, method) = described;
        for item in paths.paths.values_mut() {
            let mut codes = codes.to_vec();
            let may_have_key = item.post.is_some() && T::POLICY != RoutePolicy::Public;
            if may_have_key {
                codes.extend(KEY_CODES);
            }
            for operation in operations_of(item) {
                complete_operation(operation, T::POLICY, &codes);
            }
            if let Some(operation) = item.post.as_mut().filter(|_| may_have_key) {
                describe_key(operation);
            }
        }
        Self {
            schemas,
            paths,
            method,
        }
    }
}

/// An operation by its handler, with the codes of its own refusals.
macro_rules! operation {
    ($handler:path $(, $code:ident)* $(,)?) => {
        $crate::api::router::DocumentedOperation::new(
            $handler,
            utoipa_axum::routes!($handler),
            &[$(omoi_domain::error_code::ErrorCode::$code),*],
        )
    };
}
pub(crate) use operation;

/// Operations with their description.
pub(crate) struct ApiRouter<S>(OpenApiRouter<S>);

impl<S: Clone + Send + Sync + 'static> ApiRouter<S> {
    pub(crate) fn new() -> Self {
        Self(OpenApiRouter::with_openapi(describe_api()))
    }

    /// Adds an operation.
    ///
    /// # Panics
    /// When its method and path are there already.
    pub(crate) fn add(self, operation: DocumentedOperation<S>) -> Self {
        let DocumentedOperation {
            schemas,
            paths,
            method,
        } = operation;
        Self(self.0.routes((schemas, paths, method)))
    }

    /// Adds the operations of another part.
    pub(crate) fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// All operations below `prefix`.
    pub(crate) fn nested_below(self, prefix: &str) -> Self {
        Self(OpenApiRouter::with_openapi(describe_api()).nest(prefix, self.0))
    }

    /// The routes, and what describes them.
    pub(crate) fn split(self) -> (Router<S>, OpenApi) {
        self.0.split_for_parts()
    }
}
