//! Sets what a ticket asks of its result.

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TicketId;
use omoi_domain::work_result::{OnResultFound, given_criteria};
use omoi_store::workflow_results::{self, ResultCriteria};
use omoi_store::{Tenant, Tx, tickets};

use crate::results::ResultCommandError;

/// Sets what a ticket asks of its result, and what follows when one meets it. Results that were submitted before are judged
/// by what they were submitted under.
///
/// # Errors
/// [`ResultCommandError`] where they cannot be criteria.
pub async fn set_result_criteria(
    tenant: &Tenant,
    ticket: TicketId,
    criteria: &[String],
    on_result_found: OnResultFound,
) -> Result<ResultCriteria, ResultCommandError> {
    let criteria = given_criteria(criteria)?;
    let set = async |tx: &mut Tx| {
        tickets::hold_ticket(tx, ticket).await?;
        let ticket = tickets::get(tx, ticket).await?;
        let set = workflow_results::set_criteria(tx, &ticket, criteria, on_result_found);
        Ok::<_, ResultCommandError>(set.await?)
    };
    let set = tenant.write(CrashPoint::ResultMoved, set).await;
    set.inspect(|_| info!(ticket.id = %ticket, "Set what a ticket asks of its result"))
}
