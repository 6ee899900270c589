//! Builds the six outputs from the facts of a feature.

use serde_json::{Value, json};

/// What an honest author would know about a feature.
pub(crate) struct PlanFeature {
    pub(crate) slug: &'static str,
    /// The feature part of requirement ids.
    pub(crate) code: &'static str,
    pub(crate) one_liner: &'static str,
    pub(crate) problem: &'static str,
    pub(crate) solution: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) project_type: &'static str,
    pub(crate) stack: &'static [&'static str],
    pub(crate) greenfield: bool,
    pub(crate) repo: &'static [&'static str],
    /// Path and purpose.
    pub(crate) key_files: &'static [(&'static str, &'static str)],
    /// Category and questions.
    pub(crate) questions: &'static [(&'static str, &'static [&'static str])],
    pub(crate) stories: &'static [SampleStory],
    pub(crate) requirements: &'static [SampleRequirement],
    pub(crate) components: &'static [SampleComponent],
    pub(crate) models: &'static [SampleModel],
    /// Method, path, description.
    pub(crate) endpoints: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) diagram: &'static str,
    pub(crate) tickets: &'static [SampleTicket],
}

pub(crate) struct SampleStory {
    pub(crate) role: &'static str,
    pub(crate) want: &'static str,
    pub(crate) benefit: &'static str,
    pub(crate) priority: &'static str,
    pub(crate) criterion: &'static str,
}

pub(crate) struct SampleRequirement {
    pub(crate) kind: &'static str,
    pub(crate) category: &'static str,
    pub(crate) priority: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) criteria: &'static [&'static str],
    /// Number of the story it serves, from 1.
    pub(crate) story: usize,
}

pub(crate) struct SampleModel {
    pub(crate) name: &'static str,
    pub(crate) table: &'static str,
    /// Name and type.
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

pub(crate) struct SampleComponent {
    pub(crate) name: &'static str,
    pub(crate) responsibility: &'static str,
    pub(crate) method: &'static str,
    pub(crate) dependencies: &'static [&'static str],
    /// Numbers of the requirements it serves, from 1.
    pub(crate) requirements: &'static [usize],
}

pub(crate) struct SampleTicket {
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) component: usize,
    /// Numbers of the tickets that come first, from 1.
    pub(crate) blocked_by: &'static [usize],
    pub(crate) tasks: &'static [SampleTask],
}

pub(crate) struct SampleTask {
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) hours: f64,
    pub(crate) create: &'static [&'static str],
    pub(crate) modify: &'static [&'static str],
    /// Numbers of the requirements, from 1.
    pub(crate) requirements: &'static [usize],
    pub(crate) command: &'static str,
    /// Numbers of the tasks over all tickets that come first, from 1.
    pub(crate) after: &'static [usize],
}

pub(crate) fn explore_output(f: &PlanFeature) -> Value {
    let questions: Vec<Value> = f
        .questions
        .iter()
        .map(|(category, questions)| json!({ "category": category, "questions": questions }))
        .collect();
    let files: Vec<Value> = f
        .key_files
        .iter()
        .map(|(path, purpose)| json!({ "path": path, "purpose": purpose }))
        .collect();
    let structure: serde_json::Map<String, Value> = f
        .key_files
        .iter()
        .enumerate()
        .map(|(n, (path, _))| (format!("area {n}"), json!([path])))
        .collect();
    json!({
        "codebase_summary": f.summary,
        "project_type": f.project_type,
        "tech_stack": f.stack,
        "structure": structure,
        "key_files": files,
        "relevant_patterns": [{
            "pattern": "thin entry points",
            "description": "Entry points parse input and call plain functions.",
            "files": [f.key_files[0].0],
        }],
        "conventions": {
            "naming": "snake_case for functions and files",
            "testing": "one test file per module, run in one command",
            "patterns": ["no global state"],
        },
        "discovery_questions": questions,
        "feature_summary": {
            "name": f.slug,
            "one_liner": f.one_liner,
            "problem_statement": f.problem,
            "scope_in": [f.solution],
            "scope_out": ["A graphical settings page"],
            "technical_constraints": ["No new runtime dependency"],
            "risks_identified": ["Old data without the new fields"],
            "success_metrics": ["All acceptance checks pass"],
        },
        "related_to_feature": [],
        "greenfield": f.greenfield,
    })
}

