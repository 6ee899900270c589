//! The patch form that some models are trained on. It knows whole lines only, so what is not made of
//! whole lines cannot be said in it.

/// A patch that writes a file; none for a text that is empty or does not end its last line.
pub(super) fn add_file(path: &str, content: &str) -> Option<String> {
    let lines = whole_lines(content, '+')?;
    Some(format!(
        "*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n"
    ))
}

/// A patch that replaces whole lines by whole lines, or by nothing.
pub(super) fn update_file(path: &str, old: &str, new: &str) -> Option<String> {
    let removed = whole_lines(old, '-')?;
    let added = match new {
        "" => String::new(),
        new => whole_lines(new, '+')?,
    };
    Some(format!(
        "*** Begin Patch\n*** Update File: {path}\n@@\n{removed}{added}*** End Patch\n"
    ))
}

fn whole_lines(text: &str, mark: char) -> Option<String> {
    let body = text.strip_suffix('\n')?;
    if text.contains('\r') {
        return None;
    }
    Some(body.split('\n').fold(String::new(), |mut lines, line| {
        lines.push(mark);
        lines.push_str(line);
        lines.push('\n');
        lines
    }))
}
