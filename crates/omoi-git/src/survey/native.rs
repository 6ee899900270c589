//! C and C++: CMake, Meson, autotools, plain make.

use super::text::targets;
use super::view::{View, join};
use super::{Finding, ToolchainKind};

const SOURCES: &[&str] = &[".c", ".cc", ".cpp", ".cxx"];

pub(super) fn detect(view: &View<'_>) -> Option<Finding> {
    let own = |path: &str| SOURCES.iter().any(|e| path.ends_with(e));
    view.files().iter().find(|f| own(&f.path) && !f.vendored)?;
    let mut finding = Finding::new(ToolchainKind::Native);
    cmake(view, &mut finding);
    if finding.toolchain.is_empty() {
        meson(view, &mut finding);
    }
    if finding.toolchain.is_empty() {
        autotools(view, &mut finding);
    }
    if finding.toolchain.is_empty() {
        make(view, &mut finding);
    }
    (!finding.toolchain.is_empty()).then_some(finding)
}

fn cmake(view: &View<'_>, finding: &mut Finding) {
    for dir in view.projects(&["CMakeLists.txt"]) {
        let manifest = join(dir, "CMakeLists.txt");
        finding.toolchain(Some(&manifest), None, &["cmake", "make"]);
        let at = (dir, manifest.as_str());
        let build = "cmake -S . -B build && cmake --build build";
        finding.build(at, build, "a CMake project");
        let registers = |text: &str| {
            ["enable_testing", "add_test", "include(CTest)"]
                .iter()
                .any(|w| text.contains(w))
        };
        let has_tests = view.texts().any(|(path, text)| {
            path.ends_with("CMakeLists.txt") && path.starts_with(dir) && registers(text)
        });
        if has_tests {
            let test = format!("{build} && ctest --test-dir build --output-on-failure");
            finding.test(at, &test, "a CMake project that registers tests");
        }
    }
}

fn meson(view: &View<'_>, finding: &mut Finding) {
    for dir in view.projects(&["meson.build"]) {
        let manifest = join(dir, "meson.build");
        finding.toolchain(Some(&manifest), None, &["meson", "ninja"]);
        let at = (dir, manifest.as_str());
        let build = "meson setup build && meson compile -C build";
        finding.build(at, build, "a Meson project");
        let test = "meson setup build && meson test -C build";
        finding.test(at, test, "a Meson project");
    }
}

fn autotools(view: &View<'_>, finding: &mut Finding) {
    for dir in view.projects(&["configure", "configure.ac"]) {
        let ready = join(dir, "configure");
        let (manifest, configure, programs): (_, _, &[&str]) = if view.has(&ready) {
            (ready, "sh ./configure", &["make"])
        } else {
            (
                join(dir, "configure.ac"),
                "autoreconf -i && sh ./configure",
                &["autoreconf", "make"],
            )
        };
        finding.toolchain(Some(&manifest), None, programs);
        let at = (dir, manifest.as_str());
        finding.build(at, &format!("{configure} && make"), "a configure script");
        finding.test(
            at,
            &format!("{configure} && make check"),
            "a configure script",
        );
    }
}

fn make(view: &View<'_>, finding: &mut Finding) {
    const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];
    for dir in view.projects(MAKEFILES) {
        let manifest = view.first_in(dir, MAKEFILES).unwrap_or_default();
        finding.toolchain(Some(&manifest), None, &["make"]);
        let at = (dir, manifest.as_str());
        finding.build(at, "make", "a makefile beside C or C++ sources");
        let rules: Vec<&str> = targets(view.text(&manifest).unwrap_or("")).collect();
        if let Some(rule) = ["test", "check", "tests"]
            .iter()
            .find(|r| rules.contains(r))
        {
            finding.test(at, &format!("make {rule}"), "a rule of the makefile");
        }
    }
}
