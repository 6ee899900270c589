//! The documents of the phases before tasks: product requirements, requirements, design.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::requirement::RequirementType;

use crate::artifacts::body::{MarkdownBody, one_line};
use crate::artifacts::documents::{
    DesignFront, DocumentCategory, DocumentStatus, ModelFront, PrdFront, RequirementsFront,
};
use crate::artifacts::file::{SpecFile, SpecFileMeta, document_id, feature_slug};
use crate::outputs::design::{ApiEndpoint, DataModel, DesignComponent};
use crate::outputs::prd::{SuccessMetric, UserPersona, UserStory};
use crate::outputs::requirements::PlannedRequirement;
use crate::outputs::{DesignOutput, PrdOutput, RequirementsOutput};

const FIRST_VERSION: &str = "1.0";

pub(in crate::artifacts) fn render_prd(meta: &SpecFileMeta, prd: &PrdOutput) -> SpecFile<PrdFront> {
    let overview = &prd.overview;
    let front = prd_front(meta, prd);
    let mut body = MarkdownBody::default();
    body.add_heading(1, &front.title);
    body.add_text(&overview.one_liner);
    body.add_section(2, "Problem", &overview.problem_statement);
    body.add_section(2, "Solution", &overview.solution_summary);
    body.add_listed(2, "Goals", &prd.goals.primary);
    if !prd.goals.secondary.is_empty() {
        body.add_listed(3, "Also welcome", &prd.goals.secondary);
    }
    body.add_heading(3, "Measures of success");
    let metrics = prd.goals.success_metrics.iter();
    let metric = |m: &SuccessMetric| [m.metric.clone(), m.target.clone(), m.measurement.clone()];
    body.add_table(["Measure", "Target", "How"], metrics.map(metric).collect());
    body.add_listed(
        2,
        "Users",
        prd.users
            .primary
            .iter()
            .chain(&prd.users.secondary)
            .map(persona_line),
    );
    body.add_heading(2, "User stories");
    for story in &prd.user_stories {
        user_story(&mut body, story);
    }
    body.add_listed(2, "In scope", &prd.scope.in_scope);
    body.add_listed(2, "Out of scope", &prd.scope.out_of_scope);
    body.add_listed(2, "Depends on", &prd.scope.dependencies);
    body.add_listed(2, "Assumptions", &prd.assumptions);
    let constraints = &prd.constraints;
    body.add_listed(
        2,
        "Constraints",
        constraints.technical.iter().chain(&constraints.business),
    );
    body.add_heading(2, "Risks");
    let risks = prd
        .risks
        .iter()
        .map(|r| [&r.description, &r.impact, &r.likelihood, &r.mitigation].map(String::clone));
    body.add_table(
        ["Risk", "Impact", "Likelihood", "Mitigation"],
        risks.collect(),
    );
    body.add_heading(2, "Questions");
    let questions = prd.open_questions.iter().map(|q| {
        let answer = q.answer.clone().unwrap_or_default();
        [q.question.clone(), q.resolution.to_string(), answer]
    });
    body.add_table(["Question", "State", "Answer"], questions.collect());
    SpecFile::new(front, body.finish())
}

fn prd_front(meta: &SpecFileMeta, prd: &PrdOutput) -> PrdFront {
    PrdFront {
        id: document_id("PRD", meta),
        title: format!("Product requirements: {}", prd.overview.feature_name),
        feature: feature_slug(&meta.feature),
        created: meta.created_at.calendar_date(),
        updated: meta.updated_at.calendar_date(),
        status: DocumentStatus::Approved,
        version: prd
            .prd_version
            .clone()
            .unwrap_or_else(|| FIRST_VERSION.to_owned()),
    }
}

fn persona_line(persona: &UserPersona) -> String {
    let needs = if persona.needs.is_empty() {
        String::new()
    } else {
        format!(" Needs: {}.", persona.needs.join(", "))
    };
    format!("**{}**: {}{needs}", persona.role, persona.description)
}

fn user_story(body: &mut MarkdownBody, story: &UserStory) {
    body.add_heading(3, &format!("{} ({})", story.id, story.priority));
    let UserStory {
        role,
        want,
        benefit,
        ..
    } = story;
    body.add_text(&one_line(&format!(
        "As {role}, I want {want}, so that {benefit}."
    )));
    body.add_list(&story.acceptance_criteria);
}

