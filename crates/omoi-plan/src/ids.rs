//! Plan-local identifiers: `REQ-TAGS-FUNC-001`, `TKT-001`, `TSK-001`, `US-001`, documents, criteria.
//!
//! The patterns here are the only truth. Other spellings that older plans use are accepted by
//! [`PlanId::import`] alone, which rewrites them.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use omoi_domain::pattern::compile_constant;
use omoi_domain::requirement::RequirementType;

/// The highest number an id may carry.
pub const NUMBER_MAX: u16 = 999;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdKind {
    /// `REQ-<FEATURE>-<CAT>-NNN`.
    Requirement,
    /// `TKT-NNN`.
    Ticket,
    /// `TSK-NNN`.
    Task,
    /// `US-NNN`.
    UserStory,
    /// `DESIGN-<FEATURE>-NNN`.
    DesignDoc,
    /// `REQ-<FEATURE>-NNN`, the document, not a requirement.
    RequirementsDoc,
    /// `PRD-<FEATURE>-NNN`.
    PrdDoc,
}

impl IdKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Requirement,
        Self::Ticket,
        Self::Task,
        Self::UserStory,
        Self::DesignDoc,
        Self::RequirementsDoc,
        Self::PrdDoc,
    ];

    /// The anchored pattern of the canonical form.
    ///
    /// Digits are spelled out because `\d` would match the digits of every script.
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::Requirement => "^REQ-[A-Z][A-Z0-9]{1,15}-(?:FUNC|PERF|SEC|USE|REL|CON)-[0-9]{3}$",
            Self::Ticket => "^TKT-[0-9]{3}$",
            Self::Task => "^TSK-[0-9]{3}$",
            Self::UserStory => "^US-[0-9]{3}$",
            Self::DesignDoc => "^DESIGN-[A-Z0-9]+-[0-9]{3}$",
            Self::RequirementsDoc => "^REQ-[A-Z0-9]+-[0-9]{3}$",
            Self::PrdDoc => "^PRD-[A-Z0-9]+-[0-9]{3}$",
        }
    }

    /// The form in words, for messages.
    pub const fn form(self) -> &'static str {
        match self {
            Self::Requirement => "REQ-<FEATURE>-<FUNC|PERF|SEC|USE|REL|CON>-NNN",
            Self::Ticket => "TKT-NNN",
            Self::Task => "TSK-NNN",
            Self::UserStory => "US-NNN",
            Self::DesignDoc => "DESIGN-<FEATURE>-NNN",
            Self::RequirementsDoc => "REQ-<FEATURE>-NNN",
            Self::PrdDoc => "PRD-<FEATURE>-NNN",
        }
    }

    fn regex(self) -> &'static Regex {
        // Reading an id of one kind compiles the patterns of all, so the tests below compile each.
        static ALL: LazyLock<Vec<Regex>> = LazyLock::new(|| {
            let patterns = IdKind::ALL.iter().map(|kind| kind.pattern());
            patterns.map(compile_constant).collect()
        });
        &ALL[self as usize]
    }
}

/// An id without its number: the ids that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdSeries {
    /// Requirements of one feature and type.
    Requirement {
        /// Short name of the feature, upper case.
        feature: String,
        /// What they are about.
        category: RequirementType,
    },
    /// Tickets.
    Ticket,
    /// Tasks, over all tickets.
    Task,
    /// User stories.
    UserStory,
    /// Design documents of a feature.
    DesignDoc(String),
    /// Requirements documents of a feature.
    RequirementsDoc(String),
    /// Product documents of a feature.
    PrdDoc(String),
}

impl IdSeries {
    /// The kind of its ids.
    pub const fn kind(&self) -> IdKind {
        match self {
            Self::Requirement { .. } => IdKind::Requirement,
            Self::Ticket => IdKind::Ticket,
            Self::Task => IdKind::Task,
            Self::UserStory => IdKind::UserStory,
            Self::DesignDoc(_) => IdKind::DesignDoc,
            Self::RequirementsDoc(_) => IdKind::RequirementsDoc,
            Self::PrdDoc(_) => IdKind::PrdDoc,
        }
    }
}

impl fmt::Display for IdSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requirement { feature, category } => {
                write!(f, "REQ-{feature}-{}", category.category_code())
            }
            Self::Ticket => f.write_str("TKT"),
            Self::Task => f.write_str("TSK"),
            Self::UserStory => f.write_str("US"),
            Self::DesignDoc(feature) => write!(f, "DESIGN-{feature}"),
            Self::RequirementsDoc(feature) => write!(f, "REQ-{feature}"),
            Self::PrdDoc(feature) => write!(f, "PRD-{feature}"),
        }
    }
}

/// A plan-local id in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId {
    series: IdSeries,
    number: u16,
}

