//! C and C++: CMake, Meson, autotools, plain make.

use super::ToolchainKind;
use super::finding::{HintSource, ToolchainFinding};
use super::text::target_names;
use super::view::{SurveyView, join_path};

const SOURCES: &[&str] = &[".c", ".cc", ".cpp", ".cxx"];

pub(super) fn detect_native(view: &SurveyView<'_>) -> Option<ToolchainFinding> {
    let own = |path: &str| SOURCES.iter().any(|e| path.ends_with(e));
    view.files().iter().find(|f| own(&f.path) && !f.vendored)?;
    let mut finding = ToolchainFinding::new(ToolchainKind::Native);
    add_cmake(view, &mut finding);
    if finding.toolchain.is_empty() {
        add_meson(view, &mut finding);
    }
    if finding.toolchain.is_empty() {
        add_autotools(view, &mut finding);
    }
    if finding.toolchain.is_empty() {
        add_make(view, &mut finding);
    }
    (!finding.toolchain.is_empty()).then_some(finding)
}

fn add_cmake(view: &SurveyView<'_>, finding: &mut ToolchainFinding) {
    for dir in view.project_dirs(&["CMakeLists.txt"]) {
        let manifest = join_path(dir, "CMakeLists.txt");
        finding.add_toolchain(Some(&manifest), None, &["cmake", "make"]);
        let source = HintSource::new(dir, &manifest);
        let build = "cmake -S . -B build && cmake --build build";
        finding.add_build(source, build, "a CMake project");
        let registers = |text: &str| {
            ["enable_testing", "add_test", "include(CTest)"]
                .iter()
                .any(|w| text.contains(w))
        };
        let has_tests = view.all_texts().any(|(path, text)| {
            path.ends_with("CMakeLists.txt") && path.starts_with(dir) && registers(text)
        });
        if has_tests {
            let test = format!("{build} && ctest --test-dir build --output-on-failure");
            finding.add_test(source, &test, "a CMake project that registers tests");
        }
    }
}

fn add_meson(view: &SurveyView<'_>, finding: &mut ToolchainFinding) {
    for dir in view.project_dirs(&["meson.build"]) {
        let manifest = join_path(dir, "meson.build");
        finding.add_toolchain(Some(&manifest), None, &["meson", "ninja"]);
        let source = HintSource::new(dir, &manifest);
        let build = "meson setup build && meson compile -C build";
        finding.add_build(source, build, "a Meson project");
        let test = "meson setup build && meson test -C build";
        finding.add_test(source, test, "a Meson project");
    }
}

fn add_autotools(view: &SurveyView<'_>, finding: &mut ToolchainFinding) {
    for dir in view.project_dirs(&["configure", "configure.ac"]) {
        let ready = join_path(dir, "configure");
        let (manifest, configure, programs): (_, _, &[&str]) = if view.has_file(&ready) {
            (ready, "sh ./configure", &["make"])
        } else {
            (
                join_path(dir, "configure.ac"),
                "autoreconf -i && sh ./configure",
                &["autoreconf", "make"],
            )
        };
        finding.add_toolchain(Some(&manifest), None, programs);
        let source = HintSource::new(dir, &manifest);
        finding.add_build(
            source,
            &format!("{configure} && make"),
            "a configure script",
        );
        finding.add_test(
            source,
            &format!("{configure} && make check"),
            "a configure script",
        );
    }
}

fn add_make(view: &SurveyView<'_>, finding: &mut ToolchainFinding) {
    const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];
    for dir in view.project_dirs(MAKEFILES) {
        let manifest = view.first_in(dir, MAKEFILES).unwrap_or_default();
        finding.add_toolchain(Some(&manifest), None, &["make"]);
        let source = HintSource::new(dir, &manifest);
        finding.add_build(source, "make", "a makefile beside C or C++ sources");
        let rules: Vec<&str> = target_names(view.file_text(&manifest).unwrap_or("")).collect();
        if let Some(rule) = ["test", "check", "tests"]
            .iter()
            .find(|r| rules.contains(r))
        {
            finding.add_test(source, &format!("make {rule}"), "a rule of the makefile");
        }
    }
}
