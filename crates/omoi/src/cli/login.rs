//! `omoi login`, `logout`, `whoami`: this person on a server.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use omoi_domain::access::device_login::MACHINE_CHARS_MAX;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::ApiKeyId;
use omoi_protocol::api::{
    AccountView, CreateApiKey, DeviceLoginRequest, DeviceToken, SignInRequest,
};
use omoi_runtime::clock::{Clock as _, SystemClock};

use super::CommandContext;
use super::command_context::ConfigOverrides;
use super::error_report::UsageError;
use super::owner_access::{AccessPurpose, reach_owner};
use super::server_choice::parse_address;
use super::terminal::{print_done, read_secret_line, read_typed_line};
use crate::ErrorHint;
use crate::api_client::{ApiClient, ClientEndpoint, ClientError};
use crate::server_profiles::{ServerAddress, ServerProfile, ServerProfiles, check_name};
use crate::view::text_layout::clean_line;

/// Days that the key of a machine is good for.
const KEY_DAYS: u32 = 180;

const LOGIN_EXAMPLES: &str = "\
Examples:
  omoi login https://omoi.example.org
  omoi login https://omoi.example.org --email ada@example.org
  omoi login https://omoi.example.org --token - < key.txt
  omoi login http://127.0.0.1:8000 --name staging";
const LOGOUT_EXAMPLES: &str = "\
Examples:
  omoi logout
  omoi logout staging";
pub(super) const WHOAMI_EXAMPLES: &str = "\
Examples:
  omoi whoami
  omoi whoami --profile local --json";

