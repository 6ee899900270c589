//! EARS sentences: a corpus of all kinds, refusals, and the round trip of generated sentences.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use proptest::prelude::*;

use omoi_plan::ears;
use omoi_plan::ears::{
    EarsClause, EarsError, EarsKind, EarsModality, EarsTrigger, WordingFlaw, count_normative,
    flagged_wordings, parse_sentence,
};

const CORPUS: &[(EarsKind, &[&str])] = &[
    (
        EarsKind::Ubiquitous,
        &[
            "THE SYSTEM SHALL store every tag in lower case.",
            "the system must encrypt tokens at rest",
            "The system SHOULD log each request.",
            "THE SYSTEM MAY cache the answer for 60 s.",
            "THE SYSTEM SHALL NOT store passwords in clear text.",
            "The System must not write outside the data folder.",
            "THE SYSTEM SHOULD NOT block the main thread for more than 16 ms.",
            "THE SYSTEM SHALL answer 95 % of requests within 200 ms.",
            "THE SYSTEM SHALL accept dates, times and durations in ISO 8601.",
            "  THE   SYSTEM\n SHALL   keep\tblanks out.  ",
            "**THE SYSTEM SHALL** render markdown.",
            "THE SYSTEM SHALL list shallow clones, mayors and fetched refs.",
        ],
    ),
    (
        EarsKind::Event,
        &[
            "WHEN a user adds a tag, THE SYSTEM SHALL store it.",
            "When a user adds a tag the system shall store it",
            "when 1,000 rows are imported, the system shall print a summary.",
            "WHEN the user asks where the file is, THE SYSTEM SHALL show its path.",
            "WHEN a webhook arrives, THE SYSTEM MUST verify its signature within 50 ms.",
            "WHEN a task ends, then the system shall release its lease.",
            "WHEN a file is saved, renamed or removed, THE SYSTEM SHALL refresh the index.",
            "WHEN the export command runs, THE SYSTEM SHALL NOT change any todo.",
            "**WHEN** a due date passes, **THE SYSTEM SHALL** mark the todo overdue.",
            "WHEN the system is started, THE SYSTEM SHALL run pending migrations.",
            "WHEN a client must retry, THE SYSTEM SHALL send Retry-After.",
        ],
    ),
    (
        EarsKind::State,
        &[
            "WHILE the device is offline, THE SYSTEM SHALL queue changes.",
            "While a lease is held the system shall renew it every 30 s.",
            "while a migration runs, the system must refuse writes.",
            "WHILE maintenance mode is on, THE SYSTEM SHALL answer 503.",
            "WHILE a backup is made, THE SYSTEM SHOULD throttle imports.",
            "WHILE the queue is longer than 1000 entries, THE SYSTEM SHALL reject new ones.",
            "WHILE no user is signed in, THE SYSTEM SHALL NOT show drafts.",
            "WHILE a search is open, THE SYSTEM MAY prefetch the next page.",
            "WHILE tests run, THE SYSTEM SHALL use the test clock.",
            "WHILE the disk is more than 95 % full, THE SYSTEM SHALL stop accepting uploads.",
        ],
    ),
    (
        EarsKind::Feature,
        &[
            "WHERE two-factor login is enabled, THE SYSTEM SHALL ask for a code.",
            "Where the csv plugin is installed the system shall offer CSV export",
            "where a proxy is configured, the system must use it for every request.",
            "WHERE the plan includes audit, THE SYSTEM SHALL keep events for 365 days.",
            "WHERE dark mode is available, THE SYSTEM SHOULD follow the desktop.",
            "WHERE single sign-on is set up, THE SYSTEM SHALL NOT offer passwords.",
            "WHERE a GPU is present, THE SYSTEM MAY use it.",
            "WHERE tags are shared, THE SYSTEM SHALL show their owner.",
            "WHERE a time zone is set, THE SYSTEM SHALL print due dates in it.",
            "WHERE encryption is licensed, THE SYSTEM SHALL encrypt attachments.",
        ],
    ),
    (
        EarsKind::Unwanted,
        &[
            "IF the token is expired, THEN THE SYSTEM SHALL answer 401.",
            "If the disk is full then the system shall stop the import",
            "if a due date is in the past, the system shall warn.",
            "IF parsing fails, THEN THE SYSTEM MUST name line and column.",
            "IF a tag holds a blank, THEN, THE SYSTEM SHALL refuse it.",
            "IF the file does not exist, THEN THE SYSTEM SHALL exit with code 1.",
            "IF three attempts fail, THEN THE SYSTEM SHALL lock the account for 15 min.",
            "IF the signature is wrong, THEN THE SYSTEM SHALL NOT read the body.",
            "IF a peer is slow, THEN THE SYSTEM SHOULD drop the connection after 30 s.",
            "IF the cache is stale, THEN THE SYSTEM MAY serve it for 5 s.",
        ],
    ),
    (
        EarsKind::Complex,
        &[
            "WHILE offline, WHEN the user saves, THE SYSTEM SHALL queue the change.",
            "While signed in, when a session expires, the system shall ask again.",
            "WHERE sync is on, WHILE a conflict is open, THE SYSTEM SHALL keep both versions.",
            "WHEN an import starts, IF the file is empty, THEN THE SYSTEM SHALL report 0 rows.",
            "WHERE audit is on, WHEN a row changes, THE SYSTEM MUST append an event.",
            "WHILE a merge runs, IF the target moves, THEN THE SYSTEM SHALL score again.",
            "WHILE idle WHEN a job arrives THE SYSTEM SHALL start it",
            "WHERE a, WHILE b, WHEN c, IF d, THEN THE SYSTEM SHALL do e.",
            "WHEN a tag, a date or both are set, WHILE editing, THE SYSTEM SHALL NOT save.",
            "WHEN a user asks, where possible, THE SYSTEM SHOULD answer at once.",
            "WHILE the system is paused, WHEN a task ends, THE SYSTEM MAY delay its merge.",
        ],
    ),
];

