#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use omoi_domain::check::CheckKind;
use omoi_domain::task::Priority;
use omoi_domain::time::Timestamp;

use super::*;
use crate::coverage::fixtures::{component, planned_sample};
use crate::coverage::{PlannedOutputs, sync_verdict};
use crate::outputs::SyncOpinion;
use crate::outputs::design::{ApiEndpoint, DataModel, ModelField};
use crate::outputs::prd::{
    OpenQuestion, PrdConstraints, PrdGoals, PrdOverview, PrdRisk, PrdScope, PrdUsers,
    QuestionResolution, StoryPriority, SuccessMetric, UserPersona, UserStory,
};
use crate::outputs::tasks::{
    PlannedCheck, PlannedTask, PlannedTaskType, PlannedTicket, SizeEstimate, TaskDependencies,
    TicketDependencies,
};

fn meta(feature: &str) -> SpecFileMeta {
    SpecFileMeta {
        spec_id: "0190a5c2-7b1e-7cc0-8000-000000000001".parse().unwrap(),
        number: 7,
        feature: feature.to_owned(),
        created_at: Timestamp::from_micros(1_700_000_000_000_000),
        updated_at: Timestamp::from_micros(1_700_100_000_000_000),
    }
}

/// Everything five phases and the verdict gave.
#[derive(Clone, Debug)]
struct Spec {
    prd: PrdOutput,
    requirements: RequirementsOutput,
    design: DesignOutput,
    tasks: TasksOutput,
    sync: SyncOutput,
}

impl Spec {
    fn sources(&self) -> DocumentSources<'_> {
        DocumentSources {
            prd: Some(&self.prd),
            requirements: Some(&self.requirements),
            design: Some(&self.design),
            tasks: Some(&self.tasks),
            sync: Some(&self.sync),
        }
    }
}

fn prd(texts: &[String]) -> PrdOutput {
    let text = |n: usize| texts[n % texts.len()].clone();
    let persona = |n| UserPersona {
        role: text(n),
        description: text(n + 1),
        needs: vec![text(n + 2)],
    };
    PrdOutput {
        overview: PrdOverview {
            feature_name: text(0),
            one_liner: text(1),
            problem_statement: text(2),
            solution_summary: text(3),
        },
        goals: PrdGoals {
            primary: vec![text(4)],
            secondary: vec![text(5)],
            success_metrics: vec![SuccessMetric {
                metric: text(6),
                target: text(7),
                measurement: text(8),
            }],
        },
        users: PrdUsers {
            primary: vec![persona(0)],
            secondary: vec![],
        },
        user_stories: vec![UserStory {
            id: "US-001".to_owned(),
            role: text(1),
            want: text(2),
            benefit: text(3),
            priority: StoryPriority::Must,
            acceptance_criteria: vec![text(4)],
        }],
        scope: PrdScope {
            in_scope: vec![text(5)],
            out_of_scope: vec![text(6)],
            dependencies: vec![],
        },
        assumptions: vec![text(7)],
        constraints: PrdConstraints {
            technical: vec![text(8)],
            business: vec![],
        },
        risks: vec![PrdRisk {
            description: text(9),
            impact: text(0),
            likelihood: text(1),
            mitigation: text(2),
        }],
        open_questions: vec![OpenQuestion {
            question: text(3),
            resolution: QuestionResolution::Assumed,
            answer: Some(text(4)),
        }],
        prd_version: Some(text(5)),
        related_features: vec![],
        revision_history: vec![],
    }
}

/// Text of every awkward kind.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(vec!["", "Add the tag store", "x", "Store every tag of a note when it is saved"])
            .prop_map(str::to_owned),
        2 => prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        2 => select(vec![
            "---", "a: b", "\"quoted\" 'both' \\", "# not a heading", "- [ ] not a criterion",
            "line\n---\nline", "## Acceptance criteria\n\n- [x] fake", "日本語 — ünïcödé 🦀",
            "```\n---\n```", "{a: [b]} | & * ! % @ `", "null", "12", "2025-01-31", " led and trailed ",
            "\r\n", "\u{feff}\u{2028}\u{85}\u{0}", "yes", "~", "key:\n  - item",
        ]).prop_map(str::to_owned),
    ]
}

fn texts(n_max: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 0..=n_max)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        text().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        texts(3).prop_map(Value::from),
        (text(), text()).prop_map(|(a, b)| json!({ "type": a, "of": [{ "x": b }], "none": {} })),
    ]
}