pub(crate) fn prd_output(f: &PlanFeature) -> Value {
    let stories: Vec<Value> = f
        .stories
        .iter()
        .enumerate()
        .map(|(n, s)| {
            json!({
                "id": format!("US-{:03}", n + 1),
                "role": s.role,
                "want": s.want,
                "benefit": s.benefit,
                "priority": s.priority,
                "acceptance_criteria": [s.criterion],
            })
        })
        .collect();
    let all = f
        .questions
        .iter()
        .flat_map(|(_, questions)| questions.iter());
    let questions: Vec<Value> = all
        .enumerate()
        .map(|(n, q)| match n % 3 {
            0 => json!({ "question": q, "resolution": "answered", "answer": "Yes, as the code does today." }),
            1 => json!({ "question": q, "resolution": "assumed", "answer": "The simplest reading holds." }),
            _ => json!({ "question": q, "resolution": "open" }),
        })
        .collect();
    json!({
        "overview": {
            "feature_name": f.slug,
            "one_liner": f.one_liner,
            "problem_statement": f.problem,
            "solution_summary": f.solution,
        },
        "goals": {
            "primary": [f.solution],
            "secondary": [],
            "success_metrics": [{
                "metric": "acceptance checks passed",
                "target": "100 % on the first release",
                "measurement": "test run in continuous integration",
            }],
        },
        "users": {
            "primary": [{
                "role": f.stories[0].role,
                "description": "Uses the program every day at work.",
                "needs": [f.stories[0].want],
            }],
            "secondary": [],
        },
        "user_stories": stories,
        "scope": {
            "in_scope": [f.solution],
            "out_of_scope": ["A graphical settings page"],
            "dependencies": [],
        },
        "assumptions": ["Existing data stays readable."],
        "constraints": { "technical": ["No new runtime dependency"], "business": [] },
        "risks": [{
            "description": "Old data may lack the new fields.",
            "impact": "Records could vanish from lists.",
            "likelihood": "low",
            "mitigation": "Missing fields read as empty.",
        }],
        "open_questions": questions,
    })
}

/// The id of requirement `n`, from 1.
pub(crate) fn requirement_id(f: &PlanFeature, n: usize) -> String {
    format!("REQ-{}-{}-{n:03}", f.code, f.requirements[n - 1].category)
}

pub(crate) fn requirements_output(f: &PlanFeature) -> Value {
    let requirements: Vec<Value> = f
        .requirements
        .iter()
        .enumerate()
        .map(|(n, r)| {
            json!({
                "id": requirement_id(f, n + 1),
                "title": r.title,
                "type": r.kind,
                "priority": r.priority,
                "text": r.text,
                "acceptance_criteria": r.criteria,
                "dependencies": if n == 1 { vec![requirement_id(f, 1)] } else { vec![] },
                "user_stories": [format!("US-{:03}", r.story)],
            })
        })
        .collect();
    json!({
        "feature_name": f.slug,
        "requirements": requirements,
        "assumptions": ["Existing data stays readable."],
        "out_of_scope": ["A graphical settings page"],
        "traceability": { "prd_sections": ["user_stories", "goals"], "design_components": [] },
    })
}

