//! `omoi admin`: accounts, from the machine that holds the database.

mod audit;
mod members;
mod organisations;
mod recovery;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use omoi_accounts::commands::register::{NewUser, add_user};
use omoi_accounts::commands::sign_out::{set_user_active, sign_out_everywhere};
use omoi_accounts::context::AccountContext;
use omoi_accounts::error::AccountError;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::config::Config;
use omoi_runtime::options::DataOptions;
use omoi_runtime::rng::Rng;
use omoi_store::sessions::SignInSession;
use omoi_store::users::User;
use omoi_store::{Store, StoreError, Tx, sessions, users};

use super::command_context::{CommandContext, ConfigOverrides};
use super::db::{expect_migrated, open_database};
use super::error_report::UsageError;
use super::terminal::{print_done, read_new_password};
use crate::ErrorHint;
use crate::composition;
use crate::data_folder::OpenedFolder;
use crate::view::text_layout::{clean_line, count_noun};

/// What to do with accounts.
#[derive(Subcommand, Debug)]
pub(crate) enum AdminCommand {
    /// List the people who have an account
    #[command(after_help = "Examples:\n  omoi admin users\n  omoi admin users --json")]
    Users,
    /// Make an account whose address needs no mail; the password is read from standard input
    #[command(after_help = "Examples:\n  omoi admin add-user ada@example.org --name \"Ada Byron\"")]
    AddUser(AddUserArgs),
    /// Keep somebody from signing in, and end their sessions
    #[command(after_help = "Examples:\n  omoi admin disable-user ada@example.org")]
    DisableUser(NamedUser),
    /// Let somebody sign in again
    #[command(after_help = "Examples:\n  omoi admin enable-user ada@example.org")]
    EnableUser(NamedUser),
    /// List the sign-ins of somebody, also those that ended
    #[command(after_help = "Examples:\n  omoi admin sessions ada@example.org")]
    Sessions(NamedUser),
    /// List the organisations
    #[command(
        after_help = "Examples:\n  omoi admin organisations\n  omoi admin organisations --json"
    )]
    Organisations,
    /// Make an organisation, with the budget of a month that `costs.organization_month_usd` sets
    #[command(
        after_help = "Examples:\n  omoi admin add-organisation acme --name \"Acme Inc.\" --owner ada@example.org"
    )]
    AddOrganisation(organisations::AddOrganisationArgs),
    /// Set how many agents of an organisation may be at work at once
    #[command(after_help = "Examples:\n  omoi admin limit-organisation acme --agents 20")]
    LimitOrganisation(organisations::LimitOrganisationArgs),
    /// List the members of the organisation
    #[command(after_help = "Examples:\n  omoi admin members")]
    Members,
    /// Make somebody a member of the organisation
    #[command(after_help = "Examples:\n  omoi admin add-member ada@example.org --role owner")]
    AddMember(members::AddMemberArgs),
    /// Invite an address to the organisation, and print the link that a mail would carry, or its token
    #[command(after_help = "Examples:\n  omoi admin invite bob@example.org --role member")]
    Invite(members::AddMemberArgs),
    /// Invite the first owner of a server, or of a laptop's data that becomes a team's, and print the link, good once
    #[command(after_help = "Examples:\n  omoi admin make-owner ada@example.org")]
    MakeOwner(NamedUser),
    /// Remove somebody from the organisation
    #[command(after_help = "Examples:\n  omoi admin remove-member ada@example.org")]
    RemoveMember(NamedUser),
    /// List the keys of the organisation and of its members
    #[command(after_help = "Examples:\n  omoi admin keys")]
    Keys,
    /// Revoke a key, whoever has it
    #[command(
        after_help = "Examples:\n  omoi admin revoke-key 01930000-0000-7000-8000-000000000009"
    )]
    RevokeKey(members::NamedKey),
    /// Set somebody's password, end their sessions and unlock their account; the password is read from standard input
    #[command(after_help = "Examples:\n  omoi admin set-password ada@example.org")]
    SetPassword(NamedUser),
    /// Print the link that a mail to somebody would carry, good once, or its token
    #[command(after_help = "Examples:\n  omoi admin link ada@example.org --for reset")]
    Link(recovery::LinkArgs),
    /// Check and copy the audit logs
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// End every session of somebody
    #[command(after_help = "Examples:\n  omoi admin sign-out ada@example.org")]
    SignOut(NamedUser),
}

