//! Who calls, and what they may.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;
use tracing::warn;
use uuid::Uuid;

use omoi_accounts::audit::record_act;
use omoi_accounts::commands::member::MemberAuthority;
use omoi_accounts::context::AccountContext;
use omoi_accounts::holder::{CredentialHolder, CredentialKind};
use omoi_domain::access::cost_sight::CostSight;
use omoi_domain::access::decision::{AccessDecision, RowPlace, decide_access};
use omoi_domain::access::permission::Permission;
use omoi_domain::access::permission_set::PermissionSet;
use omoi_domain::access::refresh::REAUTH_WITHIN;
use omoi_domain::access::role::{MemberRole, rank_of_permissions};
use omoi_domain::access::role_chain::RolePower;
use omoi_domain::audit::{AuditAct, AuditAction, RequestOrigin};
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{OrgId, ProjectId, SignInSessionId, UserId};
use omoi_domain::planted_bug::{PlantedBug, is_planted};
use omoi_domain::time::Timestamp;
use omoi_execution::live::ReaderAccess;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{StoreError, Tenant};

use super::ApiSurface;
use super::credential::{
    RequestHead, find_bearer, find_counted_holder, find_holder, request_origin,
};
use super::policy::{NamedPolicy, RouteGuard, RoutePolicy};
use super::request_key::{NotRun, RequestTurn, take_up_request};
use super::request_place::place_of_request;
use crate::browser_cookies::expect_own_page;
use crate::cost_texts::note_cost_sight;
use crate::error::ApiError;

/// Whoever a request comes from, in the organisation of the row that it is about.
pub(crate) struct ApiCaller {
    holder: Arc<CredentialHolder>,
    tenant: Tenant,
    origin: RequestOrigin,
    place: RowPlace,
    turn: RequestTurn,
}

impl ApiCaller {
    /// The rows of that organisation, changed in the caller's name.
    pub(crate) const fn own_rows(&self) -> &Tenant {
        &self.tenant
    }

    /// Who changes members, roles and the organisation itself, and how much they may give.
    pub(crate) fn member_authority(&self) -> MemberAuthority {
        let org = self.tenant.org();
        let mut reaches = self.holder.reaches.iter();
        let reach = reaches.find(|reach| reach.org == org);
        let permissions = reach.map_or(PermissionSet::EMPTY, |reach| reach.permissions_in(None));
        MemberAuthority {
            org,
            actor: self.holder.actor,
            power: RolePower {
                permissions,
                rank: rank_of_permissions(permissions),
            },
        }
    }

    /// The organisations whose members this credential lists.
    pub(crate) fn sees_members_of(&self) -> Vec<OrgId> {
        let reaches = self.holder.reaches.iter();
        let listed = reaches.filter(|reach| {
            let own = reach.permissions_in(None);
            own.contains(Permission::OrgMembersRead)
        });
        listed.map(|reach| reach.org).collect()
    }

    /// Refuses whoever lacks one permission more than the policy of the operation names.
    ///
    /// # Errors
    /// As of the policy.
    pub(crate) fn expect_permission(&self, permission: Permission) -> Result<(), ApiError> {
        let place = RowPlace {
            org: self.tenant.org(),
            project: None,
        };
        expect_permission(&self.holder, RoutePolicy::Needs(permission), place)
    }

    /// The person who asks.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`] to a key of an organisation or an agent.
    pub(crate) fn expect_person(&self) -> Result<UserId, ApiError> {
        let user = self.holder.user_id();
        user.ok_or_else(|| ApiError::forbidden_act("this credential is no person's"))
    }

    /// Refuses whoever gave their password too long ago.
    ///
    /// # Errors
    /// [`ErrorCode::ReauthRequired`].
    pub(crate) fn expect_recent_sign_in(&self, now: Timestamp) -> Result<(), ApiError> {
        expect_recent_sign_in(&self.holder, now)
    }

    /// The same for who makes somebody an owner.
    ///
    /// # Errors
    /// As [`ApiCaller::expect_recent_sign_in`].
    pub(crate) fn expect_recent_for(
        &self,
        role: MemberRole,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        match role.is_owner() {
            true => self.expect_recent_sign_in(now),
            false => Ok(()),
        }
    }

    /// Refuses a request that names another organisation than the one it takes place in.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], as for one that is not there.
    pub(crate) fn expect_organization(&self, named: OrgId) -> Result<OrgId, ApiError> {
        match named == self.tenant.org() {
            true => Ok(named),
            false => Err(ApiError::from(StoreError::NotFound {
                what: "organisation",
                key: named.to_string(),
            })),
        }
    }

