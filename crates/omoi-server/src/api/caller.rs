//! Who calls, and what they may.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use omoi_domain::access::decision::{AccessDecision, OrganisationReach, RowPlace, decide_access};
use omoi_domain::access::permission::Permission;
use omoi_domain::access::role::SystemRole;
use omoi_domain::actor::Actor;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::UserId;
use omoi_execution::live::ReaderAccess;
use omoi_store::Tenant;

use super::ApiSurface;
use super::policy::{NamedPolicy, RouteGuard, RoutePolicy};
use crate::access_log::note_caller;
use crate::error::ApiError;
use crate::request_token::{is_same_token, request_token};

/// Whoever a request comes from.
pub(crate) struct ApiCaller {
    tenant: Tenant,
    reaches: Vec<OrganisationReach>,
    is_staff: bool,
}

impl ApiCaller {
    /// Finds who has the credential of a request. The token of the data folder stands for the person whose
    /// folder it is: owner of its organisation, and staff of this platform.
    fn authenticate(headers: &HeaderMap, surface: &ApiSurface) -> Result<Self, ApiError> {
        let given = request_token(headers).ok_or_else(ApiError::no_credential)?;
        if !is_same_token(given, &surface.token) {
            return Err(ApiError::no_credential());
        }
        note_caller("owner");
        let tenant = surface.parts.store.acting_as(Actor::User(UserId::LOCAL));
        let reach = OrganisationReach {
            org: tenant.org(),
            role: SystemRole::Owner.permission_set(),
            grants: Vec::new(),
            key: None,
        };
        Ok(Self {
            tenant,
            reaches: vec![reach],
            is_staff: true,
        })
    }

    /// The rows of the caller's organisation, changed in the caller's name.
    pub(crate) const fn own_rows(&self) -> &Tenant {
        &self.tenant
    }

    /// What events of its organisation the caller may read.
    pub(crate) fn live_access(&self) -> ReaderAccess {
        let place = RowPlace {
            org: self.tenant.org(),
            project: None,
        };
        let allowed = Permission::ALL.iter().copied().filter(|permission| {
            let decision = decide_access(&self.reaches, place, *permission);
            matches!(decision, AccessDecision::Allowed)
        });
        ReaderAccess {
            permissions: allowed.collect(),
            projects: None,
        }
    }

    fn expect_policy(&self, policy: RoutePolicy) -> Result<(), ApiError> {
        let place = RowPlace {
            org: self.tenant.org(),
            project: None,
        };
        match policy {
            RoutePolicy::Public | RoutePolicy::SignedIn => Ok(()),
            RoutePolicy::Staff if self.is_staff => Ok(()),
            RoutePolicy::Staff => Err(ApiError::forbidden_act(
                "only staff of the platform may do this",
            )),
            RoutePolicy::Needs(permission) => {
                match decide_access(&self.reaches, place, permission) {
                    AccessDecision::Allowed => Ok(()),
                    AccessDecision::Hidden => {
                        Err(ApiError::new(ErrorCode::NotFound, "no such row"))
                    }
                    AccessDecision::Denied(lacking) | AccessDecision::OutOfScope(lacking) => {
                        let says = format!("this needs the permission `{lacking}`");
                        Err(ApiError::forbidden_act(says).with_permission(lacking))
                    }
                }
            }
        }
    }
}

/// The caller of an operation for which the policy `P` must hold: the first argument of its handler.
pub(crate) struct Allowed<P> {
    caller: ApiCaller,
    policy: PhantomData<P>,
}

impl<P> Deref for Allowed<P> {
    type Target = ApiCaller;
    fn deref(&self) -> &ApiCaller {
        &self.caller
    }
}

impl<P: NamedPolicy> RouteGuard for Allowed<P> {
    const POLICY: RoutePolicy = P::POLICY;
}

impl<P: NamedPolicy> FromRequestParts<ApiSurface> for Allowed<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, surface: &ApiSurface) -> Result<Self, ApiError> {
        let caller = ApiCaller::authenticate(&parts.headers, surface)?;
        caller.expect_policy(P::POLICY)?;
        Ok(Self {
            caller,
            policy: PhantomData,
        })
    }
}

/// First argument of a handler that answers everybody.
pub(crate) struct Anyone;

impl RouteGuard for Anyone {
    const POLICY: RoutePolicy = RoutePolicy::Public;
}

impl<S: Sync> FromRequestParts<S> for Anyone {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// Lets whoever has a credential at files, such as those of `/docs`.
pub(super) async fn expect_credential(
    State(surface): State<ApiSurface>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    ApiCaller::authenticate(request.headers(), &surface)?;
    Ok(next.run(request).await)
}
