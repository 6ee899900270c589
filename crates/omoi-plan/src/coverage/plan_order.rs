//! One graph of everything a plan says about order.
//!
//! Task edges, the mirrored `blocks` lists, and ticket edges lifted onto tasks: every task of a
//! blocking ticket comes before every task of the blocked one. A ticket without tasks passes its
//! own blockers on, so nothing slips past it.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::check::CheckKind;
use omoi_domain::graph::{Cycle, Edge, Graph, GraphProblem};

use crate::outputs::{RequirementsOutput, TasksOutput};

/// Where an edge between two tasks comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeOrigin {
    /// A task names the other.
    Task,
    /// The tickets of the two depend on each other.
    Ticket,
}

/// A fault in what a plan refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PlanFault {
    /// An id is used by two tickets or two tasks.
    #[error("`{id}` is used twice")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// Something waits for itself.
    #[error("`{id}` depends on itself")]
    SelfDependency {
        /// The ticket or task.
        id: String,
    },
    /// A reference to nothing.
    #[error("`{owner}` names `{missing}` in `{field}`, which does not exist")]
    Dangling {
        /// The ticket or task that refers.
        owner: String,
        /// The field it does so in.
        field: &'static str,
        /// What does not exist.
        missing: String,
    },
    /// A check that is no proof names criteria.
    #[error(
        "check {n} of `{task}` is a `{kind}` check and names {}; only a check of kind `proof` can \
         prove a criterion: make it one that fails before the work, or name no criteria",
        quoted_ids(.criteria)
    )]
    NoProof {
        /// The task.
        task: String,
        /// Number of the check within the task, from 1.
        n: usize,
        /// What kind it is.
        kind: CheckKind,
        /// What it names.
        criteria: Vec<String>,
    },
}

fn quoted_ids(ids: &[String]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    quoted.join(", ")
}

/// The order of a plan, with everything wrong about it.
#[derive(Clone, Debug)]
pub struct PlanOrder {
    /// Tasks in plan order with all edges.
    pub tasks: Graph<String>,
    /// Tickets in plan order with the edges between them.
    pub tickets: Graph<String>,
    /// Every edge of `tasks` and why it is there; an edge with two reasons counts as [`EdgeOrigin::Task`].
    pub origins: BTreeMap<Edge<String>, EdgeOrigin>,
    /// Duplicate ids, self dependencies and dangling references, each once, in sorted order.
    pub faults: Vec<PlanFault>,
}

impl PlanOrder {
    /// Every cycle: those among tasks first, then those among tickets. A cycle of tickets that have
    /// tasks shows up as both.
    pub fn all_cycles(&self) -> Vec<Cycle<String>> {
        let mut cycles = self.tasks.cycles();
        cycles.extend(self.tickets.cycles());
        cycles
    }
}

/// Combines all that `plan` says about order. Faulty references are left out and listed.
pub fn plan_order(plan: &TasksOutput) -> PlanOrder {
    let mut faults = BTreeSet::new();
    let (tickets, problems) = Graph::build(
        plan.tickets.iter().map(|t| t.id.clone()),
        ticket_edges(plan),
    );
    note_problems(problems, "dependencies", &mut faults);
    let task_ids: Vec<String> = plan.tasks.iter().map(|t| t.id.clone()).collect();
    let (named, problems) = Graph::build(task_ids.iter().cloned(), task_edges(plan));
    note_problems(problems, "dependencies", &mut faults);
    for task in &plan.tasks {
        if !tickets.contains(&task.parent_ticket) {
            faults.insert(dangling_fault(
                &task.id,
                "parent_ticket",
                &task.parent_ticket,
            ));
        }
    }
    for ticket in &plan.tickets {
        for task in ticket.tasks.iter().filter(|t| !named.contains(t)) {
            faults.insert(dangling_fault(&ticket.id, "tasks", task));
        }
    }
    let mut origins: BTreeMap<Edge<String>, EdgeOrigin> = lifted_edges(plan, &tickets, &named)
        .map(|edge| (edge, EdgeOrigin::Ticket))
        .collect();
    origins.extend(named.edges().map(|edge| (edge, EdgeOrigin::Task)));
    let selves = task_edges(plan).filter(|e| e.before == e.after);
    let edges: Vec<_> = origins.keys().cloned().chain(selves).collect();
    let (tasks, _) = Graph::build(task_ids, edges);
    PlanOrder {
        tasks,
        tickets,
        origins,
        faults: faults.into_iter().collect(),
    }
}

