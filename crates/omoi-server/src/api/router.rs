//! The router that is built from documented operations alone.
//!
//! **Invariant:** [`ApiRouter::add`] is the only way into it, and takes nothing but an operation whose handler names
//! its policy ([`GuardedArguments`]) and has a description (`#[utoipa::path]`). Tidy refuses other routes below
//! `api/`.

use axum::Router;
use axum::handler::Handler;
use axum::routing::MethodRouter;
use utoipa::openapi::{HttpMethod, OpenApi};
use utoipa_axum::PathItemExt as _;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use omoi_domain::error_code::ErrorCode;

use super::document::{KEY_CODES, complete_operation, describe_api, describe_key, operations_of};
use super::policy::GuardedArguments;

/// Where an operation is asked: its path and its methods.
pub(crate) struct OperationRoute {
    /// The path, with the names of its parts in braces.
    pub(crate) path: String,
    /// The methods, mostly one.
    pub(crate) methods: Vec<HttpMethod>,
}

/// A handler with its route, and what makes its description, policy and refusals.
pub(crate) struct DocumentedOperation<S> {
    path: String,
    method: MethodRouter<S>,
    describe: Box<dyn FnOnce() -> UtoipaMethodRouter<S>>,
}

impl<S: Clone + Send + Sync + 'static> DocumentedOperation<S> {
    /// The operation of `handler` at `route`, which refuses with `codes` beside what every operation refuses with.
    /// `describe` is called when somebody asks what there is, not when a request is answered.
    pub(crate) fn new<H, T>(
        handler: H,
        route: OperationRoute,
        describe: fn() -> UtoipaMethodRouter<S>,
        codes: &'static [ErrorCode],
    ) -> Self
    where
        H: Handler<T, S>,
        T: GuardedArguments + 'static,
    {
        let with_method = |router: MethodRouter<S>, method: &HttpMethod| {
            router.on(method.to_method_filter(), handler.clone())
        };
        Self {
            path: route.path,
            method: route.methods.iter().fold(MethodRouter::new(), with_method),
            describe: Box::new(move || complete::<S, T>(describe(), codes)),
        }
    }
}

