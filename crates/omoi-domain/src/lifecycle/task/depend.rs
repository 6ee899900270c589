//! A task whose prerequisites a person changes.

use std::collections::BTreeSet;

use crate::graph::{Edge, Graph};
use crate::id::{SpecId, TaskId, TicketId};

/// A task as far as its prerequisites are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeTask {
    /// The task.
    pub id: TaskId,
    /// Its spec.
    pub spec: SpecId,
    /// Its ticket.
    pub ticket: TicketId,
    /// Longest chain of prerequisites before it.
    pub level: i64,
}

/// What waits for what in a project: an edge's `after` waits for its `before`.
#[derive(Clone, Copy, Debug)]
pub struct EdgeFacts<'a> {
    /// Every task of the project: tasks of one spec wait by their tickets for those of others.
    pub tasks: &'a [EdgeTask],
    /// Tasks that wait for tasks.
    pub edges: &'a [Edge<TaskId>],
    /// Tickets that wait for tickets: all tasks of one for all tasks of the other.
    pub ticket_edges: &'a [Edge<TicketId>],
}

/// Why prerequisites cannot be those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeRefusal {
    /// The task is of another spec: its commits do not come to the branch that the waiting one is cut from.
    OtherSpec(TaskId),
    /// Tasks would wait for each other: each comes before the next, and the first is told again at the end.
    Cycle(Vec<TaskId>),
}

/// How rows change with the prerequisites of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeChange {
    /// What it waits for from now on.
    pub added: Vec<TaskId>,
    /// What it no longer waits for.
    pub removed: Vec<TaskId>,
    /// Tasks whose longest chain of prerequisites is another one now, with its length.
    pub levels: Vec<(TaskId, i64)>,
}

/// A node of the graph in which tickets stand between the tasks that they hold apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum WaitNode {
    Task(TaskId),
    /// Comes after all tasks of the ticket.
    TicketDone(TicketId),
}

