//! Walking through a JSON request while remembering the way, so that a refusal can name the place.

use serde_json::{Map, Value as Json};

use super::refusal::{Reason, Refusal};

/// A value of the request and the path to it.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    pub(super) value: &'a Json,
    pub(super) path: String,
}

/// An object of the request and the path to it.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Json>,
    path: String,
}

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Json) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    pub(super) fn refuse(&self, reason: Reason) -> Refusal {
        Refusal::new(self.path.clone(), reason)
    }

    fn wrong(&self, expected: &'static str) -> Refusal {
        self.refuse(Reason::WrongType { expected })
    }

    /// An object whose fields are all among `known`.
    pub(super) fn object(&self, known: &[&str]) -> Result<Fields<'a>, Refusal> {
        let fields = self.open_object()?;
        fields.only(known)?;
        Ok(fields)
    }

    /// An object with any fields.
    pub(super) fn open_object(&self) -> Result<Fields<'a>, Refusal> {
        let map = self
            .value
            .as_object()
            .ok_or_else(|| self.wrong("an object"))?;
        Ok(Fields {
            map,
            path: self.path.clone(),
        })
    }

    /// A list with at least one entry.
    pub(super) fn list(&self) -> Result<Vec<At<'a>>, Refusal> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        if list.is_empty() {
            return Err(self.refuse(Reason::Empty));
        }
        let entries = list.iter().enumerate();
        Ok(entries
            .map(|(i, value)| At {
                value,
                path: join(&self.path, &i.to_string()),
            })
            .collect())
    }

    /// Any text.
    pub(super) fn text(&self) -> Result<&'a str, Refusal> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    /// Text with something in it but white space.
    pub(super) fn words(&self) -> Result<&'a str, Refusal> {
        let text = self.text()?;
        if text.trim().is_empty() {
            Err(self.refuse(Reason::Empty))
        } else {
            Ok(text)
        }
    }

    pub(super) fn flag(&self) -> Result<bool, Refusal> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("true or false"))
    }

    /// A whole number of at least one.
    pub(super) fn count(&self) -> Result<u64, Refusal> {
        match self.value.as_i64() {
            None => Err(self.wrong("a whole number")),
            Some(count) if count < 1 => Err(self.refuse(Reason::TooSmall { min: 1 })),
            Some(count) => Ok(count as u64),
        }
    }

    pub(super) fn within(&self, min: f64, max: f64) -> Result<f64, Refusal> {
        let number = self.value.as_f64().ok_or_else(|| self.wrong("a number"))?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(self.refuse(Reason::OutOfRange { min, max }))
        }
    }

    /// One word of a closed set; `allowed` is how the set is told.
    pub(super) fn one_of(&self, words: &[&str], allowed: &'static str) -> Result<&'a str, Refusal> {
        let word = self.text()?;
        if words.contains(&word) {
            return Ok(word);
        }
        Err(self.refuse(Reason::NotOneOf {
            allowed,
            found: word.to_owned(),
        }))
    }

    /// A name that both vendors accept for tools and ids.
    pub(super) fn name(&self, chars_max: usize) -> Result<&'a str, Refusal> {
        let name = self.text()?;
        let is_valid = (1..=chars_max).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if is_valid {
            Ok(name)
        } else {
            Err(self.refuse(Reason::BadName { max: chars_max }))
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn refuse(&self, reason: Reason) -> Refusal {
        Refusal::new(self.path.clone(), reason)
    }

    pub(super) fn optional(&self, key: &str) -> Option<At<'a>> {
        let value = self.map.get(key)?;
        Some(At {
            value,
            path: join(&self.path, key),
        })
    }

    pub(super) fn required(&self, key: &str) -> Result<At<'a>, Refusal> {
        let missing = || Refusal::new(join(&self.path, key), Reason::Missing);
        self.optional(key).ok_or_else(missing)
    }

    /// Refuses every field that is not among `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Refusal::new(join(&self.path, key), Reason::UnknownField)),
            None => Ok(()),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
