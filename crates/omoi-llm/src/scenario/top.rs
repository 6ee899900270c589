//! Reading the scenario file itself, and the checks that see all rules at once.

use std::collections::HashMap;

use super::{
    Defaults, Rule, Scenario,
    check::Checker,
    error::{Place, Problem},
    files::elsewhere,
    node::{Node, Value},
    rule::{self, CHUNK_BYTES, CHUNK_DELAY_MS, number},
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
pub(super) fn scenario(checker: &mut Checker<'_>, entry: &str) -> Option<Scenario> {
    let top = Place::whole(&entry.into());
    file(checker, entry, &top, EXTENDS_DEPTH_MAX)
}

/// Reads one scenario file, named at `at`, and those it extends, at most `depth` of them.
fn file(checker: &mut Checker<'_>, path: &str, at: &Place, depth: usize) -> Option<Scenario> {
    let node = checker.yaml(path, at)?;
    let mut fields = checker.fields("a scenario", node, TOP_KEYS)?;
    if let Some(node) = checker.required(&mut fields, "version") {
        check_version(checker, &node);
    }
    let name = checker
        .required(&mut fields, "name")
        .and_then(|node| checker.text("name", node));
    let description = fields.take("description");
    let description = description.and_then(|node| checker.text("description", node));
    let defaults = fields
        .take("defaults")
        .and_then(|node| defaults(checker, node));
    let extends = fields.take("extends");
    let rules = checker.required(&mut fields, "rules");
    let mut rules = rules.and_then(|node| rules_of(checker, node))?;
    let base = match extends {
        Some(node) => Some(base(checker, node, depth)?),
        None => None,
    };
    let (usual, told) = base.as_ref().map_or_else(Default::default, |base| {
        (base.defaults, base.description.clone())
    });
    for rule in base.into_iter().flat_map(|base| base.rules) {
        if !rules.iter().any(|own| own.when.covers(&rule.when)) {
            rules.push(rule);
        }
    }
    Some(Scenario {
        name: name?,
        description: description.unwrap_or(told),
        defaults: defaults.unwrap_or(usual),
        rules,
    })
}

/// Reads the scenario whose rules follow.
fn base(checker: &mut Checker<'_>, node: Node, depth: usize) -> Option<Scenario> {
    let at = node.at.clone();
    let path = checker.text("extends", node)?;
    if depth == 0 {
        let max = EXTENDS_DEPTH_MAX;
        checker.report(&at, Problem::ExtendsTooDeep { max });
        return None;
    }
    match elsewhere(&path) {
        Ok((folder, name)) => checker.below(folder, |checker| file(checker, name, &at, depth - 1)),
        Err(problem) => {
            checker.report(&at, problem);
            None
        }
    }
}

/// Reads the list of rules of one file and checks what takes all of them to see.
fn rules_of(checker: &mut Checker<'_>, node: Node) -> Option<Vec<Rule>> {
    let rules_at = node.at.clone();
    let entries = checker.list("rules", node)?;
    if entries.is_empty() {
        checker.report(&rules_at, Problem::Empty { key: "rules" });
    }
    if entries.len() > RULES_MAX {
        checker.report(&rules_at, Problem::TooManyRules { max: RULES_MAX });
        return None;
    }
    let numbered = entries.into_iter().zip(1..);
    let rules: Vec<Rule> = numbered
        .filter_map(|(entry, index)| rule::rule(checker, entry, index))
        .collect();
    check_names(checker, &rules);
    // A condition that could not be read would make its rule look wider than it is.
    if checker.is_clean() {
        check_reachable(checker, &rules);
    }
    Some(rules)
}

fn check_version(checker: &mut Checker<'_>, node: &Node) {
    match &node.value {
        Value::Number(number) if number.as_u64() == Some(1) => {}
        Value::Number(number) => {
            checker.report(
                &node.at,
                Problem::Version {
                    found: number.to_string(),
                },
            );
        }
        _ => checker.wrong_type("version", "the number 1", node),
    }
}

fn defaults(checker: &mut Checker<'_>, node: Node) -> Option<Defaults> {
    let known = &["chunk_bytes", "chunk_delay_ms"];
    let mut fields = checker.fields("`defaults`", node, known)?;
    let usual = Defaults::default();
    Some(Defaults {
        chunk_bytes: number(checker, &mut fields, "chunk_bytes", CHUNK_BYTES)
            .unwrap_or(usual.chunk_bytes),
        chunk_delay_ms: number(checker, &mut fields, "chunk_delay_ms", CHUNK_DELAY_MS)
            .unwrap_or(usual.chunk_delay_ms),
    })
}

fn check_names(checker: &mut Checker<'_>, rules: &[Rule]) {
    let mut first = HashMap::new();
    for rule in rules.iter().filter(|rule| rule.is_named) {
        if let Some(at) = first.insert(&rule.name, &rule.at) {
            let problem = Problem::DuplicateName {
                name: rule.name.clone(),
                first: at.clone(),
            };
            checker.report(&rule.at, problem);
        }
    }
}

fn check_reachable(checker: &mut Checker<'_>, rules: &[Rule]) {
    for (index, rule) in rules.iter().enumerate() {
        if let Some(by) = rules[..index]
            .iter()
            .find(|earlier| earlier.when.covers(&rule.when))
        {
            let problem = Problem::Unreachable {
                rule: rule.name.clone(),
                by: by.name.clone(),
                at: by.at.clone(),
            };
            checker.report(&rule.at, problem);
        }
    }
}
