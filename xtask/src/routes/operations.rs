//! The operations of a committed OpenAPI file.
//!
//! Read by a small scanner of JSON, because this package stays at one dependency.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use anyhow::{Context, Result, bail, ensure};

/// The word for an operation that needs no credential, under [`PERMISSION`].
const PUBLIC: &str = "public";
/// The key that says who may call an operation.
const PERMISSION: &str = "x-permission";
/// Methods that are keys of a path; a socket of events is opened by `GET`.
const METHODS: [&str; 8] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "WS",
];

/// A method and a path, equal to another whatever the parameters in the path are called.
#[derive(Clone, Debug)]
pub(super) struct OperationName {
    method: String,
    path: String,
}

impl OperationName {
    /// Reads `METHOD /path`.
    pub(super) fn read(text: &str) -> Result<Self> {
        let (method, path) = text
            .split_once(' ')
            .with_context(|| format!("`{text}` is no `METHOD /path`"))?;
        ensure!(METHODS.contains(&method), "`{method}` is no method");
        ensure!(path.starts_with('/'), "`{path}` is no path");
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
        })
    }

    /// What is compared: parameters lose their names, a socket is a `GET`.
    fn key(&self) -> (&str, Vec<&str>) {
        let method = match self.method.as_str() {
            "WS" => "GET",
            method => method,
        };
        let is_parameter = |part: &str| part.starts_with('{') && part.ends_with('}');
        let parts = self.path.split('/');
        let parts = parts.map(|part| if is_parameter(part) { "{}" } else { part });
        (method, parts.collect())
    }
}

impl PartialEq for OperationName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for OperationName {}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// An operation that is served.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: OperationName,
    /// Whether it needs no credential.
    pub(super) is_public: bool,
}

/// Reads every operation below `paths`; one that does not say `public` needs a credential.
pub(super) fn read_operations(text: &str) -> Result<Vec<Operation>> {
    let mut leaves = JsonLeaves::default();
    let mut chars = text.chars().peekable();
    leaves.read_value(&mut chars)?;
    let mut operations: Vec<Operation> = Vec::new();
    for (keys, value) in &leaves.found {
        let [paths, path, method, rest @ ..] = &keys[..] else {
            continue;
        };
        let method = method.to_ascii_uppercase();
        if paths != "paths" || !METHODS.contains(&method.as_str()) {
            continue;
        }
        let name = OperationName::read(&format!("{method} {path}"))?;
        if operations.last().is_none_or(|last| last.name != name) {
            operations.push(Operation {
                name,
                is_public: false,
            });
        }
        if let ([key], Some(operation)) = (rest, operations.last_mut())
            && key == PERMISSION
        {
            operation.is_public = value == PUBLIC;
        }
    }
    ensure!(!operations.is_empty(), "it has no operation");
    Ok(operations)
}

/// Every value of a document that is neither an object nor a list, with the keys that lead to it.
#[derive(Default)]
struct JsonLeaves {
    keys: Vec<String>,
    found: Vec<(Vec<String>, String)>,
}

impl JsonLeaves {
    fn read_value(&mut self, chars: &mut Peekable<Chars<'_>>) -> Result<()> {
        skip_space(chars);
        match chars.peek() {
            Some('{') => self.read_members(chars, '}'),
            Some('[') => self.read_members(chars, ']'),
            Some('"') => {
                let text = read_string(chars)?;
                self.found.push((self.keys.clone(), text));
                Ok(())
            }
            Some(_) => {
                let mut text = String::new();
                while let Some(next) = chars.next_if(|next| !",]} \n\r\t".contains(*next)) {
                    text.push(next);
                }
                ensure!(!text.is_empty(), "a value is missing");
                self.found.push((self.keys.clone(), text));
                Ok(())
            }
            None => bail!("it ends too early"),
        }
    }

    /// Reads an object or a list; a list's values have no key of their own.
    fn read_members(&mut self, chars: &mut Peekable<Chars<'_>>, end: char) -> Result<()> {
        chars.next();
        loop {
            skip_space(chars);
            if chars.next_if_eq(&end).is_some() {
                return Ok(());
            }
            if end == '}' {
                let key = read_string(chars)?;
                skip_space(chars);
                ensure!(chars.next() == Some(':'), "no value after `{key}`");
                self.keys.push(key);
            } else {
                self.keys.push(String::new());
            }
            self.read_value(chars)?;
            self.keys.pop();
            skip_space(chars);
            chars.next_if_eq(&',');
        }
    }
}

fn skip_space(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|next| next.is_whitespace()).is_some() {}
}

/// Reads a string; an escaped character other than a quote or a backslash stays as it is written.
fn read_string(chars: &mut Peekable<Chars<'_>>) -> Result<String> {
    ensure!(chars.next() == Some('"'), "a string is missing");
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('"') => return Ok(text),
            Some('\\') => match chars.next() {
                Some(quoted @ ('"' | '\\' | '/')) => text.push(quoted),
                Some(other) => text.extend(['\\', other]),
                None => bail!("a string has no end"),
            },
            Some(next) => text.push(next),
            None => bail!("a string has no end"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    const FILE: &str = r#"{ "openapi": "3.1.0", "info": { "title": "a \"b\" {" },
      "paths": {
        "/api/v1/tasks/{task_id}": {
          "parameters": [{ "name": "x" }, 1],
          "get": { "x-permission": "task:read", "responses": { "200": { "x-permission": "public" } } },
          "delete": { "x-permission": "task:write" } },
        "/health": { "get": { "operationId": "get_health", "x-permission": "public" } } },
      "components": { "get": { "post": {} }, "schemas": [] } }"#;

    #[test]
    fn operations_are_those_below_paths() {
        let operations = read_operations(FILE).unwrap();
        let read: Vec<String> = operations
            .iter()
            .map(|operation| format!("{} {}", operation.name, operation.is_public))
            .collect();
        let expected = [
            "GET /api/v1/tasks/{task_id} false",
            "DELETE /api/v1/tasks/{task_id} false",
            "GET /health true",
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_broken_file_is_refused() {
        for text in ["", "{", r#"{"paths""#, r#"{"paths": "#, r#"{"paths": {}}"#] {
            assert!(read_operations(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_parameters_do_not_tell_operations_apart() {
        let name = |text| OperationName::read(text).unwrap();
        assert_eq!(name("GET /a/{id}/b"), name("GET /a/{task_id}/b"));
        assert_eq!(name("WS /a"), name("GET /a"));
        assert_ne!(name("GET /a/{id}"), name("GET /a/id"));
        assert_ne!(name("GET /a"), name("POST /a"));
        assert!(OperationName::read("/a").is_err() && OperationName::read("READ /a").is_err());
    }
}
