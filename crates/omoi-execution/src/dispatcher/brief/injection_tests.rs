//! Text of others adds nothing to the orders of a task: each row of the corpus in each place of the prompt.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use minijinja::{Value, context};
use omoi_domain::planted_bug::PlantedBug;
use omoi_testkit::injections::{count_added_lines, injection_rows, prompt_shape};
use omoi_testkit::invariant::InvariantProof;

use super::{PromptExtras, fit_prompt};
use crate::guidance::quote_guidance;

/// Puts a text into one place of a prompt.
type PlantedPlace = (&'static str, fn(&str) -> (Value, PromptExtras));

fn extras(design: &str, neighbour: &str, request: &str) -> PromptExtras {
    PromptExtras {
        neighbours: vec![format!("TSK-002 {neighbour} (ready)")],
        design: design.to_owned(),
        request: request.to_owned(),
    }
}

fn plain() -> PromptExtras {
    extras("Two modules.", "Say it loudly", "Say goodbye.")
}

fn values(more: Value) -> Value {
    context! {
        task_ref => "TSK-001", title => "Say goodbye", task_type => "implement_feature", priority => "HIGH",
        ticket_title => "Farewells", description => "Add bye.py.", is_found => false, ..more
    }
}

fn revision(feedback: &str, recommendation: &str) -> Value {
    values(context! {
        revision => context! {
            iteration => 1, feedback, recommendations => [recommendation.to_owned()], has_landed => false, is_kept => true,
            branch_at => "0123",
        },
    })
}

fn conflict(path: &str, title: &str, said: &str) -> Value {
    values(context! {
        conflict => context! { paths => [path.to_owned()], incoming_title => title, incoming => said, landed => said },
    })
}

fn requirement(title: &str, text: &str, criterion: &str) -> Value {
    let requirement = context! { id => "REQ-1", title, text, criteria => [criterion.to_owned()] };
    values(context! { requirements => [requirement] })
}

const PLACES: &[PlantedPlace] = &[
    ("title", |text| {
        (values(context! { title => text }), plain())
    }),
    ("ticket", |text| {
        (values(context! { ticket_title => text }), plain())
    }),
    ("plan", |text| {
        (values(context! { description => text }), plain())
    }),
    ("discovery", |text| {
        (
            values(context! { description => text, is_found => true }),
            plain(),
        )
    }),
    ("files", |text| {
        (values(context! { files => [text.to_owned()] }), plain())
    }),
    ("requirement", |text| {
        (requirement(text, text, text), plain())
    }),
    ("checks", |text| {
        (values(context! { checks => [text.to_owned()] }), plain())
    }),
    ("design", |text| {
        (values(context! {}), extras(text, "x", "y"))
    }),
    ("neighbours", |text| {
        (values(context! {}), extras("x", text, "y"))
    }),
    ("request", |text| {
        (values(context! {}), extras("x", "y", text))
    }),
    ("feedback", |text| (revision(text, "Mend it."), plain())),
    ("recommendation", |text| (revision("Red.", text), plain())),
    ("attempt before", |text| {
        (values(context! { before => text }), plain())
    }),
    ("conflicted path", |text| {
        (conflict(text, "x", "y"), plain())
    }),
    ("incoming title", |text| {
        (conflict("a.py", text, "y"), plain())
    }),
    ("summaries of agents", |text| {
        (conflict("a.py", "x", text), plain())
    }),
    ("guidance", |text| {
        let files = [("AGENTS.md".to_owned(), text.to_owned())];
        (
            values(context! { guidance => quote_guidance(&files) }),
            plain(),
        )
    }),
    ("path of guidance", |text| {
        let files = [(text.to_owned(), "Use tabs.".to_owned())];
        (
            values(context! { guidance => quote_guidance(&files) }),
            plain(),
        )
    }),
];

#[tokio::test]
async fn s5_no_injection_adds_a_line_to_the_orders_of_a_task() {
    let rows = injection_rows();
    let proof = InvariantProof {
        id: "S5",
        counted: "lines added to orders",
        n_cases: rows.len() * PLACES.len(),
        bug: PlantedBug::Quotation,
    };
    let count_added = async || {
        let mut n_added = 0;
        for (place, plant) in PLACES {
            let shape = |text: &str| {
                let (values, extras) = plant(text);
                prompt_shape(&fit_prompt(&values, extras).unwrap(), text)
            };
            n_added += count_added_lines(&rows, place, shape);
        }
        n_added
    };
    proof.check(count_added).await;
}
