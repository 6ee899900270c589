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
mod tests;
