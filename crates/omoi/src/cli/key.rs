//! `omoi key`: keys of a person, of an organisation and of an agent.

use std::process::ExitCode;

use serde_json::json;

use omoi_domain::access::api_key::ApiKeyKind;
use omoi_domain::access::pattern::PermissionPattern;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{ApiKeyId, OrgId};
use omoi_protocol::api::{
    ApiKeyView, ApiTime, CreateApiKey, CreateOrganizationKey, OrganizationKeyView,
};

use super::command_context::CommandContext;
use super::error_report::UsageError;
use super::org::{organization_here, role_called};
use super::owner_access::OwnerAccess;
use super::owner_question::ask_owner;
use super::person_sign_in::PersonSignIn;
use super::project::project_called;
use super::terminal::print_done;
use crate::ErrorHint;
use crate::api_client::{ApiClient, ClientError};
use crate::view::text_layout::{clean_line, fit_columns};

const CREATE_EXAMPLES: &str = "\
Examples:
  omoi key create laptop --scope \"task:*\" --days 90 --password
  omoi key create ci --role member --scope spec:read --scope \"task:*\" --password
  omoi key create helper --agent-of todo --days 30 --password

Without --role and --agent-of the key is your own; with --org it is good in that organisation alone.
The key is printed once, on standard output.";

/// What to do with keys.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum KeyCommand {
    /// Make a key: your own, the organisation's, or an agent's
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateKeyArgs),
    /// List your keys and those of the organisation
    #[command(
        after_help = "Examples:\n  omoi key list --password\n  omoi key list --password --json"
    )]
    List(ListKeysArgs),
    /// Revoke a key: it opens nothing any more, everywhere within 5 seconds
    #[command(
        after_help = "Examples:\n  omoi key revoke 01930000-0000-7000-8000-000000000004 --password"
    )]
    Revoke(RevokeKeyArgs),
}

/// A key to make.
#[derive(clap::Args, Debug)]
pub(crate) struct CreateKeyArgs {
    /// What people call it
    #[arg(value_name = "NAME")]
    name: String,
    /// A permission that it has, such as spec:read or "task:*"; may be repeated; without any it reads
    #[arg(long = "scope", value_name = "PERMISSION")]
    scopes: Vec<PermissionPattern>,
    /// Days until it ends; without it, it stays until it is revoked, and an agent's for 90 days
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Make it the organisation's, with this role: it stays when you leave
    #[arg(long, value_name = "ROLE", conflicts_with = "agent_of")]
    role: Option<String>,
    /// Make it an agent's at this project
    #[arg(long, value_name = "PROJECT")]
    agent_of: Option<String>,
    #[command(flatten)]
    sign_in: PersonSignIn,
}

/// Whose keys.
#[derive(clap::Args, Debug)]
pub(crate) struct ListKeysArgs {
    #[command(flatten)]
    sign_in: PersonSignIn,
}

/// Which key ends.
#[derive(clap::Args, Debug)]
pub(crate) struct RevokeKeyArgs {
    /// Its id, as `omoi key list` shows it
    #[arg(value_name = "ID")]
    id: ApiKeyId,
    #[command(flatten)]
    sign_in: PersonSignIn,
}

/// Runs one `omoi key` command.
pub(super) async fn run_key_command(
    context: &CommandContext,
    command: KeyCommand,
) -> anyhow::Result<ExitCode> {
    let answered = ask_owner(context, async |access| match command {
        KeyCommand::Create(arguments) => create_key(context, access, arguments).await,
        KeyCommand::List(arguments) => list_keys(context, &access.client, arguments).await,
        KeyCommand::Revoke(arguments) => revoke_key(context, &access.client, arguments).await,
    });
    answered.await?;
    Ok(ExitCode::SUCCESS)
}

async fn create_key(
    context: &CommandContext,
    access: &OwnerAccess,
    arguments: CreateKeyArgs,
) -> anyhow::Result<()> {
    let client = &access.client;
    if arguments.role.is_some() || arguments.agent_of.is_some() {
        return create_organization_key(context, client, arguments).await;
    }
    let body = CreateApiKey {
        name: arguments.name,
        scopes: arguments.scopes,
        expires_in_days: arguments.days,
        // Where commands act by habit, a key of one's own need not end.
        organization_id: context.org_flag().and(client.acts_in()),
    };
    let create = async |person: &ApiClient| Ok(person.create_api_key(&body).await?);
    let made = arguments.sign_in.act_as_person(client, create).await?;
    match context.is_json() {
        true => Ok(context.print_json(&made)?),
        false => print_key(context, &made.key, &personal_line(&made.api_key)),
    }
}

async fn create_organization_key(
    context: &CommandContext,
    client: &ApiClient,
    arguments: CreateKeyArgs,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let role_id = match &arguments.role {
        Some(role) => Some(role_called(client, org, role).await?),
        None => None,
    };
    let project_id = match &arguments.agent_of {
        Some(name) => Some(project_called(client, name).await?.id),
        None => None,
    };
    let body = CreateOrganizationKey {
        name: arguments.name,
        role_id,
        project_id,
        scopes: arguments.scopes,
        expires_in_days: arguments.days,
    };
    let create = async |person: &ApiClient| Ok(person.create_organization_key(org, &body).await?);
    let made = arguments.sign_in.act_as_person(client, create).await?;
    match context.is_json() {
        true => Ok(context.print_json(&made)?),
        false => print_key(context, &made.key, &organization_line(&made.api_key)),
    }
}

