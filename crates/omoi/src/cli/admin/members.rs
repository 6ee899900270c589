//! Members of the organisation, and keys.

use anyhow::Context as _;
use clap::Args;
use secrecy::ExposeSecret as _;
use serde_json::json;

use omoi_accounts::commands::invitation::{InvitationWay, invite_member};
use omoi_accounts::commands::key::{revoke_organisation_key, revoke_person_key};
use omoi_accounts::commands::member::{MemberAuthority, add_member, remove_member};
use omoi_accounts::context::AccountContext;
use omoi_accounts::mail_links::MailLinks;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::role::{MemberRole, SystemRole};
use omoi_domain::id::{ApiKeyId, MembershipId, OrgId, UserId};
use omoi_domain::time::Timestamp;
use omoi_store::api_keys::ApiKey;
use omoi_store::{Store, StoreError, Tx, api_keys, memberships, roles, users};

use super::{user_of, with_remedy};
use crate::ErrorHint;
use crate::cli::CommandContext;
use crate::cli::error_report::UsageError;
use crate::cli::terminal::print_done;
use crate::view::text_layout::clean_line;

/// The organisation that there is.
const ORGANISATION: OrgId = OrgId::LOCAL;

/// A new member.
#[derive(Args, Debug)]
pub(crate) struct AddMemberArgs {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    mail: MailAddress,
    /// owner, admin, member, viewer, or the name of a role of the organisation
    #[arg(long, value_name = "ROLE", default_value = "member")]
    role: String,
}

/// Which key.
#[derive(Args, Debug)]
pub(crate) struct NamedKey {
    /// Its id, as `omoi admin keys` lists it
    #[arg(value_name = "ID")]
    id: ApiKeyId,
}

/// A member, as a list shows them.
struct ListedMember {
    id: MembershipId,
    email: String,
    role: String,
}

