//! The board of a project, and the phases of its tickets.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use omoi_domain::id::{ProjectId, TicketId};
use omoi_domain::ticket::TicketStatus;
use omoi_domain::workflow::{ArtifactType, PhaseId, PhaseMode, PhaseSeed};

use super::ticket::TicketView;

/// A board. `GET /board/view`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BoardView {
    /// The project whose board it is.
    pub project_id: ProjectId,
    /// Its columns, in their order.
    pub columns: Vec<BoardColumnView>,
}

/// A column of a board with its tickets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BoardColumnView {
    /// Its name in requests.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What belongs into it.
    pub description: Option<String>,
    /// Its place on the board, from 0.
    pub sequence_order: u32,
    /// The phases whose tickets it shows.
    pub phase_mapping: Vec<PhaseId>,
    /// Tickets that people may have in it at once.
    pub wip_limit: Option<u32>,
    /// Whether tickets stay in it.
    pub is_terminal: bool,
    /// The column that tickets go on to by themselves.
    pub auto_transition_to: Option<String>,
    /// The colour that it is shown in.
    pub color_theme: Option<String>,
    /// Tickets that it has.
    pub current_count: u32,
    /// Whether it has more than it takes: work under way is let in whatever the limit.
    pub wip_exceeded: bool,
    /// Its first tickets, up to 100, in the order that people gave them.
    pub tickets: Vec<TicketView>,
    /// Whether it has more than these; `GET /tickets` lists them by `phase_id`.
    pub more: bool,
}

/// What a column of a board is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardColumnSettings {
    /// Its name in requests, of a-z, 0-9 and `-`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What belongs into it.
    #[serde(default)]
    pub description: Option<String>,
    /// The phases whose tickets it shows: each phase is in one column. Tickets that are held up are shown in
    /// `PHASE_BLOCKED`.
    pub phase_mapping: Vec<PhaseId>,
    /// Tickets that people may have in it at once; none has no limit.
    #[serde(default)]
    pub wip_limit: Option<u32>,
    /// Whether tickets stay in it.
    #[serde(default)]
    pub is_terminal: bool,
    /// The column that tickets go on to by themselves.
    #[serde(default)]
    pub auto_transition_to: Option<String>,
    /// The colour that it is shown in.
    #[serde(default)]
    pub color_theme: Option<String>,
}

/// The columns of a board, in their order: `GET` and body of `PUT /projects/{project_id}/board-columns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "columns": [
        { "id": "to-do", "name": "To do", "phase_mapping": ["PHASE_BACKLOG", "PHASE_REQUIREMENTS", "PHASE_DESIGN"] },
        {
            "id": "doing", "name": "Doing", "wip_limit": 5,
            "phase_mapping": ["PHASE_IMPLEMENTATION", "PHASE_TESTING", "PHASE_DEPLOYMENT"],
        },
        { "id": "done", "name": "Done", "is_terminal": true, "phase_mapping": ["PHASE_DONE"] },
        { "id": "blocked", "name": "Blocked", "is_terminal": true, "phase_mapping": ["PHASE_BLOCKED"] },
    ],
}))]
#[serde(deny_unknown_fields)]
pub struct BoardSettings {
    /// Up to 20 columns.
    pub columns: Vec<BoardColumnSettings>,
}

/// Body of `POST /board/move`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "ticket_id": "TKT-001", "target_column_id": "building", "position": 0, "expected_version": 0 }))]
#[serde(deny_unknown_fields)]
pub struct MoveBoardTicket {
    /// The ticket, by id or `TKT-n`.
    pub ticket_id: String,
    /// The column that it goes to.
    pub target_column_id: String,
    /// Its place among the others there, from 0; the last one where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// The version of the ticket that the move is meant for, where `If-Match` does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<i64>,
    /// Whether gate and limit are passed by, which needs the permission `ticket:force`.
    #[serde(default)]
    pub force: bool,
    /// Why; needed with `force`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a ticket is after a move. `POST /board/move`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedBoardTicket {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// The phase that it is in.
    pub new_phase: PhaseId,
    /// The column that it is in.
    pub new_column: String,
    /// Where it stands.
    pub new_status: TicketStatus,
    /// Version of the row.
    pub version: i64,
}

/// How full the columns of a board are. `GET /board/stats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BoardStats {
    /// The columns, in their order.
    pub columns: Vec<BoardColumnStats>,
}

/// How full a column of a board is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BoardColumnStats {
    /// The column.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Tickets that it has.
    pub current_count: u32,
    /// Tickets that people may have in it at once.
    pub wip_limit: Option<u32>,
    /// The first through the second; none without a limit.
    pub utilization: Option<f64>,
}

/// A column that has more tickets than it takes. `GET /board/wip-violations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WipViolation {
    /// The column.
    pub column_id: String,
    /// Its name for people.
    pub column_name: String,
    /// Tickets that it has.
    pub current_count: u32,
    /// Tickets that it takes.
    pub wip_limit: u32,
    /// How many more it has.
    pub excess: u32,
}

/// A phase of a project's tickets. `GET /configs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseConfigView {
    /// Which phase it is.
    pub id: PhaseId,
    /// Its name for people.
    pub name: String,
    /// Its place among the phases, from 0.
    pub sequence_order: u32,
    /// What its work may do; none where there is no work.
    pub mode: Option<PhaseMode>,
    /// Whether a ticket may pass it by.
    pub is_skippable: bool,
    /// The phases that may follow, the usual one first.
    pub allowed_transitions: Vec<PhaseId>,
    /// The work that it begins with.
    pub seeds: Vec<PhaseSeed>,
    /// When it is done, in words.
    pub done_definitions: Vec<String>,
    /// What comes out of it, in words.
    pub expected_outputs: Vec<String>,
    /// What it has to show before a ticket leaves it.
    pub gates: Vec<PhaseGateView>,
}

/// What a phase has to show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseGateView {
    /// What it is.
    pub artifact_type: ArtifactType,
    /// When it is enough.
    pub rule: Value,
}
