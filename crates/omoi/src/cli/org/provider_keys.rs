//! Keys that an organisation brings for providers of models.

use anyhow::Context as _;
use omoi_protocol::api::{ProviderKeyView, SetProviderKey};
use secrecy::ExposeSecret as _;

use super::organization_here;
use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::cli::CommandContext;
use crate::cli::error_report::UsageError;
use crate::cli::person_sign_in::PersonSignIn;
use crate::cli::terminal::{print_done, read_secret_line};
use crate::view::text_layout::clean_line;

const SET_EXAMPLES: &str = "\
Examples:
  omoi org provider-key set anthropic
  omoi org provider-key set openai < key.txt
  omoi org provider-key set anthropic --org acme --password

The key is one line of standard input, never an argument. With --password, that is the line before it.";

/// What to do with the keys that the organisation brought.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ProviderKeyCommand {
    /// Bring a key: the organisation's questions to that provider are asked with it
    #[command(after_help = SET_EXAMPLES)]
    Set(ProviderKeyArgs),
    /// List the keys, by their last four characters
    #[command(
        after_help = "Examples:\n  omoi org provider-key list\n  omoi org provider-key list --json"
    )]
    List(ListProviderKeysArgs),
    /// Take a key away: questions are asked with the deployment's again, everywhere within 5 seconds
    #[command(after_help = "Examples:\n  omoi org provider-key remove anthropic")]
    Remove(ProviderKeyArgs),
}

/// Which provider's key.
#[derive(clap::Args, Debug)]
pub(crate) struct ProviderKeyArgs {
    /// What the deployment calls the provider, such as anthropic
    #[arg(value_name = "PROVIDER")]
    provider: String,
    #[command(flatten)]
    sign_in: PersonSignIn,
}

/// Who asks for the keys.
#[derive(clap::Args, Debug)]
pub(crate) struct ListProviderKeysArgs {
    #[command(flatten)]
    sign_in: PersonSignIn,
}

pub(super) async fn run_provider_key_command(
    context: &CommandContext,
    client: &ApiClient,
    command: ProviderKeyCommand,
) -> anyhow::Result<()> {
    match command {
        ProviderKeyCommand::Set(ProviderKeyArgs { provider, sign_in }) => {
            let set = async |person: &ApiClient| set_key(context, person, &provider).await;
            sign_in.act_as_person(client, set).await
        }
        ProviderKeyCommand::List(ListProviderKeysArgs { sign_in }) => {
            let list = async |person: &ApiClient| list_keys(context, person).await;
            sign_in.act_as_person(client, list).await
        }
        ProviderKeyCommand::Remove(ProviderKeyArgs { provider, sign_in }) => {
            let remove = async |person: &ApiClient| remove_key(context, person, &provider).await;
            sign_in.act_as_person(client, remove).await
        }
    }
}

async fn set_key(
    context: &CommandContext,
    client: &ApiClient,
    provider: &str,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let key = read_secret_line("Key: ").await;
    let key = key.context("could not read the key from standard input")?;
    let key = key.expose_secret().trim().to_owned();
    if key.is_empty() {
        let none = UsageError("there is no key on standard input".to_owned());
        let hint = format!("omoi org provider-key set {provider} < FILE");
        return Err(anyhow::Error::new(none).context(ErrorHint(hint)));
    }
    let body = SetProviderKey { key };
    let set = client.set_provider_key(org, provider, &body).await?;
    if context.is_json() {
        return Ok(context.print_json(&set)?);
    }
    print_done(&format!(
        "Questions to {} are asked with your key …{} from now on",
        clean_line(&set.provider),
        clean_line(&set.last_four)
    ));
    Ok(())
}

async fn list_keys(context: &CommandContext, client: &ApiClient) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    let all = client.list_provider_keys(org).await?;
    if context.is_json() {
        return Ok(context.print_json(&all)?);
    }
    let lines = all.iter().map(key_line);
    context.print_lines(&lines.collect::<Vec<_>>())?;
    if all.is_empty() {
        print_done(
            "The organisation asks with the deployment's keys: omoi org provider-key set PROVIDER",
        );
    }
    Ok(())
}

fn key_line(key: &ProviderKeyView) -> String {
    let (provider, ending) = (clean_line(&key.provider), clean_line(&key.last_four));
    format!("{provider}  …{ending}  since {}", key.set_at)
}

async fn remove_key(
    context: &CommandContext,
    client: &ApiClient,
    provider: &str,
) -> anyhow::Result<()> {
    let org = organization_here(client).await?;
    client.remove_provider_key(org, provider).await?;
    if context.is_json() {
        return Ok(context.print_json(&client.list_provider_keys(org).await?)?);
    }
    print_done(&format!(
        "Questions to {provider} are asked with the deployment's key again"
    ));
    Ok(())
}
