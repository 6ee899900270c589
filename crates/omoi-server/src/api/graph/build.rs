//! Makes graphs of rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use uuid::Uuid;

use omoi_domain::graph::{Edge, EdgeDirection, Graph};
use omoi_domain::id::{HumanRef, ProjectId, TaskId, TicketId};
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{
    GraphEdgeType, GraphEdgeView, GraphMetadata, GraphNodeType, GraphNodeView, GraphView,
};
use omoi_store::discoveries::{self, Discovery};
use omoi_store::graph_rows::{self, GraphTask, GraphTicket};
use omoi_store::{StoreError, Tx, tasks, tickets};

/// What graphs of a project are made of.
pub(super) struct GraphRows {
    pub(super) tickets: Vec<GraphTicket>,
    pub(super) tasks: Vec<GraphTask>,
    /// A ticket, and what it waits for.
    ticket_edges: Vec<(TicketId, TicketId)>,
    /// A task, and what it waits for.
    task_edges: Vec<(TaskId, TaskId)>,
    pub(super) discoveries: Vec<Discovery>,
}

/// What of it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GraphChoice {
    pub(super) tickets: BTreeSet<TicketId>,
    pub(super) tasks: BTreeSet<TaskId>,
}

impl GraphRows {
    pub(super) async fn read_project(tx: &mut Tx, project: ProjectId) -> Result<Self, StoreError> {
        Ok(Self {
            tickets: graph_rows::tickets_of_project(tx, project).await?,
            tasks: graph_rows::tasks_of_project(tx, project).await?,
            ticket_edges: tickets::dependencies_of_project(tx, project).await?,
            task_edges: tasks::dependencies_of_project(tx, project).await?,
            discoveries: discoveries::of_project(tx, project).await?,
        })
    }

    /// Everything.
    pub(super) fn choose_all(&self) -> GraphChoice {
        GraphChoice {
            tickets: self.tickets.iter().map(|ticket| ticket.id).collect(),
            tasks: self.tasks.iter().map(|task| task.id).collect(),
        }
    }

    /// The tasks that are `distance` edges away from one of `from` at most, with their tickets.
    pub(super) fn choose_around(
        &self,
        from: &[TaskId],
        direction: EdgeDirection,
        distance: u32,
    ) -> GraphChoice {
        let graph = self.task_graph(&|_| true);
        let around = from
            .iter()
            .flat_map(|task| graph.nodes_around(task, direction, distance));
        let tasks: BTreeSet<TaskId> = around.collect();
        let shown = self.tasks.iter().filter(|task| tasks.contains(&task.id));
        GraphChoice {
            tickets: shown.map(|task| task.ticket_id).collect(),
            tasks,
        }
    }

    /// Tickets that one waits for, and that wait for it, with it.
    pub(super) fn tickets_beside(&self, ticket: TicketId) -> BTreeSet<TicketId> {
        let edges = self.ticket_edges.iter();
        let beside = edges.filter_map(|(waiting, on)| match ticket {
            id if id == *waiting => Some(*on),
            id if id == *on => Some(*waiting),
            _ => None,
        });
        beside.chain([ticket]).collect()
    }

    fn task_graph(&self, is_shown: &dyn Fn(&TaskId) -> bool) -> Graph<TaskId> {
        let nodes = self.tasks.iter().map(|task| task.id).filter(is_shown);
        let edges = self.task_edges.iter();
        let edges = edges.filter(|(waiting, on)| is_shown(waiting) && is_shown(on));
        let edges = edges.map(|(waiting, on)| Edge::new(*on, *waiting));
        Graph::build(nodes, edges).0
    }

    fn ticket_cycles(&self) -> Vec<Vec<Uuid>> {
        let edges = self.ticket_edges.iter();
        let edges = edges.map(|(waiting, on)| Edge::new(*on, *waiting));
        let nodes = self.tickets.iter().map(|ticket| ticket.id);
        let cycles = Graph::build(nodes, edges).0.cycles().into_iter();
        let cycles = cycles.map(|cycle| cycle.path.into_iter().map(TicketId::as_uuid).collect());
        cycles.collect()
    }
}

