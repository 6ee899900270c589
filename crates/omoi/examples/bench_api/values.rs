//! Rows of either database as JSON.

use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, Row as _, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

/// Seconds from 1970 to the instant that PostgreSQL counts from.
const POSTGRES_EPOCH_S: i64 = 946_684_800;

/// A row of PostgreSQL as an object of its columns.
pub(crate) fn of_postgres(row: &PgRow) -> Result<Map<String, Value>, sqlx::Error> {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index)?;
        let value = match column.type_info().name() {
            _ if raw.is_null() => Value::Null,
            "UUID" => row.try_get::<Uuid, _>(index)?.to_string().into(),
            "BOOL" => row.try_get::<bool, _>(index)?.into(),
            "INT8" => row.try_get::<i64, _>(index)?.into(),
            "INT4" => row.try_get::<i32, _>(index)?.into(),
            "TIMESTAMPTZ" => {
                let micros = raw
                    .as_bytes()
                    .map(|bytes| bytes.try_into().unwrap_or_default());
                let micros = i64::from_be_bytes(micros.unwrap_or_default());
                instant_text(micros + POSTGRES_EPOCH_S * 1_000_000)
            }
            "JSONB" => {
                let bytes = raw.as_bytes().unwrap_or_default();
                serde_json::from_slice(bytes.get(1..).unwrap_or_default()).unwrap_or_default()
            }
            _ => row.try_get::<String, _>(index)?.into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Ok(object)
}

/// The same of SQLite, whose instants and truths are numbers.
pub(crate) fn of_sqlite(row: &SqliteRow) -> Result<Map<String, Value>, sqlx::Error> {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index)?;
        let name = column.name();
        let value = match raw.type_info().name() {
            _ if raw.is_null() => Value::Null,
            "INTEGER" if name.ends_with("_at") => instant_text(row.try_get(index)?),
            "INTEGER" => row.try_get::<i64, _>(index)?.into(),
            _ => row.try_get::<String, _>(index)?.into(),
        };
        object.insert(name.to_owned(), value);
    }
    Ok(object)
}

/// An instant as the API shows it.
fn instant_text(micros: i64) -> Value {
    omoi_protocol::api::ApiTime::from(omoi_domain::time::Timestamp::from_micros(micros))
        .to_string()
        .into()
}
