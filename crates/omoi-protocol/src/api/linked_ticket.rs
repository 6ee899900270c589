//! Tickets that have to do with a spec.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ticket::TicketView;
use super::time::ApiTime;

/// Body of `POST /specs/{spec_id}/link-tickets` and `POST /specs/{spec_id}/unlink-tickets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "ticket_ids": ["01930000-0000-7000-8000-000000000006"] }))]
#[serde(deny_unknown_fields)]
pub struct SpecTicketList {
    /// Row ids of tickets of the spec's project, or their references `TKT-n` in it.
    #[schema(min_items = 1, max_items = 100)]
    pub ticket_ids: Vec<String>,
}

omoi_domain::closed_set! {
    /// What a ticket has to do with a spec.
    TicketRelation {
        /// It is of the spec's plan, or is its plan.
        Plan = "plan",
        /// The spec was begun for it, and it goes where the spec goes.
        Follows = "follows",
        /// Somebody tied it to the spec.
        Linked = "linked",
    }
}

/// A ticket that has to do with a spec. `GET /specs/{spec_id}/linked-tickets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkedTicketView {
    /// What it has to do with the spec.
    pub relation: TicketRelation,
    /// Since when it is tied to it, where somebody did so.
    pub linked_at: Option<ApiTime>,
    /// The ticket.
    pub ticket: TicketView,
}
