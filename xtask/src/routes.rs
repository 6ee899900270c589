//! `cargo xtask routes`: what became of every route of the earlier API.
//!
//! The list of fates is held against the committed OpenAPI files: a route that is promised for now, here or under
//! another address, must be an operation of one of them.

mod fates;
mod operations;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use fates::{EarlierRoute, RouteFate};
use operations::{Operation, OperationName};

use crate::openapi::{PUBLIC_API, WORKER_API};
use crate::{Outcome, root};

/// The list of fates.
const FATES: &str = "crates/omoi-server/route_fates.csv";
/// Operations that need no credential, at most.
const PUBLIC_MAX: usize = 22;

/// Prints the counts, and what the list promises and the API lacks.
pub(crate) fn run() -> Result<Outcome> {
    let fates = root().join(FATES);
    let text = fs::read_to_string(&fates)
        .with_context(|| format!("could not read {}", fates.display()))?;
    let routes =
        fates::read_fates(&text).with_context(|| format!("{FATES} is no list of fates"))?;
    let api = ServedApi {
        people: read_operations(PUBLIC_API)?,
        workers: read_operations(WORKER_API)?,
    };
    let report = RouteReport::new(&routes, &api);
    print!("{}", report.text());
    Ok(if report.is_refused() {
        Outcome::Refused
    } else {
        Outcome::Done
    })
}

/// The operations of a committed OpenAPI file; `None` before there is one.
fn read_operations(file: &str) -> Result<Option<Vec<Operation>>> {
    let text = match fs::read_to_string(root().join(file)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => bail!("could not read {file}: {error}"),
    };
    let operations =
        operations::read_operations(&text).with_context(|| format!("{file} is no OpenAPI file"))?;
    Ok(Some(operations))
}

/// What the committed files say is served.
#[derive(Default)]
struct ServedApi {
    people: Option<Vec<Operation>>,
    workers: Option<Vec<Operation>>,
}

impl ServedApi {
    /// Whether `route` is answered as its fate says; `None` where the fate promises no answer.
    fn serves(&self, route: &EarlierRoute) -> Option<bool> {
        let has = |api: &Option<Vec<Operation>>, name: &OperationName| {
            api.iter()
                .flatten()
                .any(|operation| operation.name == *name)
        };
        match &route.fate {
            RouteFate::Now => Some(has(&self.people, &route.name)),
            RouteFate::Moved(to) => Some(has(&self.people, to)),
            RouteFate::Worker(to) => Some(has(&self.workers, to)),
            RouteFate::Gone(Some(to)) => Some(has(&self.people, to)),
            RouteFate::Gone(None) | RouteFate::Later(_) => None,
        }
    }

    /// Names of the operations that need no credential.
    fn without_credential(&self) -> Vec<&OperationName> {
        let operations = self.people.iter().flatten();
        let open = operations.filter(|operation| operation.is_public);
        open.map(|operation| &operation.name).collect()
    }
}

/// What is printed, and whether it is a failure.
struct RouteReport<'a> {
    /// Per domain: how many routes there are of each fate, and how many of the promised are served.
    domains: BTreeMap<&'a str, FateCounts>,
    /// Routes that are promised and not served.
    missing: Vec<&'a EarlierRoute>,
    public: Vec<&'a OperationName>,
    has_api: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FateCounts {
    now: usize,
    moved: usize,
    later: usize,
    gone: usize,
    served: usize,
}

impl FateCounts {
    fn add(&mut self, fate: &RouteFate, is_served: bool) {
        match fate {
            RouteFate::Now => self.now += 1,
            RouteFate::Moved(_) | RouteFate::Worker(_) => self.moved += 1,
            RouteFate::Later(_) => self.later += 1,
            RouteFate::Gone(_) => self.gone += 1,
        }
        let is_promise = matches!(
            fate,
            RouteFate::Now | RouteFate::Moved(_) | RouteFate::Worker(_)
        );
        self.served += usize::from(is_promise && is_served);
    }

    fn promised(&self) -> usize {
        self.now + self.moved
    }

    fn total(&self) -> usize {
        self.promised() + self.later + self.gone
    }

    fn row(&self, name: &str) -> String {
        format!(
            "{name:<16}{:>6}{:>6}{:>6}{:>6}{:>6}{:>8}\n",
            self.total(),
            self.now,
            self.moved,
            self.later,
            self.gone,
            self.served
        )
    }
}

impl<'a> RouteReport<'a> {
    fn new(routes: &'a [EarlierRoute], api: &'a ServedApi) -> Self {
        let mut domains: BTreeMap<&str, FateCounts> = BTreeMap::new();
        let mut missing = Vec::new();
        for route in routes {
            let serves = api.serves(route);
            let counts = domains.entry(&route.domain).or_default();
            counts.add(&route.fate, serves == Some(true));
            if serves == Some(false) {
                missing.push(route);
            }
        }
        Self {
            domains,
            missing,
            public: api.without_credential(),
            has_api: api.people.is_some(),
        }
    }

