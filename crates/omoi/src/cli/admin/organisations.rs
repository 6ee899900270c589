//! Organisations: which there are, new ones, and how much they may have at work.

use clap::Args;
use serde_json::json;

use omoi_accounts::commands::organisation::{
    OrganisationDraft, create_organisation, set_agents_max,
};
use omoi_accounts::context::AccountContext;
use omoi_accounts::error::AccountError;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::actor::Actor;
use omoi_domain::organisation::{ORGANISATION_AGENTS_MAX, OrganisationSlug};
use omoi_store::organisations::{self, Organisation};
use omoi_store::{Store, StoreError, Tx};

use super::{user_of, with_remedy};
use crate::ErrorHint;
use crate::cli::CommandContext;
use crate::cli::error_report::UsageError;
use crate::cli::terminal::print_done;
use crate::view::text_layout::clean_line;

/// A new organisation.
#[derive(Args, Debug)]
pub(crate) struct AddOrganisationArgs {
    /// Its name in addresses: small letters, digits and `-`
    #[arg(value_name = "SLUG")]
    slug: OrganisationSlug,
    /// What people call it; the slug without it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Mail address of whoever answers for it; they need an account
    #[arg(long, value_name = "MAIL")]
    owner: MailAddress,
    /// Mail address that bills go to
    #[arg(long, value_name = "MAIL")]
    billing_email: Option<MailAddress>,
}

/// A limit of an organisation.
#[derive(Args, Debug)]
pub(crate) struct LimitOrganisationArgs {
    /// Its name in addresses
    #[arg(value_name = "SLUG")]
    slug: OrganisationSlug,
    /// Tasks that may be at work at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=ORGANISATION_AGENTS_MAX))]
    agents: i64,
}

pub(super) async fn list_organisations(
    context: &CommandContext,
    store: &Store,
) -> anyhow::Result<()> {
    let system = store.system();
    let read = system.read(async |tx: &mut Tx| organisations::list_all(tx).await);
    let all: Vec<Organisation> = read.await?;
    if context.is_json() {
        let all = all.iter().map(|one| {
            json!({
                "id": one.id, "slug": one.slug, "name": one.name, "description": one.description,
                "owner_id": one.owner_id, "billing_email": one.billing_email,
                "max_concurrent_agents": one.max_concurrent_agents,
                "created_at": one.created_at.map(|at| at.to_string()),
                "archived_at": one.archived_at.map(|at| at.to_string()),
            })
        });
        return Ok(context.print_json(&all.collect::<Vec<_>>())?);
    }
    let lines = all.iter().map(|one| {
        let agents = match one.max_concurrent_agents {
            Some(n) => format!("at most {n} at work"),
            None => "at work as the deployment allows".to_owned(),
        };
        let state = one.archived_at.map_or("", |_| "  archived");
        format!("{}  {}  {agents}{state}", one.slug, clean_line(&one.name))
    });
    Ok(context.print_lines(&lines.collect::<Vec<_>>())?)
}

pub(super) async fn add(
    accounts: &AccountContext,
    arguments: AddOrganisationArgs,
) -> anyhow::Result<()> {
    let slug = arguments.slug;
    let owner = user_of(&accounts.store, &arguments.owner).await?;
    let draft = OrganisationDraft {
        name: arguments.name.unwrap_or_else(|| slug.to_string()),
        slug: slug.clone(),
        description: arguments.description,
        billing_email: arguments.billing_email,
    };
    let made = create_organisation(accounts, Actor::System, owner.id, draft).await;
    let made = made.map_err(|error| match error {
        AccountError::Store(StoreError::Exists { .. }) => {
            let hint = format!("{slug} is taken: omoi admin organisations");
            anyhow::Error::new(error).context(ErrorHint(hint))
        }
        error => with_remedy(error),
    })?;
    print_done(&format!(
        "Made {}, which {} owns",
        made.slug, arguments.owner
    ));
    Ok(())
}

pub(super) async fn limit_agents(
    accounts: &AccountContext,
    arguments: LimitOrganisationArgs,
) -> anyhow::Result<()> {
    let LimitOrganisationArgs { slug, agents } = arguments;
    let system = accounts.store.system();
    let found = system.read(async |tx: &mut Tx| organisations::find_by_slug(tx, &slug).await);
    let found: Option<Organisation> = found.await?;
    let found = found.ok_or_else(|| {
        let hint = ErrorHint("which there are: omoi admin organisations".to_owned());
        anyhow::Error::new(UsageError(format!("there is no organisation {slug}"))).context(hint)
    })?;
    set_agents_max(accounts, Actor::System, found.id, agents).await?;
    print_done(&format!("{slug} may have {agents} at work at once"));
    Ok(())
}