fn endpoint() -> impl Strategy<Value = ApiEndpoint> {
    (text(), text(), any::<bool>(), value(), value()).prop_map(
        |(path, description, auth_required, request_schema, response_schema)| ApiEndpoint {
            method: "POST".to_owned(),
            path,
            description,
            auth_required,
            request_schema,
            error_responses: BTreeMap::from([("404".to_owned(), response_schema.clone())]),
            path_params: vec![response_schema.clone()],
            response_schema,
            query_params: BTreeMap::new(),
        },
    )
}

fn model() -> impl Strategy<Value = DataModel> {
    (
        text(),
        prop::option::of(text()),
        texts(2),
        value(),
        prop::option::of(any::<bool>()),
    )
        .prop_map(
            |(name, description, constraints, any, nullable)| DataModel {
                name: name.clone(),
                table_name: description.clone(),
                description,
                fields: vec![ModelField {
                    name,
                    kind: "text".to_owned(),
                    description: None,
                    nullable,
                    default: any.clone(),
                    constraints,
                }],
                indexes: vec![],
                relationships: vec![any],
            },
        )
}

prop_compose! {
    fn ticket(n: usize)(
        id in 100 * n..100 * n + 99, title in text(), description in text(), criteria in texts(3),
        requirements in texts(3), names in texts(2), edges in [texts(2), texts(2), texts(2)],
        priority in select(Priority::ALL), estimate in select(SizeEstimate::ALL),
    ) -> PlannedTicket {
        let [blocked_by, blocks, related] = edges;
        PlannedTicket {
            id: format!("TKT-{:03}", id + 1), title, description, priority, estimate, requirements,
            tasks: names.clone(), acceptance_criteria: criteria, design_components: names,
            dependencies: TicketDependencies { blocked_by, blocks, related },
        }
    }
}

prop_compose! {
    fn task(n: usize)(
        id in 50 * n..50 * n + 49, title in text(), description in text(), parent in 1..5usize,
        files in [texts(2), texts(2)], criteria in texts(3), requirements in texts(2),
        edges in [texts(2), texts(2)], command in text(), quarters in 1..17u8,
        kind in select(PlannedTaskType::ALL), estimate in prop::option::of(select(SizeEstimate::ALL)),
    ) -> PlannedTask {
        let [files_to_create, files_to_modify] = files;
        let [depends_on, blocks] = edges;
        PlannedTask {
            id: format!("TSK-{:03}", id + 1), title, description, kind, estimate,
            parent_ticket: format!("TKT-{parent:03}"), priority: Priority::High,
            estimated_hours: f64::from(quarters) / 4.0, files_to_create, files_to_modify,
            acceptance_criteria: criteria, requirements_addressed: requirements,
            checks: vec![PlannedCheck {
                kind: CheckKind::Proof, files: BTreeMap::from([(command.clone(), command.clone())]),
                command, criteria: vec![], timeout_s: None,
            }],
            dependencies: TaskDependencies { depends_on, blocks },
        }
    }
}

prop_compose! {
    fn spec()(
        some in prop::collection::vec(text(), 10),
        tickets in (ticket(0), ticket(1), ticket(2)),
        tasks in (task(0), task(1), task(2), task(3)),
        api_endpoints in prop::collection::vec(endpoint(), 0..3),
        data_models in prop::collection::vec(model(), 0..3),
        critical_path in texts(3), hours in 0..400u32,
    ) -> Spec {
        let sample = planned_sample();
        let mut requirements = sample.requirements;
        requirements.feature_name.clone_from(&some[0]);
        for (requirement, text) in requirements.requirements.iter_mut().zip(&some) {
            requirement.title.clone_from(text);
            requirement.text.clone_from(text);
            requirement.notes = Some(text.clone());
            requirement.acceptance_criteria = some[..3].to_vec();
        }
        let mut design = sample.design;
        design.architecture_overview.clone_from(&some[1]);
        design.components.push(component(&some[2], &["REQ-TAGS-FUNC-009", "REQ-TAGS-FUNC-001"]));
        (design.api_endpoints, design.data_models) = (api_endpoints, data_models);
        let tasks = TasksOutput {
            feature_name: some[3].clone(), tickets: tickets.into_iter_vec(), tasks: tasks.into_iter_vec(),
            total_estimated_hours: f64::from(hours) / 4.0, critical_path,
        };
        let planned = PlannedOutputs { requirements: &requirements, design: &design, tasks: &tasks };
        let sync = sync_verdict(planned, &SyncOpinion { recommendations: some[..2].to_vec(), ..SyncOpinion::default() });
        Spec { prd: prd(&some), requirements, design, tasks, sync }
    }
}

