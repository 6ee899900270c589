//! Ways to spoil an honest output, each as a program: what is left has the form and not the content.

use serde_json::{Value, json};

use omoi_domain::phase::Phase::{self, Design, Explore, Prd, Requirements, Tasks};
use omoi_runtime::rng::Rng;

/// A way to spoil an output.
pub(crate) struct Spoiler {
    pub(crate) name: &'static str,
    pub(crate) phases: &'static [Phase],
    /// Takes the request and the output; false when there is nothing to spoil.
    pub(crate) spoil: fn(&Rng, &str, &mut Value) -> bool,
}

pub(crate) const SPOILERS: &[Spoiler] = &[
    Spoiler {
        name: "all words shuffled",
        phases: &[Explore, Prd, Requirements, Design, Tasks],
        spoil: |rng, _, output| each_text(output, "", &mut |_, text| *text = shuffled(rng, text)),
    },
    Spoiler {
        name: "criteria shuffled",
        phases: &[Requirements],
        spoil: |rng, _, output| {
            each_text(output, "acceptance_criteria", &mut |_, text| {
                *text = shuffled(rng, text);
            })
        },
    },
    Spoiler {
        name: "the request everywhere",
        phases: &[Explore, Prd, Requirements, Design, Tasks],
        spoil: |_, idea, output| {
            each_text(output, "", &mut |n, text| *text = format!("{idea} ({n})"))
        },
    },
    Spoiler {
        name: "criteria that anything meets",
        phases: &[Prd, Requirements],
        spoil: |rng, _, output| {
            const EMPTY: &[&str] = &[
                "The feature works as expected",
                "No error occurs",
                "The program runs successfully",
                "All tests pass",
                "The user is satisfied with the result",
                "It behaves correctly in all cases",
                "The implementation is complete",
                "The output is correct",
            ];
            each_text(output, "acceptance_criteria", &mut |_, text| {
                *text = picked(rng, EMPTY).to_owned();
            })
        },
    },
    Spoiler {
        name: "one criterion that anything meets",
        phases: &[Requirements],
        spoil: |rng, _, output| {
            const EMPTY: &[&str] = &[
                "The program works as expected.",
                "It works",
                "No error occurs",
            ];
            let requirements = list(output, "requirements");
            let n = rng.number_below(requirements.len() as u64) as usize;
            requirements[n]["acceptance_criteria"][0] = json!(picked(rng, EMPTY));
            true
        },
    },
    Spoiler {
        name: "texts that fit any project",
        phases: &[Explore, Prd, Requirements, Design, Tasks],
        spoil: |rng, _, output| {
            const HOLLOW: &[&str] = &[
                "Handles the required functionality in a robust and maintainable way",
                "Provides the feature that was requested by the user",
                "Is responsible for the relevant part of the implementation",
                "The component works together with the other components",
                "Follows best practices and is easy to extend",
                "Ensures that everything works as described in the requirements",
            ];
            each_text(output, "", &mut |_, text| {
                *text = picked(rng, HOLLOW).to_owned();
            })
        },
    },
    Spoiler {
        name: "names that are nowhere",
        phases: &[Explore],
        spoil: |rng, _, output| {
            each_text(output, "", &mut |_, text| {
                let parts: Vec<String> = text
                    .split('`')
                    .enumerate()
                    .map(|(n, part)| match n % 2 {
                        1 => format!(
                            "{}Engine{}",
                            picked(rng, &["Flow", "Batch"]),
                            rng.number_below(90)
                        ),
                        _ => part.to_owned(),
                    })
                    .collect();
                *text = parts.join("`");
            });
            output["key_files"][0]["purpose"] =
                json!("`FlowEngine` drives `BatchQueue` through `run_pipeline`");
            true
        },
    },
    Spoiler {
        name: "folders that are nowhere",
        phases: &[Explore],
        spoil: |_, _, output| {
            output["structure"] = json!({ "services": "services/core", "adapters": "adapters" });
            true
        },
    },
    Spoiler {
        name: "one item in copies",
        phases: &[Prd, Requirements, Design],
        spoil: |_, _, output| {
            for (section, field) in [
                ("user_stories", "want"),
                ("requirements", "text"),
                ("components", "responsibility"),
            ] {
                let items = list(output, section);
                let first = items.first().map(|item| item[field].clone());
                let Some(Value::String(first)) = first.filter(|_| items.len() > 1) else {
                    continue;
                };
                for (n, item) in items.iter_mut().enumerate() {
                    item[field] =
                        json!(format!("{} (part {})", first.trim_end_matches('.'), n + 1));
                }
                return true;
            }
            false
        },
    },
    Spoiler {
        name: "parts called existing",
        phases: &[Design],
        spoil: |rng, _, output| {
            for component in list(output, "components") {
                let name = picked(rng, &["StateManager", "event_dispatcher", "CoreService"]);
                component["dependencies"] = json!([format!("existing:{name}")]);
            }
            true
        },
    },
    Spoiler {
        name: "nothing must be",
        phases: &[Prd],
        spoil: |_, _, output| {
            for story in list(output, "user_stories") {
                story["priority"] = json!("could");
            }
            true
        },
    },
    Spoiler {
        name: "keywords in a row",
        phases: &[Requirements],
        spoil: |_, _, output| {
            for (n, requirement) in list(output, "requirements").iter_mut().enumerate() {
                requirement["text"] = json!(format!(
                    "WHEN WHERE {n}, THE SYSTEM SHALL WHEN SHALL IF MAY."
                ));
            }
            true
        },
    },
    Spoiler {
        name: "proofs that show nothing",
        phases: &[Tasks],
        spoil: |rng, _, output| {
            each_proof(output, &mut |task, check| {
                let file = first_file(task);
                let commands = [
                    format!("test -e {file}"),
                    format!("grep -q . {file}"),
                    format!("if [ -s {file} ]; then true; else exit 1; fi"),
                    "git diff --quiet HEAD~1 && exit 1 || exit 0".to_owned(),
                    format!("[ -n \"$(cat {file})\" ]"),
                    "true".to_owned(),
                    format!("ls {file} | wc -l | grep -q 1"),
                ];
                let n = rng.number_below(commands.len() as u64) as usize;
                check["command"] = json!(commands[n]);
                if let Some(check) = check.as_object_mut() {
                    check.remove("files");
                }
            })
        },
    },
    Spoiler {
        name: "proofs whose result is thrown away",
        phases: &[Tasks],
        spoil: |rng, _, output| {
            each_proof(output, &mut |_, check| {
                let command = check["command"].as_str().unwrap_or_default().to_owned();
                let ending = picked(
                    rng,
                    &[
                        " || true",
                        "; exit 0",
                        " || echo failed",
                        " >/dev/null 2>&1 || :",
                    ],
                );
                check["command"] = json!(command + ending);
            })
        },
    },
    Spoiler {
        name: "proofs with a second arm",
        phases: &[Tasks],
        spoil: |_, _, output| {
            each_proof(output, &mut |task, check| {
                let command = check["command"].as_str().unwrap_or_default();
                check["command"] = json!(format!("{command} || test -s {}", first_file(task)));
            })
        },
    },
    Spoiler {
        name: "proofs without an assertion",
        phases: &[Tasks],
        spoil: |_, _, output| {
            let mut is_spoilt = false;
            each_proof(output, &mut |_, check| {
                for (path, text) in check["files"].as_object_mut().into_iter().flatten() {
                    let lines = text.as_str().unwrap_or_default().lines();
                    let checks = ["assert", "expect(", "t.Error", "t.Fatal"];
                    let kept: Vec<&str> = lines
                        .filter(|line| !checks.iter().any(|c| line.contains(c)))
                        .collect();
                    // A script or a program in C says by its end whether it passed.
                    is_spoilt |= !matches!(ending(path), "sh" | "c");
                    *text = json!(kept.join("\n"));
                }
            });
            is_spoilt
        },
    },
    Spoiler {
        name: "tests called the work",
        phases: &[Tasks],
        spoil: |_, _, output| {
            for task in list(output, "tasks") {
                task["type"] = json!("test");
            }
            true
        },
    },
    Spoiler {
        name: "proofs called regressions",
        phases: &[Tasks],
        spoil: |_, _, output| {
            each_proof(output, &mut |_, check| {
                check["kind"] = json!("regression");
                if let Some(check) = check.as_object_mut() {
                    check.remove("criteria");
                }
            })
        },
    },
];

