//! The order of a list, in which each row has a place of its own, which the next page begins after.
//!
//! A place is what the row holds in the sorted columns, and its id. So rows that come in between shift nothing: no page
//! skips or repeats a row that was there when the first one was read.

use std::fmt::Write as _;

use uuid::Uuid;

use omoi_domain::time::Timestamp;

use crate::dialect::ColumnValue;
use crate::row::Row;

/// Columns that one list is sorted by at most.
pub const SORT_COLUMNS_MAX: usize = 4;

/// What the values of a sorted column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortValue {
    /// Numbers.
    Number,
    /// Instants, which a place holds in microseconds.
    Instant,
}

/// A column that rows of `R` may be sorted by; none of its values is absent.
pub struct SortColumn<R> {
    /// Its name for callers.
    pub name: &'static str,
    /// What the database sorts by.
    pub(crate) sql: &'static str,
    pub(crate) value: SortValue,
    /// What a row holds there.
    pub(crate) of_row: fn(&R) -> i64,
}

/// Rows that are listed in pages.
pub trait ListedRow: Row + 'static {
    /// What they may be sorted by.
    const SORT_COLUMNS: &'static [SortColumn<Self>];
    /// What tells rows apart that are equal in all of that.
    fn row_id(&self) -> Uuid;
}

/// A column of an order, and whether the greatest value comes first.
struct OrderStep<R: 'static> {
    column: &'static SortColumn<R>,
    is_falling: bool,
}

impl<R: 'static> OrderStep<R> {
    const fn comparison(&self) -> &'static str {
        if self.is_falling { "<" } else { ">" }
    }

    const fn direction(&self) -> &'static str {
        if self.is_falling { "desc" } else { "asc" }
    }
}

/// The order of a list. Rows that are equal in its columns follow their ids, in the direction of the last column.
pub struct ListOrder<R: 'static>(Vec<OrderStep<R>>);

/// Why a list cannot be sorted like that.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSort {
    /// The list is not sorted by such a column.
    #[error("`{name}` is nothing that this list is sorted by; it may be {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may be.
        known: String,
    },
    /// There are too many.
    #[error("a list is sorted by {SORT_COLUMNS_MAX} columns at most")]
    TooMany,
}

impl<R: ListedRow> ListOrder<R> {
    /// Reads `-created_at,number`: columns by weight, each with a `-` where the greatest value comes first.
    ///
    /// # Errors
    /// [`BadSort`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadSort> {
        let mut steps: Vec<OrderStep<R>> = Vec::new();
        for word in text.split(',') {
            let falling = word.strip_prefix('-');
            let name = falling.unwrap_or(word);
            let Some(column) = R::SORT_COLUMNS.iter().find(|column| column.name == name) else {
                let known = R::SORT_COLUMNS.iter().map(|column| column.name);
                return Err(BadSort::Unknown {
                    name: name.to_owned(),
                    known: known.collect::<Vec<_>>().join(", "),
                });
            };
            if steps.len() == SORT_COLUMNS_MAX {
                return Err(BadSort::TooMany);
            }
            steps.push(OrderStep {
                column,
                is_falling: falling.is_some(),
            });
        }
        Ok(Self(steps))
    }

    /// The place that `bytes` name in this order; none when they are of another one.
    pub fn read_position(&self, bytes: &[u8]) -> Option<PagePosition> {
        let (keys, id) = bytes.split_at_checked(8 * self.0.len())?;
        let (chunks, _) = keys.as_chunks::<8>();
        Some(PagePosition {
            keys: chunks.iter().copied().map(i64::from_be_bytes).collect(),
            id: Uuid::from_slice(id).ok()?,
        })
    }

    pub(crate) fn position_of(&self, row: &R) -> PagePosition {
        let steps = self.0.iter();
        PagePosition {
            keys: steps.map(|step| (step.column.of_row)(row)).collect(),
            id: row.row_id(),
        }
    }

    /// `created_at desc, id desc`
    pub(crate) fn order_text(&self) -> String {
        let mut text = String::new();
        for step in &self.0 {
            let _ = write!(text, "{} {}, ", step.column.sql, step.direction());
        }
        let last = self.0.last().map_or("asc", OrderStep::direction);
        text + "id " + last
    }

    /// The values of a place as [`ListOrder::place_text`] has them.
    pub(crate) fn position_values(
        &self,
        place: &PagePosition,
    ) -> impl Iterator<Item = ColumnValue> {
        let steps = self.0.iter().zip(&place.keys);
        let keys = steps.map(|(step, key)| match step.column.value {
            SortValue::Number => ColumnValue::Integer(Some(*key)),
            SortValue::Instant => ColumnValue::Instant(Some(Timestamp::from_micros(*key))),
        });
        keys.chain([ColumnValue::Id(Some(place.id))])
    }

    /// What holds for the rows after a place, whose values are numbered from `first`. The part before the `and` is said by
    /// the other already: it is where an index begins.
    pub(crate) fn place_text(&self, first: usize) -> String {
        let last = self.0.last().map_or(">", OrderStep::comparison);
        let mut text = format!("id {last} ${}", first + self.0.len());
        for (at, step) in self.0.iter().enumerate().rev() {
            let mark = first + at;
            let (sql, comparison) = (step.column.sql, step.comparison());
            text = format!("({sql} {comparison} ${mark} or ({sql} = ${mark} and {text}))");
        }
        match self.0.first() {
            Some(step) => {
                let (sql, comparison) = (step.column.sql, step.comparison());
                format!("{sql} {comparison}= ${first} and {text}")
            }
            None => text,
        }
    }
}

/// The place of a row in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePosition {
    keys: Vec<i64>,
    id: Uuid,
}

impl PagePosition {
    /// As [`ListOrder::read_position`] reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.keys.iter().flat_map(|key| key.to_be_bytes()).collect();
        bytes.extend_from_slice(self.id.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;
    use crate::tasks::Task;

    #[test]
    fn an_order_is_read_or_refused_with_what_there_is() {
        let order = ListOrder::<Task>::parse("-created_at,number").unwrap();
        assert_eq!(order.order_text(), "created_at desc, number asc, id asc");
        assert_eq!(
            order.place_text(4),
            "created_at <= $4 and (created_at < $4 or (created_at = $4 and (number > $5 or (number = $5 and id > $6))))"
        );
        for (text, expected) in [
            ("", "`` is nothing"),
            (
                "title; drop table tasks",
                "`title; drop table tasks` is nothing",
            ),
            ("--number", "`-number` is nothing"),
            ("number,level,ordinal,priority,created_at", "by 4 columns"),
        ] {
            let refused = ListOrder::<Task>::parse(text).err().unwrap().to_string();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }

    #[test]
    fn a_place_is_read_in_the_order_that_it_is_of() {
        let place = PagePosition {
            keys: vec![i64::MIN, 7],
            id: Uuid::from_u128(9),
        };
        let bytes = place.to_bytes();
        let read = |order: &str| {
            ListOrder::<Task>::parse(order)
                .unwrap()
                .read_position(&bytes)
        };
        assert_eq!(read("number,-level"), Some(place.clone()));
        assert_eq!(read("number"), None);
        assert_eq!(read("number,level,ordinal"), None);
    }
}