impl EdgeFacts<'_> {
    /// What `task` waits for now.
    pub fn prerequisites_of(&self, task: TaskId) -> BTreeSet<TaskId> {
        let edges = self.edges.iter().filter(|edge| edge.after == task);
        edges.map(|edge| edge.before).collect()
    }

    /// Has `task` wait for `wanted` and nothing else.
    ///
    /// # Errors
    /// [`EdgeRefusal`].
    pub fn set_prerequisites(
        &self,
        task: TaskId,
        wanted: &BTreeSet<TaskId>,
    ) -> Result<EdgeChange, EdgeRefusal> {
        let of_task = |id: &TaskId| self.tasks.iter().find(|task| task.id == *id);
        let spec = of_task(&task).map(|task| task.spec);
        let is_here = |id: &TaskId| of_task(id).is_some_and(|task| Some(task.spec) == spec);
        if let Some(foreign) = wanted.iter().find(|id| !is_here(id)) {
            return Err(EdgeRefusal::OtherSpec(*foreign));
        }
        let now = self.prerequisites_of(task);
        let added: Vec<TaskId> = wanted.difference(&now).copied().collect();
        let waits = self.wait_graph();
        for &before in &added {
            if let Some(cycle) = closed_by(&waits, before, task) {
                return Err(EdgeRefusal::Cycle(cycle));
            }
        }
        Ok(EdgeChange {
            levels: self.new_levels(task, wanted),
            removed: now.difference(wanted).copied().collect(),
            added,
        })
    }

    /// The cycle that the ticket `after` closes by waiting for `before`: each comes before the next, and the first is
    /// told again at the end.
    pub fn ticket_cycle(&self, after: TicketId, before: TicketId) -> Option<Vec<TicketId>> {
        if after == before {
            return Some(vec![after, after]);
        }
        let waits = self.wait_graph();
        // All tasks of the ticket would wait, and whoever waits for the ticket itself.
        let own = self.tasks.iter().filter(|task| task.ticket == after);
        let own = own.map(|task| WaitNode::Task(task.id));
        let from = own.chain([WaitNode::TicketDone(after)]);
        let to = WaitNode::TicketDone(before);
        let paths = from.filter_map(|node| waits.shortest_path(&node, &to));
        let shortest = paths.min_by_key(Vec::len)?;
        let mut cycle = vec![after];
        for node in shortest {
            let ticket = match node {
                WaitNode::TicketDone(ticket) => Some(ticket),
                WaitNode::Task(id) => {
                    let task = self.tasks.iter().find(|task| task.id == id);
                    task.map(|task| task.ticket)
                }
            };
            cycle.extend(ticket.filter(|ticket| cycle.last() != Some(ticket)));
        }
        cycle.push(after);
        Some(cycle)
    }

    /// Tasks and tickets as they wait for each other now.
    fn wait_graph(&self) -> Graph<WaitNode> {
        let of_tasks = self.tasks.iter().map(|task| task.ticket);
        let of_edges = self.ticket_edges.iter();
        let of_edges = of_edges.flat_map(|edge| [edge.before, edge.after]);
        let tickets: BTreeSet<TicketId> = of_tasks.chain(of_edges).collect();
        let nodes = self.tasks.iter().map(|task| WaitNode::Task(task.id));
        let nodes = nodes.chain(tickets.into_iter().map(WaitNode::TicketDone));
        let edges = self.edges.iter();
        let edges = edges.map(|e| Edge::new(WaitNode::Task(e.before), WaitNode::Task(e.after)));
        let within = self
            .tasks
            .iter()
            .map(|task| Edge::new(WaitNode::Task(task.id), WaitNode::TicketDone(task.ticket)));
        let between = self.ticket_edges.iter().flat_map(|edge| {
            let waiting = self.tasks.iter().filter(|task| task.ticket == edge.after);
            waiting
                .map(|task| Edge::new(WaitNode::TicketDone(edge.before), WaitNode::Task(task.id)))
        });
        // A ticket may get its tasks later.
        let through = self.ticket_edges.iter().map(|edge| {
            Edge::new(
                WaitNode::TicketDone(edge.before),
                WaitNode::TicketDone(edge.after),
            )
        });
        // What names rows of other projects orders nothing here.
        Graph::build(nodes, edges.chain(within).chain(between).chain(through)).0
    }

    /// The levels of `task` and of what waits for it that are others once it waits for `wanted`.
    fn new_levels(&self, task: TaskId, wanted: &BTreeSet<TaskId>) -> Vec<(TaskId, i64)> {
        let kept = self.edges.iter().filter(|edge| edge.after != task).cloned();
        let edges = kept.chain(wanted.iter().map(|before| Edge::new(*before, task)));
        let nodes = self.tasks.iter().map(|task| task.id);
        let (graph, _) = Graph::build(nodes, edges);
        let mut follows = BTreeSet::from([task]);
        let mut next = vec![task];
        while let Some(at) = next.pop() {
            next.extend(graph.dependents(&at).filter(|id| follows.insert(**id)));
        }
        // A plan that is no order, or too deep for one, keeps the levels that it has.
        let Ok(order) = graph.into_dag() else {
            return Vec::new();
        };
        let moved = self.tasks.iter().filter(|task| follows.contains(&task.id));
        let moved = moved.filter_map(|task| {
            let level = order.node_level(&task.id).map(i64::from)?;
            (level != task.level).then_some((task.id, level))
        });
        moved.collect()
    }
}