pub(crate) fn design_output(f: &PlanFeature) -> Value {
    let components: Vec<Value> = f
        .components
        .iter()
        .map(|c| {
            let served: Vec<String> = c.requirements.iter().map(|n| requirement_id(f, *n)).collect();
            json!({
                "name": c.name,
                "type": "module",
                "responsibility": c.responsibility,
                "interfaces": [{ "method": c.method, "inputs": ["arguments"], "outputs": "result" }],
                "dependencies": c.dependencies,
                "requirements": served,
            })
        })
        .collect();
    let models: Vec<Value> = f
        .models
        .iter()
        .map(|m| {
            let fields: Vec<Value> = m
                .fields
                .iter()
                .map(|(name, kind)| json!({ "name": name, "type": kind, "nullable": false }))
                .collect();
            json!({ "name": m.name, "table_name": m.table, "fields": fields, "indexes": ["id"] })
        })
        .collect();
    let endpoints: Vec<Value> = f
        .endpoints
        .iter()
        .map(|(method, path, description)| {
            json!({
                "method": method,
                "path": path,
                "description": description,
                "auth_required": true,
                "response_schema": { "type": "object" },
                "error_responses": { "404": "not found" },
            })
        })
        .collect();
    let mut design = json!({
        "feature_name": f.slug,
        "architecture_overview": format!("{} {} {}", f.summary, f.problem, f.solution),
        "architecture_diagram": f.diagram,
        "components": components,
        "data_models": models,
        "api_endpoints": endpoints,
        "integration_points": [format!("{} calls the new code.", f.key_files[0].0)],
        "error_handling": { "bad input": "refuse it, name the field, exit with code 2" },
        "testing_strategy": {
            "unit_tests": ["parsing of every accepted and refused form"],
            "integration_tests": ["a whole run from input to stored data"],
        },
        "security_considerations": ["Input is length-limited.", "Paths are never built from input."],
    });
    if f.models.is_empty() {
        design["data_models_not_needed"] =
            json!("The feature reads existing records and stores nothing.");
    }
    if f.endpoints.is_empty() {
        design["api_endpoints_not_needed"] =
            json!("The program is used from the command line only.");
    }
    design
}

pub(crate) fn tasks_output(f: &PlanFeature) -> Value {
    let mut tickets = Vec::new();
    let mut tasks: Vec<Value> = Vec::new();
    let mut total = 0.0;
    for (n, ticket) in f.tickets.iter().enumerate() {
        let id = format!("TKT-{:03}", n + 1);
        let first = tasks.len() + 1;
        for task in ticket.tasks {
            total += task.hours;
            tasks.push(build_task(f, task, tasks.len() + 1, &id));
        }
        let mine: Vec<String> = (first..=tasks.len())
            .map(|n| format!("TSK-{n:03}"))
            .collect();
        let mut numbers: Vec<usize> = ticket
            .tasks
            .iter()
            .flat_map(|t| t.requirements)
            .copied()
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let served: Vec<String> = numbers.iter().map(|n| requirement_id(f, *n)).collect();
        let blocked_by: Vec<String> = ticket
            .blocked_by
            .iter()
            .map(|n| format!("TKT-{n:03}"))
            .collect();
        tickets.push(json!({
            "id": id,
            "title": ticket.title,
            "description": ticket.description,
            "priority": "HIGH",
            "estimate": "M",
            "requirements": served,
            "tasks": mine,
            "acceptance_criteria": ["All checks of its tasks pass."],
            "dependencies": { "blocked_by": blocked_by, "blocks": [], "related": [] },
            "design_components": [f.components[ticket.component].name],
        }));
    }
    json!({
        "feature_name": f.slug,
        "tickets": tickets,
        "tasks": tasks,
        "total_estimated_hours": total,
        "critical_path": ["TSK-001"],
    })
}

fn build_task(f: &PlanFeature, task: &SampleTask, n: usize, ticket: &str) -> Value {
    let addressed: Vec<String> = task
        .requirements
        .iter()
        .map(|n| requirement_id(f, *n))
        .collect();
    let criteria: Vec<String> = task
        .requirements
        .iter()
        .flat_map(|n| {
            let count = f.requirements[n - 1].criteria.len();
            (1..=count).map(|k| format!("{}#{k}", requirement_id(f, *n)))
        })
        .collect();
    let after: Vec<String> = task.after.iter().map(|n| format!("TSK-{n:03}")).collect();
    let checks = if task.command.is_empty() {
        json!([])
    } else {
        json!([{ "kind": "proof", "command": task.command, "criteria": criteria, "timeout_s": 120 }])
    };
    json!({
        "id": format!("TSK-{n:03}"),
        "title": task.title,
        "description": task.description,
        "parent_ticket": ticket,
        "type": task.kind,
        "priority": "HIGH",
        "estimate": if task.hours <= 2.0 { "S" } else { "M" },
        "estimated_hours": task.hours,
        "files_to_create": task.create,
        "files_to_modify": task.modify,
        "acceptance_criteria": ["The check of this task passes."],
        "requirements_addressed": addressed,
        "checks": checks,
        "dependencies": { "depends_on": after, "blocks": [] },
    })
}
