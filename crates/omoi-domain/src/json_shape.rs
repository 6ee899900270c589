//! The shape of JSON from a sandbox, before any of it becomes a value: how deep it is, how much it holds, and
//! that no object names a field twice.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep arrays and objects may lie in one another.
const DEPTH_MAX: usize = 64;

/// Checks the shape of `json`, which may hold `values_max` values, and gives how many it holds: each takes some
/// dozens of bytes in memory, however few it has as text. What is no JSON at all passes: its reader says where
/// it ends.
///
/// # Errors
/// Says which bound it goes beyond, and where.
pub fn check_json_shape(json: &[u8], values_max: usize) -> Result<usize, serde_json::Error> {
    let n_values = Cell::new(0);
    let seed = ShapeSeed {
        depth: 0,
        values_max,
        n_values: &n_values,
    };
    match seed.deserialize(&mut serde_json::Deserializer::from_slice(json)) {
        Err(error) if error.is_data() => Err(error),
        Ok(()) | Err(_) => Ok(n_values.get()),
    }
}

/// One value at `depth`, after `n_values` others.
#[derive(Clone, Copy)]
struct ShapeSeed<'a> {
    depth: usize,
    values_max: usize,
    n_values: &'a Cell<usize>,
}

impl ShapeSeed<'_> {
    /// What lies inside of this value.
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            let says = format_args!("arrays and objects lie deeper than {DEPTH_MAX}");
            return Err(E::custom(says));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn count_value<E: Error>(self) -> Result<(), E> {
        let (n_values, values_max) = (self.n_values.get() + 1, self.values_max);
        if n_values > values_max {
            let says = format_args!("there are more than {values_max} values");
            return Err(E::custom(says));
        }
        self.n_values.set(n_values);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.count_value()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        let mut names: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(name) = fields.next_key_seed(FieldName)? {
            fields.next_value_seed(inside)?;
            if !names.insert(name.clone()) {
                let name: String = name.chars().take(100).collect();
                return Err(A::Error::custom(format_args!(
                    "an object names `{name}` twice"
                )));
            }
        }
        Ok(())
    }
}

/// A field's name, as it stands in the text where it can.
struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for FieldName {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_within_its_bounds_passes_and_others_say_what_is_wrong() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let zeros = |n: usize| format!("[{}0]", "0,".repeat(n - 1));
        let values_max = 1_000;
        for (json, expected) in [
            (
                r#"{"a": [1, -2, 3.5, null, true, "b\n"], "b": {"a": {}}}"#.to_owned(),
                None,
            ),
            (nested(DEPTH_MAX), None),
            (nested(DEPTH_MAX + 1), Some("deeper than 64")),
            (zeros(values_max - 1), None),
            (zeros(values_max), Some("more than 1000 values")),
            (
                r#"{"a": 1, "a": 2}"#.to_owned(),
                Some("names `a` twice at line 1"),
            ),
            // The same name, written in another way.
            (
                r#"[{"b": {"a": 1, "\u0061": 2}}]"#.to_owned(),
                Some("names `a` twice"),
            ),
            // Its reader says what is wrong with it.
            ("[".to_owned(), None),
            (String::new(), None),
        ] {
            let told = check_json_shape(json.as_bytes(), values_max).err();
            let told = told.map(|error| error.to_string());
            let shown: String = json.chars().take(40).collect();
            match (told, expected) {
                (None, None) => {}
                (Some(told), Some(expected)) => assert!(told.contains(expected), "{told}"),
                (told, _) => panic!("{shown}: {told:?}"),
            }
        }
    }

    #[test]
    fn every_value_is_counted_once() {
        for (json, n_values) in [
            ("0", 1),
            ("[]", 1),
            (r#"{"a": [1, "b", {"c": null}], "d": 2.5}"#, 7),
            // As far as it is JSON.
            ("[0, 0", 3),
        ] {
            assert_eq!(
                check_json_shape(json.as_bytes(), 7).ok(),
                Some(n_values),
                "{json}"
            );
        }
    }
}