impl GraphChoice {
    /// Leaves out tasks that are over.
    pub(super) fn leave_out_resolved(&mut self, rows: &GraphRows) {
        for task in rows.tasks.iter().filter(|task| task.status.is_final()) {
            self.tasks.remove(&task.id);
        }
    }
}

/// The graph of what `choice` shows of `rows`.
pub(super) fn graph_view(rows: &GraphRows, choice: &GraphChoice) -> GraphView {
    let edges = shown_edges(rows, choice);
    let nodes = shown_nodes(rows, choice);
    let is_shown = |id: &TaskId| choice.tasks.contains(id);
    let hours: BTreeMap<TaskId, f64> = rows
        .tasks
        .iter()
        .map(|task| (task.id, task.estimated_hours))
        .collect();
    let summary = rows
        .task_graph(&is_shown)
        .summarize_graph(|id| hours.get(id).copied().unwrap_or_default());
    let shown = rows.tasks.iter().filter(|task| is_shown(&task.id));
    let (critical_path, critical_path_hours) = match summary.critical_path {
        Some(path) => {
            let nodes = path.nodes.into_iter().map(TaskId::as_uuid);
            (nodes.collect::<Vec<_>>(), path.hours)
        }
        None => (Vec::new(), 0.0),
    };
    let cycles = summary.cycles.into_iter();
    let cycles = cycles.map(|path| path.into_iter().map(TaskId::as_uuid).collect());
    GraphView {
        metadata: GraphMetadata {
            total_tasks: choice.tasks.len() as u64,
            blocked_count: nodes
                .iter()
                .filter(|node| node.node_type == GraphNodeType::Task && node.is_blocked)
                .count() as u64,
            resolved_count: shown.filter(|task| task.status.is_final()).count() as u64,
            total_edges: edges.len() as u64,
            depth: summary.depth,
            critical_path_length: critical_path.len() as u64,
            critical_path_hours,
            critical_path,
            cycles: cycles.chain(rows.ticket_cycles()).collect(),
        },
        nodes,
        edges,
    }
}

fn shown_edges(rows: &GraphRows, choice: &GraphChoice) -> Vec<GraphEdgeView> {
    let mut edges = Vec::new();
    let mut add = |source: Uuid, target: Uuid, edge_type| {
        edges.push(GraphEdgeView {
            source,
            target,
            edge_type,
        });
    };
    for (waiting, on) in &rows.ticket_edges {
        if choice.tickets.contains(waiting) && choice.tickets.contains(on) {
            add(on.as_uuid(), waiting.as_uuid(), GraphEdgeType::TicketBlocks);
        }
    }
    for task in &rows.tasks {
        if choice.tasks.contains(&task.id) && choice.tickets.contains(&task.ticket_id) {
            let (ticket, task) = (task.ticket_id.as_uuid(), task.id.as_uuid());
            add(ticket, task, GraphEdgeType::TicketContains);
        }
    }
    for (waiting, on) in &rows.task_edges {
        if choice.tasks.contains(waiting) && choice.tasks.contains(on) {
            add(on.as_uuid(), waiting.as_uuid(), GraphEdgeType::DependsOn);
        }
    }
    for found in shown_discoveries(rows, choice) {
        let (source, id) = (found.source_task_id.as_uuid(), found.id.as_uuid());
        add(source, id, GraphEdgeType::SpawnedFrom);
        if let Some(task) = found.task_id.filter(|task| choice.tasks.contains(task)) {
            add(id, task.as_uuid(), GraphEdgeType::SpawnedFrom);
        }
    }
    edges
}

fn shown_discoveries<'a>(
    rows: &'a GraphRows,
    choice: &GraphChoice,
) -> impl Iterator<Item = &'a Discovery> {
    let all = rows.discoveries.iter();
    all.filter(|found| choice.tasks.contains(&found.source_task_id))
}

