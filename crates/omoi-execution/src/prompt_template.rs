//! The templates of prompts, and the ways in which text of others stands in them.

use minijinja::Environment;

use omoi_domain::quotation::{quote_lines, single_line, visible_lines};

/// An environment with a filter for each way: `quote` for text of several lines, `line` for names and titles,
/// `visible` for JSON, whose lines are ours.
///
/// A value that is not ours stands in a template behind one of them: `injection_tests` of the dispatcher's brief and of
/// the prompts of planning put a corpus of injections into each place.
pub fn prompt_environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.add_filter("quote", |text: String| quote_lines(&text));
    environment.add_filter("line", |text: String| single_line(&text));
    environment.add_filter("visible", |text: String| visible_lines(&text));
    environment
}
