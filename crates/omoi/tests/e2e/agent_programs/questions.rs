//! An agent program that speaks to the agent of another task and asks a person: its attempt rests off its slot, a kill of
//! the platform between question and answer loses neither, and the answer is the next message of its session.

use omoi_llm::scenario::RequestKeys;
use omoi_llm::simulated::RequestRecorder;
use serde_json::{Value, json};

use super::bad_days::until;
use crate::binary::Running;
use crate::scenarios::texts_in;
use crate::story;
use crate::world::World;

const SAID: &str = "Farewells end with a full stop.";
const QUESTION: &str = "Who is greeted first?";
const ANSWER: &str = "Ann, and Bob after her.";

/// `scenario`, in which the agent of the first task does both once it has written its file.
pub(super) fn with_question(scenario: &str) -> String {
    let next_rule = "  - when: {role: implementer, task: TSK-002, turn: 0}\n";
    assert_eq!(scenario.matches(next_rule).count(), 1);
    let calls = format!(
        "      - tool: {{name: threads, input: {{action: open, with: [TSK-002], message_type: info, text: {SAID}}}}}\n      \
         - tool: {{name: ask_person, input: {{question: {QUESTION}, choices: [Ann, Bob]}}}}\n"
    );
    scenario.replace(next_rule, &format!("{calls}{next_rule}"))
}

/// What `omoi` with `words` prints for scripts, without a server.
fn told(world: &World, words: &[&str]) -> Value {
    let command = world.command(&[words, &["--json"]].concat());
    let said = world.start(command).wait().exited(0);
    serde_json::from_str(&said.stdout).unwrap()
}

/// Waits until the first task rests, kills the run, and answers what is asked.
pub(super) fn kill_and_answer(world: &World, mut run: Running) {
    let database = world.database();
    let one = |query: &str| story::one(&database, query);
    let rests = "select blocked_by from tasks where local_id = 'TSK-001' and status = 'blocked'";
    until(&mut run, || one(rests).as_deref() == Some("question"));
    let ended = story::attempts(&database, "TSK-001");
    assert_eq!(ended, ["interrupted question_asked saved"]);
    let slots = "select cast(sum(slots_used) as text) from projects";
    assert_eq!(one(slots).as_deref(), Some("0"), "it keeps its slot");
    run.kill();

    let waiting = told(world, &["approvals"]);
    let [asked] = waiting.as_array().unwrap().as_slice() else {
        panic!("{waiting:#}")
    };
    assert_eq!(
        (&asked["kind"], &asked["question"], &asked["choices"]),
        (&json!("question"), &json!(QUESTION), &json!(["Ann", "Bob"]))
    );
    let id = asked["id"].as_str().unwrap();
    let answered = told(world, &["approvals", "answer", id, ANSWER]);
    assert_eq!(answered["state"], "answered", "{answered:#}");
    assert_eq!(told(world, &["approvals"]), json!([]));
}

/// Each request but the `n_before` that were made before the answer has it, and the other agent was told what is said in the
/// thread.
pub(super) fn was_answered_and_heard(world: &World, requests: &RequestRecorder, n_before: usize) {
    let ended = story::attempts(&world.database(), "TSK-001");
    assert_eq!(
        ended,
        [
            "interrupted question_asked saved",
            "succeeded completion_signal saved"
        ]
    );
    let threads = told(world, &["thread", "list"]);
    let takes_part = threads[0]["participants"].as_array().unwrap().iter();
    let takes_part: Vec<_> = takes_part.map(|one| &one["task_ref"]).collect();
    assert_eq!(takes_part, ["TSK-001", "TSK-002"], "{threads:#}");

    let asked_for = |task: &str| -> Vec<Vec<String>> {
        let all = requests.list_requests().into_iter().skip(n_before);
        let is_of = |keys: &RequestKeys| keys.task.as_deref() == Some(task);
        let of_task = all.filter(|request| request.keys.as_ref().is_some_and(is_of));
        let texts = of_task.map(|request| {
            let mut texts = Vec::new();
            texts_in(&request.body, &mut texts);
            texts
        });
        texts.collect()
    };
    let is_answer = |text: &String| {
        let (question, answer) = (text.find(QUESTION), text.find(ANSWER));
        question.is_some() && question < answer
    };
    let resumed = asked_for("TSK-001");
    let is_told = |texts: &Vec<String>| texts.iter().any(is_answer);
    assert!(
        !resumed.is_empty() && resumed.iter().all(is_told),
        "{resumed:#?}"
    );
    let quoted = format!("> {SAID}");
    let hears = |texts: &Vec<String>| texts.iter().any(|text| text.contains(&quoted));
    assert!(asked_for("TSK-002").iter().any(hears), "{SAID} is not told");
}
