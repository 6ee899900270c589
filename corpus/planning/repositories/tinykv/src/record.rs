//! One line of the log.

use std::fmt;

/// A change to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Set { key: String, value: String },
    Delete { key: String },
}

/// A line that is no record.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseRecordError {
    pub line: String,
}

impl fmt::Display for ParseRecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a record: {:?}", self.line)
    }
}

impl std::error::Error for ParseRecordError {}

impl Record {
    /// Reads a line without its line break.
    pub fn parse(line: &str) -> Result<Self, ParseRecordError> {
        let mut parts = line.splitn(3, '\t');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("set"), Some(key), Some(value)) => Ok(Self::Set {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            (Some("del"), Some(key), None) => Ok(Self::Delete {
                key: key.to_owned(),
            }),
            _ => Err(ParseRecordError {
                line: line.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { key, value } => write!(f, "set\t{key}\t{value}"),
            Self::Delete { key } => write!(f, "del\t{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn records_survive_a_round_trip() {
        for line in ["set\ta\tb c", "del\ta", "set\ta\t"] {
            assert_eq!(Record::parse(line).unwrap().to_string(), line);
        }
        assert!(Record::parse("get\ta").is_err());
    }
}