/// Which server, and by what.
#[derive(Args, Debug)]
#[command(after_help = LOGIN_EXAMPLES)]
pub(crate) struct LoginArgs {
    /// Address of the server: https://…, or http on this machine
    #[arg(value_name = "URL")]
    url: String,
    /// Sign in by mail address and password in place of a browser
    #[arg(long, conflicts_with = "token")]
    password: bool,
    /// Mail address of your account, for --password
    #[arg(long, value_name = "MAIL", conflicts_with = "token")]
    email: Option<String>,
    /// Read a key of the server from standard input in place of a password: `--token -`
    #[arg(long, value_name = "-", value_parser = ["-"])]
    token: Option<String>,
    /// Name of the profile; the server's host without it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Which profile to leave.
#[derive(Args, Debug)]
#[command(after_help = LOGOUT_EXAMPLES)]
pub(crate) struct LogoutArgs {
    /// Name of the profile; the one in use without it
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Forget the key also where its server does not answer, and the key stays good there
    #[arg(long)]
    force: bool,
}

/// A key, and whose it is.
struct LoginKey {
    key: SecretString,
    account: AccountView,
    key_id: Option<ApiKeyId>,
}

/// Signs in to a server, and asks it from now on.
pub(super) async fn sign_in(
    context: &CommandContext,
    arguments: LoginArgs,
) -> anyhow::Result<ExitCode> {
    let folder = context.profiles_folder()?;
    let url = parse_address(&arguments.url)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => url.profile_name(),
    };
    check_name(&name)?;
    let earlier = earlier_key(&folder, &name, &url)?;
    let version = client_of(&url, None)?
        .server_version()
        .await
        .map_err(|error| with_address(error, &url))?;
    let by_password = arguments.password || arguments.email.is_some();
    let stored = match arguments.token {
        Some(_) => key_from_input(&url).await?,
        None if by_password => key_by_password(&url, arguments.email).await?,
        None => key_by_browser(&url).await?,
    };
    let who = name_of(&stored.account);
    let profile = ServerProfile {
        url: url.clone(),
        account: who.clone(),
        key_id: stored.key_id,
        organization: None,
    };
    ServerProfiles::store_profile(&folder, &name, profile, &stored.key)?;
    if let Some((id, key)) = earlier {
        // It may have ended long ago; what is of use from now on is stored.
        let _ = client_of(&url, Some(key))?.revoke_api_key(id).await;
    }
    if context.is_json() {
        let told = json!({ "profile": name, "url": url, "account": who, "version": version });
        context.print_json(&told)?;
    } else {
        let organisations = stored.account.organizations.len();
        let says = format!("{who} is signed in to {url} ({organisations} organisations)");
        print_done(&says);
        print_done(&format!(
            "Commands ask this server from now on; back to this machine: omoi profile use local, {}",
            "sign out: omoi logout"
        ));
        if organisations > 1 {
            print_done("Choose the organisation that commands act in: omoi org use NAME");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The key that this program made before under that name, which a new sign-in takes the place of.
fn earlier_key(
    folder: &Path,
    name: &str,
    url: &ServerAddress,
) -> anyhow::Result<Option<(ApiKeyId, SecretString)>> {
    let all = ServerProfiles::load_from(folder)?;
    let Ok(profile) = all.find_profile(name) else {
        return Ok(None);
    };
    if profile.url != *url {
        let other = &profile.url;
        let taken = UsageError(format!("the profile `{name}` is of {other}"));
        let hint =
            "give this one another name: --name NAME, or sign out there first: omoi logout NAME";
        return Err(anyhow::Error::new(taken).context(ErrorHint(hint.to_owned())));
    }
    Ok(profile.key_id.zip(all.read_key(name).ok()))
}

/// A client of the server at `url`.
fn client_of(url: &ServerAddress, key: Option<SecretString>) -> Result<ApiClient, ClientError> {
    ApiClient::new(&ClientEndpoint::Server(url.clone()), key)
}

/// A key that a person made elsewhere.
async fn key_from_input(url: &ServerAddress) -> anyhow::Result<LoginKey> {
    let key = read_secret_line("Key: ").await?;
    if key.expose_secret().is_empty() {
        return Err(UsageError("standard input holds no key".to_owned()).into());
    }
    let account = client_of(url, Some(key.clone()))?.get_account().await;
    Ok(LoginKey {
        key,
        account: account.map_err(|error| with_address(error, url))?,
        key_id: None,
    })
}

/// Waits until somebody lets this machine in on a page of the server.
async fn key_by_browser(url: &ServerAddress) -> anyhow::Result<LoginKey> {
    let client = client_of(url, None)?;
    let machine = DeviceLoginRequest {
        machine: machine_name(),
    };
    let begun = client.begin_device_login(&machine).await;
    let begun = begun.map_err(|error| with_address(error, url))?;
    eprintln!("Open {}", clean_line(&begun.verification_url));
    eprintln!(
        "and say yes where it shows the code {}",
        clean_line(&begun.user_code)
    );
    let token = DeviceToken {
        device_code: begun.device_code,
    };
    let pause = Duration::from_secs(begun.interval.clamp(1, 60));
    let issued = loop {
        match client.ask_device_login(&token).await {
            Ok(Some(issued)) => break issued,
            Ok(None) => SystemClock.sleep(pause).await,
            Err(error) if error.has_code(ErrorCode::InvalidToken) => {
                let hint = "begin again: omoi login URL".to_owned();
                let refused = anyhow!("nobody let this machine in");
                return Err(refused.context(ErrorHint(hint)));
            }
            Err(error) if error.has_code(ErrorCode::RateLimited) => {
                SystemClock.sleep(pause).await;
            }
            Err(error) => return Err(with_address(error, url)),
        }
    };
    let key = SecretString::from(issued.key);
    let account = client_of(url, Some(key.clone()))?.get_account().await;
    Ok(LoginKey {
        key,
        account: account.map_err(|error| with_address(error, url))?,
        key_id: Some(issued.api_key.id),
    })
}

/// What this machine is called.
fn machine_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match clean_line(host.trim()) {
        name if name.is_empty() => "a machine without a name".to_owned(),
        name => name.chars().take(MACHINE_CHARS_MAX).collect(),
    }
}

/// Makes a key of this machine; the sign-in that made it ends again.
async fn key_by_password(url: &ServerAddress, email: Option<String>) -> anyhow::Result<LoginKey> {
    let email = match email {
        Some(email) => email,
        None if io::stdin().is_terminal() => {
            eprint!("Mail address: ");
            read_typed_line().await?.trim().to_owned()
        }
        None => {
            let hint = "name your account with --email MAIL, or give a key: --token -";
            let missing = UsageError("nobody is there to type a mail address".to_owned());
            return Err(anyhow::Error::new(missing).context(ErrorHint(hint.to_owned())));
        }
    };
    let password = read_secret_line("Password: ").await?;
    let request = SignInRequest {
        email,
        password: password.expose_secret().to_owned(),
    };
    let signed_in = client_of(url, None)?.sign_in(&request).await;
    let pair = signed_in.map_err(|error| with_address(error, url))?;
    let client = client_of(url, Some(pair.access_token.into()))?;
    let made = make_key(&client).await;
    // A key, if it was made, stays; the session is of no more use either way, and ends by itself where this fails.
    let _ = client.sign_out().await;
    made
}

async fn make_key(client: &ApiClient) -> anyhow::Result<LoginKey> {
    let account = client.get_account().await?;
    // All that this person may do today; a key never reaches further than its owner does when it is used.
    let permissions = account
        .organizations
        .iter()
        .flat_map(|access| &access.permissions);
    let scopes: BTreeSet<_> = permissions.map(|permission| permission.as_str()).collect();
    let scopes = scopes
        .into_iter()
        .map(str::parse)
        .collect::<Result<Vec<_>, _>>()?;
    let new = CreateApiKey {
        name: format!("command line of {}", machine_name()),
        scopes,
        expires_in_days: Some(KEY_DAYS),
        organization_id: None,
    };
    let made = client.create_api_key(&new).await?;
    Ok(LoginKey {
        key: made.key.into(),
        account,
        key_id: Some(made.api_key.id),
    })
}

/// Revokes the key of a profile at its server, and forgets both.
pub(super) async fn sign_out(
    context: &CommandContext,
    arguments: LogoutArgs,
) -> anyhow::Result<ExitCode> {
    let folder = context.profiles_folder()?;
    let all = ServerProfiles::load_from(&folder)?;
    let name = match arguments.name.as_deref().or_else(|| context.profile_flag()) {
        Some(name) => name.to_owned(),
        None => match all.current_name() {
            Some(name) => name.to_owned(),
            None => {
                let hint = ErrorHint("name one of them: omoi profile list".to_owned());
                let nobody = UsageError("no profile is in use".to_owned());
                return Err(anyhow::Error::new(nobody).context(hint));
            }
        },
    };
    let profile = all.find_profile(&name)?;
    let is_revoked = match (profile.key_id, all.read_key(&name)) {
        (Some(id), Ok(key)) => match client_of(&profile.url, Some(key))?.revoke_api_key(id).await {
            Ok(()) => true,
            // It opens nothing any more.
            Err(error) if error.has_code(ErrorCode::Unauthenticated) => true,
            Err(ClientError::Unreachable(source)) if !arguments.force => {
                let hint = format!(
                    "try again later, or forget the key all the same: omoi logout {name} --force"
                );
                let error = anyhow::Error::new(source);
                return Err(error
                    .context(format!(
                        "{} does not answer, so the key stays good",
                        profile.url
                    ))
                    .context(ErrorHint(hint)));
            }
            Err(_) => false,
        },
        _ => false,
    };
    ServerProfiles::remove_profile(&folder, &name)?;
    if context.is_json() {
        let told = json!({ "profile": name, "url": profile.url, "revoked": is_revoked });
        context.print_json(&told)?;
        return Ok(ExitCode::SUCCESS);
    }
    print_done(&format!("Signed out of {}", profile.url));
    if !is_revoked {
        print_done(
            "Its key is still good there: revoke it in your account, or let it be until it ends",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows who a command acts as, and where.
pub(super) async fn print_account(context: &CommandContext) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::Ask).await?;
    let account = access.client.get_account().await;
    let place = access.place_text();
    access.close(futures::stream::pending()).await?;
    let account = account?;
    if context.is_json() {
        context.print_json(&json!({ "place": place, "account": account }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = vec![format!("{}  at {place}", clean_line(&name_of(&account)))];
    for access in &account.organizations {
        let n_permissions = access.permissions.len();
        lines.push(format!(
            "  {}  {n_permissions} permissions",
            access.organization_id
        ));
    }
    context.print_lines(&lines)?;
    Ok(ExitCode::SUCCESS)
}

/// What people call an account: its mail address, and the name of the one that has none.
fn name_of(account: &AccountView) -> String {
    account
        .email
        .clone()
        .unwrap_or_else(|| account.full_name.clone())
}

/// An error of a server that was not signed in to yet, with its address.
fn with_address(error: ClientError, url: &ServerAddress) -> anyhow::Error {
    match error {
        ClientError::Unreachable(source) => {
            let hint = "check the address, and that the server runs".to_owned();
            anyhow::Error::new(source)
                .context(format!("no answer from {url}"))
                .context(ErrorHint(hint))
        }
        refused => anyhow::Error::new(refused),
    }
}
