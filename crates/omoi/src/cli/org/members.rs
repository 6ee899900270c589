//! Members of an organisation, their roles, and invitations.

use omoi_domain::id::{OrgId, RoleId};
use omoi_protocol::api::{InviteMember, MemberView, RoleView};

use super::organization_here;
use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::cli::CommandContext;
use crate::cli::error_report::UsageError;
use crate::cli::person_sign_in::PersonSignIn;
use crate::cli::terminal::print_done;
use crate::view::text_layout::{clean_line, fit_columns};

/// Whom to invite.
#[derive(clap::Args, Debug)]
pub(crate) struct InviteArgs {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    mail: String,
    /// owner, admin, member, viewer, or the name of a role of the organisation
    #[arg(long, value_name = "ROLE", default_value = "member")]
    role: String,
    #[command(flatten)]
    pub(super) sign_in: PersonSignIn,
}

/// Who asks for the invitations.
#[derive(clap::Args, Debug)]
pub(crate) struct InvitationsArgs {
    #[command(flatten)]
    pub(super) sign_in: PersonSignIn,
}

/// Which member, or who is invited.
#[derive(clap::Args, Debug)]
pub(crate) struct MemberArgs {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    mail: String,
    #[command(flatten)]
    pub(super) sign_in: PersonSignIn,
}

/// Another role of a member.
#[derive(clap::Args, Debug)]
pub(crate) struct RoleArgs {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    mail: String,
    /// owner, admin, member, viewer, or the name of a role of the organisation
    #[arg(value_name = "ROLE")]
    role: String,
    #[command(flatten)]
    pub(super) sign_in: PersonSignIn,
}

pub(super) async fn list_members(
    context: &CommandContext,
    client: &ApiClient,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let all = client.list_members(org).await?;
    if context.is_json() {
        return Ok(context.print_json(&all)?);
    }
    let lines = all.iter().map(|member| {
        let line = format!(
            "{}  {}  {}",
            clean_line(address_of(member)),
            clean_line(&member.role_name),
            clean_line(&member.user.full_name)
        );
        fit_columns(&line, context.stdout_page().width).into_owned()
    });
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

pub(super) async fn list_roles(context: &CommandContext, client: &ApiClient) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let all = client.list_roles(org).await?;
    if context.is_json() {
        return Ok(context.print_json(&all)?);
    }
    let lines = all.iter().map(|role| {
        let line = format!(
            "{}  {}",
            clean_line(&role.name),
            clean_line(&role.permissions.join(", "))
        );
        fit_columns(&line, context.stdout_page().width).into_owned()
    });
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

pub(super) async fn invite_address(
    context: &CommandContext,
    client: &ApiClient,
    arguments: InviteArgs,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let body = InviteMember {
        role_id: role_called(client, org, &arguments.role).await?,
        email: arguments.mail,
    };
    let made = client.invite_member(org, &body).await?;
    if context.is_json() {
        return Ok(context.print_json(&made)?);
    }
    print_done(&format!(
        "{} is invited, as {}, until {}",
        made.email, arguments.role, made.expires_at
    ));
    Ok(())
}

pub(super) async fn list_invitations(
    context: &CommandContext,
    client: &ApiClient,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let open = client.list_invitations(org).await?;
    if context.is_json() {
        return Ok(context.print_json(&open)?);
    }
    let roles = client.list_roles(org).await?;
    let lines = open.iter().map(|invitation| {
        let role = roles.iter().find(|role| role.id == invitation.role_id);
        let role = role.map_or_else(String::new, |role| clean_line(&role.name));
        format!(
            "{}  {role}  until {}",
            clean_line(&invitation.email),
            invitation.expires_at
        )
    });
    context.print_lines(&lines.collect::<Vec<_>>())?;
    if open.is_empty() {
        print_done("Nobody is invited: omoi org invite MAIL");
    }
    Ok(())
}

pub(super) async fn withdraw_invitation(
    context: &CommandContext,
    client: &ApiClient,
    arguments: MemberArgs,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let mail = arguments.mail;
    let open = client.list_invitations(org).await?;
    let found = open
        .iter()
        .find(|one| one.email.eq_ignore_ascii_case(&mail));
    let Some(found) = found else {
        let none = UsageError(format!("{mail} is not invited"));
        let hint = ErrorHint("who is: omoi org invitations".to_owned());
        return Err(anyhow::Error::new(none).context(hint));
    };
    client.revoke_invitation(org, found.id).await?;
    if context.is_json() {
        return Ok(context.print_json(found)?);
    }
    print_done(&format!("The invitation of {mail} is good no more"));
    Ok(())
}

pub(super) async fn change_role(
    context: &CommandContext,
    client: &ApiClient,
    arguments: RoleArgs,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let member = member_called(client, org, &arguments.mail).await?;
    let role = role_called(client, org, &arguments.role).await?;
    let changed = client.change_member_role(&member, role).await?;
    if context.is_json() {
        return Ok(context.print_json(&changed)?);
    }
    print_done(&format!("{} is {}", arguments.mail, changed.role_name));
    Ok(())
}

pub(super) async fn remove(
    context: &CommandContext,
    client: &ApiClient,
    arguments: MemberArgs,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let member = member_called(client, org, &arguments.mail).await?;
    client.remove_member(org, member.id).await?;
    if context.is_json() {
        return Ok(context.print_json(&member)?);
    }
    print_done(&format!("{} is no member any more", arguments.mail));
    Ok(())
}

/// The mail address of a member; the person of a laptop has none, and is called by name.
fn address_of(member: &MemberView) -> &str {
    let user = &member.user;
    user.email.as_deref().unwrap_or(&user.full_name)
}

async fn member_called(client: &ApiClient, org: OrgId, mail: &str) -> anyhow::Result<MemberView> {
    let all = client.list_members(org).await?.into_iter();
    let mut found = all.filter(|member| address_of(member).eq_ignore_ascii_case(mail));
    found.next().ok_or_else(|| {
        let hint = ErrorHint("who is one: omoi org members".to_owned());
        anyhow::Error::new(UsageError(format!("{mail} is no member"))).context(hint)
    })
}

/// The role that is called `name` in an organisation.
///
/// # Errors
/// When there is none; the roles that there are are named.
pub(in crate::cli) async fn role_called(
    client: &ApiClient,
    org: OrgId,
    name: &str,
) -> anyhow::Result<RoleId> {
    let all: Vec<RoleView> = client.list_roles(org).await?;
    let key = name.to_lowercase();
    let found = all.iter().find(|role| role.name.to_lowercase() == key);
    found.map(|role| role.id).ok_or_else(|| {
        let names = all.iter().map(|role| clean_line(&role.name));
        let names = names.collect::<Vec<_>>().join(", ");
        let hint = ErrorHint(format!("the roles are {names}"));
        anyhow::Error::new(UsageError(format!("there is no role `{name}`"))).context(hint)
    })
}
