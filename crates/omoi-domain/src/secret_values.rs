//! What in a file of secrets is a secret: values of settings, quoted texts, lines of keys.

use crate::config::url_secrets;

/// Longest text that is a secret as a whole too.
const WHOLE_BYTES_MAX: usize = 4 << 10;

/// The values in `text`: what follows `=` or `:` on a line, what is quoted there, lines without either, passwords of
/// addresses among them, and the whole of a short file. Comments and names are left out.
pub fn secret_values(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    for line in text.lines().map(str::trim) {
        let is_remark = ["#", "//", "-----"]
            .iter()
            .any(|mark| line.starts_with(mark));
        if !is_remark {
            add_values(&mut values, line);
        }
    }
    if text.len() <= WHOLE_BYTES_MAX {
        values.push(text.trim().to_owned());
    }
    let passwords: Vec<_> = values.iter().flat_map(|value| url_secrets(value)).collect();
    values.extend(passwords);
    values.retain(|value| !value.is_empty());
    values
}

fn add_values(values: &mut Vec<String>, line: &str) {
    let after = [line.split_once('='), line.split_once(": ")];
    let after = after
        .into_iter()
        .flatten()
        .min_by_key(|(name, _)| name.len());
    let value = after.map_or(line, |(_, value)| value);
    values.push(bare_value(value).to_owned());
    for quote in ['"', '\''] {
        let mut parts = line.split(quote);
        // Outside and inside of quotes in turn.
        while let (Some(_), Some(inside)) = (parts.next(), parts.next()) {
            let after = parts.clone().next();
            let is_name = after.is_some_and(|rest| rest.trim_start().starts_with(':'));
            if after.is_some() && !is_name {
                values.push(inside.to_owned());
            }
        }
    }
}

/// A value without what is around it: blanks, a comma, quotes.
fn bare_value(value: &str) -> &str {
    let value = value.trim().trim_end_matches([',', ';']);
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let inside = value.strip_prefix(quote)?;
        inside.strip_suffix(quote)
    });
    quoted.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_mask::SecretMask;

    #[test]
    fn values_are_secrets_and_names_are_not() {
        let text = "# a remark with-9-digits\nexport API_KEY=sk-live-0123456789\nDATABASE_URL='postgres://u:pass-word-1@db/x'\n\
            {\"client_id_2\": \"client-77-abc\", \"n\": 3}\nyaml_name_1: yaml-value-1\n-----BEGIN KEY-----\n\
            MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n";
        let mask = SecretMask::new(secret_values(text));
        for (line, expected) in [
            ("with-9-digits", "with-9-digits"),
            ("sk-live-0123456789", "****"),
            ("API_KEY=sk-live-0123456789", "API_KEY=****"),
            ("postgres://u:pass-word-1@db/x", "****"),
            ("pass-word-1", "****"),
            ("client-77-abc client_id_2", "**** client_id_2"),
            ("yaml_name_1 yaml-value-1", "yaml_name_1 ****"),
            ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "****"),
            (text.trim(), "****"),
        ] {
            assert_eq!(mask.mask_text(line), expected);
        }
        assert_eq!(secret_values("# only remarks\n"), ["# only remarks"]);
        assert!(secret_values("\n \n").is_empty());
    }
}