/// Whose account.
#[derive(Args, Debug)]
pub(crate) struct NamedUser {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    mail: MailAddress,
}

/// A new account.
#[derive(Args, Debug)]
pub(crate) struct AddUserArgs {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    mail: MailAddress,
    /// What people call them
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// They run the platform: they may enter an organisation, with a reason
    #[arg(long)]
    staff: bool,
}

/// Shows or changes accounts.
pub(crate) async fn run_admin_command(
    context: &CommandContext,
    command: AdminCommand,
) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let store = open_database(&settings.config).await?;
    let done = run_on_store(context, &settings.config, &store, command).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// Lists read rows and nothing else; what changes an account has its keys, too.
async fn run_on_store(
    context: &CommandContext,
    config: &Config,
    store: &Store,
    command: AdminCommand,
) -> anyhow::Result<()> {
    expect_migrated(store).await?;
    let accounts = || open_accounts(config, store);
    match command {
        AdminCommand::Users => list_users(context, store).await,
        AdminCommand::Sessions(named) => list_sessions(context, store, &named.mail).await,
        AdminCommand::Organisations => organisations::list_organisations(context, store).await,
        AdminCommand::AddOrganisation(arguments) => {
            organisations::add(&accounts()?, arguments).await
        }
        AdminCommand::LimitOrganisation(arguments) => {
            organisations::limit_agents(&accounts()?, arguments).await
        }
        AdminCommand::Members => members::list_members(context, store).await,
        AdminCommand::Keys => members::list_keys(context, store).await,
        AdminCommand::AddUser(arguments) => add_account(&accounts()?, arguments).await,
        AdminCommand::DisableUser(named) => set_active(&accounts()?, &named.mail, false).await,
        AdminCommand::EnableUser(named) => set_active(&accounts()?, &named.mail, true).await,
        AdminCommand::AddMember(arguments) => members::add(&accounts()?, arguments).await,
        AdminCommand::Invite(arguments) => {
            let links = composition::mail_links(config);
            members::print_invitation(context, &accounts()?, links.as_ref(), arguments).await
        }
        AdminCommand::MakeOwner(named) => {
            let links = composition::mail_links(config);
            members::make_owner(context, &accounts()?, links.as_ref(), named.mail).await
        }
        AdminCommand::RemoveMember(named) => members::remove(&accounts()?, &named.mail).await,
        AdminCommand::RevokeKey(named) => members::revoke_key(&accounts()?, named).await,
        AdminCommand::SetPassword(named) => recovery::set_password(&accounts()?, &named.mail).await,
        AdminCommand::Link(arguments) => {
            let links = composition::mail_links(config);
            recovery::print_token(context, &accounts()?, links.as_ref(), arguments).await
        }
        AdminCommand::Audit(command) => audit::run_audit_command(context, store, command).await,
        AdminCommand::SignOut(named) => {
            let accounts = accounts()?;
            let user = user_of(store, &named.mail).await?;
            let n_ended = sign_out_everywhere(&accounts, user.id).await?;
            let ended = count_noun(n_ended, "session");
            print_done(&format!("Ended {ended} of {}", named.mail));
            Ok(())
        }
    }
}

fn open_accounts(config: &Config, store: &Store) -> anyhow::Result<AccountContext> {
    let folder = OpenedFolder::open(&DataOptions::from_config(config).folder)?;
    composition::open_accounts(config, &folder, store.clone(), &Rng::from_os()?)
}

async fn list_users(context: &CommandContext, store: &Store) -> anyhow::Result<()> {
    let system = store.system();
    let all: Vec<User> = system
        .read(async |tx: &mut Tx| users::list_all(tx).await)
        .await?;
    if context.is_json() {
        let all = all.iter().map(|user| {
            json!({
                "id": user.id, "name": user.name, "email": user.email, "is_active": user.is_active,
                "is_staff": user.is_staff, "is_verified": user.verified_at.is_some(),
                "created_at": user.created_at.map(|at| at.to_string()),
                "last_sign_in_at": user.last_sign_in_at.map(|at| at.to_string()),
            })
        });
        return Ok(context.print_json(&all.collect::<Vec<_>>())?);
    }
    let lines: Vec<String> = all.iter().map(user_line).collect();
    Ok(context.print_lines(&lines)?)
}