    /// The accounts, changed in the caller's name.
    pub(crate) fn accounts_of(&self, surface: &ApiSurface) -> AccountContext {
        let accounts = AccountContext {
            store: self.turn.store_for(&surface.accounts.store),
            ..surface.accounts.clone()
        };
        accounts.for_request(self.origin.clone())
    }

    /// What `act` gives; none where an earlier request with the same key did it, and this one is answered from the rows.
    ///
    /// # Errors
    /// Those of `act`.
    pub(super) async fn act_once<T, E: Into<ApiError>>(
        &self,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, ApiError> {
        match self.turn {
            RequestTurn::ShowAgain { .. } => Ok(None),
            RequestTurn::Unnamed | RequestTurn::Run(_) => act.await.map(Some).map_err(Into::into),
        }
    }

    /// Whether an earlier request with the same key did what this one asks for, so that it is answered from the rows.
    pub(super) const fn is_shown_again(&self) -> bool {
        matches!(self.turn, RequestTurn::ShowAgain { .. })
    }

    /// The row that an earlier request with the same key made.
    ///
    /// # Errors
    /// [`ErrorCode::AlreadyDone`] where it noted none.
    pub(super) fn expect_made(&self) -> Result<Uuid, ApiError> {
        match self.turn {
            RequestTurn::ShowAgain {
                made: Some(made), ..
            } => Ok(made),
            _ => Err(ApiError::from(StoreError::RequestDone)),
        }
    }

    /// Refuses a caller who lacks `permission` where the request takes place, beside what the operation needs.
    ///
    /// # Errors
    /// As of the policy of an operation that needs it.
    pub(super) fn expect_also(&self, permission: Permission) -> Result<(), ApiError> {
        expect_permission(&self.holder, RoutePolicy::Needs(permission), self.place)
    }

    /// Whether the caller has `permission` where the request takes place, too.
    pub(super) fn has_also(&self, permission: Permission) -> bool {
        self.expect_also(permission).is_ok()
    }

    /// What the caller is told of costs where the request takes place.
    pub(super) fn cost_sight(&self) -> CostSight {
        cost_sight_at(&self.holder, self.place)
    }

    /// The one project that the caller reaches, where a key is of one.
    pub(super) fn only_project(&self) -> Option<ProjectId> {
        let mut reaches = self.holder.reaches.iter();
        let reach = reaches.find(|reach| reach.org == self.tenant.org())?;
        reach.key.and_then(|key| key.project)
    }

    /// The projects to list of those that a request asks for: the key of one project is told nothing of others.
    pub(super) fn listed_projects(&self, asked: &[ProjectId]) -> Vec<ProjectId> {
        let only = self.only_project();
        only.map_or_else(|| asked.to_vec(), |only| vec![only])
    }

    /// Who it is.
    pub(crate) const fn credential_holder(&self) -> &Arc<CredentialHolder> {
        &self.holder
    }

    /// What events of that organisation the caller may read.
    pub(crate) fn live_access(&self) -> ReaderAccess {
        reader_access(&self.holder, self.tenant.org()).unwrap_or_else(|| ReaderAccess {
            permissions: PermissionSet::EMPTY,
            projects: Some(BTreeSet::new()),
            user: None,
        })
    }

    /// Refuses everybody but the person whose data folder it is.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`]: a path says what there is on the disk of this process, and other accounts are not the
    /// user that it runs as.
    pub(crate) fn expect_folder_owner(&self) -> Result<(), ApiError> {
        match self.holder.credential {
            CredentialKind::Folder => Ok(()),
            CredentialKind::SignIn { .. } | CredentialKind::Key(_) => Err(ApiError::forbidden_act(
                "a path on the disk of this process is named by the token of its data folder alone",
            )),
        }
    }
}

/// What events of `org` a holder may read; none where they do not belong to it.
pub(crate) fn reader_access(holder: &CredentialHolder, org: OrgId) -> Option<ReaderAccess> {
    let mut reaches = holder.reaches.iter();
    let reach = reaches.find(|reach| reach.org == org)?;
    let project = reach.key.and_then(|key| key.project);
    Some(ReaderAccess {
        permissions: reach.permissions_in(project),
        projects: project.map(|project| BTreeSet::from([project])),
        user: holder.user_id(),
    })
}

/// What `holder` is told of costs at `place`.
fn cost_sight_at(holder: &CredentialHolder, place: RowPlace) -> CostSight {
    let mut reaches = holder.reaches.iter();
    let reach = reaches.find(|reach| reach.org == place.org);
    let permissions = reach.map_or(PermissionSet::EMPTY, |reach| {
        reach.permissions_in(place.project)
    });
    CostSight::of_permissions(permissions)
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
    type Rejection = NotRun;

    async fn from_request_parts(parts: &mut Parts, surface: &ApiSurface) -> Result<Self, NotRun> {
        let caller = admit_caller(parts, surface, P::POLICY).await?;
        Ok(Self {
            caller,
            policy: PhantomData,
        })
    }
}

/// Who asks, where `policy` lets them in; one function for all policies, whose future ends in a box: every handler awaits
/// it, and the compiler would look through all of it for each.
fn admit_caller<'a>(
    parts: &'a mut Parts,
    surface: &'a ApiSurface,
    policy: RoutePolicy,
) -> BoxFuture<'a, Result<ApiCaller, NotRun>> {
    let admit = async move {
        let holder = find_counted_holder(RequestHead::of_parts(parts), surface).await?;
        expect_kind(&holder, policy)?;
        let place = place_of_request(parts, &holder, policy, surface).await?;
        if let Err(refused) = expect_permission(&holder, policy, place) {
            note_denial(parts, surface, &holder, (place.org, &refused)).await;
            return Err(refused.into());
        }
        note_cost_sight(&parts.extensions, cost_sight_at(&holder, place));
        let turn = take_up_request(parts, surface, &holder, Some(place.org)).await?;
        let origin = request_origin(parts, Some(&holder), &surface.site);
        let store = turn.store_for(surface.parts.store.store());
        Ok(ApiCaller {
            tenant: store.for_request(origin.clone()).tenant(place.org),
            holder,
            origin,
            place,
            turn,
        })
    };
    admit.boxed()
}

