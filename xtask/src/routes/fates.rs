//! The list of fates: a row for every route of the earlier API.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use super::operations::OperationName;

/// The columns of the list.
const COLUMNS: &str = "method,path,domain,fate";

/// A route of the earlier API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EarlierRoute {
    pub(super) name: OperationName,
    /// What it is about; the earlier API grouped its routes by this word.
    pub(super) domain: String,
    pub(super) fate: RouteFate,
}

/// What became of a route.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RouteFate {
    /// Served under its address.
    Now,
    /// Served under this other address; the earlier one answers 410.
    Moved(OperationName),
    /// Served under this address of the workers' socket; the earlier one answers 410.
    Worker(OperationName),
    /// Comes with a system that is not there; until then 404.
    Later(String),
    /// Answers 410, and names the operation that replaces it where one does.
    Gone(Option<OperationName>),
}

impl RouteFate {
    fn read(text: &str) -> Result<Self> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        Ok(match (word, rest) {
            ("now", "") => Self::Now,
            ("gone", "") => Self::Gone(None),
            ("gone", to) => Self::Gone(Some(OperationName::read(to)?)),
            ("moved", to) => Self::Moved(OperationName::read(to)?),
            ("worker", to) => Self::Worker(OperationName::read(to)?),
            ("later", system) if !system.is_empty() => Self::Later(system.to_owned()),
            _ => bail!(
                "`{text}` is no fate: now, moved:METHOD PATH, worker:METHOD PATH, later:SYSTEM, \
                 gone: or gone:METHOD PATH"
            ),
        })
    }
}

impl fmt::Display for RouteFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Moved(to) => write!(f, "now {to}"),
            Self::Worker(to) => write!(f, "now {to} of the workers' socket"),
            Self::Later(system) => write!(f, "later with {system}"),
            Self::Gone(Some(to)) => write!(f, "gone for {to}"),
            Self::Gone(None) => f.write_str("gone"),
        }
    }
}

/// Reads the whole list; a row without a fate, and a second row for one route, is an error with its line.
pub(super) fn read_fates(text: &str) -> Result<Vec<EarlierRoute>> {
    let mut lines = text.lines();
    ensure!(
        lines.next() == Some(COLUMNS),
        "the first line must be `{COLUMNS}`"
    );
    let mut seen = BTreeSet::new();
    let mut routes = Vec::new();
    for (number, line) in lines.enumerate().map(|(index, line)| (index + 2, line)) {
        let route = read_row(line).with_context(|| format!("line {number}"))?;
        // Compared as written: `/x` and `/x/` were two routes.
        if !seen.insert(line.rsplit_once(',').map_or(line, |(route, _)| route)) {
            bail!("line {number}: {} has a row already", route.name);
        }
        routes.push(route);
    }
    Ok(routes)
}

fn read_row(line: &str) -> Result<EarlierRoute> {
    let [method, path, domain, fate] = line.split(',').collect::<Vec<_>>()[..] else {
        bail!("`{line}` has not the columns `{COLUMNS}`");
    };
    ensure!(!domain.is_empty(), "`{line}` has no domain");
    Ok(EarlierRoute {
        name: OperationName::read(&format!("{method} {path}"))?,
        domain: domain.to_owned(),
        fate: RouteFate::read(fate)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    fn reason(rows: &str) -> String {
        let error = read_fates(&format!("{COLUMNS}\n{rows}")).unwrap_err();
        format!("{error:#}")
    }

    #[test]
    fn every_fate_is_read() {
        let rows = "GET,/a/{id},tasks,now\nPOST,/b,tasks,moved:POST /api/v1/b\nGET,/c,tasks,worker:GET /c\n\
                    GET,/d,billing,later:billing\nGET,/e,debug,gone:\nGET,/f,debug,gone:GET /a/{other}\n";
        let routes = read_fates(&format!("{COLUMNS}\n{rows}")).unwrap();
        let fates: Vec<String> = routes.iter().map(|route| route.fate.to_string()).collect();
        let expected = [
            "now",
            "now POST /api/v1/b",
            "now GET /c of the workers' socket",
            "later with billing",
            "gone",
            "gone for GET /a/{other}",
        ];
        assert_eq!(fates, expected);
    }

    #[test]
    fn a_row_without_a_fate_is_refused_with_its_line() {
        assert!(reason("GET,/a,tasks,now\nGET,/b,tasks,").starts_with("line 3: `` is no fate"));
        assert!(reason("GET,/a,tasks").starts_with("line 2: "));
        assert!(reason("GET,/a,tasks,later:").contains("is no fate"));
        assert!(reason("GET,/a,tasks,moved:/b").contains("/b"));
        assert!(reason("GET,/a,tasks,now\nGET,/a,tasks,gone:").contains("has a row already"));
        assert!(read_fates("GET,/a,tasks,now\n").is_err());
    }
}
