//! What a value is in a column of either database.
//!
//! PostgreSQL has types of its own for ids, JSON, flags and instants. SQLite has text for the first two
//! and integers for the others: 0 or 1, and microseconds since the Unix epoch.

use omoi_domain::time::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo, PgValueFormat, PgValueRef, Postgres,
};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Encode, Row as _, Type};
use uuid::Uuid;

use crate::error::StoreError;

/// A value on its way into a statement. The absent one has a type too, because PostgreSQL prepares a
/// statement for the types of its first call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ColumnValue {
    Text(Option<String>),
    Integer(Option<i64>),
    Float(Option<f64>),
    Flag(Option<bool>),
    Id(Option<Uuid>),
    /// As text that has no NUL, which `jsonb` refuses.
    Json(Option<String>),
    Instant(Option<Timestamp>),
    Bytes(Option<Vec<u8>>),
}

impl ColumnValue {
    fn add_to_sqlite(self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Text(text) | Self::Json(text) => arguments.add(text),
            Self::Integer(number) => arguments.add(number),
            Self::Float(number) => arguments.add(number),
            Self::Flag(flag) => arguments.add(flag.map(i64::from)),
            Self::Id(id) => arguments.add(id.map(|id| id.to_string())),
            Self::Instant(at) => arguments.add(at.map(Timestamp::as_micros)),
            Self::Bytes(bytes) => arguments.add(bytes),
        }
    }

    fn add_to_postgres(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Text(text) => arguments.add(text),
            Self::Integer(number) => arguments.add(number),
            Self::Float(number) => arguments.add(number),
            Self::Flag(flag) => arguments.add(flag),
            Self::Id(id) => arguments.add(id),
            Self::Json(text) => arguments.add(text.map(PgJson)),
            Self::Instant(at) => arguments.add(at.map(PgInstant)),
            Self::Bytes(bytes) => arguments.add(bytes),
        }
    }
}

/// Arguments as SQLite takes them.
pub(super) fn sqlite_arguments(values: Vec<ColumnValue>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = value.add_to_sqlite(&mut arguments);
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Arguments as PostgreSQL takes them.
pub(super) fn postgres_arguments(values: Vec<ColumnValue>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = value.add_to_postgres(&mut arguments);
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// One row as the database gave it.
pub enum DatabaseRow {
    /// From a file.
    Sqlite(SqliteRow),
    /// From a server.
    Postgres(PgRow),
}

impl DatabaseRow {
    pub(crate) fn text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(crate) fn integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(crate) fn float(&self, column: &'static str) -> Result<Option<f64>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<Option<bool>, StoreError> {
        match self {
            Self::Sqlite(row) => match row.try_get::<Option<i64>, _>(column)? {
                None => Ok(None),
                Some(0) => Ok(Some(false)),
                Some(1) => Ok(Some(true)),
                Some(other) => Err(StoreError::Corrupt {
                    column,
                    value: other.to_string(),
                    expected: "flag",
                }),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn id(&self, column: &'static str) -> Result<Option<Uuid>, StoreError> {
        let row = match self {
            Self::Sqlite(row) => row,
            Self::Postgres(row) => return Ok(row.try_get(column)?),
        };
        let text: Option<String> = row.try_get(column)?;
        let parsed = text.map(|text| parse_id(&text).ok_or(text));
        parsed.transpose().map_err(|value| StoreError::Corrupt {
            column,
            value,
            expected: "id",
        })
    }

    /// The text of a JSON value.
    pub(crate) fn json(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            Self::Postgres(row) => {
                let json: Option<PgJson> = row.try_get(column)?;
                Ok(json.map(|PgJson(text)| text))
            }
        }
    }

    pub(crate) fn read_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(crate) fn instant(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        match self {
            Self::Sqlite(row) => {
                let micros: Option<i64> = row.try_get(column)?;
                Ok(micros.map(Timestamp::from_micros))
            }
            Self::Postgres(row) => {
                let at: Option<PgInstant> = row.try_get(column)?;
                Ok(at.map(|PgInstant(at)| at))
            }
        }
    }
}

/// The id as it is written by us: one in another form is found by no statement.
fn parse_id(text: &str) -> Option<Uuid> {
    let id = Uuid::parse_str(text).ok()?;
    let mut written = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut written) == text).then_some(id)
}

/// The text of a `json` or `jsonb` value.
///
/// The driver's own type parses at once, and an error could not name what stands there.
struct PgJson(String);

const JSON: PgTypeInfo = PgTypeInfo::with_oid(Oid(114));
const JSONB: PgTypeInfo = PgTypeInfo::with_oid(Oid(3802));

impl Type<Postgres> for PgJson {
    /// `json`, because it is assigned to a `jsonb` column too; the other way would lose the order of
    /// keys.
    fn type_info() -> PgTypeInfo {
        JSON
    }
    fn compatible(ty: &PgTypeInfo) -> bool {
        *ty == JSON || *ty == JSONB
    }
}

impl Encode<'_, Postgres> for PgJson {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for PgJson {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let text = value.as_str()?;
        // Binary `jsonb` begins with the number of its format, and there is one format.
        let text = text.strip_prefix('\u{1}').unwrap_or(text);
        Ok(Self(text.to_owned()))
    }
}

/// An instant as `timestamptz`.
struct PgInstant(Timestamp);

/// PostgreSQL counts from the beginning of 2000, in microseconds.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The first instant PostgreSQL has, in 4714 BC, and the last one, in 294276.
const POSTGRES_RANGE: [i64; 2] = [-211_813_488_000_000_000, 9_223_371_331_199_999_999];

impl Type<Postgres> for PgInstant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl Encode<'_, Postgres> for PgInstant {
    /// An instant outside the range of PostgreSQL becomes the nearest one inside.
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let [first, last] = POSTGRES_RANGE;
        let micros = self.0.as_micros().saturating_sub(POSTGRES_EPOCH_MICROS);
        buffer.extend_from_slice(&micros.clamp(first, last).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for PgInstant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("an instant came as text, which no prepared statement gives".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let since_1970 = micros.saturating_add(POSTGRES_EPOCH_MICROS);
        Ok(Self(Timestamp::from_micros(since_1970)))
    }
}
