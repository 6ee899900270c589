//! Keys: made, used, revoked.

use std::time::Duration;

use omoi_domain::access::api_key::{ApiKeyKind, KEYS_ACTIVE_MAX, key_days};
use omoi_domain::access::grant::{PrivilegeEscalation, key_permissions, may_give};
use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::access::permission_set::PermissionSet;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::actor::Actor;
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ApiKeyId, OrgId, ProjectId, UserId};
use omoi_domain::plain_title::given_name;
use omoi_domain::time::Timestamp;
use omoi_store::api_keys::{self, ApiKey};
use omoi_store::{Json, Tx, memberships, users};
use secrecy::SecretString;
use serde_json::json;
use tracing::warn;

use super::member::MemberAuthority;
use crate::api_key::{FreshApiKey, api_key_digest};
use crate::context::AccountContext;
use crate::error::AccountError;
use crate::reach::{KeyCaller, key_caller, member_reaches, power_or_none, role_power};

/// How often at most the use of a key is noted.
const USE_NOTED_EVERY: Duration = Duration::from_mins(1);

/// Days that the key of a machine is good for.
const MACHINE_KEY_DAYS: u32 = 180;

/// What a key is to be.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What people call it.
    pub name: String,
    /// What of its owner's permissions it has; nothing reads.
    pub scopes: Vec<PermissionPattern>,
    /// How long it lives.
    pub days: Option<u32>,
}

/// A key that was made.
#[derive(Debug)]
pub struct MadeApiKey {
    /// What its holder is told, once.
    pub key: SecretString,
    /// Its row.
    pub row: ApiKey,
}

/// Whose a key of an organisation is.
#[derive(Clone, Copy, Debug)]
pub enum OrganisationKey {
    /// The organisation's, with a role.
    Role(MemberRole),
    /// An agent's at one project.
    Agent(ProjectId),
}

/// Makes a key of `user`'s own, narrowed to `only` where that is named.
///
/// # Errors
/// [`AccountError::Escalation`] for a scope that its owner lacks, [`AccountError::KeyLife`],
/// [`AccountError::TooManyKeys`].
pub async fn create_person_key(
    context: &AccountContext,
    user: UserId,
    only: Option<OrgId>,
    new: NewApiKey,
) -> Result<MadeApiKey, AccountError> {
    let mut own = PermissionSet::EMPTY;
    for reach in member_reaches(&context.store, user).await? {
        if only.is_none_or(|only| only == reach.org) {
            own = own.union_with(reach.role);
        }
    }
    let tenant = context.store.tenant(OrgId::PLATFORM);
    let tenant = tenant.acting_as(Actor::User(user));
    let refused = AuditAct::denied_to(AuditAction::ApiKeyCreated, user)
        .with_after(json!({ "scopes": new.scopes }));
    let is_within = refuse_wider(&new.scopes, own);
    context.audit_refusal(&tenant, refused, is_within).await?;
    let kind = ApiKeyKind::Person;
    let fresh = FreshApiKey::draw_key(kind, &context.rng);
    let create = async |tx: &mut Tx| -> Result<_, AccountError> {
        users::lock(tx, user).await?;
        refuse_too_many(&api_keys::list_of_user(tx, user).await?, tx.now())?;
        let mut key = key_row(tx, kind, &new, &fresh, user)?;
        (key.user_id, key.org_id) = (Some(user), only);
        api_keys::insert(tx, &key).await?;
        tx.record_act(created_key(&key));
        Ok(key)
    };
    let row = context
        .store
        .system()
        .write(CrashPoint::AccountChanged, create)
        .await?;
    let key = fresh.key;
    Ok(MadeApiKey { key, row })
}

/// A machine that a person let sign in as them.
pub(super) struct WaitingMachine {
    /// Who let it in.
    pub(super) user: UserId,
    /// What it calls itself.
    pub(super) machine: String,
    /// What it may do.
    pub(super) scopes: Vec<PermissionPattern>,
}

