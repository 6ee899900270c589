//! Search by words: how each database is asked for texts that have beginnings of words.

use super::Backend;

impl Backend {
    /// The query that both conditions take, of beginnings of words that hold letters and digits alone.
    pub(crate) fn match_query(self, beginnings: &[String]) -> String {
        let (joint, word): (_, fn(&String) -> String) = match self {
            Self::Sqlite => (" AND ", |word| format!("\"{word}\"*")),
            Self::Postgres => (" & ", |word| format!("'{word}':*")),
        };
        let words: Vec<String> = beginnings.iter().map(word).collect();
        words.join(joint)
    }

    /// Holds for documents that have all of the query in `mark`. PostgreSQL looks at every document of the organisation:
    /// behind row security no index of words may be read, since what compares them is not leakproof.
    pub(crate) fn match_condition(self, mark: &str) -> String {
        match self {
            Self::Sqlite => format!(
                "document_no in (select rowid from search_text where search_text match {mark})"
            ),
            Self::Postgres => {
                format!("word_vector @@ cast({mark} as tsquery)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_asks_for_all_beginnings() {
        let words = ["tag".to_owned(), "größe".to_owned()];
        assert_eq!(
            Backend::Sqlite.match_query(&words),
            "\"tag\"* AND \"größe\"*"
        );
        assert_eq!(Backend::Postgres.match_query(&words), "'tag':* & 'größe':*");
    }
}
