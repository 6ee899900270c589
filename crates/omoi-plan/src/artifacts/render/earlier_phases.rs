//! The documents of the phases before tasks: product requirements, requirements, design.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::requirement::RequirementType;

use crate::artifacts::body::{Body, flat};
use crate::artifacts::documents::{
    DesignFront, DocumentCategory, DocumentStatus, ModelFront, PrdFront, RequirementsFront,
};
use crate::artifacts::file::{File, Meta, document_id, feature_slug};
use crate::outputs::design::{Component, DataModel, Endpoint};
use crate::outputs::prd::{Persona, SuccessMetric, UserStory};
use crate::outputs::requirements::Requirement;
use crate::outputs::{DesignOutput, PrdOutput, RequirementsOutput};

const FIRST_VERSION: &str = "1.0";

pub(in crate::artifacts) fn prd(meta: &Meta, prd: &PrdOutput) -> File<PrdFront> {
    let overview = &prd.overview;
    let front = prd_front(meta, prd);
    let mut body = Body::default();
    body.heading(1, &front.title);
    body.text(&overview.one_liner);
    body.section(2, "Problem", &overview.problem_statement);
    body.section(2, "Solution", &overview.solution_summary);
    body.listed(2, "Goals", &prd.goals.primary);
    if !prd.goals.secondary.is_empty() {
        body.listed(3, "Also welcome", &prd.goals.secondary);
    }
    body.heading(3, "Measures of success");
    let metrics = prd.goals.success_metrics.iter();
    let metric = |m: &SuccessMetric| [m.metric.clone(), m.target.clone(), m.measurement.clone()];
    body.table(["Measure", "Target", "How"], metrics.map(metric).collect());
    body.listed(
        2,
        "Users",
        prd.users
            .primary
            .iter()
            .chain(&prd.users.secondary)
            .map(persona),
    );
    body.heading(2, "User stories");
    for story in &prd.user_stories {
        user_story(&mut body, story);
    }
    body.listed(2, "In scope", &prd.scope.in_scope);
    body.listed(2, "Out of scope", &prd.scope.out_of_scope);
    body.listed(2, "Depends on", &prd.scope.dependencies);
    body.listed(2, "Assumptions", &prd.assumptions);
    let constraints = &prd.constraints;
    body.listed(
        2,
        "Constraints",
        constraints.technical.iter().chain(&constraints.business),
    );
    body.heading(2, "Risks");
    let risks = prd
        .risks
        .iter()
        .map(|r| [&r.description, &r.impact, &r.likelihood, &r.mitigation].map(String::clone));
    body.table(
        ["Risk", "Impact", "Likelihood", "Mitigation"],
        risks.collect(),
    );
    body.heading(2, "Questions");
    let questions = prd.open_questions.iter().map(|q| {
        let answer = q.answer.clone().unwrap_or_default();
        [q.question.clone(), q.resolution.to_string(), answer]
    });
    body.table(["Question", "State", "Answer"], questions.collect());
    File::new(front, body.finish())
}

fn prd_front(meta: &Meta, prd: &PrdOutput) -> PrdFront {
    PrdFront {
        id: document_id("PRD", meta),
        title: format!("Product requirements: {}", prd.overview.feature_name),
        feature: feature_slug(&meta.feature),
        created: meta.created_at.date(),
        updated: meta.updated_at.date(),
        status: DocumentStatus::Approved,
        version: prd
            .prd_version
            .clone()
            .unwrap_or_else(|| FIRST_VERSION.to_owned()),
    }
}

fn persona(persona: &Persona) -> String {
    let needs = if persona.needs.is_empty() {
        String::new()
    } else {
        format!(" Needs: {}.", persona.needs.join(", "))
    };
    format!("**{}**: {}{needs}", persona.role, persona.description)
}

fn user_story(body: &mut Body, story: &UserStory) {
    body.heading(3, &format!("{} ({})", story.id, story.priority));
    let UserStory {
        role,
        want,
        benefit,
        ..
    } = story;
    body.text(&flat(&format!(
        "As {role}, I want {want}, so that {benefit}."
    )));
    body.list(&story.acceptance_criteria);
}

pub(in crate::artifacts) fn requirements(
    meta: &Meta,
    output: &RequirementsOutput,
) -> File<RequirementsFront> {
    let front = RequirementsFront {
        id: document_id("REQ", meta),
        title: format!("Requirements: {}", output.feature_name),
        feature: feature_slug(&meta.feature),
        created: meta.created_at.date(),
        updated: meta.updated_at.date(),
        status: DocumentStatus::Approved,
        category: Some(category(&output.requirements)),
        // Critical comes first in the order of priorities.
        priority: output.requirements.iter().map(|r| r.priority).max(),
        prd_ref: Some(document_id("PRD", meta)),
        design_ref: Some(document_id("DESIGN", meta)),
    };
    let mut body = Body::default();
    body.heading(1, &front.title);
    for requirement in &output.requirements {
        requirement_section(&mut body, requirement);
    }
    body.listed(2, "Assumptions", &output.assumptions);
    body.listed(2, "Out of scope", &output.out_of_scope);
    if !output.open_questions.is_empty() {
        body.listed(2, "Open questions", &output.open_questions);
    }
    File::new(front, body.finish())
}