/// Fields that are no prose.
const NAMES: &[&str] = &[
    "api_endpoints",
    "architecture_diagram",
    "category",
    "checks",
    "critical_path",
    "data_models",
    "dependencies",
    "design_components",
    "entry_points",
    "estimate",
    "feature_name",
    "fields",
    "file",
    "file_path",
    "files",
    "files_to_create",
    "files_to_modify",
    "id",
    "impact",
    "interfaces",
    "likelihood",
    "name",
    "parent_ticket",
    "path",
    "priority",
    "question",
    "questions",
    "requirements_addressed",
    "resolution",
    "role",
    "structure",
    "target",
    "tech_stack",
    "title",
    "traceability",
    "type",
];

/// Calls `change` for every text of prose whose field is `only`, or for every one; with its number.
fn each_text(output: &mut Value, only: &str, change: &mut dyn FnMut(usize, &mut String)) -> bool {
    let mut n = 0;
    walk(output, "", only, &mut n, change);
    n > 0
}

fn walk(
    value: &mut Value,
    field: &str,
    only: &str,
    n: &mut usize,
    change: &mut dyn FnMut(usize, &mut String),
) {
    match value {
        Value::String(text) if (only.is_empty() || field == only) && text.contains(' ') => {
            *n += 1;
            change(*n, text);
        }
        Value::Array(items) => {
            for item in items {
                walk(item, field, only, n, change);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if !NAMES.contains(&name.as_str()) {
                    walk(value, name, only, n, change);
                }
            }
        }
        _ => {}
    }
}