/// The cycle that `after` closes by waiting for `before`.
fn closed_by(waits: &Graph<WaitNode>, before: TaskId, after: TaskId) -> Option<Vec<TaskId>> {
    if before == after {
        return Some(vec![after, after]);
    }
    let path = waits.shortest_path(&WaitNode::Task(after), &WaitNode::Task(before))?;
    let tasks = path.into_iter().filter_map(|node| match node {
        WaitNode::Task(id) => Some(id),
        WaitNode::TicketDone(_) => None,
    });
    Some(tasks.chain([after]).collect())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn task(n: u128) -> TaskId {
        TaskId::from_uuid(Uuid::from_u128(n))
    }

    fn ticket(n: u128) -> TicketId {
        TicketId::from_uuid(Uuid::from_u128(n))
    }

    /// Tasks 1 → 2 → 3 of ticket 1, and 4 of ticket 2, which waits for ticket 1; 5 stands alone.
    fn check(after: u128, wanted: &[u128], expected: Result<EdgeChange, EdgeRefusal>) {
        let of = |n, of_ticket, level| EdgeTask {
            id: task(n),
            spec: SpecId::from_uuid(Uuid::nil()),
            ticket: ticket(of_ticket),
            level,
        };
        let tasks = [
            of(1, 1, 0),
            of(2, 1, 1),
            of(3, 1, 2),
            of(4, 2, 0),
            of(5, 3, 0),
        ];
        let edges = [Edge::new(task(1), task(2)), Edge::new(task(2), task(3))];
        let ticket_edges = [Edge::new(ticket(1), ticket(2))];
        let facts = EdgeFacts {
            tasks: &tasks,
            edges: &edges,
            ticket_edges: &ticket_edges,
        };
        let wanted: BTreeSet<TaskId> = wanted.iter().copied().map(task).collect();
        let change = facts.set_prerequisites(task(after), &wanted);
        assert_eq!(change, expected, "{after} {wanted:?}");
    }

    fn cycle(tasks: &[u128]) -> Result<EdgeChange, EdgeRefusal> {
        Err(EdgeRefusal::Cycle(
            tasks.iter().copied().map(task).collect(),
        ))
    }

    /// Task 1 of ticket 1 waits for task 2 of ticket 2; ticket 4 waits for ticket 3, which has no task, and task 5 of
    /// another spec is of ticket 5, which waits for ticket 1.
    #[test]
    fn tickets_do_not_wait_for_each_other_by_their_tasks_either() {
        let of = |n, of_ticket, of_spec: u128| EdgeTask {
            id: task(n),
            spec: SpecId::from_uuid(Uuid::from_u128(of_spec)),
            ticket: ticket(of_ticket),
            level: 0,
        };
        let tasks = [of(1, 1, 1), of(2, 2, 1), of(5, 5, 2)];
        let edges = [Edge::new(task(2), task(1))];
        let ticket_edges = [
            Edge::new(ticket(3), ticket(4)),
            Edge::new(ticket(1), ticket(5)),
        ];
        let facts = EdgeFacts {
            tasks: &tasks,
            edges: &edges,
            ticket_edges: &ticket_edges,
        };
        for (after, before, expected) in [
            (1, 2, None),
            (2, 1, Some(vec![2, 1, 2])),
            (2, 5, Some(vec![2, 1, 5, 2])),
            (3, 4, Some(vec![3, 4, 3])),
            (4, 3, None),
            (3, 1, None),
            (1, 1, Some(vec![1, 1])),
        ] {
            let found = facts.ticket_cycle(ticket(after), ticket(before));
            let expected = expected.map(|cycle| cycle.into_iter().map(ticket).collect());
            assert_eq!(found, expected, "{after} after {before}");
        }
        let foreign = facts.set_prerequisites(task(1), &BTreeSet::from([task(5)]));
        assert_eq!(foreign, Err(EdgeRefusal::OtherSpec(task(5))));
    }

    #[test]
    fn prerequisites_are_replaced_and_levels_follow() {
        let change = |added: &[u128], removed: &[u128], levels: &[(u128, i64)]| {
            Ok(EdgeChange {
                added: added.iter().copied().map(task).collect(),
                removed: removed.iter().copied().map(task).collect(),
                levels: levels.iter().map(|(n, level)| (task(*n), *level)).collect(),
            })
        };
        check(2, &[1], change(&[], &[], &[]));
        check(2, &[], change(&[], &[1], &[(2, 0), (3, 1)]));
        check(1, &[5], change(&[5], &[], &[(1, 1), (2, 2), (3, 3)]));
        check(3, &[1, 5], change(&[1, 5], &[2], &[(3, 1)]));
        check(5, &[3], change(&[3], &[], &[(5, 3)]));
    }

    #[test]
    fn tasks_do_not_wait_for_each_other_nor_for_those_of_other_specs() {
        check(1, &[1], cycle(&[1, 1]));
        check(1, &[2], cycle(&[1, 2, 1]));
        check(1, &[3], cycle(&[1, 2, 3, 1]));
        // By their tickets alone.
        check(1, &[4], cycle(&[1, 4, 1]));
        check(2, &[1, 4], cycle(&[2, 4, 2]));
        check(1, &[9], Err(EdgeRefusal::OtherSpec(task(9))));
    }
}
