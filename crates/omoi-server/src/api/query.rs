//! The parameters after the `?`, read strictly. One that may be repeated is read as a list.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::ApiSurface;
use super::body::refuse_value;
use crate::error::ApiError;

/// Names and values in the order in which they came.
pub(super) type QueryPairs = Vec<(String, String)>;

/// The parameters of a request.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<ApiSurface> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiSurface) -> Result<Self, ApiError> {
        read_pairs(query_pairs(parts)).map(Self)
    }
}

/// The parameters of a request as they stand there.
pub(super) fn query_pairs(parts: &Parts) -> QueryPairs {
    let query = parts.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// What `pairs` say.
pub(super) fn read_pairs<T: DeserializeOwned>(pairs: QueryPairs) -> Result<T, ApiError> {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in pairs {
        by_name.entry(name).or_default().push(value);
    }
    let values = by_name.into_iter();
    let values = values.map(|(name, values)| (name, ParameterValues(values)));
    let read = serde_path_to_error::deserialize(MapDeserializer::<_, ValueError>::new(values));
    read.map_err(|error| {
        let named = error.path().to_string();
        // A place in a list of values is told by the parameter alone.
        let named = named.split('[').next().unwrap_or_default();
        let named = if named == "." { "" } else { named };
        refuse_value(named, &error.inner().to_string())
    })
}

/// What stands after one name, as often as it came.
struct ParameterValues(Vec<String>);

impl ParameterValues {
    fn only_one(mut self) -> Result<String, ValueError> {
        match (self.0.pop(), self.0.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(ValueError::custom("it is given more than once")),
        }
    }
}

impl IntoDeserializer<'_, ValueError> for ParameterValues {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed_values {
    ($($method:ident $visit:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            visitor.$visit(self.only_one()?.parse().map_err(ValueError::custom)?)
        }
    )+};
}

impl<'de> Deserializer<'de> for ParameterValues {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_string(self.only_one()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_enum(self.only_one()?.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let values = self.0.into_iter().map(|value| Self(vec![value]));
        visitor.visit_seq(SeqDeserializer::new(values))
    }

    parsed_values! {
        deserialize_bool visit_bool
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_f32 visit_f32
        deserialize_f64 visit_f64
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde::Deserialize;

    use omoi_domain::error_code::ErrorCode;
    use omoi_domain::spec::SpecStatus;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        after: i64,
        once: Option<bool>,
        #[serde(default)]
        status: Vec<SpecStatus>,
    }

    fn read(query: &str) -> Result<Asked, ApiError> {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        read_pairs(pairs.collect())
    }

    #[test]
    fn a_parameter_is_read_as_its_type_and_repeated_where_it_is_a_list() {
        let asked = read("status=failed&after=-7&status=working&once=true").unwrap();
        let expected = Asked {
            after: -7,
            once: Some(true),
            status: vec![SpecStatus::Failed, SpecStatus::Working],
        };
        assert_eq!(asked, expected);
        for (query, code, place) in [
            ("", ErrorCode::ValidationFailed, ""),
            ("after=x", ErrorCode::ValidationFailed, "after"),
            ("after=1&after=2", ErrorCode::ValidationFailed, "after"),
            ("after=1&once=yes", ErrorCode::ValidationFailed, "once"),
            (
                "after=1&status=failed&status=x",
                ErrorCode::ValidationFailed,
                "status",
            ),
            ("after=1&org_id=2", ErrorCode::UnknownField, "org_id"),
            (
                "after=1&org_id=2&org_id=3",
                ErrorCode::UnknownField,
                "org_id",
            ),
        ] {
            let refused = read(query).unwrap_err();
            assert_eq!(refused.error_code(), code, "{query}");
            assert_eq!(refused.first_field().as_deref(), Some(place), "{query}");
        }
    }
}