/// The words of `text` in another order.
fn shuffled(rng: &Rng, text: &str) -> String {
    let end = text.ends_with('.');
    let mut words: Vec<&str> = text.trim_end_matches('.').split_whitespace().collect();
    for n in (1..words.len()).rev() {
        words.swap(n, rng.number_below(n as u64 + 1) as usize);
    }
    words.join(" ") + if end { "." } else { "" }
}

fn picked<'a>(rng: &Rng, from: &[&'a str]) -> &'a str {
    from[rng.number_below(from.len() as u64) as usize]
}

fn list<'a>(output: &'a mut Value, section: &str) -> &'a mut Vec<Value> {
    if !output[section].is_array() {
        output[section] = json!([]);
    }
    output[section].as_array_mut().unwrap()
}

/// Calls `change` for every proof, with its task.
fn each_proof(output: &mut Value, change: &mut dyn FnMut(&Value, &mut Value)) -> bool {
    let mut found = false;
    for task in list(output, "tasks") {
        let whole = task.clone();
        for check in task["checks"].as_array_mut().into_iter().flatten() {
            if check["kind"] == "proof" {
                change(&whole, check);
                found = true;
            }
        }
    }
    found
}

/// A file of code that the task creates or changes.
fn first_file(task: &Value) -> String {
    let files = ["files_to_create", "files_to_modify"].into_iter();
    let mut files = files.flat_map(|field| task[field].as_array().into_iter().flatten());
    let first = files.find_map(|file| file.as_str().filter(|f| ending(f) != "md"));
    first.unwrap_or("README.md").to_owned()
}

fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}