/// Makes the key of a machine that a person let in.
///
/// # Errors
/// As [`create_person_key`].
pub(super) async fn create_machine_key(
    context: &AccountContext,
    tx: &mut Tx,
    waiting: WaitingMachine,
) -> Result<MadeApiKey, AccountError> {
    let WaitingMachine {
        user,
        machine,
        scopes,
    } = waiting;
    let kind = ApiKeyKind::Person;
    let fresh = FreshApiKey::draw_key(kind, &context.rng);
    users::lock(tx, user).await?;
    refuse_too_many(&api_keys::list_of_user(tx, user).await?, tx.now())?;
    let new = NewApiKey {
        name: format!("command line of {machine}"),
        scopes,
        days: Some(MACHINE_KEY_DAYS),
    };
    let mut key = key_row(tx, kind, &new, &fresh, user)?;
    key.user_id = Some(user);
    api_keys::insert(tx, &key).await?;
    tx.record_act(created_key(&key).done_by(Actor::User(user)));
    let (key, row) = (fresh.key, key);
    Ok(MadeApiKey { key, row })
}

/// All that `user` may do today, as the scopes of a key.
pub(super) async fn scopes_of_everything(
    context: &AccountContext,
    user: UserId,
) -> Result<Vec<PermissionPattern>, AccountError> {
    let reaches = member_reaches(&context.store, user).await?;
    let all = reaches.iter().fold(PermissionSet::EMPTY, |all, reach| {
        all.union_with(reach.role)
    });
    // Every permission is a pattern of itself.
    let scopes = all
        .list_permissions()
        .map(|permission| permission.as_str().parse());
    Ok(scopes.filter_map(Result::ok).collect())
}

/// Makes a key of an organisation or of its agent, which stays when `maker` leaves.
///
/// # Errors
/// [`AccountError::Escalation`] for a role above the maker's, and as [`create_person_key`].
pub async fn create_organisation_key(
    context: &AccountContext,
    by: MemberAuthority,
    maker: UserId,
    owner: OrganisationKey,
    new: NewApiKey,
) -> Result<MadeApiKey, AccountError> {
    let (kind, role, project) = match owner {
        OrganisationKey::Role(role) => (ApiKeyKind::Organization, Some(role), None),
        OrganisationKey::Agent(project) => (ApiKeyKind::Agent, None, Some(project)),
    };
    let fresh = FreshApiKey::draw_key(kind, &context.rng);
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let create = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        if let Some(project) = project {
            omoi_store::projects::get(tx, project).await?;
        }
        let agent = MemberRole::System(SystemRole::AgentExecutor);
        let power = role_power(tx, role.unwrap_or(agent)).await?;
        may_give(by.power, power)?;
        refuse_wider(&new.scopes, power.permissions)?;
        refuse_too_many(&api_keys::list_of_organisation(tx, by.org).await?, tx.now())?;
        let mut key = key_row(tx, kind, &new, &fresh, maker)?;
        (key.org_id, key.project_id, key.role) = (Some(by.org), project, role);
        api_keys::insert(tx, &key).await?;
        tx.record_act(created_key(&key));
        Ok(key)
    };
    let refused = AuditAct::denied_to(AuditAction::ApiKeyCreated, by.org).with_after(json!({
        "scopes": new.scopes, "project_id": project, "role_id": role.map(MemberRole::role_id),
    }));
    let made = tenant.write(CrashPoint::AccountChanged, create).await;
    let row = context.audit_refusal(&tenant, refused, made).await?;
    let key = fresh.key;
    Ok(MadeApiKey { key, row })
}

/// Who acts by the key that `text` is. What its owner lost since, it lost too.
///
/// # Errors
/// [`AccountError::InvalidToken`] for a key that is none, or not good any more.
pub async fn authenticate_key(
    context: &AccountContext,
    text: &str,
) -> Result<KeyCaller, AccountError> {
    let digest = api_key_digest(text).ok_or(AccountError::InvalidToken)?;
    let system = context.store.system();
    let look = async |tx: &mut Tx| -> Result<_, AccountError> {
        Ok((api_keys::find_by_digest(tx, &digest).await?, tx.now()))
    };
    let (key, now) = system.read(look).await?;
    let key = key
        .filter(|key| key.is_live(now))
        .ok_or(AccountError::InvalidToken)?;
    let caller = key_caller(&context.store, &key).await?;
    let earlier = now - USE_NOTED_EVERY;
    if key.last_used_at.is_none_or(|used| used < earlier) {
        let note = async |tx: &mut Tx| api_keys::note_use(tx, key.id, earlier).await;
        // When a key was used is for people who look through a list: it keeps nobody out.
        if let Err(error) = system.write(CrashPoint::AccountChanged, note).await {
            warn!(key = %key.id, %error, "The use of a key could not be noted");
        }
    }
    Ok(caller)
}

