//! Values of a JSON request with their paths, so that a refusal can name the place.

use serde_json::{Map, Value as Json};

use super::refusal::{RefusalReason, RequestRefusal};

/// A value of the request and the path to it.
#[derive(Clone, Debug)]
pub(super) struct LocatedValue<'a> {
    pub(super) value: &'a Json,
    pub(super) path: String,
}

/// An object of the request and the path to it.
#[derive(Clone, Debug)]
pub(super) struct LocatedObject<'a> {
    map: &'a Map<String, Json>,
    path: String,
}

impl<'a> LocatedValue<'a> {
    pub(super) fn at_root(value: &'a Json) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    pub(super) fn refuse_with(&self, reason: RefusalReason) -> RequestRefusal {
        RequestRefusal::new(self.path.clone(), reason)
    }

    fn wrong_type(&self, expected: &'static str) -> RequestRefusal {
        self.refuse_with(RefusalReason::WrongType { expected })
    }

    /// An object whose fields are all among `known`.
    pub(super) fn strict_object(
        &self,
        known: &[&str],
    ) -> Result<LocatedObject<'a>, RequestRefusal> {
        let fields = self.open_object()?;
        fields.allow_only(known)?;
        Ok(fields)
    }

    /// An object with any fields.
    pub(super) fn open_object(&self) -> Result<LocatedObject<'a>, RequestRefusal> {
        let map = self
            .value
            .as_object()
            .ok_or_else(|| self.wrong_type("an object"))?;
        Ok(LocatedObject {
            map,
            path: self.path.clone(),
        })
    }

    /// A list with at least one entry.
    pub(super) fn non_empty_list(&self) -> Result<Vec<LocatedValue<'a>>, RequestRefusal> {
        let list = self
            .value
            .as_array()
            .ok_or_else(|| self.wrong_type("a list"))?;
        if list.is_empty() {
            return Err(self.refuse_with(RefusalReason::Empty));
        }
        let entries = list.iter().enumerate();
        Ok(entries
            .map(|(i, value)| LocatedValue {
                value,
                path: join_path(&self.path, &i.to_string()),
            })
            .collect())
    }

    /// The value as text, empty text included.
    pub(super) fn as_text(&self) -> Result<&'a str, RequestRefusal> {
        self.value
            .as_str()
            .ok_or_else(|| self.wrong_type("a string"))
    }

    /// Text with something in it but white space.
    pub(super) fn non_blank_text(&self) -> Result<&'a str, RequestRefusal> {
        let text = self.as_text()?;
        if text.trim().is_empty() {
            Err(self.refuse_with(RefusalReason::Empty))
        } else {
            Ok(text)
        }
    }

    pub(super) fn as_flag(&self) -> Result<bool, RequestRefusal> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong_type("true or false"))
    }

    /// A whole number of at least one.
    pub(super) fn positive_count(&self) -> Result<u64, RequestRefusal> {
        match self.value.as_i64() {
            None => Err(self.wrong_type("a whole number")),
            Some(count) if count < 1 => Err(self.refuse_with(RefusalReason::TooSmall { min: 1 })),
            Some(count) => Ok(count as u64),
        }
    }

    pub(super) fn number_within(&self, min: f64, max: f64) -> Result<f64, RequestRefusal> {
        let number = self
            .value
            .as_f64()
            .ok_or_else(|| self.wrong_type("a number"))?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(self.refuse_with(RefusalReason::OutOfRange { min, max }))
        }
    }

    /// One word of a closed set; `allowed` is how the set is told.
    pub(super) fn one_of(
        &self,
        words: &[&str],
        allowed: &'static str,
    ) -> Result<&'a str, RequestRefusal> {
        let word = self.as_text()?;
        if words.contains(&word) {
            return Ok(word);
        }
        Err(self.refuse_with(RefusalReason::NotOneOf {
            allowed,
            found: word.to_owned(),
        }))
    }

    /// A name that both vendors accept for tools and ids.
    pub(super) fn valid_name(&self, chars_max: usize) -> Result<&'a str, RequestRefusal> {
        let name = self.as_text()?;
        let is_valid = (1..=chars_max).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if is_valid {
            Ok(name)
        } else {
            Err(self.refuse_with(RefusalReason::BadName { max: chars_max }))
        }
    }
}

impl<'a> LocatedObject<'a> {
    pub(super) fn refuse_with(&self, reason: RefusalReason) -> RequestRefusal {
        RequestRefusal::new(self.path.clone(), reason)
    }

    pub(super) fn optional_field(&self, key: &str) -> Option<LocatedValue<'a>> {
        let value = self.map.get(key)?;
        Some(LocatedValue {
            value,
            path: join_path(&self.path, key),
        })
    }

    pub(super) fn required_field(&self, key: &str) -> Result<LocatedValue<'a>, RequestRefusal> {
        let missing = || RequestRefusal::new(join_path(&self.path, key), RefusalReason::Missing);
        self.optional_field(key).ok_or_else(missing)
    }

    /// Refuses every field that is not among `known`.
    pub(super) fn allow_only(&self, known: &[&str]) -> Result<(), RequestRefusal> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(RequestRefusal::new(
                join_path(&self.path, key),
                RefusalReason::UnknownField,
            )),
            None => Ok(()),
        }
    }
}

fn join_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
