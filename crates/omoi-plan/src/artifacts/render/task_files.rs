//! The documents of tasks and sync: tickets, tasks, their index, the summary.

use omoi_domain::graph::Dag;

use crate::artifacts::body::{CRITERIA_HEADING, MarkdownBody, one_line};
use crate::artifacts::documents::{
    DocumentStatus, IndexFront, SummaryFront, TaskFileStatus, TaskFront, TicketFileStatus,
    TicketFront,
};
use crate::artifacts::file::{SpecFile, SpecFileMeta, document_id, feature_slug};
use crate::coverage::plan_order;
use crate::outputs::sync::ValidationResults;
use crate::outputs::tasks::{PlannedTask, PlannedTicket, SizeEstimate};
use crate::outputs::{SyncOutput, TasksOutput};

pub(in crate::artifacts) fn render_ticket(
    meta: &SpecFileMeta,
    ticket: &PlannedTicket,
    plan: &TasksOutput,
) -> SpecFile<TicketFront> {
    let front = TicketFront {
        id: ticket.id.clone(),
        title: ticket.title.clone(),
        created: meta.created_at.calendar_date(),
        updated: meta.updated_at.calendar_date(),
        status: TicketFileStatus::Backlog,
        priority: ticket.priority,
        estimate: ticket.estimate,
        feature: feature_slug(&meta.feature),
        requirements: ticket.requirements.clone(),
        design_ref: Some(document_id("DESIGN", meta)),
        tasks: ticket.tasks.clone(),
        assignee: None,
        labels: Vec::new(),
        dependencies: ticket.dependencies.clone(),
    };
    let mut body = MarkdownBody::default();
    body.add_heading(1, &format!("{}: {}", ticket.id, ticket.title));
    body.add_text(&ticket.description);
    body.add_listed(
        2,
        "Tasks",
        ticket.tasks.iter().map(|id| {
            let title = plan
                .tasks
                .iter()
                .find(|t| t.id == *id)
                .map_or("", |t| &t.title);
            format!("[{id}](../tasks/{id}.md) {title}")
        }),
    );
    body.add_listed(2, "Requirements", &ticket.requirements);
    body.add_listed(2, "Design components", &ticket.design_components);
    body.add_heading(2, CRITERIA_HEADING);
    body.add_criteria(&ticket.acceptance_criteria);
    SpecFile::new(front, body.finish())
}

pub(in crate::artifacts) fn render_task(
    meta: &SpecFileMeta,
    task: &PlannedTask,
) -> SpecFile<TaskFront> {
    let front = TaskFront {
        id: task.id.clone(),
        title: task.title.clone(),
        created: meta.created_at.calendar_date(),
        status: TaskFileStatus::Pending,
        parent_ticket: task.parent_ticket.clone(),
        kind: Some(task.kind),
        priority: Some(task.priority),
        estimate: task
            .estimate
            .unwrap_or_else(|| SizeEstimate::from_hours(task.estimated_hours)),
        assignee: None,
        files_to_create: task.files_to_create.clone(),
        files_to_modify: task.files_to_modify.clone(),
        requirements_addressed: task.requirements_addressed.clone(),
        dependencies: task.dependencies.clone(),
    };
    let mut body = MarkdownBody::default();
    body.add_heading(1, &format!("{}: {}", task.id, task.title));
    body.add_text(&task.description);
    let created = task
        .files_to_create
        .iter()
        .map(|path| format!("create `{path}`"));
    let modified = task
        .files_to_modify
        .iter()
        .map(|path| format!("change `{path}`"));
    body.add_listed(2, "Files", created.chain(modified));
    body.add_listed(2, "Requirements", &task.requirements_addressed);
    body.add_heading(2, "Checks");
    if task.checks.is_empty() {
        body.add_text("The project's own test suite.");
    }
    for check in &task.checks {
        let proves = if check.criteria.is_empty() {
            String::new()
        } else {
            format!(" of {}", check.criteria.join(", "))
        };
        body.add_text(&one_line(&format!("A {}{proves}:", check.kind)));
        body.add_code("sh", &check.command);
        for (path, text) in &check.files {
            body.add_text(&format!("with the file `{}`:", one_line(path)));
            body.add_code("", text);
        }
    }
    body.add_heading(2, CRITERIA_HEADING);
    body.add_criteria(&task.acceptance_criteria);
    SpecFile::new(front, body.finish())
}

pub(in crate::artifacts) fn render_index(
    meta: &SpecFileMeta,
    plan: &TasksOutput,
) -> SpecFile<IndexFront> {
    let front = index_front(meta, plan);
    let mut body = MarkdownBody::default();
    body.add_heading(1, &front.title);
    body.add_text(&format!(
        "{} tasks in {} tickets, {} hours. Longest chain: {}.",
        front.total_tasks,
        front.total_tickets,
        front.total_estimated_hours,
        if front.critical_path.is_empty() {
            "none".to_owned()
        } else {
            front.critical_path.join(" → ")
        },
    ));
    body.add_heading(2, "Graph");
    body.add_code("mermaid", &task_diagram(plan));
    body.add_heading(2, "Order");
    match plan_order(plan).tasks.into_dag() {
        Ok(dag) => body.add_list(order_lines(&dag)),
        Err(error) => body.add_text(&one_line(&error.to_string())),
    }
    body.add_heading(2, "Tickets");
    let tickets = plan.tickets.iter().map(|t| {
        let link = format!("[{0}](../tickets/{0}.md)", t.id);
        [
            link,
            t.title.clone(),
            t.priority.to_string(),
            t.estimate.to_string(),
            t.tasks.join(", "),
        ]
    });
    body.add_table(
        ["Ticket", "Title", "Priority", "Size", "Tasks"],
        tickets.collect(),
    );
    body.add_heading(2, "Tasks");
    let tasks = plan.tasks.iter().map(|t| {
        let link = format!("[{0}]({0}.md)", t.id);
        [
            link,
            t.title.clone(),
            t.kind.to_string(),
            t.estimated_hours.to_string(),
            t.parent_ticket.clone(),
        ]
    });
    body.add_table(
        ["Task", "Title", "Type", "Hours", "Ticket"],
        tasks.collect(),
    );
    SpecFile::new(front, body.finish())
}

