//! Python: every file of a project, as JSON (PEP 691), shown to older clients as a page of links (PEP 503).

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use url::Url;

use omoi_domain::time::Timestamp;

use super::{ArtefactFacts, MalformedDocument};
use crate::package::{
    AgeRule, ArtefactSum, PackageName, PackageRegistry, PackageVersion, SumAlgorithm, parse_instant,
};
use crate::registry::pypi::{normalise_name, plain_path, split_file_name};

/// The media type of the JSON form.
pub const JSON_TYPE: &str = "application/vnd.pypi.simple.v1+json";
/// The media type of the page of links.
pub const HTML_TYPE: &str = "application/vnd.pypi.simple.v1+html";

/// The files of one project.
pub struct ProjectFiles {
    package: PackageName,
    root: Map<String, Value>,
}

impl ProjectFiles {
    /// Reads the document of the project `name`, which is normalised. `page` is its own address, which its relative
    /// links start from; all links of the result are whole.
    ///
    /// # Errors
    /// When it is none, or one of another project.
    pub fn parse(name: &str, page: &str, body: &[u8]) -> Result<Self, MalformedDocument> {
        let Ok(Value::Object(mut root)) = serde_json::from_slice(body) else {
            return Err(MalformedDocument("not a JSON object"));
        };
        let own_name = root.get("name").and_then(Value::as_str);
        if own_name.map(normalise_name).as_deref() != Some(name) {
            return Err(MalformedDocument("the files of another project"));
        }
        if root.get("files").is_none_or(|files| !files.is_array()) {
            return Err(MalformedDocument("a project without files"));
        }
        complete_links(&mut root, page);
        let package = PackageName::new(PackageRegistry::Pypi, name);
        Ok(Self { package, root })
    }