fn category(requirements: &[Requirement]) -> DocumentCategory {
    let is = |kind| move |r: &Requirement| r.kind == kind;
    if requirements.iter().any(is(RequirementType::Functional)) {
        DocumentCategory::Functional
    } else if !requirements.is_empty() && requirements.iter().all(is(RequirementType::Constraint)) {
        DocumentCategory::Constraint
    } else {
        DocumentCategory::NonFunctional
    }
}

fn requirement_section(body: &mut Body, requirement: &Requirement) {
    body.heading(2, &format!("{}: {}", requirement.id, requirement.title));
    body.text(&format!("> {}", flat(&requirement.text)));
    let mut facts = vec![
        format!("Type: {}", requirement.kind),
        format!("Priority: {}", requirement.priority),
    ];
    for (label, ids) in [
        ("Stories", &requirement.user_stories),
        ("Needs", &requirement.dependencies),
    ] {
        if !ids.is_empty() {
            facts.push(format!("{label}: {}", ids.join(", ")));
        }
    }
    facts.extend(
        requirement
            .notes
            .iter()
            .map(|notes| format!("Notes: {notes}")),
    );
    body.list(&facts);
    body.text("Accepted when:");
    body.criteria(&requirement.acceptance_criteria);
}

pub(in crate::artifacts) fn design(meta: &Meta, output: &DesignOutput) -> File<DesignFront> {
    let front = design_front(meta, output);
    let mut body = Body::default();
    body.heading(1, &front.title);
    body.section(2, "Architecture", &output.architecture_overview);
    body.code("mermaid", &output.architecture_diagram);
    body.heading(2, "Components");
    for component in &output.components {
        component_section(&mut body, component);
    }
    body.heading(2, "Data models");
    body.text(output.data_models_not_needed.as_deref().unwrap_or_default());
    for model in &output.data_models {
        model_section(&mut body, model);
    }
    body.heading(2, "Endpoints");
    body.text(
        output
            .api_endpoints_not_needed
            .as_deref()
            .unwrap_or_default(),
    );
    let endpoint = |e: &Endpoint| {
        let auth = if e.auth_required { "yes" } else { "no" };
        [
            e.method.clone(),
            e.path.clone(),
            auth.to_owned(),
            e.description.clone(),
        ]
    };
    let endpoints: Vec<_> = output.api_endpoints.iter().map(endpoint).collect();
    if !endpoints.is_empty() {
        body.table(["Method", "Path", "Known caller", "Purpose"], endpoints);
    }
    body.listed(
        2,
        "Integration points",
        output.integration_points.iter().map(prose),
    );
    body.listed(2, "Error handling", pairs(&output.error_handling));
    body.heading(2, "Tests");
    let tests = &output.testing_strategy;
    body.text(tests.strategy.as_deref().unwrap_or_default());
    body.list(tests.unit_tests.iter().chain(&tests.integration_tests));
    body.listed(2, "Security", &output.security_considerations);
    if !output.migration_plan.is_empty() {
        body.listed(2, "Migration", pairs(&output.migration_plan));
    }
    File::new(front, body.finish())
}

fn design_front(meta: &Meta, output: &DesignOutput) -> DesignFront {
    let mut served: Vec<String> = Vec::new();
    for id in output.components.iter().flat_map(|c| &c.requirements) {
        if !served.contains(id) {
            served.push(id.clone());
        }
    }
    DesignFront {
        id: document_id("DESIGN", meta),
        title: format!("Design: {}", output.feature_name),
        feature: feature_slug(&meta.feature),
        created: meta.created_at.date(),
        updated: meta.updated_at.date(),
        status: DocumentStatus::Approved,
        requirements: served,
        api_endpoints: output.api_endpoints.clone(),
        data_models: output.data_models.iter().map(model_front).collect(),
    }
}

fn model_front(model: &DataModel) -> ModelFront {
    ModelFront {
        name: model.name.clone(),
        description: model.description.clone(),
        table_name: model.table_name.clone(),
        typed_fields: model.fields.clone(),
        relationships: model.relationships.clone(),
    }
}

fn component_section(body: &mut Body, component: &Component) {
    body.heading(3, &format!("{} ({})", component.name, component.kind));
    body.text(&component.responsibility);
    body.text(component.description.as_deref().unwrap_or_default());
    let mut facts: Vec<String> = component
        .file_path
        .iter()
        .map(|path| format!("File: `{path}`"))
        .collect();
    for (label, names) in [
        ("Serves", &component.requirements),
        ("Uses", &component.dependencies),
    ] {
        if !names.is_empty() {
            facts.push(format!("{label}: {}", names.join(", ")));
        }
    }
    let interfaces = component.interfaces.iter().map(|i| {
        let purpose = i.description.as_deref().unwrap_or("no description");
        format!("Offers `{}`: {purpose}", i.method)
    });
    facts.extend(interfaces);
    body.list(&facts);
}

fn model_section(body: &mut Body, model: &DataModel) {
    body.heading(3, &model.name);
    body.text(model.description.as_deref().unwrap_or_default());
    let fields = model.fields.iter().map(|f| {
        let meaning = f.description.clone().unwrap_or_default();
        [
            f.name.clone(),
            f.kind.clone(),
            f.constraints.join(", "),
            meaning,
        ]
    });
    body.table(
        ["Field", "Type", "Constraints", "Meaning"],
        fields.collect(),
    );
}

fn pairs(map: &BTreeMap<String, Value>) -> impl Iterator<Item = String> + '_ {
    map.iter()
        .map(|(key, value)| format!("{key}: {}", prose(value)))
}

/// Text as it is, anything else as JSON.
fn prose(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
