//! What people say of themselves, and what the dashboard keeps for them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plain_title::plain_title;

/// Most characters of a department.
pub const DEPARTMENT_CHARS_MAX: usize = 100;
/// Most bytes of all attributes together, as JSON. Source: 06-api-auth §4.1.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 << 10;
/// What the names of all attributes begin with: nothing else is kept in an account.
const ATTRIBUTE_BEGIN: &str = "ui.";

/// Settings of the dashboard, by name.
pub type AccountAttributes = BTreeMap<String, Value>;

/// What is said of a person cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProfile {
    /// A department is a line.
    #[error("a department has at most {DEPARTMENT_CHARS_MAX} characters")]
    Department,
    /// The account keeps no such thing.
    #[error("`{0}` is no name of an attribute: they begin with `ui.`")]
    AttributeName(String),
    /// There is too much of it.
    #[error("all attributes together have at most {ATTRIBUTES_BYTES_MAX} bytes")]
    Attributes,
}

/// A department on one line; none where nothing of it is left.
///
/// # Errors
/// [`BadProfile::Department`].
pub fn department_line(text: &str) -> Result<Option<String>, BadProfile> {
    let line = plain_title(text);
    match line.chars().count() {
        0 => Ok(None),
        1..=DEPARTMENT_CHARS_MAX => Ok(Some(line)),
        _ => Err(BadProfile::Department),
    }
}

/// Refuses attributes that an account does not keep.
///
/// # Errors
/// [`BadProfile::AttributeName`], [`BadProfile::Attributes`].
pub fn judge_attributes(attributes: &AccountAttributes) -> Result<(), BadProfile> {
    for name in attributes.keys() {
        let rest = name.strip_prefix(ATTRIBUTE_BEGIN).unwrap_or_default();
        let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if rest.is_empty() || !rest.chars().all(is_word) {
            return Err(BadProfile::AttributeName(name.chars().take(100).collect()));
        }
    }
    let bytes = serde_json::to_vec(attributes).map_or(usize::MAX, |text| text.len());
    match bytes > ATTRIBUTES_BYTES_MAX {
        true => Err(BadProfile::Attributes),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str, value: Value) -> AccountAttributes {
        AccountAttributes::from([(name.to_owned(), value)])
    }

    #[test]
    fn an_account_keeps_settings_of_the_dashboard_alone() {
        judge_attributes(&of("ui.theme", json!("dark"))).unwrap();
        for name in [
            "",
            "ui.",
            "theme",
            "is_staff",
            "github_token",
            "ui.a b",
            "ui.\n",
        ] {
            let refused = judge_attributes(&of(name, json!(1)));
            assert!(
                matches!(refused, Err(BadProfile::AttributeName(_))),
                "{name}"
            );
        }
        let large = of("ui.x", json!("x".repeat(ATTRIBUTES_BYTES_MAX)));
        assert_eq!(judge_attributes(&large), Err(BadProfile::Attributes));
    }

    #[test]
    fn a_department_is_one_line() {
        assert_eq!(
            department_line(" Engines\r\nBcc: x "),
            Ok(Some("Engines Bcc: x".into()))
        );
        assert_eq!(department_line(" \n"), Ok(None));
        let long = "x".repeat(DEPARTMENT_CHARS_MAX + 1);
        assert_eq!(department_line(&long), Err(BadProfile::Department));
    }
}
