//! `omoi org`: the organisations that people work in, and who belongs to them.

mod choice;
mod members;
mod provider_keys;

use std::process::ExitCode;

use omoi_protocol::api::{CreateOrganization, OrganizationView};

use self::choice::{choose_first, choose_organization};
use self::provider_keys::{ProviderKeyCommand, run_provider_key_command};
use super::command_context::CommandContext;
use super::error_report::UsageError;
use super::owner_access::{OrganizationChoice, OwnerAccess, organization_called};
use super::owner_question::ask_owner;
use super::person_sign_in::PersonSignIn;
use super::terminal::print_done;
use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::view::text_layout::{OutputPage, clean_line, count_noun, wrap_text};

pub(super) use self::choice::organization_here;
pub(super) use self::members::role_called;

/// What to do with organisations.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum OrgCommand {
    /// List the organisations that you belong to; commands act in the one with a star
    #[command(after_help = "Examples:\n  omoi org list\n  omoi org list --json")]
    List,
    /// Show an organisation, and what you may do there
    #[command(after_help = "Examples:\n  omoi org show\n  omoi org show acme")]
    Show(OrgArgs),
    /// Make an organisation, which you own
    #[command(
        after_help = "Examples:\n  omoi org create acme --title \"Acme Works\"\n  omoi org create acme --password"
    )]
    Create(CreateOrgArgs),
    /// Act in another organisation from now on
    #[command(after_help = "Examples:\n  omoi org use acme")]
    Use(NamedOrgArgs),
    /// List the members
    #[command(after_help = "Examples:\n  omoi org members\n  omoi org members --org acme")]
    Members,
    /// List the roles that members can have
    #[command(after_help = "Examples:\n  omoi org roles")]
    Roles,
    /// Send a mail that invites somebody
    #[command(
        after_help = "Examples:\n  omoi org invite bob@example.org\n  omoi org invite vic@example.org --role viewer --password"
    )]
    Invite(members::InviteArgs),
    /// List the invitations that are open
    #[command(after_help = "Examples:\n  omoi org invitations --password")]
    Invitations(members::InvitationsArgs),
    /// Take an invitation back
    #[command(after_help = "Examples:\n  omoi org uninvite bob@example.org --password")]
    Uninvite(members::MemberArgs),
    /// Give a member another role
    #[command(after_help = "Examples:\n  omoi org role bob@example.org admin")]
    Role(members::RoleArgs),
    /// Remove a member; their keys open nothing here from then on
    #[command(after_help = "Examples:\n  omoi org remove bob@example.org")]
    Remove(members::MemberArgs),
    /// Bring keys for providers of models, or take them away
    #[command(subcommand)]
    ProviderKey(ProviderKeyCommand),
    /// Put an organisation away: its keys end, and its members only read
    #[command(after_help = "Examples:\n  omoi org archive acme --password")]
    Archive(ArchiveArgs),
    /// Take back an organisation that was put away in the last 30 days
    #[command(after_help = "Examples:\n  omoi org restore acme --password")]
    Restore(ArchiveArgs),
}

/// Which organisation, if not the one that commands act in.
#[derive(clap::Args, Debug)]
pub(crate) struct OrgArgs {
    /// Its name in addresses, or its id; the one that commands act in without it
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Which organisation.
#[derive(clap::Args, Debug)]
pub(crate) struct NamedOrgArgs {
    /// Its name in addresses, or its id
    #[arg(value_name = "NAME")]
    name: String,
}

/// Which organisation is put away, or taken back.
#[derive(clap::Args, Debug)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    named: NamedOrgArgs,
    #[command(flatten)]
    sign_in: PersonSignIn,
}

/// An organisation to make.
#[derive(clap::Args, Debug)]
pub(crate) struct CreateOrgArgs {
    /// Its name in addresses: small letters, digits and `-`
    #[arg(value_name = "NAME")]
    slug: String,
    /// What people call it; the same as its name without it
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where bills go
    #[arg(long, value_name = "MAIL")]
    billing_email: Option<String>,
    #[command(flatten)]
    sign_in: PersonSignIn,
}

