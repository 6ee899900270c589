//! Rows: structs that mirror a table, with the three statements every table needs.

use crate::column::{Args, Column};
use crate::dialect::DatabaseRow;
use crate::error::StoreError;

/// A struct that mirrors one table of tenant data.
pub trait Row: Sized + Send {
    /// The table.
    const TABLE: &'static str;
    /// What an error calls such a row.
    const WHAT: &'static str;
    /// Every column in order.
    fn columns() -> Vec<&'static str>;
    /// `select` over every column, without `where`.
    fn select() -> &'static str;
    /// `insert` of every column.
    fn insert() -> &'static str;
    /// Reads one row.
    fn read(row: &DatabaseRow) -> Result<Self, StoreError>;
    /// Binds every column in order.
    fn bind(&self, args: &mut Args) -> Result<(), StoreError>;
}

/// A row with a version that guards updates.
pub(crate) trait Versioned: Row {
    /// `update` of every column where key and version match.
    fn update() -> &'static str;
    /// Binds the key columns.
    fn bind_key(&self, args: &mut Args) -> Result<(), StoreError>;
    /// The version column.
    fn version(&mut self) -> &mut i64;
    /// The key in words.
    fn key(&self) -> String;
}

/// A row that belongs to no organisation.
pub(crate) trait GlobalRow: Row {}

/// The columns of the field that `field` reads.
pub(crate) fn columns_of<R, C: Column>(
    _field: fn(&R) -> &C,
    name: &'static str,
) -> Vec<&'static str> {
    C::names(name)
}

/// Declares a row struct. Fields stand in the order of the columns and carry their names.
macro_rules! row {
    (
        $(#[doc = $doc:literal])+
        $name:ident in $table:literal as $what:literal {
            $($(#[doc = $fdoc:literal])+ $field:ident : $ty:ty,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[doc = $fdoc])+ pub $field: $ty,)+ }

        impl $crate::row::Row for $name {
            const TABLE: &'static str = $table;
            const WHAT: &'static str = $what;

            fn columns() -> Vec<&'static str> {
                [$(<$ty as $crate::Column>::names(stringify!($field).trim_start_matches("r#"))),+].concat()
            }

            fn select() -> &'static str {
                static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
                    format!("select {} from {}", <$name as $crate::row::Row>::columns().join(", "), $table)
                });
                &SQL
            }

            fn insert() -> &'static str {
                static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
                    let columns = <$name as $crate::row::Row>::columns();
                    let marks: Vec<String> = (1..=columns.len()).map(|i| format!("${i}")).collect();
                    format!("insert into {} ({}) values ({})", $table, columns.join(", "), marks.join(", "))
                });
                &SQL
            }

            fn read(row: &$crate::dialect::DatabaseRow) -> Result<Self, $crate::StoreError> {
                Ok(Self { $($field: <$ty as $crate::Column>::read(row, stringify!($field).trim_start_matches("r#"))?,)+ })
            }

            fn bind(&self, args: &mut $crate::Args) -> Result<(), $crate::StoreError> {
                $(args.push(&self.$field)?;)+
                Ok(())
            }
        }
    };
}

/// Makes a row updatable under its `state_version`, found by the named key columns.
macro_rules! versioned {
    ($name:ident by $($key:ident),+ in $table:literal { $($field:ident),+ $(,)? }) => {
        impl $crate::row::Versioned for $name {
            fn update() -> &'static str {
                static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
                    let keys = [$(stringify!($key)),+];
                    let mut n = keys.len() + 2;
                    let mut sets = vec!["state_version = state_version + 1".to_owned()];
                    for column in [$($crate::row::columns_of(|row: &$name| &row.$field, stringify!($field))),+].concat() {
                        n += 1;
                        sets.push(format!("{column} = ${n}"));
                    }
                    let wheres: Vec<String> = keys
                        .iter()
                        .enumerate()
                        .map(|(i, key)| format!("{key} = ${}", i + 3))
                        .collect();
                    format!(
                        "update {} set {} where org_id = $1 and state_version = $2 and {}",
                        $table, sets.join(", "), wheres.join(" and "),
                    )
                });
                &SQL
            }
            fn bind_key(&self, args: &mut $crate::Args) -> Result<(), $crate::StoreError> {
                $(args.push(&self.$key)?;)+
                $(args.push(&self.$field)?;)+
                Ok(())
            }
            fn version(&mut self) -> &mut i64 {
                &mut self.state_version
            }
            fn key(&self) -> String {
                [$(self.$key.to_string()),+].join("/")
            }
        }
    };
}

pub(crate) use {row, versioned};
