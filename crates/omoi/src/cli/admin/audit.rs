//! `omoi admin audit`: whether the audit logs are whole, and copies of them.

use clap::{Args, Subcommand};
use serde_json::json;

use omoi_accounts::audit::{record_export, verify_chain};
use omoi_domain::audit::ChainFault;
use omoi_domain::id::OrgId;
use omoi_server::api::audit_entry_view;
use omoi_store::audit_log::{self, AuditEntry};
use omoi_store::{Store, Tx};

use crate::ErrorHint;
use crate::cli::CommandContext;
use crate::view::text_layout::count_noun;

/// What to do with audit logs.
#[derive(Subcommand, Debug)]
pub(crate) enum AuditCommand {
    /// Look whether a row of the audit logs was changed or is missing
    #[command(after_help = "Examples:\n  omoi admin audit verify")]
    Verify,
    /// Print an audit log as lines of JSON, oldest first
    #[command(after_help = "Examples:\n  omoi admin audit export > audit.jsonl")]
    Export(ExportedAudit),
}

/// Which log.
#[derive(Args, Debug)]
pub(crate) struct ExportedAudit {
    /// That of this organisation, by its id; without it, the platform's own
    #[arg(long, value_name = "ID")]
    organization: Option<OrgId>,
}

pub(super) async fn run_audit_command(
    context: &CommandContext,
    store: &Store,
    command: AuditCommand,
) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify => verify(context, store).await,
        AuditCommand::Export(which) => {
            let org = which.organization.unwrap_or(OrgId::PLATFORM);
            export(context, store, org).await
        }
    }
}

/// A log that was looked through.
struct VerifiedLog {
    org: OrgId,
    checked: Result<i64, ChainFault>,
}

impl VerifiedLog {
    fn whose(&self) -> String {
        match self.org {
            OrgId::PLATFORM => "the platform".to_owned(),
            org => format!("organisation {org}"),
        }
    }
}

async fn verify(context: &CommandContext, store: &Store) -> anyhow::Result<()> {
    let mut orgs = vec![OrgId::PLATFORM];
    orgs.extend(store.system().organisations().await?);
    let mut verified = Vec::with_capacity(orgs.len());
    for org in orgs {
        let checked = verify_chain(store, org).await?;
        verified.push(VerifiedLog { org, checked });
    }
    if context.is_json() {
        let told = verified.iter().map(|log| {
            json!({
                "organization_id": (log.org != OrgId::PLATFORM).then_some(log.org),
                "rows": log.checked.ok(),
                "fault": log.checked.err().map(|fault| fault.to_string()),
            })
        });
        context.print_json(&told.collect::<Vec<_>>())?;
    } else {
        let lines = verified.iter().map(|log| match log.checked {
            Ok(n_rows) => {
                let rows = count_noun(n_rows.unsigned_abs(), "row");
                format!("{}: {rows}, none changed", log.whose())
            }
            Err(fault) => format!("{}: {fault}", log.whose()),
        });
        context.print_lines(&lines.collect::<Vec<_>>())?;
    }
    let broken = verified
        .iter()
        .find_map(|log| Some((log, log.checked.err()?)));
    let Some((log, fault)) = broken else {
        return Ok(());
    };
    let hint = "compare it with a copy from before (omoi admin audit export), and look who may write to the database";
    let told = anyhow::anyhow!("the audit log of {} is broken: {fault}", log.whose());
    Err(told.context(ErrorHint(hint.to_owned())))
}

async fn export(context: &CommandContext, store: &Store, org: OrgId) -> anyhow::Result<()> {
    record_export(store, org).await?;
    let tenant = store.tenant(org);
    let mut after = 0;
    loop {
        let entries = tenant.read(async |tx: &mut Tx| audit_log::entries_after(tx, after).await);
        let entries: Vec<AuditEntry> = entries.await?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        after = last.seq;
        let lines = entries
            .into_iter()
            .map(|entry| serde_json::to_string(&audit_entry_view(entry)))
            .collect::<Result<Vec<_>, _>>()?;
        context.print_lines(&lines)?;
    }
}