    fn files(&self) -> impl Iterator<Item = &Value> {
        self.root
            .get("files")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    fn version(&self, file: &Value) -> Option<PackageVersion> {
        let (_, version) = split_file_name(file.get("filename")?.as_str()?)?;
        Some(self.package.at_version(version))
    }

    /// What the document says about the file at `path` of the files' host, or about its metadata.
    pub fn find_file(&self, path: &str, is_metadata: bool) -> Option<ArtefactFacts> {
        let file = self.files().find(|file| {
            let address = address_path(file).map(plain_path);
            address.is_some_and(|address| address == path)
        })?;
        let sums = if is_metadata {
            file.get("core-metadata")
                .or_else(|| file.get("data-dist-info-metadata"))?
        } else {
            file.get("hashes")?
        };
        let sum = sums.get("sha256").and_then(Value::as_str);
        Some(ArtefactFacts {
            version: self.version(file)?,
            sum: sum.and_then(|text| ArtefactSum::from_hex(SumAlgorithm::Sha256, text)),
            published_at: upload_time(file),
        })
    }

    /// Takes out every file of a version that may not come in yet, and versions that have none left.
    pub fn hide_young(&mut self, rule: &AgeRule<'_>) {
        let is_shown = |file: &Value| {
            let version = self.version(file);
            version.is_some_and(|version| rule.may_show(&version, upload_time(file)))
        };
        let shown: Vec<Value> = self
            .files()
            .filter(|file| is_shown(file))
            .cloned()
            .collect();
        if shown.len() == self.files().count() {
            return;
        }
        self.root.insert("files".to_owned(), Value::Array(shown));
        let left = self
            .files()
            .filter_map(|file| Some(self.version(file)?.version));
        let left: HashSet<String> = left.collect();
        if let Some(Value::Array(versions)) = self.root.get_mut("versions") {
            let is_left =
                |version: &Value| version.as_str().is_some_and(|text| left.contains(text));
            versions.retain(is_left);
        }
    }

    /// The document as JSON.
    pub fn render(&self) -> Vec<u8> {
        serde_json::to_vec(&self.root).unwrap_or_default()
    }

    /// The document as a page of links.
    pub fn render_page(&self) -> Vec<u8> {
        let mut page = String::from(
            "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.0\"></head><body>\n",
        );
        for file in self.files() {
            let text = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default();
            let sum = file
                .pointer("/hashes/sha256")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let mut attributes = format!("href=\"{}#sha256={}\"", escape(text("url")), escape(sum));
            if let Some(python) = file.get("requires-python").and_then(Value::as_str) {
                let _ = write!(attributes, " data-requires-python=\"{}\"", escape(python));
            }
            match file.get("yanked") {
                Some(Value::String(reason)) => {
                    let _ = write!(attributes, " data-yanked=\"{}\"", escape(reason));
                }
                Some(Value::Bool(true)) => attributes.push_str(" data-yanked=\"\""),
                _ => {}
            }
            let _ = writeln!(page, "<a {attributes}>{}</a><br>", escape(text("filename")));
        }
        page.push_str("</body></html>\n");
        page.into_bytes()
    }
}

impl ProjectFiles {
    /// What the older index tells of `version`, as far as this one knows it; none for a version without files. What the
    /// version needs is null: clients read that in the metadata of a file.
    pub fn render_release(&self, version: &str) -> Option<String> {
        let is_asked = |file: &&Value| {
            let found = self.version(file);
            found.is_some_and(|found| plain_version(&found.version) == plain_version(version))
        };
        let files: Vec<&Value> = self.files().filter(is_asked).collect();
        let python = files.first()?.get("requires-python");
        let urls: Vec<Value> = files.iter().map(|file| release_file(file)).collect();
        let release = json!({
            "info": {
                "name": self.package.name,
                "version": version,
                "summary": "",
                "requires_dist": null,
                "requires_python": python,
                "yanked": urls.iter().all(|file| file["yanked"] == true),
                "yanked_reason": urls.first().map(|file| &file["yanked_reason"]),
            },
            "urls": urls,
        });
        Some(release.to_string())
    }
}

/// Makes every relative link of a file a whole one. What cannot be one stays as it is, and leads nowhere.
fn complete_links(root: &mut Map<String, Value>, page: &str) {
    let files = root.get_mut("files").and_then(Value::as_array_mut);
    let Ok(page) = Url::parse(page) else {
        return;
    };
    for link in files.into_iter().flatten() {
        let Some(link) = link.get_mut("url") else {
            continue;
        };
        let relative = link.as_str().filter(|link| !link.contains("://"));
        if let Some(whole) = relative.and_then(|link| page.join(link).ok()) {
            *link = Value::String(whole.into());
        }
    }
}

/// A version as it is compared: case and the separator of its parts say nothing.
fn plain_version(version: &str) -> String {
    version.to_ascii_lowercase().replace(['-', '_'], ".")
}

/// A file as the older index writes it.
fn release_file(file: &Value) -> Value {
    let name = file["filename"].as_str().unwrap_or_default();
    let kind = match name.strip_suffix(".whl") {
        Some(_) => "bdist_wheel",
        None => "sdist",
    };
    let yanked = &file["yanked"];
    json!({
        "filename": name,
        "packagetype": kind,
        "url": file["url"],
        "digests": { "sha256": file.pointer("/hashes/sha256") },
        "size": file["size"],
        "upload_time_iso_8601": file["upload-time"],
        "requires_python": file["requires-python"],
        "yanked": yanked.is_string() || yanked == true,
        "yanked_reason": yanked.as_str(),
    })
}

/// The path of a file's address, whichever host it names.
fn address_path(file: &Value) -> Option<&str> {
    let (_, rest) = file.get("url")?.as_str()?.split_once("://")?;
    rest.find('/').map(|start| &rest[start..])
}

fn upload_time(file: &Value) -> Option<Timestamp> {
    parse_instant(file.get("upload-time")?.as_str()?)
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = "https://pypi.org/simple/flask-login/";
    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn sample() -> Vec<u8> {
        let file = |name: &str, time: &str| {
            json!({"filename": name, "hashes": {"sha256": SUM},
            "url": format!("https://files.pythonhosted.org/packages/aa/bb/{name}"),
            "requires-python": ">=3.8", "upload-time": time, "yanked": false,
            "core-metadata": {"sha256": "00".repeat(32)}})
        };
        json!({"meta": {"api-version": "1.1"}, "name": "Flask_Login", "versions": ["1.0", "2.0"], "files": [
            file("Flask_Login-1.0-py3-none-any.whl", "2020-01-01T00:00:00.123456Z"),
            file("flask-login-1.0.tar.gz", "2020-01-01T00:00:00Z"),
            file("Flask_Login-2.0-py3-none-any.whl", "2026-11-28T23:55:00Z"),
            file("nonsense", "2020-01-01T00:00:00Z"),
        ]})
        .to_string()
        .into_bytes()
    }

    fn shown(listed: &[&str]) -> ProjectFiles {
        let listed: BTreeSet<_> = listed.iter().map(|text| text.parse().unwrap()).collect();
        let now = parse_instant("2026-11-29T00:00:00Z").unwrap();
        let mut files = ProjectFiles::parse("flask-login", PAGE, &sample()).unwrap();
        files.hide_young(&AgeRule {
            now,
            listed: &listed,
        });
        files
    }

    #[test]
    fn young_files_are_left_out_with_their_version() {
        let document: Value = serde_json::from_slice(&shown(&[]).render()).unwrap();
        assert_eq!(document["versions"], json!(["1.0"]));
        assert_eq!(document["files"].as_array().unwrap().len(), 2);
        let files = shown(&["pypi:flask_login@2.0"]);
        let document: Value = serde_json::from_slice(&files.render()).unwrap();
        assert_eq!(document["versions"], json!(["1.0", "2.0"]));
    }

    #[test]
    fn the_page_links_what_the_document_lists() {
        let page = String::from_utf8(shown(&[]).render_page()).unwrap();
        let link = format!(
            "<a href=\"https://files.pythonhosted.org/packages/aa/bb/flask-login-1.0.tar.gz#sha256={SUM}\" \
             data-requires-python=\"&gt;=3.8\">flask-login-1.0.tar.gz</a><br>\n"
        );
        assert!(page.contains(&link), "{page}");
        assert!(!page.contains("2.0"), "{page}");
    }

    #[test]
    fn a_release_lists_its_own_files_and_leaves_what_it_needs_to_their_metadata() {
        let release = |version: &str| -> Option<Value> {
            let text = shown(&[]).render_release(version)?;
            Some(serde_json::from_str(&text).unwrap())
        };
        let found = release("1.0").unwrap();
        let info = &found["info"];
        assert_eq!(
            (&info["name"], &info["version"]),
            (&json!("flask-login"), &json!("1.0"))
        );
        assert_eq!(info["requires_dist"], Value::Null);
        assert_eq!(
            (&info["requires_python"], &info["yanked"]),
            (&json!(">=3.8"), &json!(false))
        );
        let urls = found["urls"].as_array().unwrap().iter();
        let told: Vec<_> = urls
            .map(|file| {
                (
                    file["packagetype"].as_str().unwrap(),
                    &file["digests"]["sha256"],
                )
            })
            .collect();
        assert_eq!(told, [("bdist_wheel", &json!(SUM)), ("sdist", &json!(SUM))]);
        // Too young, and never published.
        assert_eq!((release("2.0"), release("3.0")), (None, None));
    }

    #[test]
    fn files_and_their_metadata_have_sums_of_their_own() {
        let files = ProjectFiles::parse("flask-login", PAGE, &sample()).unwrap();
        let path = "/packages/aa/bb/Flask_Login-1.0-py3-none-any.whl";
        let facts = files.find_file(path, false).unwrap();
        assert_eq!(facts.version.to_string(), "pypi:flask-login@1.0");
        assert_eq!(facts.sum, ArtefactSum::from_hex(SumAlgorithm::Sha256, SUM));
        let metadata = files.find_file(path, true).unwrap();
        assert_eq!(metadata.sum.unwrap().digest, [0; 32]);
        assert_eq!(
            files.find_file("/packages/aa/other-1.0.tar.gz", false),
            None
        );
    }

    #[test]
    fn links_start_from_the_page_that_they_stand_on() {
        let page = "https://pypi.corp.example/ann/dev/+simple/words/";
        let wheel = "words-1.0-py3-none-any.whl";
        for (link, path) in [
            ("../../+f/de0/237/", "/ann/dev/+f/de0/237/"),
            ("../../../../root/base/+f/a/", "/root/base/+f/a/"),
            ("/files/%2Bf/", "/files/+f/"),
            ("files/", "/ann/dev/+simple/words/files/"),
            ("//files.corp.example/f/", "/f/"),
            ("https://files.corp.example/f/", "/f/"),
            // Nothing leads out of a host.
            ("../../../../../../../etc/", "/etc/"),
        ] {
            let file = json!({"filename": wheel, "url": format!("{link}{wheel}"), "hashes": {"sha256": SUM}});
            let body = json!({"name": "words", "files": [file]}).to_string();
            let files = ProjectFiles::parse("words", page, body.as_bytes()).unwrap();
            let facts = files.find_file(&format!("{path}{wheel}"), false);
            assert_eq!(
                facts.unwrap().version.to_string(),
                "pypi:words@1.0",
                "{link}"
            );
            let shown = String::from_utf8(files.render_page()).unwrap();
            let path = path.replace("files/+", "files/%2B");
            let whole = format!("corp.example{path}{wheel}#sha256={SUM}\"");
            assert!(shown.contains(&whole), "{shown}");
        }
    }

    #[test]
    fn other_formats_are_refused() {
        for (name, body) in [
            ("a", "<html>"),
            ("a", "[]"),
            ("a", "{\"name\":\"b\",\"files\":[]}"),
            ("a", "{\"name\":\"a\"}"),
        ] {
            assert!(
                ProjectFiles::parse(name, PAGE, body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }
}
