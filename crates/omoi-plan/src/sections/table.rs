//! Which sections each phase has, in the order of the fields of its type.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::phase::Phase;

use crate::outputs::{design, explore, prd, requirements, sync, tasks};
use crate::sections::section::Section;

/// The sections of `phase`, in the order of its fields.
pub const fn sections(phase: Phase) -> &'static [Section] {
    match phase {
        Phase::Explore => EXPLORE,
        Phase::Prd => PRD,
        Phase::Requirements => REQUIREMENTS,
        Phase::Design => DESIGN,
        Phase::Tasks => TASKS,
        Phase::Sync => SYNC,
        Phase::Complete => &[],
    }
}

/// The section of `phase` called `name`.
pub fn section(phase: Phase, name: &str) -> Option<&'static Section> {
    sections(phase).iter().find(|s| s.name == name)
}

type Texts = Vec<String>;
type Object = BTreeMap<String, Value>;

const EXPLORE: &[Section] = &[
    Section::single::<String>("codebase_summary"),
    Section::single::<String>("project_type"),
    Section::single::<Texts>("tech_stack"),
    Section::single::<BTreeMap<String, explore::Paths>>("structure"),
    Section::list::<explore::KeyFile>("key_files", Some("path"), 0),
    Section::list::<explore::CodePattern>("relevant_patterns", Some("pattern"), 0),
    Section::list::<explore::ExistingModel>("existing_models", None, 0).optional(),
    Section::single::<explore::Conventions>("conventions"),
    Section::single::<Texts>("entry_points").optional(),
    Section::single::<Option<String>>("test_structure").optional(),
    Section::list::<explore::QuestionGroup>("discovery_questions", Some("category"), 1),
    Section::single::<explore::FeatureSummary>("feature_summary"),
    Section::list::<explore::RelatedCode>("related_to_feature", None, 0),
    Section::single::<bool>("greenfield"),
    Section::single::<Option<String>>("notes").optional(),
];

const PRD: &[Section] = &[
    Section::single::<prd::Overview>("overview"),
    Section::single::<prd::Goals>("goals"),
    Section::single::<prd::Users>("users"),
    Section::list::<prd::UserStory>("user_stories", Some("id"), 1),
    Section::single::<prd::Scope>("scope"),
    Section::single::<Texts>("assumptions"),
    Section::single::<prd::Constraints>("constraints"),
    Section::list::<prd::Risk>("risks", None, 0),
    Section::list::<prd::OpenQuestion>("open_questions", None, 0),
    Section::single::<Option<String>>("prd_version").optional(),
    Section::list::<prd::RelatedFeature>("related_features", Some("name"), 0).optional(),
    Section::list::<prd::Revision>("revision_history", Some("version"), 0).optional(),
];

const REQUIREMENTS: &[Section] = &[
    Section::single::<String>("feature_name"),
    Section::list::<requirements::Requirement>("requirements", Some("id"), 1),
    Section::single::<Texts>("assumptions"),
    Section::single::<Texts>("out_of_scope"),
    Section::single::<Texts>("open_questions").optional(),
    Section::single::<requirements::Traceability>("traceability"),
];

const DESIGN: &[Section] = &[
    Section::single::<String>("feature_name"),
    Section::single::<String>("architecture_overview"),
    Section::single::<String>("architecture_diagram"),
    Section::list::<design::Component>("components", Some("name"), 1),
    Section::list::<design::DataModel>("data_models", Some("name"), 0),
    Section::single::<Option<String>>("data_models_not_needed").optional(),
    Section::list::<design::Endpoint>("api_endpoints", None, 0),
    Section::single::<Option<String>>("api_endpoints_not_needed").optional(),
    Section::single::<Vec<Value>>("integration_points"),
    Section::single::<Object>("error_handling"),
    Section::single::<design::TestingStrategy>("testing_strategy"),
    Section::single::<Texts>("security_considerations"),
    Section::single::<Object>("migration_plan").optional(),
];

const TASKS: &[Section] = &[
    Section::single::<String>("feature_name"),
    Section::list::<tasks::Ticket>("tickets", Some("id"), 1),
    Section::list::<tasks::Task>("tasks", Some("id"), 1),
    Section::single::<f64>("total_estimated_hours"),
    Section::single::<Texts>("critical_path"),
];

const SYNC: &[Section] = &[
    Section::list::<sync::CoverageOpinion>("coverage", Some("requirement_id"), 0),
    Section::single::<Texts>("warnings").optional(),
    Section::single::<Texts>("recommendations"),
    Section::single::<Option<String>>("estimated_duration").optional(),
];
