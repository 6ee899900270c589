//! Reading the scenario file itself, and the checks that see all rules at once.

use std::collections::HashMap;

use super::{
    Scenario, ScenarioDefaults, ScenarioRule,
    checker::ScenarioChecker,
    error::{ScenarioProblem, SourcePlace},
    files::split_folder,
    node::{YamlNode, YamlValue},
    rule::{self, CHUNK_BYTES, CHUNK_DELAY_MS, read_number},
};

const TOP_KEYS: &[&str] = &[
    "version",
    "name",
    "description",
    "extends",
    "defaults",
    "rules",
];
const RULES_MAX: usize = 2000;
/// `extends` may lead this far; a circle ends here too.
const EXTENDS_DEPTH_MAX: usize = 4;

/// Reads the file at `entry`; errors are left in the checker.
pub(super) fn read_scenario(checker: &mut ScenarioChecker<'_>, entry: &str) -> Option<Scenario> {
    let top = SourcePlace::whole_file(&entry.into());
    read_file(checker, entry, &top, EXTENDS_DEPTH_MAX)
}

/// Reads one scenario file, named at `at`, and those it extends, at most `depth` of them.
fn read_file(
    checker: &mut ScenarioChecker<'_>,
    path: &str,
    at: &SourcePlace,
    depth: usize,
) -> Option<Scenario> {
    let node = checker.read_yaml(path, at)?;
    let mut fields = checker.open_fields("a scenario", node, TOP_KEYS)?;
    if let Some(node) = checker.required_field(&mut fields, "version") {
        check_version(checker, &node);
    }
    let name = checker
        .required_field(&mut fields, "name")
        .and_then(|node| checker.read_text("name", node));
    let description = fields.take_field("description");
    let description = description.and_then(|node| checker.read_text("description", node));
    let defaults = fields
        .take_field("defaults")
        .and_then(|node| read_defaults(checker, node));
    let extends = fields.take_field("extends");
    let rules = checker.required_field(&mut fields, "rules");
    let mut rules = rules.and_then(|node| read_rules(checker, node))?;
    let base = match extends {
        Some(node) => Some(read_base(checker, node, depth)?),
        None => None,
    };
    let (base_defaults, base_description) = base.as_ref().map_or_else(Default::default, |base| {
        (base.defaults, base.description.clone())
    });
    for rule in base.into_iter().flat_map(|base| base.rules) {
        if !rules
            .iter()
            .any(|own| own.when.covers_conditions(&rule.when))
        {
            rules.push(rule);
        }
    }
    Some(Scenario {
        name: name?,
        description: description.unwrap_or(base_description),
        defaults: defaults.unwrap_or(base_defaults),
        rules,
    })
}

/// Reads the scenario whose rules follow.
fn read_base(checker: &mut ScenarioChecker<'_>, node: YamlNode, depth: usize) -> Option<Scenario> {
    let at = node.at.clone();
    let path = checker.read_text("extends", node)?;
    if depth == 0 {
        let max = EXTENDS_DEPTH_MAX;
        checker.report_problem(&at, ScenarioProblem::ExtendsTooDeep { max });
        return None;
    }
    match split_folder(&path) {
        Ok((folder, name)) => {
            checker.read_in_folder(folder, |checker| read_file(checker, name, &at, depth - 1))
        }
        Err(problem) => {
            checker.report_problem(&at, problem);
            None
        }
    }
}

/// Reads the list of rules of one file and checks what takes all of them to see.
fn read_rules(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Option<Vec<ScenarioRule>> {
    let rules_at = node.at.clone();
    let entries = checker.read_list("rules", node)?;
    if entries.is_empty() {
        checker.report_problem(&rules_at, ScenarioProblem::Empty { key: "rules" });
    }
    if entries.len() > RULES_MAX {
        checker.report_problem(&rules_at, ScenarioProblem::TooManyRules { max: RULES_MAX });
        return None;
    }
    let numbered = entries.into_iter().zip(1..);
    let rules: Vec<ScenarioRule> = numbered
        .filter_map(|(entry, index)| rule::read_rule(checker, entry, index))
        .collect();
    check_names(checker, &rules);
    // A condition that could not be read would make its rule look wider than it is.
    if checker.is_clean() {
        check_reachable(checker, &rules);
    }
    Some(rules)
}

fn check_version(checker: &mut ScenarioChecker<'_>, node: &YamlNode) {
    match &node.value {
        YamlValue::Number(number) if number.as_u64() == Some(1) => {}
        YamlValue::Number(number) => {
            checker.report_problem(
                &node.at,
                ScenarioProblem::Version {
                    found: number.to_string(),
                },
            );
        }
        _ => checker.wrong_type("version", "the number 1", node),
    }
}

fn read_defaults(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Option<ScenarioDefaults> {
    let known = &["chunk_bytes", "chunk_delay_ms"];
    let mut fields = checker.open_fields("`defaults`", node, known)?;
    let base_defaults = ScenarioDefaults::default();
    Some(ScenarioDefaults {
        chunk_bytes: read_number(checker, &mut fields, "chunk_bytes", CHUNK_BYTES)
            .unwrap_or(base_defaults.chunk_bytes),
        chunk_delay_ms: read_number(checker, &mut fields, "chunk_delay_ms", CHUNK_DELAY_MS)
            .unwrap_or(base_defaults.chunk_delay_ms),
    })
}

fn check_names(checker: &mut ScenarioChecker<'_>, rules: &[ScenarioRule]) {
    let mut first = HashMap::new();
    for rule in rules.iter().filter(|rule| rule.is_named) {
        if let Some(at) = first.insert(&rule.name, &rule.at) {
            let problem = ScenarioProblem::DuplicateName {
                name: rule.name.clone(),
                first: at.clone(),
            };
            checker.report_problem(&rule.at, problem);
        }
    }
}

fn check_reachable(checker: &mut ScenarioChecker<'_>, rules: &[ScenarioRule]) {
    for (index, rule) in rules.iter().enumerate() {
        if let Some(by) = rules[..index]
            .iter()
            .find(|earlier| earlier.when.covers_conditions(&rule.when))
        {
            let problem = ScenarioProblem::Unreachable {
                rule: rule.name.clone(),
                by: by.name.clone(),
                at: by.at.clone(),
            };
            checker.report_problem(&rule.at, problem);
        }
    }
}
