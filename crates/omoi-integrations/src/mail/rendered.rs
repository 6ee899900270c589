//! A letter as a mail program shows it.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::letter::{LetterError, MailLetter};

const TEXT: &str = include_str!("../../templates/letter.txt");
const HTML: &str = include_str!("../../templates/letter.html");

/// The two forms of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedLetter {
    /// Plain text.
    pub text: String,
    /// HTML, in which no value is markup.
    pub html: String,
}

impl MailLetter {
    /// The letter as text and as HTML.
    ///
    /// # Errors
    /// [`LetterError::Template`], which a test of each letter rules out.
    pub fn render_letter(&self) -> Result<RenderedLetter, LetterError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let values: Value = context! { letter => Value::from(Serde(self)) };
        // The ending of the name turns escaping on.
        let render = |name, template| environment.render_named_str(name, template, &values);
        Ok(RenderedLetter {
            text: render("letter.txt", TEXT)?,
            html: render("letter.html", HTML)?,
        })
    }
}
