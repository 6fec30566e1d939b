//! Fills a team's templates with a lead's fields.
//! It must never guess: a field the lead lacks is an error, never an empty place in a message.

use minijinja::{Environment, UndefinedBehavior};
use std::collections::BTreeMap;

/// Steps a template may take before it is stopped; a loop over nothing useful ends here.
const TEMPLATE_FUEL_MAX: u64 = 50_000;
/// The longest text a template may become.
const RENDERED_BYTES_MAX: usize = 100_000;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the template cannot be filled: {0}. Give the lead that field, or take it out of the template")]
    Render(String),
    #[error("the filled template has {bytes} bytes, more than the {RENDERED_BYTES_MAX} a message may have; shorten it")]
    TooLong { bytes: usize },
}

/// Renders `template` with the fields, as plain text.
pub fn render(template: &str, fields: &BTreeMap<String, String>) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(TEMPLATE_FUEL_MAX));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let rendered =
        environment.render_str(template, fields).map_err(|error| TemplateError::Render(error.to_string()))?;
    if rendered.len() > RENDERED_BYTES_MAX {
        return Err(TemplateError::TooLong { bytes: rendered.len() });
    }
    Ok(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> BTreeMap<String, String> {
        BTreeMap::from([("first_name".to_owned(), "Ana <b>".to_owned())])
    }

    #[test]
    fn a_field_is_filled_in_as_it_is() {
        assert_eq!(render("Hi {{ first_name }},", &fields()), Ok("Hi Ana <b>,".to_owned()));
    }

    #[test]
    fn a_missing_field_is_an_error_not_a_gap() {
        assert!(matches!(render("Hi {{ nickname }},", &fields()), Err(TemplateError::Render(_))));
    }

    #[test]
    fn an_endless_template_is_stopped() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(matches!(render(endless, &fields()), Err(TemplateError::Render(_))));
    }
}