/// Runs one `omoi org` command.
pub(super) async fn run_org_command(
    context: &CommandContext,
    command: OrgCommand,
) -> anyhow::Result<ExitCode> {
    ask_owner(context, async |access| {
        answer_command(context, access, command).await
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn answer_command(
    context: &CommandContext,
    access: &OwnerAccess,
    command: OrgCommand,
) -> anyhow::Result<()> {
    let client = &access.client;
    match command {
        OrgCommand::List => list_organizations(context, access).await,
        OrgCommand::Show(arguments) => show_organization(context, access, arguments).await,
        OrgCommand::Create(arguments) => create_organization(context, access, arguments).await,
        OrgCommand::Use(NamedOrgArgs { name }) => {
            let all = client.list_organizations().await?;
            let id = organization_called(client, &name).await?;
            let found = all.into_iter().find(|organization| organization.id == id);
            choose_organization(context, access, found, &name)
        }
        OrgCommand::Members => members::list_members(context, client).await,
        OrgCommand::Roles => members::list_roles(context, client).await,
        OrgCommand::ProviderKey(command) => {
            run_provider_key_command(context, client, command).await
        }
        OrgCommand::Archive(ArchiveArgs { named, sign_in }) => {
            let archive = async |person: &ApiClient| {
                let id = organization_called(person, &named.name).await?;
                Ok(person.archive_organization(id).await?)
            };
            sign_in.act_as_person(client, archive).await?;
            tell_changed(context, access, &named.name, "is put away").await
        }
        OrgCommand::Restore(ArchiveArgs { named, sign_in }) => {
            let restore = async |person: &ApiClient| {
                let id = organization_called(person, &named.name).await?;
                Ok(person.restore_organization(id).await?)
            };
            sign_in.act_as_person(client, restore).await?;
            tell_changed(context, access, &named.name, "is as before").await
        }
        OrgCommand::Invite(_)
        | OrgCommand::Invitations(_)
        | OrgCommand::Uninvite(_)
        | OrgCommand::Role(_)
        | OrgCommand::Remove(_) => change_members(context, client, command).await,
    }
}

/// What concerns who belongs to an organisation, which a server lets no key do.
async fn change_members(
    context: &CommandContext,
    client: &ApiClient,
    command: OrgCommand,
) -> anyhow::Result<()> {
    let sign_in = match &command {
        OrgCommand::Invite(arguments) => arguments.sign_in,
        OrgCommand::Invitations(arguments) => arguments.sign_in,
        OrgCommand::Role(arguments) => arguments.sign_in,
        OrgCommand::Uninvite(arguments) | OrgCommand::Remove(arguments) => arguments.sign_in,
        _ => return Ok(()),
    };
    let change = async |person: &ApiClient| match command {
        OrgCommand::Invite(arguments) => members::invite_address(context, person, arguments).await,
        OrgCommand::Uninvite(arguments) => {
            members::withdraw_invitation(context, person, arguments).await
        }
        OrgCommand::Role(arguments) => members::change_role(context, person, arguments).await,
        OrgCommand::Remove(arguments) => members::remove(context, person, arguments).await,
        _ => members::list_invitations(context, person).await,
    };
    sign_in.act_as_person(client, change).await
}

async fn list_organizations(context: &CommandContext, access: &OwnerAccess) -> anyhow::Result<()> {
    let all = access.client.list_organizations().await?;
    if context.is_json() {
        return Ok(context.print_json(&all)?);
    }
    let chosen = match (access.client.acts_in(), all.as_slice()) {
        (None, [only]) => Some(only.id),
        (chosen, _) => chosen,
    };
    let lines = all.iter().map(|organization| {
        let mark = match Some(organization.id) == chosen {
            true => "*",
            false => " ",
        };
        let state = organization.archived_at.map_or("", |_| "  archived");
        format!(
            "{mark} {}  {}{state}",
            clean_line(&organization.slug),
            clean_line(&organization.name)
        )
    });
    context.print_lines(&lines.collect::<Vec<_>>())?;
    if all.is_empty() {
        print_done("You belong to no organisation: omoi org create NAME");
    }
    Ok(())
}

async fn show_organization(
    context: &CommandContext,
    access: &OwnerAccess,
    arguments: OrgArgs,
) -> anyhow::Result<()> {
    let client = &access.client;
    let id = match arguments.name {
        Some(name) => organization_called(client, &name).await?,
        None => organization_here(client).await?,
    };
    let shown = client.get_organization(id).await?;
    match context.is_json() {
        true => Ok(context.print_json(&shown)?),
        false => Ok(context.print_lines(&organization_lines(&shown, context.stdout_page()))?),
    }
}

async fn create_organization(
    context: &CommandContext,
    access: &OwnerAccess,
    arguments: CreateOrgArgs,
) -> anyhow::Result<()> {
    if matches!(access.choice, OrganizationChoice::Folder) {
        let says = "whoever owns a data folder belongs to its organisation `local` alone";
        let hint = "sign in to a server: omoi login URL; whoever holds a database makes others in it: \
                    omoi admin add-organisation acme --owner ada@example.org";
        let alone = anyhow::Error::new(UsageError(says.to_owned()));
        return Err(alone.context(ErrorHint(hint.to_owned())));
    }
    let before = access.client.list_organizations().await?;
    let slug = arguments.slug;
    let body = CreateOrganization {
        name: arguments.title.unwrap_or_else(|| slug.clone()),
        slug,
        description: arguments.description,
        billing_email: arguments.billing_email,
    };
    let create = async |person: &ApiClient| Ok(person.create_organization(&body).await?);
    let made = arguments.sign_in.act_as_person(&access.client, create);
    let made = made.await?;
    // Whoever belongs to several says which is meant: the one that was the only one so far stays it.
    let stays = choose_first(context, access, &before, &made)?;
    if context.is_json() {
        return Ok(context.print_json(&made)?);
    }
    print_done(&format!(
        "The organisation {} is made, and yours",
        made.slug
    ));
    if stays {
        print_done(&format!(
            "Act in it from now on: omoi org use {0}; for one command: --org {0}",
            made.slug
        ));
    }
    Ok(())
}

/// Says what became of an organisation, or prints it for scripts.
async fn tell_changed(
    context: &CommandContext,
    access: &OwnerAccess,
    name: &str,
    what: &str,
) -> anyhow::Result<()> {
    let id = organization_called(&access.client, name).await?;
    let shown = access.client.get_organization(id).await?;
    if context.is_json() {
        return Ok(context.print_json(&shown)?);
    }
    print_done(&format!("The organisation {} {what}", shown.slug));
    Ok(())
}

fn organization_lines(shown: &OrganizationView, page: OutputPage) -> Vec<String> {
    let title = format!("{}  {}", clean_line(&shown.slug), clean_line(&shown.name));
    let agents = match shown.max_concurrent_agents {
        Some(n) => format!(
            "at most {} at once",
            count_noun(n.max(0).unsigned_abs(), "task")
        ),
        None => "as many tasks as the deployment allows".to_owned(),
    };
    let permissions = shown.permissions.iter().map(|one| one.as_str());
    let permissions = permissions.collect::<Vec<_>>().join(", ");
    let facts = [
        ("id", shown.id.to_string()),
        (
            "for",
            shown
                .description
                .as_deref()
                .map(clean_line)
                .unwrap_or_default(),
        ),
        (
            "bills",
            shown
                .billing_email
                .as_deref()
                .map(clean_line)
                .unwrap_or_default(),
        ),
        ("at work", agents),
        (
            "archived",
            shown
                .archived_at
                .map(|at| at.to_string())
                .unwrap_or_default(),
        ),
        ("you may", permissions),
    ];
    let mut lines = vec![page.bold(&title)];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        for (index, line) in wrap_text(value, page.width - 12).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("  {name:8}  {line}"));
        }
    }
    lines
}
