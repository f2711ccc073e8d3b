//! Compiles the generated `wdf.h` of every KMDF version: the assertions in it are the test.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{
    cross_cargo::{CrossCargo, Profile},
    kmdf::KmdfVersion,
    process,
    project::Project,
    toolchain::{TARGET, Toolchain},
    wdf_header,
    wdk_tree::{MINGW_INCLUDE, WdkTree},
};

/// A driver's view of the headers.
const SOURCE: &str = "#include <ntddk.h>\n#include <wdf.h>\n";

/// Compiles every version's header; gives their number.
pub fn check(project: &Project) -> Result<usize> {
    let tools = Toolchain::find()?;
    let include = project.path("cross/include");
    let mut count = 0;
    for kmdf in KmdfVersion::all() {
        let folder = project
            .cross_target()
            .join("headers")
            .join(kmdf.to_string());
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join("wdf.h"),
            wdf_header::generate(&project.path("cross/tables"), kmdf)?,
        )?;
        let source = folder.join("every_assertion.c");
        fs::write(&source, SOURCE)?;

        let mut clang = Command::new(tools.llvm("clang"));
        clang.args([
            &format!("--target={TARGET}"),
            "-fsyntax-only",
            "-nostdinc",
            "-ffreestanding",
        ]);
        clang.args([
            "-fms-extensions",
            "-fms-compatibility",
            "-w",
            "-D_WIN64",
            "-D_AMD64_",
            "-DAMD64",
        ]);
        for inside in ["km/crt", "km", "shared", "wdf"] {
            clang.arg("-I").arg(include.join(inside));
        }
        clang
            .arg("-I")
            .arg(&folder)
            .arg(format!("-I{MINGW_INCLUDE}/ddk"))
            .arg(format!("-I{MINGW_INCLUDE}"));
        process::output(clang.arg(&source)).with_context(|| format!("wdf.h of KMDF {kmdf}"))?;
        count += 1;
    }
    println!("wdf.h of {count} KMDF versions: every size and offset holds");
    check_tables(project)?;
    println!("tests/genuine-headers compiles: bindings and tables agree");
    Ok(count + 1)
}

/// Compiles the comparison of the tables with the bindings. On Windows CI that is a plain `cargo check`, against the
/// WDK's own headers; here it shows that the comparison itself is right.
fn check_tables(project: &Project) -> Result<()> {
    let tools = Toolchain::find()?;
    let tree = WdkTree::assemble(project, &tools, KmdfVersion::DEFAULT)?;
    let cross = CrossCargo {
        project,
        tools: &tools,
        tree: &tree,
        profile: Profile::Release,
    };
    let mut cargo = cross.workspace("check")?;
    cargo.args(["--package", "genuine-headers"]);
    process::run_patched_cargo(&mut cargo)
}
