//! Which sections each phase has, in the order of the fields of its type.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::phase::Phase;

use crate::outputs::{design, explore, prd, requirements, sync, tasks};
use crate::sections::section::OutputSection;

/// The sections of `phase`, in the order of its fields.
pub const fn phase_sections(phase: Phase) -> &'static [OutputSection] {
    match phase {
        Phase::Explore => EXPLORE,
        Phase::Prd => PRD,
        Phase::Requirements => REQUIREMENTS,
        Phase::Design => DESIGN,
        Phase::Tasks => TASKS,
        Phase::Sync => SYNC,
        Phase::Complete => &[],
        Phase::TicketRequirements | Phase::TicketDesign => TICKET_DOCUMENT,
    }
}

/// The section of `phase` called `name`.
pub fn find_section(phase: Phase, name: &str) -> Option<&'static OutputSection> {
    phase_sections(phase).iter().find(|s| s.name == name)
}

type Texts = Vec<String>;
type Object = BTreeMap<String, Value>;

const EXPLORE: &[OutputSection] = &[
    OutputSection::single::<String>("codebase_summary"),
    OutputSection::single::<String>("project_type"),
    OutputSection::single::<Texts>("tech_stack"),
    OutputSection::single::<BTreeMap<String, explore::RolePaths>>("structure"),
    OutputSection::list::<explore::KeyFile>("key_files", Some("path"), 0),
    OutputSection::list::<explore::CodePattern>("relevant_patterns", Some("pattern"), 0),
    OutputSection::list::<explore::ExistingModel>("existing_models", None, 0).optional(),
    OutputSection::single::<explore::CodeConventions>("conventions"),
    OutputSection::single::<Texts>("entry_points").optional(),
    OutputSection::single::<Option<String>>("test_structure").optional(),
    OutputSection::list::<explore::QuestionGroup>("discovery_questions", Some("category"), 1),
    OutputSection::single::<explore::FeatureSummary>("feature_summary"),
    OutputSection::list::<explore::RelatedCode>("related_to_feature", None, 0),
    OutputSection::single::<bool>("greenfield"),
    OutputSection::single::<Option<String>>("notes").optional(),
];

const PRD: &[OutputSection] = &[
    OutputSection::single::<prd::PrdOverview>("overview"),
    OutputSection::single::<prd::PrdGoals>("goals"),
    OutputSection::single::<prd::PrdUsers>("users"),
    OutputSection::list::<prd::UserStory>("user_stories", Some("id"), 1),
    OutputSection::single::<prd::PrdScope>("scope"),
    OutputSection::single::<Texts>("assumptions"),
    OutputSection::single::<prd::PrdConstraints>("constraints"),
    OutputSection::list::<prd::PrdRisk>("risks", None, 0),
    OutputSection::list::<prd::OpenQuestion>("open_questions", None, 0),
    OutputSection::single::<Option<String>>("prd_version").optional(),
    OutputSection::list::<prd::RelatedFeature>("related_features", Some("name"), 0).optional(),
    OutputSection::list::<prd::PrdRevision>("revision_history", Some("version"), 0).optional(),
];

const REQUIREMENTS: &[OutputSection] = &[
    OutputSection::single::<String>("feature_name"),
    OutputSection::list::<requirements::PlannedRequirement>("requirements", Some("id"), 1),
    OutputSection::single::<Texts>("assumptions"),
    OutputSection::single::<Texts>("out_of_scope"),
    OutputSection::single::<Texts>("open_questions").optional(),
    OutputSection::single::<requirements::RequirementTraceability>("traceability"),
];

const DESIGN: &[OutputSection] = &[
    OutputSection::single::<String>("feature_name"),
    OutputSection::single::<String>("architecture_overview"),
    OutputSection::single::<String>("architecture_diagram"),
    OutputSection::list::<design::DesignComponent>("components", Some("name"), 1),
    OutputSection::list::<design::DataModel>("data_models", Some("name"), 0),
    OutputSection::single::<Option<String>>("data_models_not_needed").optional(),
    OutputSection::list::<design::ApiEndpoint>("api_endpoints", None, 0),
    OutputSection::single::<Option<String>>("api_endpoints_not_needed").optional(),
    OutputSection::single::<Vec<Value>>("integration_points"),
    OutputSection::single::<Object>("error_handling"),
    OutputSection::single::<design::TestingStrategy>("testing_strategy"),
    OutputSection::single::<Texts>("security_considerations"),
    OutputSection::single::<Object>("migration_plan").optional(),
];

const TASKS: &[OutputSection] = &[
    OutputSection::single::<String>("feature_name"),
    OutputSection::list::<tasks::PlannedTicket>("tickets", Some("id"), 1),
    OutputSection::list::<tasks::PlannedTask>("tasks", Some("id"), 1),
    OutputSection::single::<f64>("total_estimated_hours"),
    OutputSection::single::<Texts>("critical_path"),
];

const TICKET_DOCUMENT: &[OutputSection] = &[OutputSection::single::<String>("document")];

const SYNC: &[OutputSection] = &[
    OutputSection::list::<sync::CoverageOpinion>("coverage", Some("requirement_id"), 0),
    OutputSection::single::<Texts>("warnings").optional(),
    OutputSection::single::<Texts>("recommendations"),
    OutputSection::single::<Option<String>>("estimated_duration").optional(),
];
