//! `omoi open`: a link that signs in a browser of this machine.

use std::process::ExitCode;

use serde_json::json;

use super::CommandContext;
use super::command_context::ConfigOverrides;
use super::error_report::UsageError;
use super::owner_access::find_running;
use super::terminal::print_done;
use crate::ErrorHint;

/// Prints a link to the process that owns the data folder.
pub(super) async fn print_link(context: &CommandContext) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let Some(access) = find_running(context, &settings.config).await? else {
        let nobody =
            UsageError("nothing runs on the data folder that a browser could open".to_owned());
        let hint = ErrorHint("start it, which prints a link, too: omoi up".to_owned());
        return Err(anyhow::Error::new(nobody).context(hint));
    };
    let made = access.client.create_local_link().await;
    access.close(futures::stream::pending()).await?;
    let link = made?;
    if context.is_json() {
        context.print_json(&json!({ "url": link.url, "expires_in": link.expires_in }))?;
        return Ok(ExitCode::SUCCESS);
    }
    context.print_lines(&[link.url])?;
    print_done(&format!(
        "Good once, for {} minutes; earlier links are void",
        link.expires_in / 60
    ));
    Ok(ExitCode::SUCCESS)
}
