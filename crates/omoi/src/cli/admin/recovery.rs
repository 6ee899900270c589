//! Ways back for whoever cannot get into their account.

use clap::{Args, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::json;

use omoi_accounts::commands::operator::{make_operator_token, set_user_password};
use omoi_accounts::context::AccountContext;
use omoi_accounts::mail_links::MailLinks;
use omoi_domain::access::mail_address::MailAddress;
use omoi_domain::access::token_purpose::TokenPurpose;

use super::{user_of, with_remedy};
use crate::ErrorHint;
use crate::cli::CommandContext;
use crate::cli::error_report::UsageError;
use crate::cli::terminal::{print_done, read_new_password};

/// Whose token, and what for.
#[derive(Args, Debug)]
pub(crate) struct LinkArgs {
    /// Their mail address
    #[arg(value_name = "MAIL")]
    mail: MailAddress,
    /// What it does
    #[arg(long = "for", value_name = "PURPOSE")]
    purpose: LinkPurpose,
}

/// What the token of a mail does.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LinkPurpose {
    /// Sets a new password
    Reset,
    /// Opens an account that too many tries locked
    Unlock,
    /// Shows that the address is theirs
    Verify,
}

impl LinkPurpose {
    const fn token_purpose(self) -> TokenPurpose {
        match self {
            Self::Reset => TokenPurpose::Reset,
            Self::Unlock => TokenPurpose::Unlock,
            Self::Verify => TokenPurpose::Verify,
        }
    }
}

pub(super) async fn print_token(
    context: &CommandContext,
    accounts: &AccountContext,
    links: Option<&MailLinks>,
    arguments: LinkArgs,
) -> anyhow::Result<()> {
    let LinkArgs { mail, purpose } = arguments;
    let user = user_of(&accounts.store, &mail).await?;
    if !user.is_active {
        let hint = ErrorHint(format!("let them in first: omoi admin enable-user {mail}"));
        let disabled = UsageError(format!("{mail} may not sign in"));
        return Err(anyhow::Error::new(disabled).context(hint));
    }
    let purpose = purpose.token_purpose();
    let made = make_operator_token(accounts, user.id, purpose).await?;
    let token = made.token.expose_secret();
    let link = links.and_then(|links| links.purpose_link(purpose, &made.token));
    if context.is_json() {
        let told = json!({
            "token": token, "link": link, "purpose": purpose, "expires_at": made.expires_at.to_string(),
        });
        return Ok(context.print_json(&told)?);
    }
    context.print_lines(&[link.unwrap_or_else(|| token.to_owned())])?;
    print_done(&format!(
        "Good once, until {} UTC; earlier ones are void. Hand it to {mail} alone",
        made.expires_at.date_and_time()
    ));
    Ok(())
}

pub(super) async fn set_password(
    accounts: &AccountContext,
    mail: &MailAddress,
) -> anyhow::Result<()> {
    user_of(&accounts.store, mail).await?;
    let password = read_new_password().await?;
    let set = set_user_password(accounts, mail, password).await;
    set.map_err(with_remedy)?;
    print_done(&format!(
        "{mail} has a new password, and every session of theirs has ended"
    ));
    Ok(())
}
