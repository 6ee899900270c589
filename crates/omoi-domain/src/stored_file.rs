//! Files that people give with tickets: their names, their types, and how much of them is kept.

/// Bytes of one file, at most.
pub const FILE_BYTES_MAX: u64 = 25 << 20;
/// Bytes of all files of an organisation, at most; a content that several have counts once.
pub const ORGANISATION_FILE_BYTES_MAX: u64 = 5 << 30;
/// Bytes of one row of a content.
pub const FILE_CHUNK_BYTES: usize = 1 << 20;
/// Files of one ticket, at most.
pub const TICKET_FILES_MAX: u32 = 100;
/// Bytes of all of them, at most: each of its agents gets them all.
pub const TICKET_FILE_BYTES_MAX: u64 = 100 << 20;
/// Bytes of a name: file systems take 255, and in workspaces nine more stand before it.
const NAME_BYTES_MAX: usize = 255 - 9;

crate::closed_set! {
    /// What a file is, by its own first bytes and never by what its sender says.
    MediaType {
        /// PNG image.
        Png = "image/png",
        /// JPEG image.
        Jpeg = "image/jpeg",
        /// GIF image.
        Gif = "image/gif",
        /// WebP image.
        Webp = "image/webp",
        /// Anything else: a browser shows none of it.
        Other = "application/octet-stream",
    }
}

impl MediaType {
    /// The type of the file that begins with `content`.
    pub fn of_content(content: &[u8]) -> Self {
        match content {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Self::Webp,
            _ => Self::Other,
        }
    }

    /// Whether a browser may show it in a page.
    pub fn is_shown_inline(self) -> bool {
        self != Self::Other
    }
}

/// Why a file cannot have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFileName {
    /// There is none.
    #[error("a file has a name")]
    Empty,
    /// It is longer than file systems take.
    #[error("the name of a file has at most {NAME_BYTES_MAX} bytes")]
    Long,
    /// It leads elsewhere.
    #[error("the name of a file leads to no other folder")]
    Path,
    /// It holds what could end a line or a header.
    #[error("the name of a file has no control characters")]
    Control,
}

/// Refuses a name that is a path, or could do harm in a header or a terminal.
///
/// # Errors
/// [`BadFileName`].
pub fn check_file_name(name: &str) -> Result<(), BadFileName> {
    match name {
        "" => Err(BadFileName::Empty),
        "." | ".." => Err(BadFileName::Path),
        name if name.len() > NAME_BYTES_MAX => Err(BadFileName::Long),
        name if name.contains(['/', '\\']) => Err(BadFileName::Path),
        name if name.chars().any(is_unprintable) => Err(BadFileName::Control),
        name if name.trim().is_empty() => Err(BadFileName::Empty),
        _ => Ok(()),
    }
}

/// Control characters, and those that turn the order of others round: `gpj.exe` may be shown as `exe.jpg`.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_ends_no_line() {
        for (name, expected) in [
            ("shot.png", Ok(())),
            ("Größe 2.txt", Ok(())),
            ("..a", Ok(())),
            ("", Err(BadFileName::Empty)),
            ("  ", Err(BadFileName::Empty)),
            (".", Err(BadFileName::Path)),
            ("..", Err(BadFileName::Path)),
            ("../x", Err(BadFileName::Path)),
            ("a\\b", Err(BadFileName::Path)),
            ("a\r\nset-cookie: x", Err(BadFileName::Control)),
            ("a\0", Err(BadFileName::Control)),
            ("gpj\u{202e}.exe", Err(BadFileName::Control)),
        ] {
            assert_eq!(check_file_name(name), expected, "{name:?}");
        }
        assert_eq!(check_file_name(&"ä".repeat(128)), Err(BadFileName::Long));
    }

    #[test]
    fn a_type_is_what_the_content_says() {
        for (content, expected) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], MediaType::Png),
            (b"\xff\xd8\xff\xe0", MediaType::Jpeg),
            (b"GIF89a", MediaType::Gif),
            (b"RIFF\0\0\0\0WEBPVP8 ", MediaType::Webp),
            (b"RIFF\0\0\0\0WAVE", MediaType::Other),
            (
                b"<svg xmlns=\"http://www.w3.org/2000/svg\">",
                MediaType::Other,
            ),
            (b"<!doctype html>", MediaType::Other),
            (b"\x89PNG", MediaType::Other),
            (b"", MediaType::Other),
        ] {
            let found = MediaType::of_content(content);
            assert_eq!(found, expected, "{content:?}");
            assert_eq!(found.is_shown_inline(), expected != MediaType::Other);
        }
    }
}
