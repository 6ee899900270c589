//! One file in a form (`multipart/form-data`), as browsers send it.
//!
//! A form is read whole, within the room for large bodies, and then taken apart: a file has 25 MiB at most, and nothing
//! else may come with it.

use omoi_domain::error_code::ErrorCode;
use omoi_domain::stored_file::FILE_BYTES_MAX;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use super::ApiSurface;
use super::body::expect_media;
use super::upload_body::{HeldBody, hold_body};
use crate::error::ApiError;

/// How such a form is sent.
const FORM_MEDIA: &str = "multipart/form-data";
/// The field with the file.
const FILE_FIELD: &str = "file";
/// Bytes of what surrounds the file.
const FRAME_BYTES_MAX: usize = 16 << 10;
/// Bytes of a boundary, as RFC 2046 has it.
const BOUNDARY_BYTES_MAX: usize = 70;

/// A file as somebody sent it.
pub(crate) struct FormFile {
    /// What its sender calls it.
    pub(crate) name: String,
    body: HeldBody,
    at: std::ops::Range<usize>,
}

impl FormFile {
    /// What it holds.
    pub(crate) fn file_content(&self) -> &[u8] {
        self.body.bytes.get(self.at.clone()).unwrap_or_default()
    }
}

impl FromRequest<ApiSurface> for FormFile {
    type Rejection = ApiError;

    async fn from_request(request: Request, surface: &ApiSurface) -> Result<Self, ApiError> {
        expect_media(request.headers(), FORM_MEDIA)?;
        let boundary = read_boundary(request.headers()).ok_or_else(|| malformed("no boundary"))?;
        let bytes_max = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX) + FRAME_BYTES_MAX;
        let body = hold_body(request, surface, bytes_max).await?;
        let FormFilePart { name, at } = read_form(&body.bytes, &boundary).map_err(malformed)?;
        Ok(Self { name, body, at })
    }
}

fn malformed(why: &str) -> ApiError {
    let says = format!("the form cannot be read: {why}");
    let refused = ApiError::new(ErrorCode::ValidationFailed, says).with_field(FILE_FIELD);
    refused.hint("send one file in the field `file`: curl -F file=@NAME")
}

/// The boundary that `Content-Type` names.
fn read_boundary(headers: &HeaderMap) -> Option<String> {
    let told = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let parameters = told.split(';').skip(1);
    let mut named = parameters.filter_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary")
            .then(|| value.trim_matches('"').to_owned())
    });
    let boundary = named.next()?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let is_boundary = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len());
    (is_boundary && boundary.bytes().all(is_plain)).then_some(boundary)
}

/// The one part of a form.
#[derive(Debug, PartialEq, Eq)]
struct FormFilePart {
    name: String,
    /// Where its content is.
    at: std::ops::Range<usize>,
}

/// Takes a form apart that has nothing but one file.
fn read_form(form: &[u8], boundary: &str) -> Result<FormFilePart, &'static str> {
    let first = format!("--{boundary}\r\n");
    let next = format!("\r\n--{boundary}");
    // What stands before the first boundary is for nobody.
    let begin = match form.starts_with(first.as_bytes()) {
        true => 0,
        false => {
            let after_line = format!("\r\n{first}");
            let found = find(form, after_line.as_bytes());
            found.ok_or("its first boundary is missing")? + "\r\n".len()
        }
    };
    let headers_at = begin + first.len();
    let rest = form.get(headers_at..).unwrap_or_default();
    let window = &rest[..rest.len().min(FRAME_BYTES_MAX)];
    let n_header_bytes = find(window, b"\r\n\r\n").ok_or("the headers of its part do not end")?;
    let name = read_file_name(&rest[..n_header_bytes])?;
    let content_at = headers_at + n_header_bytes + "\r\n\r\n".len();
    let content = form.get(content_at..).unwrap_or_default();
    let n_bytes = find(content, next.as_bytes()).ok_or("it breaks off")?;
    let after = &content[n_bytes + next.len()..];
    match after {
        [b'-', b'-', ..] => Ok(FormFilePart {
            name,
            at: content_at..content_at + n_bytes,
        }),
        [b'\r', b'\n', ..] => Err("it has more than one part"),
        _ => Err("it breaks off"),
    }
}

