//! Names of objects and of files inside them.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The full hexadecimal name of a git object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ObjectId(String);

/// The text is not a full object name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a full object name")]
pub struct BadObjectId {
    /// What was given, cut to a printable length.
    pub text: String,
}

impl ObjectId {
    /// The tree without entries.
    pub fn empty_tree() -> Self {
        Self("4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned())
    }

    /// Takes 40 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, BadObjectId> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 40 && text.bytes().all(hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(BadObjectId {
            text: text.chars().take(80).collect(),
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?).ok()
    }

    /// The form in which a tree names what it holds.
    pub(crate) fn from_raw(raw: &[u8]) -> Option<Self> {
        let digit = |n: u8| char::from_digit(u32::from(n), 16);
        let digits = raw.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
        Self::parse(&digits.collect::<Option<String>>()?).ok()
    }

    /// The 40 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<OsStr> for ObjectId {
    fn as_ref(&self) -> &OsStr {
        self.0.as_ref()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let text = String::deserialize(de)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The path of a tracked file, relative to the repository's root; any bytes but NUL.
///
/// Its text form is one-to-one: ordinary names stand as they are, names with control characters,
/// quotes, backslashes or bytes that are not UTF-8 are quoted the way git quotes them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Vec<u8>);

/// The text cannot be the path of a tracked file we write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a plain path inside the repository")]
pub struct BadPath {
    /// What was given, cut to a printable length.
    pub text: String,
}

impl RepoPath {
    /// Takes a relative path of plain components: no `..`, no `.git`, no control characters.
    pub fn new(text: &str) -> Result<Self, BadPath> {
        let plain = |name: &str| {
            !matches!(name, "" | "." | "..")
                && !name.eq_ignore_ascii_case(".git")
                && !name.contains(char::is_control)
        };
        if text.len() <= 4_096 && text.split('/').all(plain) {
            return Ok(Self(text.as_bytes().to_vec()));
        }
        Err(BadPath {
            text: text.chars().filter(|c| !c.is_control()).take(200).collect(),
        })
    }

    /// What git listed; only for paths that are read, never for ones we write.
    pub(crate) fn from_git(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes as git stores them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as the system takes it, still relative.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The path when it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let odd = |c: char| c.is_control() || c == '"' || c == '\\';
        match self.as_str() {
            Some(text) if !text.contains(odd) => f.write_str(text),
            _ => {
                f.write_str("\"")?;
                for chunk in self.0.utf8_chunks() {
                    for c in chunk.valid().chars() {
                        match c {
                            '"' | '\\' => write!(f, "\\{c}")?,
                            c if c.is_control() => {
                                let mut utf8 = [0; 4];
                                for b in c.encode_utf8(&mut utf8).bytes() {
                                    write!(f, "\\{b:03o}")?;
                                }
                            }
                            c => write!(f, "{c}")?,
                        }
                    }
                    for b in chunk.invalid() {
                        write!(f, "\\{b:03o}")?;
                    }
                }
                f.write_str("\"")
            }
        }
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_exact() {
        assert!(ObjectId::parse(ObjectId::empty_tree().as_str()).is_ok());
        for bad in [
            "",
            "HEAD",
            "-x",
            &"a".repeat(39),
            &"A".repeat(40),
            &"g".repeat(40),
        ] {
            assert!(ObjectId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_we_write_stay_inside() {
        for good in ["a", "a/b.txt", ".omoi_os/x y.md", "-rf", "ä/…"] {
            assert_eq!(RepoPath::new(good).map(|p| p.to_string()), Ok(good.into()));
        }
        for bad in [
            "",
            "/etc",
            "a//b",
            "a/",
            "../x",
            "a/../b",
            "./a",
            ".git/config",
            "x/.GIT",
            "a\nb",
            "a\0",
        ] {
            assert!(RepoPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn odd_names_print_one_to_one() {
        let cases: [(&[u8], &str); 5] = [
            (b"plain/\xc3\xa4.rs", "plain/ä.rs"),
            (b"line\nbreak", r#""line\012break""#),
            (b"bad\xff\xfeutf", r#""bad\377\376utf""#),
            (br#"say "hi""#, r#""say \"hi\"""#),
            (br"back\377", r#""back\\377""#),
        ];
        for (bytes, text) in cases {
            assert_eq!(RepoPath::from_git(bytes).to_string(), text);
        }
    }
}
