//! What waits for what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use omoi_domain::discovery::DiscoveryType;
use omoi_domain::task::Priority;

use super::time::ApiTime;

omoi_domain::closed_set! {
    /// What a node of a graph is.
    GraphNodeType {
        /// A ticket.
        Ticket = "ticket",
        /// A task.
        Task = "task",
        /// Work that an agent found.
        Discovery = "discovery",
    }
}

omoi_domain::closed_set! {
    /// What an edge of a graph says.
    GraphEdgeType {
        /// The target waits for the source, both tasks.
        DependsOn = "depends_on",
        /// The target waits for the source, both tickets.
        TicketBlocks = "ticket_blocks",
        /// The target is a task of the source, a ticket.
        TicketContains = "ticket_contains",
        /// The target was found at the source, or carries what was found.
        SpawnedFrom = "spawned_from",
    }
}

/// A node of a graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphNodeView {
    /// Row id.
    pub id: Uuid,
    /// What it is.
    #[serde(rename = "type")]
    pub node_type: GraphNodeType,
    /// Reference within its project, where it has one.
    pub node_ref: Option<String>,
    /// Its title.
    pub label: String,
    /// Where it stands; none of a discovery.
    pub status: Option<String>,
    /// The phase it is in; none of a discovery.
    pub phase_id: Option<String>,
    /// How much it matters; none of a discovery.
    pub priority: Option<Priority>,
    /// Whether it waits for something that is not over, or something else holds it up.
    pub is_blocked: bool,
    /// How many wait for it.
    pub blocks_count: u64,
    /// How many tasks a ticket has.
    pub task_count: Option<u64>,
    /// The estimate of a task in hours, which the critical path is weighed by.
    pub estimated_hours: Option<f64>,
    /// What kind of discovery it is.
    pub discovery_type: Option<DiscoveryType>,
    /// When work on a task last began.
    pub started_at: Option<ApiTime>,
    /// When a task passed its checks.
    pub completed_at: Option<ApiTime>,
}

/// An edge of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GraphEdgeView {
    /// Row id of where it begins.
    pub source: Uuid,
    /// Row id of where it ends.
    pub target: Uuid,
    /// What it says.
    #[serde(rename = "type")]
    pub edge_type: GraphEdgeType,
}

/// What is told of the tasks of a graph as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphMetadata {
    /// Tasks that are shown.
    pub total_tasks: u64,
    /// Those of them that wait for something.
    pub blocked_count: u64,
    /// Those of them that are over.
    pub resolved_count: u64,
    /// Edges that are shown.
    pub total_edges: u64,
    /// Tasks on the longest chain; none where a cycle has no end.
    pub depth: Option<u32>,
    /// The chain of tasks with the greatest sum of estimates, first to last.
    pub critical_path: Vec<Uuid>,
    /// How many those are.
    pub critical_path_length: u64,
    /// The sum of their estimates in hours.
    pub critical_path_hours: f64,
    /// One path through every cycle of tasks, and of tickets.
    pub cycles: Vec<Vec<Uuid>>,
}

/// A graph. `GET /graph/dependency-graph/…`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GraphView {
    /// Its nodes: tickets, then tasks, then discoveries.
    pub nodes: Vec<GraphNodeView>,
    /// Its edges.
    pub edges: Vec<GraphEdgeView>,
    /// What is told of it as a whole.
    pub metadata: GraphMetadata,
}
