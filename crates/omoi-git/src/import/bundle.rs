//! The head of a bundle file: text lines, then a pack.

use super::{ImportLimits, ImportRefusal};
use crate::object::ObjectId;
use crate::refname::RefName;

/// Header of a bundle file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BundleHeader {
    /// Commits the receiver must have.
    pub(super) prerequisites: Vec<ObjectId>,
    /// Commits that the pack brings, each with the ref name the sender gave it.
    pub(super) tips: Vec<(ObjectId, RefName)>,
    /// Where the pack begins.
    pub(super) pack_at: usize,
    /// How many objects the pack claims.
    pub(super) objects: u32,
}

const SIGNATURE: &[u8] = b"# v2 git bundle\n";
const PREREQUISITES_MAX: u64 = 1_000;
const LINE_BYTES_MAX: usize = 4_096;

/// Reads the header. Version 3 is refused: it can announce partial packs.
pub(super) fn parse_header(
    bundle: &[u8],
    limits: &ImportLimits,
) -> Result<BundleHeader, ImportRefusal> {
    let size_max = limits.bundle_bytes_max as u64;
    ImportRefusal::check_limit("bytes of the bundle", bundle.len() as u64, size_max)?;
    let mut rest = bundle
        .strip_prefix(SIGNATURE)
        .ok_or(ImportRefusal::Malformed("no signature"))?;
    let mut header = BundleHeader {
        prerequisites: Vec::new(),
        tips: Vec::new(),
        pack_at: 0,
        objects: 0,
    };
    loop {
        let window = &rest[..rest.len().min(LINE_BYTES_MAX)];
        let end = window.iter().position(|b| *b == b'\n');
        let end = end.ok_or(ImportRefusal::Malformed("an endless header line"))?;
        let line = std::str::from_utf8(&rest[..end])
            .map_err(|_| ImportRefusal::Malformed("a header line that is not text"))?;
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        if let Some(line) = line.strip_prefix('-') {
            let id = line.split(' ').next().unwrap_or("");
            header.prerequisites.push(object_id(id)?);
        } else {
            let (id, name) = line
                .split_once(' ')
                .ok_or(ImportRefusal::Malformed("a ref without name"))?;
            let name = RefName::parse(name)
                .map_err(|_| ImportRefusal::Malformed("a ref name that is not allowed"))?;
            header.tips.push((object_id(id)?, name));
        }
        let (needed, brought) = (header.prerequisites.len(), header.tips.len());
        ImportRefusal::check_limit("prerequisites", needed as u64, PREREQUISITES_MAX)?;
        ImportRefusal::check_limit("refs", brought as u64, limits.refs_max as u64)?;
    }
    if header.tips.is_empty() {
        return Err(ImportRefusal::Malformed("no ref"));
    }
    header.pack_at = bundle.len() - rest.len();
    header.objects = match rest {
        [b'P', b'A', b'C', b'K', 0, 0, 0, 2, a, b, c, d, ..] => {
            u32::from_be_bytes([*a, *b, *c, *d])
        }
        _ => return Err(ImportRefusal::Malformed("no pack")),
    };
    let (objects, max) = (header.objects, limits.objects_max);
    ImportRefusal::check_limit("objects", u64::from(objects), u64::from(max))?;
    Ok(header)
}

fn object_id(text: &str) -> Result<ObjectId, ImportRefusal> {
    ObjectId::parse(text).map_err(|_| ImportRefusal::Malformed("not an object name"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const ID: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    fn bundle(lines: &str) -> Vec<u8> {
        let mut bytes = format!("# v2 git bundle\n{lines}").into_bytes();
        bytes.extend_from_slice(b"PACK\0\0\0\x02\0\0\0\x07rest");
        bytes
    }

    #[test]
    fn reads_headers() {
        let text = format!("-{ID} base commit\n{ID} refs/omoios/out/tip\n\n");
        let header = parse_header(&bundle(&text), &ImportLimits::default()).unwrap();
        assert_eq!(header.prerequisites.len(), 1);
        assert_eq!(header.tips[0].1.as_str(), "refs/omoios/out/tip");
        assert_eq!(header.objects, 7);
        assert_eq!(&bundle(&text)[header.pack_at..][..4], b"PACK");
    }

    #[test]
    fn refuses_what_is_not_plain() {
        let small = ImportLimits {
            refs_max: 1,
            objects_max: 6,
            ..ImportLimits::default()
        };
        let two = format!("{ID} refs/a/b\n{ID} refs/a/c\n\n");
        let cases = [
            bundle(&format!("{ID} ../../etc\n\n")),
            bundle(&format!("{ID} refs/heads/-x\n\n")),
            bundle(&format!("{ID} HEAD\n\n")),
            bundle("zz refs/a/b\n\n"),
            bundle("\n"),
            bundle(&two),
            bundle(&format!("{ID} refs/a/b\n\n")),
            bundle(&"x".repeat(10_000)),
            b"# v3 git bundle\n@filter=blob:none\n".to_vec(),
            format!("# v2 git bundle\n{ID} refs/a/b\n\nnot a pack").into_bytes(),
            b"".to_vec(),
        ];
        for case in cases {
            let text = String::from_utf8_lossy(&case).into_owned();
            assert!(parse_header(&case, &small).is_err(), "{text}");
        }
    }
}
