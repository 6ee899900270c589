//! Java, Kotlin, Scala: Maven, Gradle, sbt.

use super::finding::{HintSource, ToolchainFinding};
use super::text::{tool_version, version_hint};
use super::view::{SurveyView, join_path};
use super::{ToolchainKind, VersionHint};

/// Manifests, the wrapper script beside them, the program, its build and test words.
const BUILDS: &[(&[&str], &str, &str, &str, &str)] = &[
    (
        &["pom.xml"],
        "mvnw",
        "mvn",
        "-q -DskipTests package",
        "-q test",
    ),
    (
        &[
            "build.gradle",
            "build.gradle.kts",
            "settings.gradle",
            "settings.gradle.kts",
        ],
        "gradlew",
        "gradle",
        "assemble",
        "test",
    ),
    (&["build.sbt"], "sbtw", "sbt", "compile", "test"),
];

pub(super) fn detect_jvm(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let mut finding = ToolchainFinding::new(ToolchainKind::Jvm);
    for (manifests, wrapper, program, build, test) in BUILDS {
        for dir in view.project_dirs(manifests) {
            let manifest = view.first_in(dir, manifests).unwrap_or_default();
            let wrapped = view.has_file(&join_path(dir, wrapper));
            let run = if wrapped {
                format!("sh ./{wrapper}")
            } else {
                (*program).to_owned()
            };
            let programs: &[&str] = if wrapped { &[] } else { &[program] };
            finding.add_toolchain(
                Some(&manifest),
                java_version(view, dir, &manifest),
                programs,
            );
            let source = HintSource::new(dir, &manifest);
            let because = format!("a project of {program}");
            finding.add_build(source, &format!("{run} {build}"), &because);
            finding.add_test(source, &format!("{run} {test}"), &because);
        }
    }
    (!finding.toolchain.is_empty()).then_some(finding)
}

fn java_version(view: &SurveyView<'_>, dir: &str, manifest: &str) -> Option<VersionHint> {
    let text = view.file_text(manifest).unwrap_or("");
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        version_hint(rest.split('<').next()?, manifest)
    };
    let from_gradle = || {
        let (_, rest) = text.split_once("JavaLanguageVersion.of(")?;
        version_hint(rest.split(')').next()?, manifest)
    };
    tool_version(view, dir, "java")
        .or_else(|| tag("maven.compiler.release"))
        .or_else(|| tag("maven.compiler.source"))
        .or_else(|| tag("java.version"))
        .or_else(from_gradle)
}
