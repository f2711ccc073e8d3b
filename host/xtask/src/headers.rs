//! Compiles the generated `wdf.h` of every KMDF version: the assertions in it are the test.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{
    kmdf::KmdfVersion,
    process,
    project::Project,
    toolchain::{TARGET, Toolchain},
    wdf_header,
    wdk_tree::MINGW_INCLUDE,
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
    Ok(count)
}