    fn all(&self) -> FateCounts {
        let sum = |pick: fn(&FateCounts) -> usize| self.domains.values().map(pick).sum();
        FateCounts {
            now: sum(|counts| counts.now),
            moved: sum(|counts| counts.moved),
            later: sum(|counts| counts.later),
            gone: sum(|counts| counts.gone),
            served: sum(|counts| counts.served),
        }
    }

    fn is_refused(&self) -> bool {
        self.public.len() > PUBLIC_MAX || !self.missing.is_empty()
    }

    fn text(&self) -> String {
        let heads = ["routes", "now", "moved", "later", "gone", "served"];
        let [routes, now, moved, later, gone, served] = heads;
        let mut text = format!(
            "{:<16}{routes:>6}{now:>6}{moved:>6}{later:>6}{gone:>6}{served:>8}\n",
            "domain"
        );
        text.extend(self.domains.iter().map(|(name, counts)| counts.row(name)));
        let all = self.all();
        text += &all.row("all");
        text += &format!("\n{} routes, 0 without a fate\n", all.total());
        if !self.has_api {
            text += &format!("{PUBLIC_API} is not there yet\n");
        }
        text += &format!("served: {} of {} promised\n", all.served, all.promised());
        text += &format!(
            "missing: {}, successors of gone routes included\n",
            self.missing.len()
        );
        if self.has_api {
            let line = |route: &&EarlierRoute| format!("  {} ({})\n", route.name, route.fate);
            text.extend(self.missing.iter().map(line));
        }
        text += &format!(
            "without a credential: {} of at most {PUBLIC_MAX}\n",
            self.public.len()
        );
        text.extend(self.public.iter().map(|name| format!("  {name}\n")));
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    /// Domains that wait for a system, and the one that is gone as a whole.
    const WAITING: [&str; 17] = [
        "memory",
        "quality",
        "explore",
        "monitor",
        "guardian",
        "watchdog",
        "diagnostic",
        "reasoning",
        "alerts",
        "billing",
        "mcp",
        "github",
        "github-repos",
        "branch-workflow",
        "onboarding",
        "preview",
        "prototype",
    ];
    const DROPPED: &str = "analytics-proxy";

    fn committed() -> Vec<EarlierRoute> {
        let text = fs::read_to_string(root().join(FATES)).unwrap();
        fates::read_fates(&text).unwrap()
    }

    #[test]
    fn every_route_of_the_earlier_api_is_in_the_list() {
        let routes = committed();
        let report_of = |pick: &dyn Fn(&str) -> bool| {
            let mut counts = FateCounts::default();
            for route in routes.iter().filter(|route| pick(&route.domain)) {
                counts.add(&route.fate, false);
            }
            counts
        };
        let is_waiting = |domain: &str| WAITING.contains(&domain);
        let kept = report_of(&|domain| domain != DROPPED && !is_waiting(domain));
        let expected = FateCounts {
            now: 175,
            moved: 15,
            later: 16,
            gone: 3,
            served: 0,
        };
        assert_eq!(kept, expected);
        let waiting = report_of(&is_waiting);
        assert_eq!((waiting.later, waiting.total()), (135, 135));
        let dropped = report_of(&|domain| domain == DROPPED);
        assert_eq!((dropped.gone, dropped.total()), (30, 30));
    }

    #[test]
    fn a_promise_is_held_against_the_file_of_its_api() {
        let list = "method,path,domain,fate\nGET,/a/{id},tasks,now\nPOST,/b,tasks,worker:POST /b\n\
                    GET,/old,debug,moved:GET /new\nGET,/c,mcp,later:mcp\nGET,/d,debug,gone:GET /new\n";
        let routes = fates::read_fates(list).unwrap();
        let operation = |name: &str| {
            let file =
                format!(r#"{{"paths": {{"{name}": {{"get": {{"x-permission": "public"}}}}}}}}"#);
            operations::read_operations(&file).unwrap()
        };
        let nothing = ServedApi::default();
        let report = RouteReport::new(&routes, &nothing);
        assert_eq!((report.all().served, report.missing.len()), (0, 4));
        assert!(report.text().contains("docs/openapi.json is not there yet"));
        let one = ServedApi {
            people: Some(operation("/a/{task_id}")),
            workers: Some(operation("/new")),
        };
        let report = RouteReport::new(&routes, &one);
        assert_eq!((report.all().served, report.missing.len()), (1, 3));
        assert_eq!((report.public.len(), report.is_refused()), (1, true));
        assert!(report.text().contains("  GET /old (now GET /new)\n"));
    }
}