/// Prints a key alone on standard output, so that it can be kept without being shown.
fn print_key(context: &CommandContext, key: &str, about: &str) -> anyhow::Result<()> {
    context.print_lines(&[key.to_owned()])?;
    print_done(about);
    print_done("It is told this once: keep it as you keep a password");
    Ok(())
}

/// The keys that a caller may list, of each kind that they may.
struct ListedKeys {
    personal: Option<Vec<ApiKeyView>>,
    organization: Option<(OrgId, Vec<OrganizationKeyView>)>,
}

impl ListedKeys {
    /// # Errors
    /// Where the caller may list none, as of their own.
    async fn load(client: &ApiClient) -> Result<Self, ClientError> {
        let (personal, refused) = match client.list_own_keys().await {
            Ok(keys) => (Some(keys), None),
            Err(error) if is_not_for_caller(&error) => (None, Some(error)),
            Err(error) => return Err(error),
        };
        let organization = match client.acts_in() {
            Some(org) => Some(org),
            None => match client.list_organizations().await?.as_slice() {
                [only] => Some(only.id),
                _ => None,
            },
        };
        let organization = match organization {
            None => None,
            Some(org) => match client.list_organization_keys(org).await {
                Ok(keys) => Some((org, keys)),
                Err(error) if is_not_for_caller(&error) => None,
                Err(error) => return Err(error),
            },
        };
        match (refused, &organization) {
            (Some(refused), None) => Err(refused),
            _ => Ok(Self {
                personal,
                organization,
            }),
        }
    }
}

fn is_not_for_caller(error: &ClientError) -> bool {
    error.has_code(ErrorCode::InsufficientScope) || error.has_code(ErrorCode::Forbidden)
}

async fn list_keys(
    context: &CommandContext,
    client: &ApiClient,
    arguments: ListKeysArgs,
) -> anyhow::Result<()> {
    let load = async |person: &ApiClient| Ok(ListedKeys::load(person).await?);
    let listed = arguments.sign_in.act_as_person(client, load);
    let ListedKeys {
        personal,
        organization,
    } = listed.await?;
    let organization = organization.map(|(_, keys)| keys);
    if context.is_json() {
        let told = json!({ "personal": personal, "organization": organization });
        return Ok(context.print_json(&told)?);
    }
    let width = context.stdout_page().width;
    let of_person = personal.iter().flatten().map(personal_line);
    let of_organization = organization.iter().flatten().map(organization_line);
    let lines = of_person.chain(of_organization);
    let lines: Vec<_> = lines
        .map(|line| fit_columns(&line, width).into_owned())
        .collect();
    context.print_lines(&lines)?;
    if lines.is_empty() {
        print_done("There is no key: omoi key create NAME");
    }
    if personal.is_none() {
        print_done("Your own keys are listed to who signs in: add --password");
    }
    Ok(())
}

async fn revoke_key(
    context: &CommandContext,
    client: &ApiClient,
    arguments: RevokeKeyArgs,
) -> anyhow::Result<()> {
    let RevokeKeyArgs { id, sign_in } = arguments;
    let revoke = async |person: &ApiClient| {
        let listed = ListedKeys::load(person).await?;
        let is_own = listed.personal.iter().flatten().any(|key| key.id == id);
        let of_organization = listed
            .organization
            .filter(|(_, keys)| keys.iter().any(|key| key.id == id));
        match (is_own, of_organization) {
            (true, _) => person.revoke_api_key(id).await?,
            (false, Some((org, _))) => person.revoke_organization_key(org, id).await?,
            (false, None) => return Ok(false),
        }
        Ok(true)
    };
    if !sign_in.act_as_person(client, revoke).await? {
        let none = UsageError(format!("there is no key {id} that you may revoke"));
        let hint = "which there are: omoi key list; your own: add --password";
        return Err(anyhow::Error::new(none).context(ErrorHint(hint.to_owned())));
    }
    if context.is_json() {
        return Ok(context.print_json(&json!({ "id": id, "revoked": true }))?);
    }
    print_done(&format!("Revoked the key {id}"));
    Ok(())
}

fn personal_line(key: &ApiKeyView) -> String {
    let only = key.organization_id.map(|org| format!("  in {org} alone"));
    let times = times_text(key.last_used_at, key.expires_at);
    format!(
        "{}  {}…  {}  {}{}  {times}",
        key.id,
        clean_line(&key.key_prefix),
        ApiKeyKind::Person,
        clean_line(&key.name),
        only.unwrap_or_default()
    )
}

fn organization_line(key: &OrganizationKeyView) -> String {
    let times = times_text(key.last_used_at, key.expires_at);
    format!(
        "{}  {}…  {}  {}  {times}",
        key.id,
        clean_line(&key.key_prefix),
        key.kind,
        clean_line(&key.name)
    )
}

fn times_text(used: Option<ApiTime>, ends: Option<ApiTime>) -> String {
    let used = used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
    match ends {
        Some(at) => format!("{used}, until {at}"),
        None => used,
    }
}