/// The description of an operation with its policy and all that it refuses with.
fn complete<S, T: GuardedArguments>(
    (schemas, mut paths, method): UtoipaMethodRouter<S>,
    codes: &[ErrorCode],
) -> UtoipaMethodRouter<S> {
    for item in paths.paths.values_mut() {
        let mut codes = codes.to_vec();
        let may_have_key = item.post.is_some() && T::TAKES_KEYS;
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
    (schemas, paths, method)
}

/// An operation by its handler, with the codes of its own refusals.
macro_rules! operation {
    (@alike ($($code:ident),* $(,)?) $($handler:ident)::+) => {
        $crate::api::router::operation!($($handler)::+, $($code),*)
    };
    ($($handler:ident)::+ $(, $code:ident)* $(,)?) => {
        $crate::api::router::DocumentedOperation::new(
            $($handler)::+,
            $crate::api::router::OperationRoute {
                path: utoipa_axum::routes!(@path [path()] of $($handler)::+),
                methods: utoipa_axum::routes!(@path [methods()] of $($handler)::+),
            },
            || utoipa_axum::routes!($($handler)::+),
            &[$(omoi_domain::error_code::ErrorCode::$code),*],
        )
    };
}
pub(crate) use operation;

/// Operations that refuse alike: the codes in parentheses, then each handler.
macro_rules! operations_alike {
    ($codes:tt, $($($handler:ident)::+),+ $(,)?) => {
        $crate::api::router::ApiRouter::new()
            $(.add($crate::api::router::operation!(@alike $codes $($handler)::+)))+
    };
}
pub(crate) use operations_alike;

/// Operations, and what makes their description: most of the time of a start would go into a text that a command on
/// the embedded owner never reads.
pub(crate) struct ApiRouter<S> {
    routes: Router<S>,
    describe: Box<dyn FnOnce() -> OpenApiRouter<S>>,
}

impl<S: Clone + Send + Sync + 'static> ApiRouter<S> {
    pub(crate) fn new() -> Self {
        Self::described_by(describe_api)
    }

    /// No operations yet, of the API that `describe` describes.
    pub(crate) fn described_by(describe: fn() -> OpenApi) -> Self {
        Self {
            routes: Router::new(),
            describe: Box::new(move || OpenApiRouter::with_openapi(describe())),
        }
    }

    /// Adds an operation.
    ///
    /// # Panics
    /// When its method and path are there already.
    pub(crate) fn add(self, operation: DocumentedOperation<S>) -> Self {
        Self {
            routes: self.routes.route(&operation.path, operation.method),
            describe: Box::new(move || (self.describe)().routes((operation.describe)())),
        }
    }

    /// Adds the operations of another part.
    pub(crate) fn merge(self, other: Self) -> Self {
        Self {
            routes: self.routes.merge(other.routes),
            describe: Box::new(move || (self.describe)().merge((other.describe)())),
        }
    }

    /// All operations below `prefix`.
    pub(crate) fn nested_below(self, prefix: &'static str) -> Self {
        Self {
            routes: Router::new().nest(prefix, self.routes),
            describe: Box::new(move || {
                OpenApiRouter::with_openapi(describe_api()).nest(prefix, (self.describe)())
            }),
        }
    }

    /// The routes that answer.
    pub(crate) fn into_routes(self) -> Router<S> {
        self.routes
    }

    /// What describes the operations.
    pub(crate) fn into_description(self) -> OpenApi {
        (self.describe)().into_openapi()
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use axum::extract::{Query, State};

    use omoi_domain::access::permission::Permission;
    use omoi_testkit::invariant::tell_row;

    use super::*;
    use crate::api::ApiSurface;
    use crate::api::caller::Allowed;
    use crate::api::policy::{RoutePolicy, needs};

    /// The arguments of a handler, as axum names them: how it takes them, and their types.
    struct HandlerArguments<T>(PhantomData<T>);

    /// What there is to ask of any handler.
    trait PlantedHandler {
        fn policy(&self) -> Option<RoutePolicy>;
    }

    impl<T> PlantedHandler for HandlerArguments<T> {
        fn policy(&self) -> Option<RoutePolicy> {
            None
        }
    }

    /// Goes before the trait's, for whatever [`DocumentedOperation::new`] takes.
    impl<T: GuardedArguments> HandlerArguments<T> {
        #[expect(
            clippy::unnecessary_wraps,
            reason = "it answers in place of the trait's"
        )]
        const fn policy(&self) -> Option<RoutePolicy> {
            Some(T::POLICY)
        }
    }

    type Guard = Allowed<needs::SpecRead>;

    /// S2: a handler that does not say first who may call it is no operation, whatever else it takes.
    #[test]
    fn a_handler_without_a_policy_is_no_operation() {
        let planted = [
            HandlerArguments::<((),)>(PhantomData).policy(),
            HandlerArguments::<((), State<ApiSurface>)>(PhantomData).policy(),
            HandlerArguments::<((), Query<String>, State<ApiSurface>)>(PhantomData).policy(),
            // Who comes second has been asked too late.
            HandlerArguments::<((), State<ApiSurface>, Guard)>(PhantomData).policy(),
        ];
        let n_taken = planted.iter().flatten().count();
        let guarded = HandlerArguments::<((), Guard, State<ApiSurface>)>(PhantomData).policy();
        tell_row(&format!(
            "S2: {} handlers without a policy, taken by the router: {n_taken}; one with a policy: {}",
            planted.len(),
            usize::from(guarded.is_some()),
        ));
        assert_eq!(n_taken, 0, "{planted:?}");
        assert_eq!(guarded, Some(RoutePolicy::Needs(Permission::SpecRead)));
    }
}