#[test]
fn classifies_the_corpus() {
    let sentences: usize = CORPUS.iter().map(|(_, s)| s.len()).sum();
    assert!(sentences >= 60, "{sentences} sentences");
    for (kind, sentences) in CORPUS {
        for sentence in *sentences {
            let parsed = parse_sentence(sentence).unwrap_or_else(|e| panic!("{sentence}: {e}"));
            assert_eq!(parsed.kind, *kind, "{sentence}");
            assert_eq!(
                parse_sentence(&parsed.to_string()).unwrap(),
                parsed,
                "{sentence}"
            );
        }
    }
}

#[test]
fn takes_sentences_apart() {
    let parsed =
        parse_sentence("while a, b or c hold, IF d happens, then the system MUST NOT do e, f.")
            .unwrap();
    let clause = |trigger, text: &str| EarsClause {
        trigger,
        text: text.to_owned(),
    };
    assert_eq!(
        parsed.clauses,
        [
            clause(EarsTrigger::While, "a, b or c hold"),
            clause(EarsTrigger::If, "d happens")
        ]
    );
    assert_eq!(parsed.modality, EarsModality::Must);
    assert!(parsed.negated);
    assert_eq!(parsed.action, "do e, f");
    assert_eq!(
        parsed.condition_text(),
        "WHILE a, b or c hold, IF d happens"
    );
    assert_eq!(
        parsed.to_string(),
        "WHILE a, b or c hold, IF d happens, THEN THE SYSTEM MUST NOT do e, f."
    );
    assert_eq!(
        parse_sentence("THE SYSTEM SHALL x.")
            .unwrap()
            .condition_text(),
        ""
    );
    assert_eq!(
        parse_sentence("WHEN t, THE SYSTEM SHALL x.")
            .unwrap()
            .condition_text(),
        "t"
    );
}

#[test]
fn refuses_what_is_not_ears() {
    for (sentence, expected) in [
        ("", EarsError::NoSystemResponse),
        ("if may", EarsError::NoSystemResponse),
        ("The system is shallow.", EarsError::NoSystemResponse),
        ("The system shallows.", EarsError::NoSystemResponse),
        ("The mayor may fetch.", EarsError::NoSystemResponse),
        ("THE SYSTEM will store it.", EarsError::NoSystemResponse),
        (
            "\"THE SYSTEM SHALL\" is a phrase",
            EarsError::NoSystemResponse,
        ),
        ("THE SYSTEM SHALL", EarsError::NoAction),
        ("THE SYSTEM SHALL NOT.", EarsError::NoAction),
        ("THE SYSTEM SHALL , . ,", EarsError::NoAction),
        (
            "WHEN, THE SYSTEM SHALL x",
            EarsError::EmptyClause {
                trigger: EarsTrigger::When,
            },
        ),
        (
            "WHILE a, IF, THEN THE SYSTEM SHALL x",
            EarsError::EmptyClause {
                trigger: EarsTrigger::If,
            },
        ),
        ("THE SYSTEM MAY NOT x", EarsError::MayNot),
        (
            "THE SYSTEM SHALL x. THE SYSTEM MUST y.",
            EarsError::SecondResponse,
        ),
        (
            "In production, THE SYSTEM SHALL x",
            EarsError::NoTrigger {
                text: "In production".to_owned(),
            },
        ),
        (
            "whenever it rains, THE SYSTEM SHALL x",
            EarsError::NoTrigger {
                text: "whenever it rains".to_owned(),
            },
        ),
    ] {
        assert_eq!(parse_sentence(sentence), Err(expected), "{sentence}");
    }
}

