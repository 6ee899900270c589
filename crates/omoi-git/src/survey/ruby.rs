//! Ruby: RSpec, minitest, rake.

use super::ToolchainKind;
use super::finding::{HintSource, ToolchainFinding};
use super::text::{tool_version, version_file};
use super::view::{SurveyView, join_path};

pub(super) fn detect_ruby(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let mut dirs = view.project_dirs(&["Gemfile", "Rakefile"]);
    if dirs.is_empty()
        && view
            .files()
            .iter()
            .any(|f| f.depth == 0 && f.path.ends_with(".gemspec"))
    {
        dirs.push("");
    }
    let mut finding = ToolchainFinding::new(ToolchainKind::Ruby);
    for dir in &dirs {
        let gems = join_path(dir, "Gemfile");
        let bundled = view.has_file(&gems);
        let manifest = view.first_in(dir, &["Gemfile", "Rakefile"]);
        let version =
            version_file(view, dir, ".ruby-version").or_else(|| tool_version(view, dir, "ruby"));
        let programs: &[&str] = if bundled { &["bundle"] } else { &[] };
        finding.add_toolchain(manifest.as_deref(), version, programs);
        let exec = if bundled { "bundle exec " } else { "" };
        let source = HintSource::new(dir, manifest.as_deref().unwrap_or(""));
        let specs = view
            .files_below(&join_path(dir, "spec"))
            .any(|f| f.path.ends_with("_spec.rb"));
        let rake = view.file_text(&join_path(dir, "Rakefile")).unwrap_or("");
        if specs {
            finding.add_test(source, &format!("{exec}rspec"), "specs under spec/");
        } else if rake.contains("TestTask") || rake.contains("task :test") {
            finding.add_test(
                source,
                &format!("{exec}rake test"),
                "a test task in the Rakefile",
            );
        } else if view.has_dir(&join_path(dir, "test")) {
            let command = format!(
                "{exec}ruby -Ilib -Itest -e 'Dir[\"test/**/*_test.rb\", \"test/**/test_*.rb\"].each {{ |f| require \"./#{{f}}\" }}'"
            );
            finding.add_test(source, &command, "tests under test/");
        }
    }
    (!dirs.is_empty()).then_some(finding)
}