/// References of tickets, tasks and checks to requirements and criteria that do not exist or that
/// such a check cannot prove, and requirement ids used twice; each once, in sorted order.
pub fn reference_faults(requirements: &RequirementsOutput, plan: &TasksOutput) -> Vec<PlanFault> {
    let mut faults = BTreeSet::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for requirement in &requirements.requirements {
        let n_criteria = requirement.acceptance_criteria.len();
        if known.insert(&requirement.id, n_criteria).is_some() {
            let id = requirement.id.clone();
            faults.insert(PlanFault::DuplicateId { id });
        }
    }
    let is_criterion = |id: &str| {
        let (requirement, n) = id.split_once('#').unwrap_or((id, ""));
        let last = known.get(requirement).copied().unwrap_or(0);
        n.parse().is_ok_and(|n: usize| (1..=last).contains(&n)) && !n.starts_with(['0', '+'])
    };
    for ticket in &plan.tickets {
        for id in ticket
            .requirements
            .iter()
            .filter(|id| !known.contains_key(id.as_str()))
        {
            faults.insert(dangling_fault(&ticket.id, "requirements", id));
        }
    }
    for task in &plan.tasks {
        let addressed = task.requirements_addressed.iter();
        for id in addressed.filter(|id| !known.contains_key(id.as_str())) {
            faults.insert(dangling_fault(&task.id, "requirements_addressed", id));
        }
        for (n, check) in task.checks.iter().enumerate() {
            if check.has_criteria_without_proof() {
                faults.insert(PlanFault::NoProof {
                    task: task.id.clone(),
                    n: n + 1,
                    kind: check.kind,
                    criteria: check.criteria.clone(),
                });
            }
        }
        let proven = task.checks.iter().flat_map(|check| &check.criteria);
        for id in proven.filter(|id| !is_criterion(id)) {
            faults.insert(dangling_fault(&task.id, "checks", id));
        }
    }
    faults.into_iter().collect()
}

fn dangling_fault(owner: &str, field: &'static str, missing: &str) -> PlanFault {
    PlanFault::Dangling {
        owner: owner.to_owned(),
        field,
        missing: missing.to_owned(),
    }
}

fn note_problems(
    problems: Vec<GraphProblem<String>>,
    field: &'static str,
    faults: &mut BTreeSet<PlanFault>,
) {
    for problem in problems {
        faults.insert(match problem {
            GraphProblem::DuplicateNode(id) => PlanFault::DuplicateId { id },
            GraphProblem::SelfEdge(id) => PlanFault::SelfDependency { id },
            GraphProblem::Dangling {
                before,
                after,
                missing,
            } => {
                let owner = if missing == before { after } else { before };
                dangling_fault(&owner, field, &missing)
            }
            // Ids end at 999, so a plan of this size has duplicates, which are reported.
            GraphProblem::TooManyNodes { .. } => continue,
        });
    }
}

fn ticket_edges(plan: &TasksOutput) -> impl Iterator<Item = Edge<String>> + '_ {
    plan.tickets.iter().flat_map(|ticket| {
        let edges = &ticket.dependencies;
        both_ways(&ticket.id, &edges.blocked_by, &edges.blocks)
    })
}

fn task_edges(plan: &TasksOutput) -> impl Iterator<Item = Edge<String>> + '_ {
    plan.tasks.iter().flat_map(|task| {
        let edges = &task.dependencies;
        both_ways(&task.id, &edges.depends_on, &edges.blocks)
    })
}

fn both_ways<'a>(
    id: &'a str,
    before: &'a [String],
    after: &'a [String],
) -> impl Iterator<Item = Edge<String>> + 'a {
    let incoming = before.iter().map(|b| Edge::new(b.clone(), id.to_owned()));
    let outgoing = after.iter().map(|a| Edge::new(id.to_owned(), a.clone()));
    incoming.chain(outgoing)
}

/// Ticket edges as task edges, from the last tasks of the blocking ticket to the first tasks of
/// the blocked one: the tasks between follow from the edges inside each ticket.
fn lifted_edges<'a>(
    plan: &'a TasksOutput,
    tickets: &'a Graph<String>,
    named: &'a Graph<String>,
) -> impl Iterator<Item = Edge<String>> + 'a {
    let mut members: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for task in &plan.tasks {
        members
            .entry(&task.parent_ticket)
            .or_default()
            .push(&task.id);
    }
    let ends: BTreeMap<&String, (Vec<&String>, Vec<&String>)> = members
        .iter()
        .map(|(ticket, tasks)| {
            let inside: BTreeSet<&String> = tasks.iter().copied().collect();
            let first = ends_of(tasks, |t| {
                named.prerequisites(t).any(|p| inside.contains(p))
            });
            let last = ends_of(tasks, |t| named.dependents(t).any(|d| inside.contains(d)));
            (*ticket, (first, last))
        })
        .collect();
    let mut edges = BTreeSet::new();
    for ticket in tickets.nodes() {
        let Some((first, _)) = ends.get(ticket) else {
            continue;
        };
        for blocker in blockers_with_tasks(ticket, tickets, |t| ends.contains_key(t)) {
            for before in &ends[blocker].1 {
                for after in first {
                    edges.insert(Edge::new((*before).clone(), (*after).clone()));
                }
            }
        }
    }
    edges.into_iter()
}