trait IntoIterVec<T> {
    fn into_iter_vec(self) -> Vec<T>;
}
impl<T> IntoIterVec<T> for (T, T, T) {
    fn into_iter_vec(self) -> Vec<T> {
        vec![self.0, self.1, self.2]
    }
}
impl<T> IntoIterVec<T> for (T, T, T, T) {
    fn into_iter_vec(self) -> Vec<T> {
        vec![self.0, self.1, self.2, self.3]
    }
}

fn criteria<F>(file: &SpecFile<F>) -> Vec<&String> {
    file.criteria.iter().map(|c| &c.text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn json_to_files_to_json_is_lossless(spec in spec()) {
        let meta = meta(&spec.prd.overview.feature_name);
        let written = spec_documents(&meta, spec.sources()).unwrap();
        let files = written.render();
        prop_assert_eq!(files.len(), 3 + 3 + 4 + 2);
        let (read, errors) = parse_files(&files);
        prop_assert!(errors.is_empty(), "{:?}", errors);
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(&read.render(), &files);

        // The fields are those of the outputs, not only equal to each other.
        let by_id = |id: &str| spec.tasks.tickets.iter().find(|t| t.id == id).unwrap();
        for file in &read.tickets {
            let (front, ticket) = (&file.front, by_id(&file.front.id));
            prop_assert_eq!(&front.title, &ticket.title);
            prop_assert_eq!((front.priority, front.estimate), (ticket.priority, ticket.estimate));
            prop_assert_eq!(&front.requirements, &ticket.requirements);
            prop_assert_eq!(&front.tasks, &ticket.tasks);
            prop_assert_eq!(&front.dependencies, &ticket.dependencies);
            prop_assert_eq!(criteria(file), ticket.acceptance_criteria.iter().collect::<Vec<_>>());
        }
        let by_id = |id: &str| spec.tasks.tasks.iter().find(|t| t.id == id).unwrap();
        for file in &read.tasks {
            let (front, task) = (&file.front, by_id(&file.front.id));
            prop_assert_eq!(&front.title, &task.title);
            prop_assert_eq!(&front.parent_ticket, &task.parent_ticket);
            prop_assert_eq!(front.kind, Some(task.kind));
            prop_assert_eq!(front.priority, Some(task.priority));
            prop_assert!(task.estimate.is_none_or(|e| e == front.estimate));
            prop_assert_eq!(&front.files_to_create, &task.files_to_create);
            prop_assert_eq!(&front.files_to_modify, &task.files_to_modify);
            prop_assert_eq!(&front.requirements_addressed, &task.requirements_addressed);
            prop_assert_eq!(&front.dependencies, &task.dependencies);
            prop_assert_eq!(criteria(file), task.acceptance_criteria.iter().collect::<Vec<_>>());
        }
        let design = read.design.unwrap().front;
        prop_assert_eq!(&design.api_endpoints, &spec.design.api_endpoints);
        for (read, model) in design.data_models.iter().zip(&spec.design.data_models) {
            prop_assert_eq!(&read.typed_fields, &model.fields);
            prop_assert_eq!(&read.relationships, &model.relationships);
            prop_assert_eq!((&read.name, &read.description), (&model.name, &model.description));
            prop_assert_eq!(&read.table_name, &model.table_name);
        }
        prop_assert_eq!(design.requirements.len(), 5);
        let requirements = read.requirements.unwrap();
        for requirement in &spec.requirements.requirements {
            let own = requirements.criteria.iter().filter(|c| c.owner == requirement.id);
            let own: Vec<&String> = own.map(|c| &c.text).collect();
            prop_assert_eq!(own, requirement.acceptance_criteria.iter().collect::<Vec<_>>());
        }
        prop_assert_eq!(requirements.front.priority, Some(Priority::Critical));
        let index = read.index.unwrap().front;
        prop_assert_eq!(&index.critical_path, &spec.tasks.critical_path);
        prop_assert_eq!(index.total_estimated_hours.to_bits(), spec.tasks.total_estimated_hours.to_bits());
        let version = spec.prd.prd_version.unwrap();
        prop_assert_eq!(read.prd.unwrap().front.version, version);
        let summary = read.summary.unwrap().front;
        prop_assert_eq!(summary.ready_for_execution, spec.sync.ready_for_execution);
        prop_assert_eq!((summary.total_tasks, summary.total_requirements), (4, 4));
    }
}

#[test]
fn a_sample_plan_reads_well() {
    let sample = planned_sample();
    let sync = sync_verdict(sample.planned(), &SyncOpinion::default());
    let sources = DocumentSources {
        prd: None,
        requirements: Some(&sample.requirements),
        design: Some(&sample.design),
        tasks: Some(&sample.tasks),
        sync: Some(&sync),
    };
    let files = render_files(&meta("Note Tags!"), sources).unwrap();
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            ".omoi_os/SPEC_SUMMARY.md",
            ".omoi_os/designs/note-tags.md",
            ".omoi_os/requirements/note-tags.md",
            ".omoi_os/tasks/TSK-001.md",
            ".omoi_os/tasks/TSK-002.md",
            ".omoi_os/tasks/TSK-003.md",
            ".omoi_os/tasks/TSK-004.md",
            ".omoi_os/tasks/index.md",
            ".omoi_os/tickets/TKT-001.md",
            ".omoi_os/tickets/TKT-002.md",
        ]
    );
    let whole: Vec<String> = files
        .iter()
        .map(|(path, text)| format!("=== {path}\n{text}"))
        .collect();
    insta::assert_snapshot!(whole.join("\n"));
}

