//! Cutting texts to size, always saying so.

/// The head and tail of `text` when it is longer than `bytes_max`, with a line that says what is missing.
pub(crate) fn cap_text(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let room = bytes_max.saturating_sub(100);
    let head = text.floor_char_boundary(room / 2);
    let tail = text.ceil_char_boundary(text.len() - room / 2);
    format!(
        "{}\n[… {} of {} bytes left out …]\n{}",
        &text[..head],
        tail - head,
        text.len(),
        &text[tail..]
    )
}

/// The first `chars_max` characters, with a mark when there are more.
pub(crate) fn shorten_text(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