/// The name of the file, from the headers of its part.
fn read_file_name(headers: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(headers).map_err(|_| "its headers are not UTF-8")?;
    let mut lines = text.split("\r\n");
    let disposition = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    });
    let disposition = disposition.ok_or("its part has no content-disposition")?;
    let (kind, mut rest) = disposition.split_once(';').ok_or("its part has no name")?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err("its part is none of a form");
    }
    let (mut field, mut file) = (None, None);
    while let Some((name, value, after)) = next_parameter(rest) {
        let slot = match name {
            name if name.eq_ignore_ascii_case("name") => &mut field,
            name if name.eq_ignore_ascii_case("filename") => &mut file,
            _ => &mut None,
        };
        if slot.replace(value).is_some() {
            return Err("its part says twice what it is called");
        }
        rest = after;
    }
    match (field.as_deref(), file) {
        (Some(FILE_FIELD), Some(name)) => Ok(name),
        (Some(FILE_FIELD), None) => Err("its part has no file name"),
        _ => Err("its part is another field"),
    }
}

/// `name="value"` at the begin of `text`, and what follows. Browsers write a quotation mark in it as `%22`, others as `\"`.
fn next_parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', ';', '\t']);
    let (name, rest) = text.split_once('=')?;
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find(';').unwrap_or(rest.len());
        return Some((name, rest[..end].trim().to_owned(), &rest[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name, value.replace("%22", "\""), &quoted[at + 1..])),
            '\\' if quoted[at + 1..].starts_with('"') => {
                value.push('"');
                characters.next();
            }
            other => value.push(other),
        }
    }
    None
}

/// Where `wanted` first is, which is looked for where its first byte is.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| byte == first)?;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(disposition: &str, content: &str, end: &str) -> Vec<u8> {
        format!("--x\r\nContent-Disposition: {disposition}\r\nContent-Type: text/html\r\n\r\n{content}{end}")
            .into_bytes()
    }

    #[test]
    fn one_file_is_read_and_nothing_beside_it() {
        let file = "form-data; name=\"file\"; filename=\"a.txt\"";
        let end = "\r\n--x--\r\n";
        for (form, expected) in [
            (
                form(file, "one\r\n--y\r\ntwo", end),
                Ok(("a.txt", "one\r\n--y\r\ntwo")),
            ),
            (form(file, "", end), Ok(("a.txt", ""))),
            (
                form(
                    "form-data; name=\"file\"; filename=\"a%22;\\\"b.txt\"",
                    "1",
                    end,
                ),
                Ok(("a\";\"b.txt", "1")),
            ),
            (
                [b"before\r\n", &form(file, "1", end)[..]].concat(),
                Ok(("a.txt", "1")),
            ),
            (form(file, "one", ""), Err("it breaks off")),
            (form(file, "one", "\r\n--x"), Err("it breaks off")),
            (
                form(file, "one", "\r\n--x\r\n"),
                Err("it has more than one part"),
            ),
            (
                form("form-data; name=\"file\"", "1", end),
                Err("its part has no file name"),
            ),
            (
                form("form-data; name=\"id\"; filename=\"a\"", "1", end),
                Err("its part is another field"),
            ),
            (
                form("attachment; filename=\"a\"", "1", end),
                Err("its part is none of a form"),
            ),
            (
                form(
                    "form-data; name=\"file\"; filename=\"a\"; filename=\"b\"",
                    "1",
                    end,
                ),
                Err("its part says twice what it is called"),
            ),
            (
                b"--y\r\n\r\n".to_vec(),
                Err("its first boundary is missing"),
            ),
            (
                b"--x\r\nno end".to_vec(),
                Err("the headers of its part do not end"),
            ),
            (b"".to_vec(), Err("its first boundary is missing")),
        ] {
            let text = String::from_utf8_lossy(&form).into_owned();
            let read = read_form(&form, "x");
            let read = read.as_ref().map(|part| {
                let content = std::str::from_utf8(&form[part.at.clone()]).unwrap_or("");
                (part.name.as_str(), content)
            });
            assert_eq!(read, expected.as_ref().map(|found| *found), "{text}");
        }
    }
}