/// The caller of an operation that concerns no organisation: the first argument of its handler.
pub(crate) struct AccountCaller<P> {
    holder: Arc<CredentialHolder>,
    origin: RequestOrigin,
    turn: RequestTurn,
    policy: PhantomData<P>,
}

impl<P> AccountCaller<P> {
    /// The accounts, changed in the caller's name, and once for a request with a key.
    pub(crate) fn accounts_of(&self, surface: &ApiSurface) -> AccountContext {
        let accounts = AccountContext {
            store: self.turn.store_for(&surface.accounts.store),
            ..surface.accounts.clone()
        };
        accounts.for_request(self.origin.clone())
    }
}

impl<P> Deref for AccountCaller<P> {
    type Target = CredentialHolder;
    fn deref(&self) -> &CredentialHolder {
        &self.holder
    }
}

impl<P: NamedPolicy> RouteGuard for AccountCaller<P> {
    const POLICY: RoutePolicy = P::POLICY;
}

impl<P: NamedPolicy> FromRequestParts<ApiSurface> for AccountCaller<P> {
    type Rejection = NotRun;

    async fn from_request_parts(parts: &mut Parts, surface: &ApiSurface) -> Result<Self, NotRun> {
        // Boxed as in `admit_caller`, for the same reason.
        let admit = async {
            let holder = find_counted_holder(RequestHead::of_parts(parts), surface).await?;
            expect_kind(&holder, P::POLICY)?;
            let turn = take_up_request(parts, surface, &holder, None).await?;
            Ok::<_, NotRun>((holder, turn))
        };
        let (holder, turn) = admit.boxed().await?;
        let origin = request_origin(parts, Some(&holder), &surface.site);
        Ok(Self {
            holder,
            origin,
            turn,
            policy: PhantomData,
        })
    }
}

/// The sign-in of an access token, whatever cookie comes with it, asked for by a page of ours: the first argument of the
/// handler that lets a browser keep it.
pub(crate) struct BearerSignIn(pub(crate) SignInSessionId);

impl RouteGuard for BearerSignIn {
    const POLICY: RoutePolicy = RoutePolicy::Person;
    /// What it is answered with is a cookie, which is kept nowhere.
    const TAKES_KEYS: bool = false;
}

impl FromRequestParts<ApiSurface> for BearerSignIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, surface: &ApiSurface) -> Result<Self, ApiError> {
        let holder = find_bearer(RequestHead::of_parts(parts), surface).await?;
        expect_kind(&holder, Self::POLICY)?;
        expect_own_page(&surface.site, &parts.headers)?;
        let session = holder.session_id().ok_or_else(|| {
            ApiError::forbidden_act("the token of the data folder is no sign-in to keep")
        })?;
        Ok(Self(session))
    }
}