/// Revokes a key of `user`; whether it was there.
///
/// # Errors
/// When the rows cannot be written.
pub async fn revoke_person_key(
    context: &AccountContext,
    user: UserId,
    id: ApiKeyId,
) -> Result<bool, AccountError> {
    let revoke = async |tx: &mut Tx| -> Result<bool, AccountError> {
        let is_revoked = api_keys::revoke_of_user(tx, user, id).await?;
        if is_revoked {
            tx.record_act(AuditAct::done_to(AuditAction::ApiKeyRevoked, id));
        }
        Ok(is_revoked)
    };
    context.write_revocation(revoke).await
}

/// Revokes a key of the caller's organisation or of its agents; whether it was there.
///
/// # Errors
/// [`AccountError::Escalation`] for a key whose role stands above the caller's.
pub async fn revoke_organisation_key(
    context: &AccountContext,
    by: MemberAuthority,
    id: ApiKeyId,
) -> Result<bool, AccountError> {
    let tenant = context.store.tenant(by.org).acting_as(by.actor);
    let revoke = async |tx: &mut Tx| -> Result<_, AccountError> {
        memberships::lock_members(tx, by.org).await?;
        let key = api_keys::find(tx, id).await?;
        if let Some(role) = key
            .filter(|key| key.org_id == Some(by.org))
            .and_then(|key| key.role)
        {
            may_give(by.power, power_or_none(tx, role).await?)?;
        }
        let is_revoked = api_keys::revoke_of_organisation(tx, by.org, id).await?;
        if is_revoked {
            tx.record_act(AuditAct::done_to(AuditAction::ApiKeyRevoked, id));
        }
        Ok(is_revoked)
    };
    let refused = AuditAct::denied_to(AuditAction::ApiKeyRevoked, id);
    let done = context.write_membership(&tenant, revoke).await;
    context.audit_refusal(&tenant, refused, done).await
}

fn created_key(key: &ApiKey) -> AuditAct {
    AuditAct::done_to(AuditAction::ApiKeyCreated, key.id).with_after(json!({
        "kind": key.kind, "name": key.name, "key_prefix": key.shown_prefix,
        "scopes": key.scopes.0, "organization_id": key.org_id, "project_id": key.project_id,
        "role_id": key.role.map(MemberRole::role_id),
    }))
}

fn refuse_wider(scopes: &[PermissionPattern], own: PermissionSet) -> Result<(), AccountError> {
    // Without a scope a key reads what its owner may read: nothing of it is asked for by name.
    if scopes.is_empty() {
        return Ok(());
    }
    match key_permissions(scopes)
        .without_set(own)
        .list_permissions()
        .next()
    {
        Some(permission) => Err(PrivilegeEscalation::Lacks(permission).into()),
        None => Ok(()),
    }
}

fn refuse_too_many(keys: &[ApiKey], now: Timestamp) -> Result<(), AccountError> {
    match keys.iter().filter(|key| key.is_live(now)).count() < KEYS_ACTIVE_MAX {
        true => Ok(()),
        false => Err(AccountError::TooManyKeys),
    }
}

fn key_row(
    tx: &Tx,
    kind: ApiKeyKind,
    new: &NewApiKey,
    fresh: &FreshApiKey,
    maker: UserId,
) -> Result<ApiKey, AccountError> {
    let days = key_days(kind, new.days).ok_or(AccountError::KeyLife)?;
    let life = days.map(|days| Duration::from_hours(24 * u64::from(days)));
    Ok(ApiKey {
        id: tx.new_id(),
        kind,
        user_id: None,
        org_id: None,
        project_id: None,
        role: None,
        name: given_name(&new.name)?,
        shown_prefix: fresh.prefix.clone(),
        digest: fresh.digest.clone(),
        scopes: Json(new.scopes.clone()),
        created_by_id: maker,
        created_at: tx.now(),
        expires_at: life.map(|life| tx.now() + life),
        last_used_at: None,
        revoked_at: None,
    })
}