fn user_line(user: &User) -> String {
    let email = user.email.as_deref().unwrap_or("-");
    let mut words = vec![email.to_owned(), clean_line(&user.name)];
    let marks = [
        (user.is_staff, "staff"),
        (
            user.verified_at.is_none() && user.email.is_some(),
            "unverified",
        ),
        (!user.is_active, "disabled"),
    ];
    words.extend(
        marks
            .iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, mark)| (*mark).to_owned()),
    );
    if let Some(at) = user.last_sign_in_at {
        words.push(format!("signed in {}", at.date_and_time()));
    }
    words.join("  ")
}

async fn add_account(accounts: &AccountContext, arguments: AddUserArgs) -> anyhow::Result<()> {
    let password = read_new_password().await?;
    let AddUserArgs { mail, name, staff } = arguments;
    let user = NewUser {
        email: mail.clone(),
        name,
        is_staff: staff,
    };
    let added = add_user(accounts, user, password).await;
    added.map_err(|error| match error {
        AccountError::Store(StoreError::Exists { .. }) => {
            let hint = format!("{mail} has an account: omoi admin users");
            anyhow::Error::new(error).context(ErrorHint(hint))
        }
        error => with_remedy(error),
    })?;
    print_done(&format!("{mail} may sign in"));
    Ok(())
}

/// An error with what the operator does about it.
fn with_remedy(error: AccountError) -> anyhow::Error {
    let hint = match &error {
        AccountError::WeakPassword(faults) => {
            let remedies: Vec<_> = faults.iter().map(|fault| fault.remedy_text()).collect();
            remedies.join("; ")
        }
        AccountError::LastOwner(_) => {
            "make somebody else an owner first: omoi admin add-member MAIL --role owner; \
             whoever knows the password is kept out by omoi admin set-password"
                .to_owned()
        }
        _ => return anyhow::Error::new(error),
    };
    anyhow::Error::new(error).context(ErrorHint(hint))
}

async fn set_active(
    accounts: &AccountContext,
    mail: &MailAddress,
    is_active: bool,
) -> anyhow::Result<()> {
    let user = user_of(&accounts.store, mail).await?;
    let set = set_user_active(accounts, user.id, is_active).await;
    set.map_err(with_remedy)?;
    print_done(&match is_active {
        true => format!("{mail} may sign in"),
        false => format!("{mail} may not sign in any more, and every session of theirs has ended"),
    });
    Ok(())
}

async fn list_sessions(
    context: &CommandContext,
    store: &Store,
    mail: &MailAddress,
) -> anyhow::Result<()> {
    let user = user_of(store, mail).await?;
    let system = store.system();
    let (all, now) = system
        .read(async |tx: &mut Tx| {
            Ok::<_, StoreError>((sessions::list_all(tx, user.id).await?, tx.now()))
        })
        .await?;
    let state = |session: &SignInSession| match session.revoke_reason {
        Some(reason) => reason.as_str(),
        None if session.is_live(now) => "live",
        None => "expired",
    };
    if context.is_json() {
        let all = all.iter().map(|session| {
            json!({
                "id": session.id, "state": state(session), "ip": session.ip, "user_agent": session.user_agent,
                "created_at": session.created_at.to_string(), "last_used_at": session.rotated_at.to_string(),
            })
        });
        return Ok(context.print_json(&all.collect::<Vec<_>>())?);
    }
    let lines = all.iter().map(|session| {
        let (state, at) = (state(session), session.rotated_at.date_and_time());
        format!(
            "{state}  {at}  {}  {}",
            session.ip,
            clean_line(&session.user_agent)
        )
    });
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

async fn user_of(store: &Store, mail: &MailAddress) -> anyhow::Result<User> {
    let system = store.system();
    let found = system
        .read(async |tx: &mut Tx| users::find_by_email(tx, mail).await)
        .await?;
    found.ok_or_else(|| {
        let hint = ErrorHint("who has one: omoi admin users".to_owned());
        anyhow::Error::new(UsageError(format!("{mail} has no account"))).context(hint)
    })
}