impl PlanId {
    /// The id of `kind` written as `text`, which must be canonical; `000` is refused.
    pub fn parse(kind: IdKind, text: &str) -> Option<Self> {
        if !kind.regex().is_match(text) {
            return None;
        }
        // The pattern fixes what stands between the dashes.
        let parts: Vec<&str> = text.split('-').collect();
        let part = |n: usize| parts.get(n).copied().unwrap_or_default();
        let feature = || part(1).to_owned();
        let series = match kind {
            IdKind::Requirement => IdSeries::Requirement {
                feature: feature(),
                category: category_of(part(2))?,
            },
            IdKind::Ticket => IdSeries::Ticket,
            IdKind::Task => IdSeries::Task,
            IdKind::UserStory => IdSeries::UserStory,
            IdKind::DesignDoc => IdSeries::DesignDoc(feature()),
            IdKind::RequirementsDoc => IdSeries::RequirementsDoc(feature()),
            IdKind::PrdDoc => IdSeries::PrdDoc(feature()),
        };
        let number = part(parts.len() - 1).parse().ok()?;
        (number > 0).then_some(Self { series, number })
    }

    /// Like [`PlanId::parse`], but accepts what older plans wrote.
    ///
    /// Surrounding blanks, lower case, `TASK-NNN`, `TKT-<PREFIX>-NNN` and `DES-…` are rewritten.
    pub fn import(kind: IdKind, text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let rewritten = match kind {
            IdKind::Task => upper.strip_prefix("TASK-").map(|n| format!("TSK-{n}")),
            IdKind::Ticket => prefixed_ticket(&upper),
            IdKind::DesignDoc => upper.strip_prefix("DES-").map(|n| format!("DESIGN-{n}")),
            _ => None,
        };
        Self::parse(kind, rewritten.as_deref().unwrap_or(&upper))
    }

    /// The ids it is counted with.
    pub const fn series(&self) -> &IdSeries {
        &self.series
    }

    /// Its number, 1 to [`NUMBER_MAX`].
    pub const fn number(&self) -> u16 {
        self.number
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:03}", self.series, self.number)
    }
}

/// The id of an acceptance criterion: `<REQ id>#<n>`, n from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CriterionId {
    requirement: PlanId,
    ordinal: u32,
}

impl CriterionId {
    /// Criterion `ordinal` (from 1) of `requirement`; none for another kind of id or for 0.
    pub fn new(requirement: PlanId, ordinal: u32) -> Option<Self> {
        let fits = ordinal > 0 && requirement.series.kind() == IdKind::Requirement;
        fits.then_some(Self {
            requirement,
            ordinal,
        })
    }

    /// The id written as `text`, which must be canonical.
    pub fn parse(text: &str) -> Option<Self> {
        let (requirement, ordinal) = text.split_once('#')?;
        let digits = ordinal.bytes().all(|b| b.is_ascii_digit()) && !ordinal.starts_with('0');
        let ordinal = digits.then(|| ordinal.parse().ok())??;
        Self::new(PlanId::parse(IdKind::Requirement, requirement)?, ordinal)
    }

    /// Like [`CriterionId::parse`], but accepts blanks around it and lower case.
    pub fn import(text: &str) -> Option<Self> {
        Self::parse(&text.trim().to_ascii_uppercase())
    }

    /// The requirement it belongs to.
    pub const fn requirement(&self) -> &PlanId {
        &self.requirement
    }

    /// Its place among the requirement's criteria, from 1.
    pub const fn ordinal(&self) -> u32 {
        self.ordinal
    }
}

impl fmt::Display for CriterionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.requirement, self.ordinal)
    }
}

/// The id of check `n` (from 1) of `task`.
pub fn check_id(task: &str, n: usize) -> String {
    format!("{task}/{n}")
}

/// The id of criterion `n` (from 1) of `requirement`.
pub fn criterion_id(requirement: &str, n: usize) -> String {
    format!("{requirement}#{n}")
}

/// A series has no number left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{series}-{NUMBER_MAX}` is taken, and numbers do not go beyond {NUMBER_MAX}")]
pub struct SeriesExhausted {
    /// The full series.
    pub series: IdSeries,
}

/// The next free id of `series`: one above the highest in `used`, gaps stay gaps.
///
/// `used` must hold retired ids too; a number is never given twice.
pub fn next_id<'a>(
    series: IdSeries,
    used: impl IntoIterator<Item = &'a PlanId>,
) -> Result<PlanId, SeriesExhausted> {
    let highest = used
        .into_iter()
        .filter(|id| id.series == series)
        .map(|id| id.number)
        .max()
        .unwrap_or(0);
    if highest >= NUMBER_MAX {
        return Err(SeriesExhausted { series });
    }
    Ok(PlanId {
        series,
        number: highest + 1,
    })
}

fn category_of(code: &str) -> Option<RequirementType> {
    RequirementType::ALL
        .iter()
        .copied()
        .find(|c| c.category_code() == code)
}

/// `TKT-COLLAB-001` as `TKT-001`.
fn prefixed_ticket(upper: &str) -> Option<String> {
    let (prefix, number) = upper.strip_prefix("TKT-")?.split_once('-')?;
    let named = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_alphanumeric());
    named.then(|| format!("TKT-{number}"))
}

#[cfg(test)]
mod tests {
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
}
