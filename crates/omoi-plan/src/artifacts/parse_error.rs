//! Why a file cannot be read back.

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {}{problem}", self.field.as_ref().map(|f| format!("`{f}`: ")).unwrap_or_default())]
pub struct ParseError {
    /// Path of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The field of the frontmatter, where one is at fault.
    pub field: Option<String>,
    /// What is wrong.
    #[source]
    pub problem: FileProblem,
}

/// What can be wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The first line is not `---`.
    #[error("the file does not open with a `---` line")]
    NoFrontmatter,
    /// The second `---` line is missing.
    #[error("the frontmatter is not closed by a `---` line")]
    Unclosed,
    /// The frontmatter is not YAML.
    #[error("the frontmatter is not valid YAML: {source}")]
    NotYaml {
        /// What the reader says.
        source: Box<serde_saphyr::Error>,
    },
    /// The frontmatter holds no fields.
    #[error("the frontmatter is not a list of fields")]
    NotAMapping,
    /// A needed field is not there.
    #[error("the field is missing")]
    Missing,
    /// A field holds something else than it should, or is unknown.
    #[error("{source}")]
    Wrong {
        /// What the reader says.
        source: serde_json::Error,
    },
    /// An id does not have its form.
    #[error("the id does not have the form {form}")]
    BadId {
        /// What it should look like.
        form: &'static str,
    },
    /// The file is named after something else.
    #[error("the file must be called `{expected}`")]
    Misnamed {
        /// The right path.
        expected: String,
    },
}
