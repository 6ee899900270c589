//! Accounts: signing in, sessions and keys.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::permission::Permission;
use omoi_domain::id::{ApiKeyId, OrgId, SignInSessionId, UserId};

use super::ApiTime;
use super::spec::given_value;

/// A sign-in by mail address and password. `POST /auth/login`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "email": "ada@example.org", "password": "Opal-Harbour-7" }))]
#[serde(deny_unknown_fields)]
pub struct SignInRequest {
    /// Mail address of the account.
    pub email: String,
    /// Its password.
    #[schema(format = Password)]
    pub password: String,
}

/// A new account. `POST /auth/register`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "email": "bob@example.org", "password": "Opal-Harbour-7", "full_name": "Bob" }))]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// Mail address of the account.
    pub email: String,
    /// Its password.
    #[schema(format = Password)]
    pub password: String,
    /// What people call them; the beginning of the address without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// The token of an invitation to that address. Where nobody registers without one, it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation_token: Option<String>,
}

/// Whose mail is to come. `POST /auth/resend-verification`, `POST /auth/forgot-password`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "email": "ada@example.org" }))]
#[serde(deny_unknown_fields)]
pub struct MailRequest {
    /// Mail address of the account.
    pub email: String,
}

/// What follows from a request that a mail answers, the same whether or not the address has an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailAnnouncement {
    /// What to do next.
    pub message: String,
}

/// What is to change of an account; what is absent stays. `PATCH /auth/me`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "full_name": "Ada Byron", "attributes": { "ui.theme": "dark" } }))]
#[serde(deny_unknown_fields)]
pub struct UpdateAccount {
    /// What people call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Where they work, in at most 100 characters; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub department: Option<Option<String>>,
    /// Settings of the dashboard in place of those before; their names begin with `ui.`, and together they have at most
    /// 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, Value>>,
}

/// An account that waits to be let in. `GET /auth/waitlist`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitingAccountView {
    /// Row id of the person.
    pub id: UserId,
    /// What people call them.
    pub full_name: String,
    /// Their mail address.
    pub email: Option<String>,
    /// Whether they showed that the address is theirs.
    pub is_verified: bool,
    /// Since when they wait.
    pub waiting_since: Option<ApiTime>,
}

/// How many accounts were let in. `POST /auth/waitlist/approve-all`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovedAccounts {
    /// Accounts that waited.
    pub approved: u64,
}

/// A request for the next tokens. `POST /auth/refresh`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "refresh_token": "omr_kid.MDE5MzAwMDA" }))]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The newest refresh token of the session.
    pub refresh_token: String,
}

/// The token of a link. `POST /auth/verify-email`, `POST /auth/unlock`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "token": "9f0c2b7d6a514e38b1c4d2e7f8a90315" }))]
#[serde(deny_unknown_fields)]
pub struct LinkToken {
    /// The token that the link carries.
    pub token: String,
}

/// A new password, by the token of a link. `POST /auth/reset-password`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "token": "9f0c2b7d6a514e38b1c4d2e7f8a90315", "new_password": "Basalt-Meadow-4" }))]
#[serde(deny_unknown_fields)]
pub struct PasswordResetRequest {
    /// The token that the link carries.
    pub token: String,
    /// The password as it is to be.
    #[schema(format = Password)]
    pub new_password: String,
}

/// A new password, by whoever knows the old one. `POST /auth/change-password`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "current_password": "Opal-Harbour-7", "new_password": "Basalt-Meadow-4" }))]
#[serde(deny_unknown_fields)]
pub struct PasswordChangeRequest {
    /// The password as it is.
    #[schema(format = Password)]
    pub current_password: String,
    /// The password as it is to be.
    #[schema(format = Password)]
    pub new_password: String,
}

/// What a sign-in gives: a token for requests, and one for the next tokens.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenPair {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// For `POST /auth/refresh`, once.
    pub refresh_token: String,
    /// How the access token is sent: always `bearer`.
    pub token_type: String,
    /// Seconds that the access token is good for.
    pub expires_in: u64,
    /// The session that both belong to.
    pub session_id: SignInSessionId,
    /// When the session ends unless it is refreshed.
    pub session_expires_at: ApiTime,
}

/// Shows a type by its name: what it holds belongs on no line of a log.
macro_rules! hidden_in_debug {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

hidden_in_debug!(
    SignInRequest,
    RefreshRequest,
    LinkToken,
    PasswordResetRequest,
    PasswordChangeRequest,
    RegisterRequest,
    TokenPair,
    LiveTicketView,
    BrowserSessionView,
    LocalLinkView,
    LocalLinkCode,
    DeviceLoginView,
    DeviceToken,
    IssuedApiKey
);

/// A ticket that opens one stream of live events. `POST /auth/ws-ticket`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LiveTicketView {
    /// The ticket, good once.
    pub ticket: String,
    /// Seconds that it is good for.
    pub expires_in: u64,
}

/// A sign-in that a browser keeps in a cookie. `POST /auth/browser-session`, `POST /auth/local-link/exchange`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct BrowserSessionView {
    /// What changes send by `X-CSRF-Token`; a cookie that scripts read holds it, too.
    pub csrf_token: String,
    /// When the sign-in ends, however often it is used.
    pub expires_at: ApiTime,
}