/// Refuses whoever `policy` is not for, whatever row they ask for.
pub(crate) fn expect_kind(holder: &CredentialHolder, policy: RoutePolicy) -> Result<(), ApiError> {
    let is_for_verified = match policy {
        RoutePolicy::SignedIn | RoutePolicy::Needs(_) | RoutePolicy::Staff => true,
        RoutePolicy::Public | RoutePolicy::Account | RoutePolicy::Person | RoutePolicy::Attempt => {
            false
        }
    };
    if is_for_verified {
        expect_verified(holder)?;
    }
    let is_of_person = holder.user_id().is_some();
    let is_key = matches!(holder.credential, CredentialKind::Key(_));
    match policy {
        RoutePolicy::Staff if !holder.is_staff => Err(ApiError::forbidden_act(
            "only staff of the platform may do this",
        )),
        RoutePolicy::Account | RoutePolicy::Person if !is_of_person => Err(
            ApiError::forbidden_act("a key of an organisation or an agent has no account"),
        ),
        RoutePolicy::Person if is_key => Err(ApiError::new(
            ErrorCode::InsufficientScope,
            "no key may do this; sign in",
        )),
        _ => Ok(()),
    }
}

/// Refuses whoever gave their password too long ago.
///
/// # Errors
/// [`ErrorCode::ReauthRequired`].
pub(super) fn expect_recent_sign_in(
    holder: &CredentialHolder,
    now: Timestamp,
) -> Result<(), ApiError> {
    match holder.credential {
        CredentialKind::SignIn { signed_in_at, .. } if now.since(signed_in_at) >= REAUTH_WITHIN => {
            let says = "this needs a password given in the last 10 minutes";
            Err(ApiError::new(ErrorCode::ReauthRequired, says).hint("sign in again"))
        }
        _ => Ok(()),
    }
}

/// Refuses whoever did not show that their mail address is theirs, or was not let in yet.
///
/// # Errors
/// [`ErrorCode::EmailNotVerified`], [`ErrorCode::OnWaitlist`].
pub(crate) fn expect_verified(holder: &CredentialHolder) -> Result<(), ApiError> {
    match holder.is_verified {
        true if holder.is_waiting => {
            let says = "this account waits until staff of the platform lets it in";
            Err(ApiError::new(ErrorCode::OnWaitlist, says))
        }
        true => Ok(()),
        false => {
            let says = "the mail address of this account is not verified yet";
            Err(ApiError::new(ErrorCode::EmailNotVerified, says)
                .hint("follow the link that came by mail when the account was made"))
        }
    }
}

/// Refuses whoever lacks the permission of `policy` at `place`.
fn expect_permission(
    holder: &CredentialHolder,
    policy: RoutePolicy,
    place: RowPlace,
) -> Result<(), ApiError> {
    let RoutePolicy::Needs(permission) = policy else {
        return Ok(());
    };
    expect_allowed(decide_access(&holder.reaches, place, permission))
}

/// The answer to whoever may not.
pub(super) fn expect_allowed(decision: AccessDecision) -> Result<(), ApiError> {
    match decision {
        AccessDecision::Allowed => Ok(()),
        AccessDecision::Hidden => Err(ApiError::new(ErrorCode::NotFound, "no such row")),
        AccessDecision::Denied(lacking) => {
            let says = format!("this needs the permission `{lacking}`");
            Err(ApiError::forbidden_act(says).with_permission(lacking))
        }
        AccessDecision::OutOfScope(lacking) => {
            let says = format!("the scopes of this key do not hold `{lacking}`");
            Err(ApiError::new(ErrorCode::InsufficientScope, says).with_permission(lacking))
        }
    }
}

/// Writes a refusal down that concerns a row which the caller may know of; one in ten of those who ask on and on.
async fn note_denial(
    parts: &Parts,
    surface: &ApiSurface,
    holder: &CredentialHolder,
    (org, refused): (OrgId, &ApiError),
) {
    let is_denial = matches!(
        refused.error_code(),
        ErrorCode::Forbidden | ErrorCode::InsufficientScope
    );
    let accounts = &surface.accounts;
    let action = match (refused.error_code(), holder.credential) {
        (ErrorCode::InsufficientScope, CredentialKind::Key(_)) => AuditAction::ApiKeyDenied,
        _ => AuditAction::PermissionDenied,
    };
    let now = surface.parts.clock.now();
    if !is_denial || !accounts.denials.count_denial(holder.actor, action, now) {
        return;
    }
    let store = accounts
        .store
        .for_request(request_origin(parts, Some(holder), &surface.site));
    let denied = AuditAct::denied_to(action, org);
    let denied = denied.with_after(json!({ "permission": refused.lacking_permission() }));
    // The refusal stands whether or not it can be told of.
    if let Err(error) = record_act(&store, org, denied).await {
        warn!(error = %error_chain(&error), "A refusal is not in the audit log");
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
    if !is_planted(PlantedBug::DescriptionDoor) {
        let holder = find_holder(RequestHead::of_request(&request), &surface).await?;
        expect_kind(&holder, RoutePolicy::SignedIn)?;
    }
    Ok(next.run(request).await)
}