pub(super) async fn list_members(context: &CommandContext, store: &Store) -> anyhow::Result<()> {
    let all = listed_members(store).await?;
    if context.is_json() {
        let all = all
            .iter()
            .map(|member| json!({ "id": member.id, "email": member.email, "role": member.role }));
        return Ok(context.print_json(&all.collect::<Vec<_>>())?);
    }
    let lines = all
        .iter()
        .map(|member| format!("{}  {}", member.email, clean_line(&member.role)));
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

pub(super) async fn add(accounts: &AccountContext, arguments: AddMemberArgs) -> anyhow::Result<()> {
    let AddMemberArgs { mail, role } = arguments;
    let user = user_of(&accounts.store, &mail).await?;
    let named = role_called(accounts, &role).await?;
    let operator = MemberAuthority::of_operator(ORGANISATION);
    add_member(accounts, operator, user.id, named).await?;
    print_done(&format!("{mail} is a member, as {role}"));
    Ok(())
}

/// Prints the link of an invitation, for the operator to hand over, or its token.
pub(super) async fn print_invitation(
    context: &CommandContext,
    accounts: &AccountContext,
    links: Option<&MailLinks>,
    arguments: AddMemberArgs,
) -> anyhow::Result<()> {
    let AddMemberArgs { mail, role } = arguments;
    let named = role_called(accounts, &role).await?;
    invite_by_link(context, accounts, links, (&mail, named)).await?;
    print_done(&format!(
        "Good once, within 7 days, for whoever has {mail}, as {role}: POST /api/v1/invitations/accept, or /api/v1/auth/register for a new account"
    ));
    Ok(())
}

/// Invites the first owner who can sign in. They answer for the organisation from then on, with all that is in it.
pub(super) async fn make_owner(
    context: &CommandContext,
    accounts: &AccountContext,
    links: Option<&MailLinks>,
    mail: MailAddress,
) -> anyhow::Result<()> {
    let tenant = accounts.store.tenant(ORGANISATION);
    let count =
        async |tx: &mut Tx| memberships::count_other_owners(tx, ORGANISATION, UserId::LOCAL).await;
    if tenant.read(count).await? > 0 {
        let hint = format!("further ones are invited: omoi admin invite {mail} --role owner");
        let owned = UsageError("the organisation has an owner who can sign in".to_owned());
        return Err(anyhow::Error::new(owned).context(ErrorHint(hint)));
    }
    let owner = MemberRole::System(SystemRole::Owner);
    invite_by_link(context, accounts, links, (&mail, owner)).await?;
    print_done(&format!(
        "Good once, within 7 days, for whoever has {mail}, who owns the organisation then: POST /api/v1/auth/register with it as invitation_token"
    ));
    Ok(())
}

async fn invite_by_link(
    context: &CommandContext,
    accounts: &AccountContext,
    links: Option<&MailLinks>,
    (mail, role): (&MailAddress, MemberRole),
) -> anyhow::Result<()> {
    let operator = MemberAuthority::of_operator(ORGANISATION);
    let made = invite_member(accounts, operator, (mail, role), InvitationWay::Printed).await;
    let token = made.map_err(with_remedy)?.token;
    let token = token.context("an invitation that is printed carries no token")?;
    let printed = match links {
        Some(links) => links.invitation_link(&token),
        None => token.expose_secret().to_owned(),
    };
    Ok(context.print_lines(&[printed])?)
}

pub(super) async fn remove(accounts: &AccountContext, mail: &MailAddress) -> anyhow::Result<()> {
    let all = listed_members(&accounts.store).await?;
    let member = all.iter().find(|member| member.email == mail.as_str());
    let member = member.ok_or_else(|| {
        let hint = ErrorHint("who is one: omoi admin members".to_owned());
        anyhow::Error::new(UsageError(format!("{mail} is no member"))).context(hint)
    })?;
    let operator = MemberAuthority::of_operator(ORGANISATION);
    let removed = remove_member(accounts, operator, member.id).await;
    removed.map_err(with_remedy)?;
    print_done(&format!("{mail} is no member any more"));
    Ok(())
}

pub(super) async fn list_keys(context: &CommandContext, store: &Store) -> anyhow::Result<()> {
    let system = store.system();
    let all = system.read(async |tx: &mut Tx| -> Result<_, StoreError> {
        let mut all = api_keys::list_of_organisation(tx, ORGANISATION).await?;
        for member in memberships::list_of_organisation(tx, ORGANISATION).await? {
            all.extend(api_keys::list_of_user(tx, member.user_id).await?);
        }
        Ok(all)
    });
    let all: Vec<ApiKey> = all.await?;
    if context.is_json() {
        let all = all.iter().map(|key| {
            json!({
                "id": key.id, "kind": key.kind, "name": key.name, "prefix": key.shown_prefix,
                "created_by": key.created_by_id, "created_at": key.created_at.to_string(),
                "last_used_at": key.last_used_at.map(|at| at.to_string()),
            })
        });
        return Ok(context.print_json(&all.collect::<Vec<_>>())?);
    }
    let lines = all.iter().map(|key| {
        let used = key
            .last_used_at
            .map_or_else(|| "never used".to_owned(), Timestamp::date_and_time);
        format!(
            "{}  {}…  {}  {}  {used}",
            key.id,
            key.shown_prefix,
            key.kind,
            clean_line(&key.name)
        )
    });
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

pub(super) async fn revoke_key(accounts: &AccountContext, named: NamedKey) -> anyhow::Result<()> {
    let system = accounts.store.system();
    let found = system
        .read(async |tx: &mut Tx| api_keys::find(tx, named.id).await)
        .await?;
    let is_revoked = match found.as_ref().map(|key| (key.user_id, key.org_id)) {
        Some((Some(user), _)) => revoke_person_key(accounts, user, named.id).await?,
        Some((None, Some(org))) => {
            let operator = MemberAuthority::of_operator(org);
            revoke_organisation_key(accounts, operator, named.id).await?
        }
        Some((None, None)) | None => false,
    };
    if !is_revoked {
        let hint = ErrorHint("which there are: omoi admin keys".to_owned());
        let none = format!("there is no key {} that is good", named.id);
        return Err(anyhow::Error::new(UsageError(none)).context(hint));
    }
    print_done(&format!("Revoked the key {}", named.id));
    Ok(())
}

async fn listed_members(store: &Store) -> anyhow::Result<Vec<ListedMember>> {
    let tenant = store.tenant(ORGANISATION);
    let read = tenant.read(async |tx: &mut Tx| -> Result<_, StoreError> {
        let custom = roles::list_all(tx).await?;
        let mut all = Vec::new();
        for member in memberships::list_of_organisation(tx, ORGANISATION).await? {
            let own = custom
                .iter()
                .find(|role| Some(role.id) == member.role.custom_role());
            all.push(ListedMember {
                id: member.id,
                email: mail_of(tx, member.user_id).await?,
                role: own.map_or_else(
                    || member.role.role_column().to_string(),
                    |role| role.name.clone(),
                ),
            });
        }
        Ok(all)
    });
    Ok(read.await?)
}

async fn mail_of(tx: &mut Tx, user: UserId) -> Result<String, StoreError> {
    let user = users::get(tx, user).await?;
    Ok(user.email.unwrap_or(user.name))
}

async fn role_called(accounts: &AccountContext, name: &str) -> anyhow::Result<MemberRole> {
    if let Some(role) = SystemRole::parse(name) {
        return Ok(MemberRole::System(role));
    }
    let key = name.to_lowercase();
    let tenant = accounts.store.tenant(ORGANISATION);
    let custom = tenant
        .read(async |tx: &mut Tx| roles::list_all(tx).await)
        .await?;
    let found = custom.into_iter().find(|role| role.name_key == key);
    found
        .map(|role| MemberRole::Custom(role.id))
        .ok_or_else(|| {
            let hint = ErrorHint("the roles are owner, admin, member and viewer".to_owned());
            anyhow::Error::new(UsageError(format!("there is no role `{name}`"))).context(hint)
        })
}