fn index_front(meta: &SpecFileMeta, plan: &TasksOutput) -> IndexFront {
    IndexFront {
        id: format!("TASKS-{}", meta.number),
        title: format!("Tasks: {}", plan.feature_name),
        spec_id: meta.spec_id.to_string(),
        created: meta.created_at.calendar_date(),
        updated: meta.updated_at.calendar_date(),
        status: DocumentStatus::Approved,
        total_tasks: plan.tasks.len(),
        total_tickets: plan.tickets.len(),
        total_estimated_hours: plan.total_estimated_hours,
        critical_path: plan.critical_path.clone(),
    }
}

fn order_lines(dag: &Dag<String>) -> Vec<String> {
    let levels = dag.levels();
    let line = |(n, ids): (usize, &Vec<String>)| format!("Step {}: {}", n + 1, ids.join(", "));
    levels.iter().enumerate().map(line).collect()
}

fn task_diagram(plan: &TasksOutput) -> String {
    let mut lines = vec!["graph LR".to_owned()];
    for task in &plan.tasks {
        // A quote inside a label would end it.
        let label = one_line(&task.title).replace('"', "#quot;");
        lines.push(format!("  {0}[\"{0} {label}\"]", task.id));
    }
    let edges = plan_order(plan).tasks;
    lines.extend(
        edges
            .edges()
            .map(|e| format!("  {} --> {}", e.before, e.after)),
    );
    lines.join("\n")
}

pub(in crate::artifacts) fn render_summary(
    meta: &SpecFileMeta,
    sync: &SyncOutput,
) -> SpecFile<SummaryFront> {
    let figures = &sync.spec_summary;
    let front = summary_front(meta, sync);
    let mut body = MarkdownBody::default();
    body.add_heading(1, &front.title);
    let state = if sync.ready_for_execution {
        "Ready"
    } else {
        "Not ready"
    };
    let percent = figures.requirement_coverage_percent;
    body.add_text(&format!("{state} for execution. Coverage: {percent:.1} %."));
    let v = &sync.validation_results;
    body.add_heading(2, "Validation");
    body.add_table(["Question", "Answer"], validation_answers(v));
    if !v.warnings.is_empty() {
        body.add_listed(3, "Warnings", &v.warnings);
    }
    body.add_heading(2, "Coverage");
    let rows = sync.coverage_matrix.iter().map(|row| {
        let requirement = format!("{} {}", row.requirement_id, row.requirement_title);
        let tasks = row.covered_by_tasks.join(", ");
        [
            requirement,
            row.status.to_string(),
            tasks,
            row.covered_by_tickets.join(", "),
        ]
    });
    body.add_table(
        ["Requirement", "Status", "Tasks", "Tickets"],
        rows.collect(),
    );
    let blockers = sync
        .blockers
        .iter()
        .map(|b| format!("{} ({}): {}", b.code, b.phase, b.message));
    body.add_listed(2, "Blockers", blockers);
    body.add_listed(2, "Recommendations", &sync.recommendations);
    let feature = feature_slug(&meta.feature);
    body.add_listed(
        2,
        "Files",
        [
            format!("[Product requirements](docs/prd-{feature}.md)"),
            format!("[Requirements](requirements/{feature}.md)"),
            format!("[Design](designs/{feature}.md)"),
            "[Tasks](tasks/index.md)".to_owned(),
        ],
    );
    SpecFile::new(front, body.finish())
}

fn validation_answers(v: &ValidationResults) -> Vec<[String; 2]> {
    let answers = [
        ("Every requirement has a task", v.all_requirements_covered),
        (
            "Every component has a task",
            v.all_design_components_have_tasks,
        ),
        ("The order holds", v.dependency_order_valid),
        ("No cycle", v.no_circular_dependencies),
        ("Every id is valid", v.all_ids_valid),
    ];
    let row = |(question, holds)| [question, if holds { "yes" } else { "no" }].map(str::to_owned);
    answers.map(row).to_vec()
}

fn summary_front(meta: &SpecFileMeta, sync: &SyncOutput) -> SummaryFront {
    let figures = &sync.spec_summary;
    SummaryFront {
        id: format!("SPEC-{}", meta.number),
        title: format!("Summary: {}", figures.feature_name),
        spec_id: meta.spec_id.to_string(),
        created: meta.created_at.calendar_date(),
        updated: meta.updated_at.calendar_date(),
        ready_for_execution: sync.ready_for_execution,
        total_requirements: figures.total_requirements,
        total_tasks: figures.total_tasks,
        total_estimated_hours: figures.total_estimated_hours,
    }
}
