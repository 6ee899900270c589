//! Addresses of the earlier API that answer nothing any more: 410, with what replaces them.
//!
//! They are looked up when no operation answers, so an address that is served is never called gone. The list is
//! `route_fates.csv`, whose promises `cargo xtask routes` holds against the API.

use std::sync::LazyLock;

use axum::http::Method;
use omoi_domain::error_code::ErrorCode;
use serde_json::Value;

use crate::error::ApiError;

const FATES: &str = include_str!("../../route_fates.csv");

static GONE: LazyLock<Vec<GoneRoute>> = LazyLock::new(|| {
    let rows = FATES.lines().skip(1);
    rows.filter_map(GoneRoute::read_row).collect()
});

/// A route that is not there any more.
struct GoneRoute {
    method: &'static str,
    path: &'static str,
    successor: Successor,
}

/// What replaces a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Successor {
    Operation(&'static str),
    /// An operation of the socket that workers have.
    Worker(&'static str),
    Nothing,
}

impl GoneRoute {
    /// `None` for a row that is served, or will be.
    fn read_row(row: &'static str) -> Option<Self> {
        let mut columns = row.splitn(4, ',');
        let (method, path, _domain) = (columns.next()?, columns.next()?, columns.next()?);
        let successor = match columns.next()?.split_once(':')? {
            ("gone", "") => Successor::Nothing,
            ("gone" | "moved", operation) => Successor::Operation(operation),
            ("worker", operation) => Successor::Worker(operation),
            _ => return None,
        };
        Some(Self {
            method,
            path,
            successor,
        })
    }

    /// A parameter stands for one segment, and one called `path` at the end for all that follow.
    fn matches(&self, method: &Method, path: &str) -> bool {
        let mut given = path.split('/');
        let mut wanted = self.path.split('/');
        if self.method != method.as_str() {
            return false;
        }
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some("{path}"), Some(_)) => return true,
                (Some(wanted), Some(given)) if is_parameter(wanted) && !given.is_empty() => {}
                (Some(wanted), Some(given)) if wanted == given => {}
                _ => return false,
            }
        }
    }

    fn refusal(&self) -> ApiError {
        let gone = ApiError::new(
            ErrorCode::Gone,
            format!("`{} {}` is not there any more", self.method, self.path),
        );
        match self.successor {
            Successor::Operation(operation) => gone
                .hint(format!("use `{operation}`"))
                .with_context("use", Value::from(operation)),
            Successor::Worker(operation) => gone
                .hint(format!(
                    "workers use `{operation}` on the socket that they are given"
                ))
                .with_context("use", Value::from(operation)),
            Successor::Nothing => gone,
        }
    }
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

/// The refusal of an address that the earlier API had and this one has no more.
pub(crate) fn refuse_gone(method: &Method, path: &str) -> Option<ApiError> {
    let found = GONE.iter().find(|route| route.matches(method, path));
    found.map(GoneRoute::refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn successor(method: Method, path: &str) -> Option<Successor> {
        let found = GONE.iter().find(|route| route.matches(&method, path));
        found.map(|route| route.successor)
    }

    #[test]
    fn a_gone_address_names_what_replaces_it() {
        let operation = |text| Some(Successor::Operation(text));
        let check =
            |method, path, expected| assert_eq!(successor(method, path), expected, "{path}");
        check(
            Method::GET,
            "/api/v1/debug/tickets/TKT-1/tasks-by-phase",
            operation("GET /api/v1/admin/tickets/{ticket_id}/tasks-by-phase"),
        );
        check(
            Method::GET,
            "/api/v1/auth/oauth/github/redirect-uri",
            operation("GET /api/v1/auth/oauth/providers"),
        );
        check(
            Method::POST,
            "/api/v1/sandboxes/1/task-complete",
            Some(Successor::Worker("POST /complete")),
        );
        check(
            Method::POST,
            "/ingest/array/a/b.js",
            Some(Successor::Nothing),
        );
        check(Method::POST, "/ingest/e/", Some(Successor::Nothing));
        // Served, of a system that comes later, of another method, and never there.
        check(Method::GET, "/api/v1/tasks", None);
        check(Method::GET, "/api/v1/monitor/metrics", None);
        check(Method::GET, "/api/v1/sandboxes/1/task-complete", None);
        check(Method::GET, "/api/v1/debug/tickets//tasks-by-phase", None);
        check(Method::GET, "/api/v1/nowhere", None);
    }

    #[test]
    fn every_gone_row_is_read() {
        // 33 gone, 12 moved, 3 of workers.
        assert_eq!(GONE.len(), 48);
        assert_eq!(FATES.lines().count(), 375);
    }
}
