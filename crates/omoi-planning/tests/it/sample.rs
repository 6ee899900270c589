//! A plan as large as they come.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use omoi_plan::coverage::{PlannedOutputs, sync_verdict};
use omoi_plan::outputs::{DesignOutput, RequirementsOutput, SyncOpinion, SyncOutput, TasksOutput};
use omoi_planning::sync::AcceptedPlan;

/// Accepted outputs of three phases.
pub(crate) struct Sample {
    requirements: RequirementsOutput,
    design: DesignOutput,
    pub(crate) tasks: TasksOutput,
    verdict: SyncOutput,
    base_exits: BTreeMap<(String, usize), i32>,
}

impl Sample {
    /// 50 requirements of two criteria, 20 tickets in four rows of five, 100 tasks in chains of five.
    pub(crate) fn large() -> Self {
        let requirements: RequirementsOutput = serde_json::from_value(json!({
            "feature_name": "note-tags",
            "requirements": (0..50).map(requirement).collect::<Vec<_>>(),
            "assumptions": [],
            "out_of_scope": [],
            "traceability": { "prd_sections": [], "design_components": [] },
        }))
        .unwrap();
        let design: DesignOutput = serde_json::from_value(json!({
            "feature_name": "note-tags",
            "architecture_overview": "One part.",
            "architecture_diagram": "graph TD; A-->B",
            "components": [{
                "name": "Tag store", "type": "module", "responsibility": "Keeps the tags.",
                "interfaces": [],
                "requirements": (0..50).map(requirement_id).collect::<Vec<_>>(),
            }],
            "data_models": [],
            "api_endpoints": [],
            "integration_points": [],
            "error_handling": {},
            "testing_strategy": {},
            "security_considerations": [],
        }))
        .unwrap();
        let tasks: TasksOutput = serde_json::from_value(json!({
            "feature_name": "note-tags",
            "tickets": (0..20).map(ticket).collect::<Vec<_>>(),
            "tasks": (0..100).map(task).collect::<Vec<_>>(),
            "total_estimated_hours": 100.0,
            "critical_path": [],
        }))
        .unwrap();
        let planned = PlannedOutputs {
            requirements: &requirements,
            design: &design,
            tasks: &tasks,
        };
        let verdict = sync_verdict(planned, &SyncOpinion::default());
        let base_exits = (0..100).map(|n| ((task_id(n), 0), 1)).collect();
        Self {
            requirements,
            design,
            tasks,
            verdict,
            base_exits,
        }
    }

    pub(crate) fn accepted(&self) -> AcceptedPlan<'_> {
        AcceptedPlan {
            planned: PlannedOutputs {
                requirements: &self.requirements,
                design: &self.design,
                tasks: &self.tasks,
            },
            verdict: &self.verdict,
            base_exits: &self.base_exits,
        }
    }
}

fn requirement_id(n: usize) -> String {
    format!("REQ-TAGS-FUNC-{:03}", n + 1)
}

fn task_id(n: usize) -> String {
    format!("TSK-{:03}", n + 1)
}

fn requirement(n: usize) -> Value {
    json!({
        "id": requirement_id(n),
        "title": format!("Keep tag {n}"),
        "type": "functional",
        "priority": "HIGH",
        "text": "WHEN a note is saved, THE SYSTEM SHALL store its tags.",
        "acceptance_criteria": ["Tags are stored.", "Tags survive a restart."],
        "user_stories": ["US-001"],
    })
}

fn ticket(t: usize) -> Value {
    let blocked_by: Vec<String> = if t >= 5 {
        vec![format!("TKT-{:03}", t - 4)]
    } else {
        Vec::new()
    };
    json!({
        "id": format!("TKT-{:03}", t + 1),
        "title": format!("Ticket {t}"),
        "description": "What this group of tasks builds.",
        "priority": "MEDIUM",
        "estimate": "S",
        "requirements": [],
        "tasks": (t * 5..t * 5 + 5).map(task_id).collect::<Vec<_>>(),
        "acceptance_criteria": ["It works."],
        "dependencies": { "blocked_by": blocked_by, "blocks": [] },
        "design_components": ["Tag store"],
    })
}

fn task(n: usize) -> Value {
    let after: Vec<String> = if n % 5 > 0 {
        vec![task_id(n - 1)]
    } else {
        Vec::new()
    };
    let requirement = requirement_id(n / 2);
    json!({
        "id": task_id(n),
        "title": format!("Task {n}"),
        "description": "What this task builds.",
        "parent_ticket": format!("TKT-{:03}", n / 5 + 1),
        "type": "implementation",
        "priority": "MEDIUM",
        "estimated_hours": 1.0,
        "files_to_create": [format!("src/{n}.py")],
        "files_to_modify": [],
        "acceptance_criteria": ["It works."],
        "requirements_addressed": [requirement],
        "checks": [{
            "kind": "proof",
            "command": "python -m pytest -q",
            "files": { (format!("tests/test_{n}.py")): "def test(): ..." },
            "criteria": [format!("{requirement}#{}", n % 2 + 1)],
        }],
        "dependencies": { "depends_on": after, "blocks": [] },
    })
}