#[test]
fn keywords_are_whole_words() {
    for text in [
        "shallow",
        "mayor",
        "fetch",
        "must-have",
        "mayday",
        "SHALLOW",
        "marshall",
    ] {
        assert_eq!(count_normative(text), 0, "{text}");
        assert!(flagged_wordings(text).is_empty(), "{text}");
    }
    assert_eq!(
        count_normative("The mayor may fetch what a shallow clone must have."),
        2
    );
}

#[test]
fn flags_language() {
    for (text, phrase, flaw) in [
        ("The answer will be cached.", "will be", WordingFlaw::Weak),
        ("It is going to fail.", "is going to", WordingFlaw::Weak),
        ("logs, metrics, etc.", "etc", WordingFlaw::Vague),
        ("a, b and so on", "and so on", WordingFlaw::Vague),
        ("Fast answers", "fast", WordingFlaw::Unmeasured),
        ("respond quickly", "quickly", WordingFlaw::Unmeasured),
        (
            "a user-friendly form",
            "user-friendly",
            WordingFlaw::Unmeasured,
        ),
        (
            "an appropriate code",
            "appropriate",
            WordingFlaw::Unmeasured,
        ),
        ("robust parsing", "robust", WordingFlaw::Unmeasured),
        ("retry as needed", "as needed", WordingFlaw::Unmeasured),
    ] {
        let found = flagged_wordings(text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!((found[0].phrase, found[0].flaw), (phrase, flaw), "{text}");
    }
    assert!(flagged_wordings("breakfast fetches appropriately the needed will").is_empty());
}

#[test]
fn composes_stored_parts() {
    for (condition, action, expected) in [
        ("", "store it", "THE SYSTEM SHALL store it."),
        ("General", "store it.", "THE SYSTEM SHALL store it."),
        (
            "a user saves",
            "store it",
            "WHEN a user saves, THE SYSTEM SHALL store it.",
        ),
        (
            "WHEN a user saves",
            "store it",
            "WHEN a user saves, THE SYSTEM SHALL store it.",
        ),
        (
            "WHILE s, WHEN t",
            "the system must not x",
            "WHILE s, WHEN t, THE SYSTEM MUST NOT x.",
        ),
        ("IF c,", "x", "IF c, THEN THE SYSTEM SHALL x."),
    ] {
        let composed = ears::compose_sentence(condition, action).unwrap();
        assert_eq!(composed.to_string(), expected);
    }
    assert_eq!(ears::compose_sentence("x", ""), Err(EarsError::NoAction));
}

/// Words that try to confuse the parser: keywords in every case, commas, marks, look-alikes.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,8}",
        1 => "[A-Z][a-z]{0,5}",
        1 => "[0-9]{1,3}(,[0-9]{3})?",
        1 => "[a-z]{1,4},",
        2 => prop::sample::select(vec![
            "when", "WHEN", "While", "where", "IF", "if", "then", "THEN", "the", "THE", "system",
            "SYSTEM", "not", "NOT", "may", "shall", "must", "SHALL", ",", ",,", ",if", "IF,", "**if**",
            "_then_", "shallow", "mayor", "fetch", ".", "x.", ",.", "etc.",
        ]).prop_map(str::to_owned),
    ]
}

fn phrase() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 0..8).prop_map(|words| words.join(" "))
}

fn sentence() -> impl Strategy<Value = String> {
    let trigger = prop::sample::select(vec!["WHEN", "while", "Where", "IF"]);
    let comma = prop::sample::select(vec![", ", " ", ",", " , "]);
    let modality = prop::sample::select(vec![
        "SHALL",
        "must",
        "Should",
        "may",
        "SHALL NOT",
        "must not",
    ]);
    let then = prop::sample::select(vec!["", "THEN ", "then, "]);
    let clause = (trigger, phrase(), comma).prop_map(|(t, p, c)| format!("{t} {p}{c}"));
    (
        prop::collection::vec(clause, 0..4),
        then,
        modality,
        phrase(),
    )
        .prop_map(|(c, t, m, a)| format!("{} {t}THE SYSTEM {m} {a}.", c.concat()))
}

/// Whatever parses prints to something that parses to the same; 1,000 sentences that do parse.
#[test]
fn parse_print_parse_is_identity() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1_000,
        max_global_rejects: 20_000,
        ..ProptestConfig::default()
    });
    runner
        .run(&sentence(), |sentence| {
            let Ok(parsed) = parse_sentence(&sentence) else {
                return Err(TestCaseError::reject("not EARS"));
            };
            let printed = parsed.to_string();
            prop_assert_eq!(
                parse_sentence(&printed),
                Ok(parsed),
                "{} -> {}",
                sentence,
                printed
            );
            Ok(())
        })
        .unwrap();
}
