//! Which organisation commands act in.

use omoi_domain::id::OrgId;
use omoi_protocol::api::OrganizationView;

use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::cli::CommandContext;
use crate::cli::error_report::UsageError;
use crate::cli::owner_access::{OrganizationChoice, OwnerAccess};
use crate::cli::terminal::print_done;
use crate::server_profiles::ServerProfiles;

/// The organisation that a command acts in: the one that was chosen, or the only one of the caller.
///
/// # Errors
/// When there is none, or several and none was chosen.
pub(in crate::cli) async fn organization_here(client: &ApiClient) -> anyhow::Result<OrgId> {
    if let Some(chosen) = client.acts_in() {
        return Ok(chosen);
    }
    let (says, hint) = match client.list_organizations().await?.as_slice() {
        [only] => return Ok(only.id),
        [] => (
            "you belong to no organisation",
            "make one: omoi org create NAME",
        ),
        _ => (
            "you belong to several organisations, and none was chosen",
            "choose one: omoi org use NAME; for one command: --org NAME",
        ),
    };
    let none = anyhow::Error::new(UsageError(says.to_owned()));
    Err(none.context(ErrorHint(hint.to_owned())))
}

/// Has commands act in `found` from now on.
///
/// # Errors
/// When the caller does not belong to it, or the environment names the server.
pub(super) fn choose_organization(
    context: &CommandContext,
    access: &OwnerAccess,
    found: Option<OrganizationView>,
    name: &str,
) -> anyhow::Result<()> {
    let Some(found) = found else {
        let none = UsageError(format!("you belong to no organisation `{name}`"));
        let hint = ErrorHint("which there are: omoi org list".to_owned());
        return Err(anyhow::Error::new(none).context(hint));
    };
    match &access.choice {
        OrganizationChoice::Profile(profile) => {
            ServerProfiles::use_organization(&context.profiles_folder()?, profile, found.id)?;
        }
        // There is no other one.
        OrganizationChoice::Folder => {}
        OrganizationChoice::Environment => {
            let says = "the environment names the server, and nothing is kept for it";
            let hint = "name the organisation with each command: --org NAME".to_owned();
            let refused = anyhow::Error::new(UsageError(says.to_owned()));
            return Err(refused.context(ErrorHint(hint)));
        }
    }
    if context.is_json() {
        return Ok(context.print_json(&found)?);
    }
    print_done(&format!("Commands act in `{}` from now on", found.slug));
    Ok(())
}

/// Keeps where commands act after the caller made an organisation, where nothing was chosen before; says whether they
/// act elsewhere than in the new one.
pub(super) fn choose_first(
    context: &CommandContext,
    access: &OwnerAccess,
    before: &[OrganizationView],
    made: &OrganizationView,
) -> anyhow::Result<bool> {
    if access.client.acts_in().is_some() {
        return Ok(true);
    }
    let (first, stays) = match before {
        [] => (made.id, false),
        [only] => (only.id, true),
        _ => return Ok(true),
    };
    if let OrganizationChoice::Profile(profile) = &access.choice {
        ServerProfiles::use_organization(&context.profiles_folder()?, profile, first)?;
    }
    Ok(stays)
}
