#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
use super::*;

fn check(kind: IdKind, good: &[&str], bad: &[&str]) {
    assert!(
        good.len() >= 12 && bad.len() >= 12,
        "{kind:?}: too few cases"
    );
    for text in good {
        let id = PlanId::parse(kind, text).unwrap_or_else(|| panic!("{kind:?} refuses {text}"));
        assert_eq!(id.to_string(), *text);
        assert_eq!(id.series().kind(), kind);
        assert_eq!(PlanId::import(kind, text), Some(id));
    }
    for text in bad {
        assert_eq!(PlanId::parse(kind, text), None, "{kind:?} accepts {text:?}");
    }
}

#[test]
fn requirement_ids() {
    check(
        IdKind::Requirement,
        &[
            "REQ-WEBHOOK-SEC-001",
            "REQ-WEBHOOK-FUNC-001",
            "REQ-WEBHOOK-PERF-010",
            "REQ-WEBHOOK-USE-100",
            "REQ-WEBHOOK-REL-999",
            "REQ-WEBHOOK-CON-123",
            "REQ-AB-FUNC-001",
            "REQ-A1-FUNC-001",
            "REQ-ABCDEFGHIJKLMNOP-FUNC-001",
            "REQ-V2-SEC-042",
            "REQ-TODOTAGS-FUNC-007",
            "REQ-X9Z-CON-500",
            "REQ-FUNC-FUNC-001",
        ],
        &[
            "",
            "REQ",
            "REQ-A-FUNC-001",
            "REQ-1AB-FUNC-001",
            "REQ-ABCDEFGHIJKLMNOPQ-FUNC-001",
            "REQ-WEBHOOK-001",
            "REQ-WEBHOOK-API-001",
            "REQ-WEBHOOK-FUNC-000",
            "REQ-WEBHOOK-FUNC-01",
            "REQ-WEBHOOK-FUNC-1000",
            "req-webhook-func-001",
            "REQ-WEB-HOOK-FUNC-001",
            "REQ-WEBHOOK-FUNC-001 ",
            " REQ-WEBHOOK-FUNC-001",
            "REQ-WEBHOOK-FUNC-001\n",
            "REQ-WEBHOOK-FUNC-٠٠١",
            "XREQ-WEBHOOK-FUNC-001",
            "REQ-WEBHOOK-FUNC-001#1",
        ],
    );
}

/// The three kinds that are a prefix and a number differ in the prefix only.
#[test]
fn numbered_ids() {
    for (kind, prefix) in [
        (IdKind::Ticket, "TKT"),
        (IdKind::Task, "TSK"),
        (IdKind::UserStory, "US"),
    ] {
        let good: Vec<String> = [1, 2, 9, 10, 11, 42, 99, 100, 101, 500, 998, 999]
            .iter()
            .map(|n| format!("{prefix}-{n:03}"))
            .collect();
        let mut bad: Vec<String> = [
            "",
            "-000",
            "-0",
            "-1",
            "-01",
            "-0001",
            "-1000",
            "001",
            "_001",
            "-",
            "-A01",
            "-001 ",
            "-001\n",
            "--01",
            "-001-001",
            "-００１",
            "-COLLAB-001",
            "-00A",
        ]
        .iter()
        .map(|tail| format!("{prefix}{tail}"))
        .collect();
        bad.push(format!(" {prefix}-001"));
        bad.push(format!("{}-001", prefix.to_lowercase()));
        bad.push(format!("X{prefix}-001"));
        let good: Vec<&str> = good.iter().map(String::as_str).collect();
        let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
        check(kind, &good, &bad);
    }
}

/// The three document kinds differ in the prefix only.
#[test]
fn document_ids() {
    for (kind, prefix) in [
        (IdKind::DesignDoc, "DESIGN"),
        (IdKind::RequirementsDoc, "REQ"),
        (IdKind::PrdDoc, "PRD"),
    ] {
        let good: Vec<String> = [
            "A-001",
            "1-001",
            "A1-002",
            "1A-010",
            "TAGS-001",
            "WEBHOOK-100",
            "V2-999",
            "TODOTAGS-123",
            "CSVEXPORT-500",
            "X-042",
            "0-001",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ-001",
        ]
        .iter()
        .map(|tail| format!("{prefix}-{tail}"))
        .collect();
        let mut bad: Vec<String> = [
            "",
            "-",
            "-001",
            "--001",
            "-TAGS",
            "-TAGS-",
            "-TAGS-0",
            "-TAGS-01",
            "-TAGS-000",
            "-TAGS-1000",
            "-tags-001",
            "-TA GS-001",
            "-TA_GS-001",
            "-TA-GS-001",
            "-TAGS-001 ",
            "-TAGS-001\n",
            "-TAGS-FUNC-001",
            "-ÄB-001",
        ]
        .iter()
        .map(|tail| format!("{prefix}{tail}"))
        .collect();
        bad.push(format!("{}-TAGS-001", prefix.to_lowercase()));
        let good: Vec<&str> = good.iter().map(String::as_str).collect();
        let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
        check(kind, &good, &bad);
    }
}

