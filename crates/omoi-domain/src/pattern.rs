//! Regular expressions that are constants of the code: compiled once, and each by a test, so that a
//! broken one cannot switch a rule off without a word.

use regex::Regex;

/// Compiles a constant pattern.
#[expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "every constant pattern is compiled by a test next to it"
)]
pub fn compile_constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// Declares the constant patterns of a module and the test that compiles every one of them.
#[macro_export]
macro_rules! constant_patterns {
    ($($(#[$meta:meta])* static $name:ident = $pattern:expr;)+) => {
        $(
            $(#[$meta])*
            static $name: std::sync::LazyLock<regex::Regex> =
                std::sync::LazyLock::new(|| $crate::pattern::compile_constant($pattern));
        )+

        #[cfg(test)]
        #[test]
        fn every_pattern_compiles() {
            $(std::sync::LazyLock::force(&$name);)+
        }
    };
}
