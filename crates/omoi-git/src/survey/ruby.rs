//! Ruby: RSpec, minitest, rake.

use super::text::{tool_version, version_file};
use super::view::{View, join};
use super::{Finding, ToolchainKind};

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let mut dirs = view.projects(&["Gemfile", "Rakefile"]);
    if dirs.is_empty()
        && view
            .files()
            .iter()
            .any(|f| f.depth == 0 && f.path.ends_with(".gemspec"))
    {
        dirs.push("");
    }
    let mut finding = Finding::new(ToolchainKind::Ruby);
    for dir in &dirs {
        let gems = join(dir, "Gemfile");
        let bundled = view.has(&gems);
        let manifest = view.first_in(dir, &["Gemfile", "Rakefile"]);
        let version =
            version_file(view, dir, ".ruby-version").or_else(|| tool_version(view, dir, "ruby"));
        let programs: &[&str] = if bundled { &["bundle"] } else { &[] };
        finding.toolchain(manifest.as_deref(), version, programs);
        let exec = if bundled { "bundle exec " } else { "" };
        let at = (*dir, manifest.as_deref().unwrap_or(""));
        let specs = view
            .below(&join(dir, "spec"))
            .any(|f| f.path.ends_with("_spec.rb"));
        let rake = view.text(&join(dir, "Rakefile")).unwrap_or("");
        if specs {
            finding.test(at, &format!("{exec}rspec"), "specs under spec/");
        } else if rake.contains("TestTask") || rake.contains("task :test") {
            finding.test(
                at,
                &format!("{exec}rake test"),
                "a test task in the Rakefile",
            );
        } else if view.has_dir(&join(dir, "test")) {
            let command = format!(
                "{exec}ruby -Ilib -Itest -e 'Dir[\"test/**/*_test.rb\", \"test/**/test_*.rb\"].each {{ |f| require \"./#{{f}}\" }}'"
            );
            finding.test(at, &command, "tests under test/");
        }
    }
    (!dirs.is_empty()).then_some(finding)
}
