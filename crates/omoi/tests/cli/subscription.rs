//! What commands say of a key that is for calls of one agent's program alone.

use serde_json::Value;

use super::{Home, Said};

const TOKEN: (&str, &str) = ("CLAUDE_CODE_OAUTH_TOKEN", "of-a-subscription");
const MODEL: &str = "claude-subscription/claude-sonnet-5-5";

/// The last thing that the doctor says of models: whether one answers.
fn tried_model(said: &Said) -> Value {
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let mut of_models = findings.filter(|found| found["area"] == "model");
    of_models.next_back().unwrap().clone()
}

#[test]
fn the_doctor_asks_no_model_with_the_key_of_an_agent_program() {
    let home = Home::new();
    let alone = [
        TOKEN,
        ("LLM_PROVIDERS", "claude-subscription"),
        ("MODELS_AGENT", MODEL),
    ];
    let told = tried_model(&home.omoi_with(&alone, &["doctor", "--json"]));
    assert_eq!(told["mark"], "note", "{told}");
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("for calls of claude-code alone"), "{text}");
    assert!(
        told["next"]
            .as_str()
            .unwrap()
            .contains("--agent claude-code"),
        "{told}"
    );
    // The next of the list is asked instead; nobody listens there.
    let list = format!("{MODEL}, rack/m");
    let with_other = [
        TOKEN,
        (
            "LLM_PROVIDERS",
            "claude-subscription, name=rack; preset=vllm; address=http://127.0.0.1:1/v1",
        ),
        ("MODELS_AGENT", list.as_str()),
    ];
    let told = tried_model(&home.omoi_with(&with_other, &["doctor", "--json"]));
    let text = told["text"].as_str().unwrap();
    assert!(text.starts_with("does not answer"), "{text}");
    assert!(!text.contains("claude-code"), "{text}");
}

#[test]
fn a_model_with_the_key_of_an_agent_program_is_not_tried() {
    let home = Home::new();
    let variables = [TOKEN, ("LLM_PROVIDERS", "claude-subscription")];
    let said = home.omoi_with(&variables, &["models", "try", MODEL]);
    assert_ne!(said.code, 0);
    let words = said.all();
    assert!(words.contains("for calls of claude-code alone"), "{words}");
    assert!(words.contains("omoi run --agent claude-code"), "{words}");
}
