//! The store: a log file and the index built from it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use crate::record::{ParseRecordError, Record};

/// What can go wrong with a store.
#[derive(Debug)]
pub enum StoreError {
    Io(io::Error),
    Damaged { line: usize, cause: ParseRecordError },
    InvalidKey(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the log file cannot be used: {error}"),
            Self::Damaged { line, cause } => write!(f, "line {line} is damaged: {cause}"),
            Self::InvalidKey(key) => write!(f, "keys hold no tab or line break: {key:?}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    log: File,
    index: BTreeMap<String, String>,
}

impl Store {
    /// Opens the store at `path`; creates an empty one when there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        let mut index = BTreeMap::new();
        for (number, line) in BufReader::new(&log).lines().enumerate() {
            match Record::parse(&line?) {
                Ok(Record::Set { key, value }) => {
                    index.insert(key, value);
                }
                Ok(Record::Delete { key }) => {
                    index.remove(&key);
                }
                Err(cause) => {
                    let line = number + 1;
                    return Err(StoreError::Damaged { line, cause });
                }
            }
        }
        Ok(Self { log, index })
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.index.get(key).map(String::as_str)
    }

    pub fn set(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write(Record::Set {
            key: checked(key)?,
            value: value.replace('\n', " "),
        })
    }

    /// Removes `key`; false when it was not there.
    pub fn delete(&mut self, key: &str) -> Result<bool, StoreError> {
        if !self.index.contains_key(key) {
            return Ok(false);
        }
        self.write(Record::Delete { key: checked(key)? })?;
        Ok(true)
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    fn write(&mut self, record: Record) -> Result<(), StoreError> {
        writeln!(self.log, "{record}")?;
        match record {
            Record::Set { key, value } => {
                self.index.insert(key, value);
            }
            Record::Delete { key } => {
                self.index.remove(&key);
            }
        }
        Ok(())
    }
}

fn checked(key: &str) -> Result<String, StoreError> {
    if key.is_empty() || key.contains(['\t', '\n']) {
        return Err(StoreError::InvalidKey(key.to_owned()));
    }
    Ok(key.to_owned())
}