#[test]
fn parse_errors_name_file_line_and_field() {
    let good = "---\nid: TSK-001\ntitle: x\nstatus: pending\nparent_ticket: TKT-001\nestimate: S\ncreated: 2025-01-01\n---\n\n- [x] done\n";
    let check = |from: &str, to: &str, expected: &str| {
        let files = Files::from([(
            ".omoi_os/tasks/TSK-001.md".to_owned(),
            good.replacen(from, to, 1),
        )]);
        let (documents, errors) = parse_files(&files);
        let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let found = found.join("\n");
        assert!(
            found.starts_with(".omoi_os/tasks/TSK-001.md:") && found.contains(expected),
            "{to:?}: {found:?} lacks {expected:?}"
        );
        assert_eq!(documents.tasks.len(), 0);
    };
    check("---\n", "", ":1: the file does not open with a `---` line");
    check("\n---\n", "\n", "the frontmatter is not closed");
    check(
        "status: pending\n",
        "",
        ":1: `status`: the field is missing",
    );
    check(
        "pending",
        "asleep",
        ":4: `status`: unknown variant `asleep`, expected one of `pending`",
    );
    check("title: x", "title: [x]", ":3: `title`: invalid type");
    check(
        "estimate: S",
        "estimate: S\nsize: 3",
        ":7: `size`: unknown field `size`",
    );
    check(
        "title: x",
        "title: x: y",
        ":3: the frontmatter is not valid YAML",
    );
    check(
        "TSK-001",
        "TSK-1",
        ":2: `id`: the id does not have the form TSK-NNN",
    );
    check(
        "TSK-001",
        "TSK-002",
        ":2: `id`: the file must be called `.omoi_os/tasks/TSK-002.md`",
    );
    check(
        "title: x\n",
        "title: x\ntitle: y\n",
        ":4: the frontmatter is not valid YAML",
    );

    let files = Files::from([
        (
            ".omoi_os/tasks/TSK-001.md".to_owned(),
            good.replace('\n', "\r\n"),
        ),
        ("README.md".to_owned(), "not ours".to_owned()),
    ]);
    let (documents, errors) = parse_files(&files);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(documents.tasks[0].criteria[0].done);
    assert_eq!(documents.tasks[0].front.priority, None);
}

#[test]
fn ids_that_cannot_name_a_file_are_refused() {
    let mut sample = planned_sample();
    sample.tasks.tickets[0].id = "../../etc/passwd".to_owned();
    let sources = DocumentSources {
        tasks: Some(&sample.tasks),
        ..DocumentSources::default()
    };
    let error = render_files(&meta("x"), sources).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`../../etc/passwd` does not have the form TKT-NNN")
    );
    for (name, slug) in [
        ("Webhook  Retry (v2)", "webhook-retry-v2"),
        ("../..", "feature"),
        ("日本", "feature"),
        ("", "feature"),
    ] {
        assert_eq!(feature_slug(name), slug);
    }
    assert!(feature_slug(&"word ".repeat(40)).len() <= FEATURE_CHARS_MAX);
}