/// The tasks for which `is_inner` is false; all of them when a cycle leaves none.
fn ends_of<'a>(tasks: &[&'a String], is_inner: impl Fn(&String) -> bool) -> Vec<&'a String> {
    let ends: Vec<_> = tasks.iter().copied().filter(|t| !is_inner(t)).collect();
    if ends.is_empty() {
        tasks.to_vec()
    } else {
        ends
    }
}

/// The nearest tickets with tasks that block `ticket`, looking through those without.
fn blockers_with_tasks<'a>(
    ticket: &'a String,
    tickets: &'a Graph<String>,
    has_tasks: impl Fn(&String) -> bool,
) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::from([ticket]);
    let mut open: Vec<&String> = tickets.prerequisites(ticket).collect();
    while let Some(at) = open.pop() {
        if !seen.insert(at) {
            continue;
        }
        if has_tasks(at) {
            found.insert(at);
        } else {
            open.extend(tickets.prerequisites(at));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]

    use super::*;
    use crate::coverage::fixtures::plan;
    use crate::coverage::fixtures::s;

    fn edges(combined: &PlanOrder) -> Vec<String> {
        let arrow = |(e, o): (&Edge<String>, &EdgeOrigin)| {
            let by = if *o == EdgeOrigin::Ticket { "=>" } else { "->" };
            format!("{}{by}{}", e.before, e.after)
        };
        combined.origins.iter().map(arrow).collect()
    }

    #[test]
    fn ticket_edges_reach_every_task_without_repeating_what_follows() {
        // TKT-1: a chain of two. TKT-2 has no task. TKT-3: a chain and a loose task.
        let plan = plan("1: a, b<a | 2<1: | 3<2: c, d<c, e");
        let combined = plan_order(&plan);
        assert_eq!(combined.faults, []);
        assert_eq!(edges(&combined), ["a->b", "b=>c", "b=>e", "c->d"]);
    }

    #[test]
    fn blocks_mirror_depends_on() {
        let mut plan = plan("1: a, b | 2: c");
        plan.tasks[0].dependencies.blocks = vec![s("b")];
        plan.tickets[0].dependencies.blocks = vec![s("2")];
        assert_eq!(edges(&plan_order(&plan)), ["a->b", "b=>c"]);
    }

    #[test]
    fn faults_are_named() {
        let mut plan = plan("1<9: a<z, b<b | 1: c");
        plan.tasks[2].parent_ticket = s("7");
        plan.tickets[0].tasks.push(s("q"));
        let messages: Vec<_> = plan_order(&plan)
            .faults
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            messages,
            [
                "`1` is used twice",
                "`b` depends on itself",
                "`1` names `9` in `dependencies`, which does not exist",
                "`1` names `q` in `tasks`, which does not exist",
                "`a` names `z` in `dependencies`, which does not exist",
                "`c` names `7` in `parent_ticket`, which does not exist",
            ]
        );
        assert_eq!(plan_order(&plan).all_cycles()[0].path, ["b", "b"]);
    }

    #[test]
    fn cycles_through_tickets_are_found() {
        // b waits for c by ticket, c waits for a, and a comes after b: only lifting closes it.
        let lifted = plan_order(&plan("1: a<b, b | 2<1: c | 3: d<c"));
        assert_eq!(lifted.all_cycles(), []);
        let closed = plan_order(&plan("1: a<c, b<a | 2<1: c"));
        assert_eq!(closed.all_cycles()[0].members, ["a", "b", "c"]);
        let tickets = plan_order(&plan("1<2: a | 2<1: "));
        assert_eq!(tickets.all_cycles()[0].path, ["1", "2", "1"]);
        let both = plan_order(&plan("1<2: a | 2<1: b | 3: c<d, d<c"));
        let paths: Vec<_> = both
            .all_cycles()
            .into_iter()
            .map(|c| c.path.concat())
            .collect();
        assert_eq!(paths, ["aba", "cdc", "121"]);
    }
}
