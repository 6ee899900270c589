//! Java, Kotlin, Scala: Maven, Gradle, sbt.

use super::text::{hint, tool_version};
use super::view::{View, join};
use super::{Finding, ToolchainKind, VersionHint};

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

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let mut finding = Finding::new(ToolchainKind::Jvm);
    for (manifests, wrapper, program, build, test) in BUILDS {
        for dir in view.projects(manifests) {
            let manifest = view.first_in(dir, manifests).unwrap_or_default();
            let wrapped = view.has(&join(dir, wrapper));
            let run = if wrapped {
                format!("sh ./{wrapper}")
            } else {
                (*program).to_owned()
            };
            let programs: &[&str] = if wrapped { &[] } else { &[program] };
            finding.toolchain(Some(&manifest), version(view, dir, &manifest), programs);
            let at = (dir, manifest.as_str());
            let because = format!("a project of {program}");
            finding.build(at, &format!("{run} {build}"), &because);
            finding.test(at, &format!("{run} {test}"), &because);
        }
    }
    (!finding.toolchain.is_empty()).then_some(finding)
}

fn version(view: &View<'_>, dir: &str, manifest: &str) -> Option<VersionHint> {
    let text = view.text(manifest).unwrap_or("");
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        hint(rest.split('<').next()?, manifest)
    };
    let from_gradle = || {
        let (_, rest) = text.split_once("JavaLanguageVersion.of(")?;
        hint(rest.split(')').next()?, manifest)
    };
    tool_version(view, dir, "java")
        .or_else(|| tag("maven.compiler.release"))
        .or_else(|| tag("maven.compiler.source"))
        .or_else(|| tag("java.version"))
        .or_else(from_gradle)
}