fn shown_nodes(rows: &GraphRows, choice: &GraphChoice) -> Vec<GraphNodeView> {
    let is_open: BTreeMap<TaskId, bool> = rows
        .tasks
        .iter()
        .map(|task| (task.id, task.status != TaskStatus::Completed))
        .collect();
    let mut waits = BTreeSet::new();
    let mut blocks: BTreeMap<Uuid, u64> = BTreeMap::new();
    for (waiting, on) in &rows.task_edges {
        if is_open.get(on).copied().unwrap_or_default() {
            waits.insert(*waiting);
        }
        *blocks.entry(on.as_uuid()).or_default() += 1;
    }
    for (_, on) in &rows.ticket_edges {
        *blocks.entry(on.as_uuid()).or_default() += 1;
    }
    let blocks_of = |id: Uuid| blocks.get(&id).copied().unwrap_or_default();
    let mut n_tasks: BTreeMap<TicketId, u64> = BTreeMap::new();
    for task in &rows.tasks {
        *n_tasks.entry(task.ticket_id).or_default() += 1;
    }
    let tickets = rows.tickets.iter();
    let tickets = tickets.filter(|ticket| choice.tickets.contains(&ticket.id));
    let tickets = tickets.map(|ticket| GraphNodeView {
        blocks_count: blocks_of(ticket.id.as_uuid()),
        task_count: Some(n_tasks.get(&ticket.id).copied().unwrap_or_default()),
        ..ticket_node(ticket)
    });
    let tasks = rows.tasks.iter();
    let tasks = tasks.filter(|task| choice.tasks.contains(&task.id));
    let tasks = tasks.map(|task| GraphNodeView {
        blocks_count: blocks_of(task.id.as_uuid()),
        is_blocked: !task.status.is_final()
            && (task.status == TaskStatus::Blocked || waits.contains(&task.id)),
        ..task_node(task)
    });
    let found = shown_discoveries(rows, choice).map(discovery_node);
    tickets.chain(tasks).chain(found).collect()
}

fn ticket_node(ticket: &GraphTicket) -> GraphNodeView {
    GraphNodeView {
        id: ticket.id.as_uuid(),
        node_type: GraphNodeType::Ticket,
        node_ref: Some(HumanRef::ticket(ticket.number).to_string()),
        label: ticket.title.clone(),
        status: Some(ticket.status.to_string()),
        phase_id: Some(ticket.phase_id.to_string()),
        priority: Some(ticket.priority),
        is_blocked: ticket.is_blocked,
        blocks_count: 0,
        task_count: None,
        estimated_hours: None,
        discovery_type: None,
        started_at: None,
        completed_at: None,
    }
}

fn task_node(task: &GraphTask) -> GraphNodeView {
    GraphNodeView {
        id: task.id.as_uuid(),
        node_type: GraphNodeType::Task,
        node_ref: Some(HumanRef::task(task.number).to_string()),
        label: task.title.clone(),
        status: Some(task.status.to_string()),
        phase_id: Some(task.phase_id.to_string()),
        priority: Some(task.priority),
        is_blocked: false,
        blocks_count: 0,
        task_count: None,
        estimated_hours: Some(task.estimated_hours),
        discovery_type: None,
        started_at: task.started_at.map(Into::into),
        completed_at: task.completed_at.map(Into::into),
    }
}

fn discovery_node(found: &Discovery) -> GraphNodeView {
    GraphNodeView {
        id: found.id.as_uuid(),
        node_type: GraphNodeType::Discovery,
        node_ref: None,
        label: found.title.clone(),
        status: None,
        phase_id: None,
        priority: None,
        is_blocked: false,
        blocks_count: 0,
        task_count: None,
        estimated_hours: None,
        discovery_type: Some(found.discovery_type),
        started_at: None,
        completed_at: None,
    }
}

/// The graph as Graphviz reads it.
pub(super) fn dot_text(view: &GraphView) -> String {
    let mut text = "digraph dependencies {\n".to_owned();
    for node in &view.nodes {
        let name = node.node_ref.as_deref().unwrap_or(node.node_type.as_str());
        let label = format!("{name} {}", node.label);
        let _ = writeln!(text, "  {} [label={}];", quoted(&node.id), quoted(&label));
    }
    for edge in &view.edges {
        let (source, target) = (quoted(&edge.source), quoted(&edge.target));
        let label = quoted(&edge.edge_type);
        let _ = writeln!(text, "  {source} -> {target} [label={label}];");
    }
    text + "}\n"
}

/// A text that Graphviz takes as it is.
fn quoted(text: &impl ToString) -> String {
    let escaped = text.to_string().replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace(['\n', '\r'], " "))
}