#[test]
fn criterion_ids() {
    let good = [
        "REQ-TAGS-FUNC-001#1",
        "REQ-TAGS-FUNC-001#2",
        "REQ-TAGS-FUNC-001#9",
        "REQ-TAGS-FUNC-001#10",
        "REQ-TAGS-FUNC-001#123",
        "REQ-TAGS-PERF-001#1",
        "REQ-TAGS-SEC-001#1",
        "REQ-TAGS-USE-001#1",
        "REQ-TAGS-REL-001#1",
        "REQ-TAGS-CON-001#1",
        "REQ-AB-FUNC-999#1",
        "REQ-V2-FUNC-010#4294967295",
    ];
    let bad = [
        "",
        "#1",
        "REQ-TAGS-FUNC-001",
        "REQ-TAGS-FUNC-001#",
        "REQ-TAGS-FUNC-001#0",
        "REQ-TAGS-FUNC-001#01",
        "REQ-TAGS-FUNC-001#-1",
        "REQ-TAGS-FUNC-001#+1",
        "REQ-TAGS-FUNC-001#1 ",
        "REQ-TAGS-FUNC-001#a",
        "REQ-TAGS-FUNC-001#1#2",
        "REQ-TAGS-FUNC-001#4294967296",
        "REQ-TAGS-001#1",
        "req-tags-func-001#1",
        "TSK-001#1",
        "REQ-TAGS-FUNC-000#1",
    ];
    assert!(good.len() >= 12 && bad.len() >= 12);
    for text in good {
        assert_eq!(CriterionId::parse(text).unwrap().to_string(), text);
    }
    for text in bad {
        assert_eq!(CriterionId::parse(text), None, "{text:?}");
    }
    let imported = CriterionId::import(" req-tags-func-001#3 ").unwrap();
    assert_eq!(imported.to_string(), "REQ-TAGS-FUNC-001#3");
    assert_eq!(imported.ordinal(), 3);
    assert!(CriterionId::new(PlanId::parse(IdKind::Task, "TSK-001").unwrap(), 1).is_none());
}

#[test]
fn import_rewrites_older_spellings() {
    for (kind, text, expected) in [
        (IdKind::Task, "TASK-007", Some("TSK-007")),
        (IdKind::Task, "task-007", Some("TSK-007")),
        (IdKind::Task, " tsk-007 ", Some("TSK-007")),
        (IdKind::Task, "TASK-7", None),
        (IdKind::Ticket, "TKT-COLLAB-001", Some("TKT-001")),
        (IdKind::Ticket, "tkt-collab-001", Some("TKT-001")),
        (IdKind::Ticket, "TKT--001", None),
        (IdKind::Ticket, "TKT-A-B-001", None),
        (IdKind::DesignDoc, "DES-TAGS-001", Some("DESIGN-TAGS-001")),
        (IdKind::DesignDoc, "des-tags-001", Some("DESIGN-TAGS-001")),
        (IdKind::DesignDoc, "DES-001", None),
        (IdKind::UserStory, "us-003", Some("US-003")),
        (
            IdKind::Requirement,
            "req-tags-func-001",
            Some("REQ-TAGS-FUNC-001"),
        ),
        (
            IdKind::RequirementsDoc,
            "req-tags-001",
            Some("REQ-TAGS-001"),
        ),
        (IdKind::PrdDoc, "prd-tags-001", Some("PRD-TAGS-001")),
    ] {
        let imported = PlanId::import(kind, text).map(|id| id.to_string());
        assert_eq!(imported.as_deref(), expected, "{text}");
    }
}

#[test]
fn next_id_is_one_above_the_highest() {
    let ids = |texts: &[&str]| -> Vec<PlanId> {
        let parse = |t: &&str| PlanId::parse(IdKind::Task, t).unwrap();
        texts.iter().map(parse).collect()
    };
    let next = |texts: &[&str]| next_id(IdSeries::Task, &ids(texts)).map(|id| id.to_string());
    assert_eq!(next(&[]).unwrap(), "TSK-001");
    assert_eq!(next(&["TSK-001", "TSK-005", "TSK-003"]).unwrap(), "TSK-006");
    assert_eq!(next(&["TSK-998"]).unwrap(), "TSK-999");
    let full = next(&["TSK-999"]).unwrap_err();
    assert!(full.to_string().contains("TSK-999"), "{full}");
    // Other series do not count.
    let ticket = PlanId::parse(IdKind::Ticket, "TKT-040").unwrap();
    assert_eq!(
        next_id(IdSeries::Task, [&ticket]).unwrap().to_string(),
        "TSK-001"
    );
}