/// A link that signs in a browser of this machine. `POST /auth/local-link`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LocalLinkView {
    /// The link, good once.
    pub url: String,
    /// Seconds that it is good for.
    pub expires_in: u64,
}

/// The code of such a link. `POST /auth/local-link/exchange`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "code": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" }))]
#[serde(deny_unknown_fields)]
pub struct LocalLinkCode {
    /// What stands behind `#` in the link.
    pub code: String,
}

/// A machine that asks to act as somebody. `POST /auth/device`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "machine": "ada's laptop" }))]
#[serde(deny_unknown_fields)]
pub struct DeviceLoginRequest {
    /// What it calls itself, in one line of at most 64 characters.
    pub machine: String,
}

/// What a machine waits with.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct DeviceLoginView {
    /// For `POST /auth/device/token`.
    pub device_code: String,
    /// What a person compares: it stands on the machine and on the page.
    pub user_code: String,
    /// The page where somebody who signed in says yes.
    pub verification_url: String,
    /// Seconds between two questions.
    pub interval: u64,
    /// Seconds that the machine may wait.
    pub expires_in: u64,
}

/// The question of a machine that waits. `POST /auth/device/token`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "device_code": "omd_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" }))]
#[serde(deny_unknown_fields)]
pub struct DeviceToken {
    /// What it waits with.
    pub device_code: String,
}

/// A machine that waits, as whoever says yes sees it. `GET /auth/device/{user_code}`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WaitingLoginView {
    /// The code that stands on the machine.
    pub user_code: String,
    /// What it calls itself.
    pub machine: String,
    /// When it has waited in vain.
    pub expires_at: ApiTime,
}

/// What a person says to a machine that waits. `POST /auth/device/{user_code}/decision`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "approve": true }))]
#[serde(deny_unknown_fields)]
pub struct DeviceDecision {
    /// Whether it may act as them.
    pub approve: bool,
}

/// The account of whoever asks. `GET /auth/me`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Row id of the person.
    pub id: UserId,
    /// What people call them.
    pub full_name: String,
    /// Their mail address; none for the person of a laptop.
    pub email: Option<String>,
    /// Whether they showed that the address is theirs; who has none has nothing to show.
    pub is_verified: bool,
    /// Since when the account waits until staff of the platform lets it in; none for one that does not.
    pub waiting_since: Option<ApiTime>,
    /// Where they work.
    pub department: Option<String>,
    /// Settings of the dashboard, by name.
    pub attributes: BTreeMap<String, Value>,
    /// Whether they run the platform.
    pub is_staff: bool,
    /// When they signed in last.
    pub last_login_at: Option<ApiTime>,
    /// When the account was made; none for the person of a laptop.
    pub created_at: Option<ApiTime>,
    /// What the credential may do, by organisation.
    pub organizations: Vec<OrganizationAccess>,
}

/// What a credential may do in one organisation, with what belongs to it as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationAccess {
    /// Row id of the organisation.
    pub organization_id: OrgId,
    /// The permissions there.
    pub permissions: Vec<Permission>,
}

/// A sign-in that has not ended. `GET /auth/sessions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignInView {
    /// Row id of the session.
    pub id: SignInSessionId,
    /// The address they signed in from.
    pub ip: String,
    /// What their program calls itself.
    pub user_agent: String,
    /// When it began.
    pub created_at: ApiTime,
    /// When its tokens were renewed last.
    pub last_used_at: ApiTime,
    /// When it ends unless it is refreshed.
    pub expires_at: ApiTime,
    /// Whether this request belongs to it.
    pub current: bool,
}

/// A key of one's own. `POST /auth/api-keys`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "ci", "scopes": ["spec:read", "task:*"], "expires_in_days": 90 }))]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What people call it: 1 to 100 characters.
    pub name: String,
    /// What of its owner's permissions it has, as names or patterns; without any it reads.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<PermissionPattern>,
    /// Days until it ends, 1 to 365; without it, it stays until it is revoked.
    pub expires_in_days: Option<u32>,
    /// The one organisation that it is good in; without it, all of its owner's.
    pub organization_id: Option<OrgId>,
}

/// A key as lists show it. `GET /auth/api-keys`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyView {
    /// Row id of the key.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// Its first 12 characters.
    pub key_prefix: String,
    /// What of its owner's permissions it has; none where it reads.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<PermissionPattern>,
    /// The one organisation that it is good in.
    pub organization_id: Option<OrgId>,
    /// Whether it is good now.
    pub is_active: bool,
    /// When it was made.
    pub created_at: ApiTime,
    /// When it was used, to the minute.
    pub last_used_at: Option<ApiTime>,
    /// When it ends.
    pub expires_at: Option<ApiTime>,
}

/// A key that was just made. This is the only time that it is told.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedApiKey {
    /// The key, for `Authorization: Bearer` or `X-API-Key`.
    pub key: String,
    /// How lists show it.
    pub api_key: ApiKeyView,
}