pub(in crate::artifacts) fn render_requirements(
    meta: &SpecFileMeta,
    output: &RequirementsOutput,
) -> SpecFile<RequirementsFront> {
    let front = RequirementsFront {
        id: document_id("REQ", meta),
        title: format!("Requirements: {}", output.feature_name),
        feature: feature_slug(&meta.feature),
        created: meta.created_at.calendar_date(),
        updated: meta.updated_at.calendar_date(),
        status: DocumentStatus::Approved,
        category: Some(document_category(&output.requirements)),
        // Critical comes first in the order of priorities.
        priority: output.requirements.iter().map(|r| r.priority).max(),
        prd_ref: Some(document_id("PRD", meta)),
        design_ref: Some(document_id("DESIGN", meta)),
    };
    let mut body = MarkdownBody::default();
    body.add_heading(1, &front.title);
    for requirement in &output.requirements {
        requirement_section(&mut body, requirement);
    }
    body.add_listed(2, "Assumptions", &output.assumptions);
    body.add_listed(2, "Out of scope", &output.out_of_scope);
    if !output.open_questions.is_empty() {
        body.add_listed(2, "Open questions", &output.open_questions);
    }
    SpecFile::new(front, body.finish())
}

fn document_category(requirements: &[PlannedRequirement]) -> DocumentCategory {
    let is = |kind| move |r: &PlannedRequirement| r.kind == kind;
    if requirements.iter().any(is(RequirementType::Functional)) {
        DocumentCategory::Functional
    } else if !requirements.is_empty() && requirements.iter().all(is(RequirementType::Constraint)) {
        DocumentCategory::Constraint
    } else {
        DocumentCategory::NonFunctional
    }
}

fn requirement_section(body: &mut MarkdownBody, requirement: &PlannedRequirement) {
    body.add_heading(2, &format!("{}: {}", requirement.id, requirement.title));
    body.add_text(&format!("> {}", one_line(&requirement.text)));
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
    body.add_list(&facts);
    body.add_text("Accepted when:");
    body.add_criteria(&requirement.acceptance_criteria);
}

pub(in crate::artifacts) fn render_design(
    meta: &SpecFileMeta,
    output: &DesignOutput,
) -> SpecFile<DesignFront> {
    let front = design_front(meta, output);
    let mut body = MarkdownBody::default();
    body.add_heading(1, &front.title);
    body.add_section(2, "Architecture", &output.architecture_overview);
    body.add_code("mermaid", &output.architecture_diagram);
    body.add_heading(2, "Components");
    for component in &output.components {
        component_section(&mut body, component);
    }
    body.add_heading(2, "Data models");
    body.add_text(output.data_models_not_needed.as_deref().unwrap_or_default());
    for model in &output.data_models {
        model_section(&mut body, model);
    }
    body.add_heading(2, "Endpoints");
    body.add_text(
        output
            .api_endpoints_not_needed
            .as_deref()
            .unwrap_or_default(),
    );
    let endpoint = |e: &ApiEndpoint| {
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
        body.add_table(["Method", "Path", "Known caller", "Purpose"], endpoints);
    }
    body.add_listed(
        2,
        "Integration points",
        output.integration_points.iter().map(value_text),
    );
    body.add_listed(2, "Error handling", pair_lines(&output.error_handling));
    body.add_heading(2, "Tests");
    let tests = &output.testing_strategy;
    body.add_text(tests.strategy.as_deref().unwrap_or_default());
    body.add_list(tests.unit_tests.iter().chain(&tests.integration_tests));
    body.add_listed(2, "Security", &output.security_considerations);
    if !output.migration_plan.is_empty() {
        body.add_listed(2, "Migration", pair_lines(&output.migration_plan));
    }
    SpecFile::new(front, body.finish())
}

fn design_front(meta: &SpecFileMeta, output: &DesignOutput) -> DesignFront {
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
        created: meta.created_at.calendar_date(),
        updated: meta.updated_at.calendar_date(),
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

fn component_section(body: &mut MarkdownBody, component: &DesignComponent) {
    body.add_heading(3, &format!("{} ({})", component.name, component.kind));
    body.add_text(&component.responsibility);
    body.add_text(component.description.as_deref().unwrap_or_default());
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
    body.add_list(&facts);
}

fn model_section(body: &mut MarkdownBody, model: &DataModel) {
    body.add_heading(3, &model.name);
    body.add_text(model.description.as_deref().unwrap_or_default());
    let fields = model.fields.iter().map(|f| {
        let meaning = f.description.clone().unwrap_or_default();
        [
            f.name.clone(),
            f.kind.clone(),
            f.constraints.join(", "),
            meaning,
        ]
    });
    body.add_table(
        ["Field", "Type", "Constraints", "Meaning"],
        fields.collect(),
    );
}

fn pair_lines(map: &BTreeMap<String, Value>) -> impl Iterator<Item = String> + '_ {
    map.iter()
        .map(|(key, value)| format!("{key}: {}", value_text(value)))
}

/// Text as it is, anything else as JSON.
fn value_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
