//! Compiles the entry stub: what `WdfDriverEntry.lib` is in the WDK.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{cross_cargo::CrossCargo, process, toolchain::TARGET};

/// Puts `WdfDriverEntry.lib` into the tree's library folder.
pub fn build(cross: &CrossCargo<'_>) -> Result<()> {
    let kmdf = cross.tree.kmdf;
    let version = cross.tree.root.join("wdf-driver-entry/version.rs");
    let symbol = kmdf.table_symbol();
    let mut text = format!(
        "pub const MINOR: u32 = {};\npub const FUNCTIONS: u32 = {};\n\
         #[unsafe(no_mangle)]\npub static mut {symbol}: *const core::ffi::c_void = core::ptr::null();\n\
         pub const TABLE: *mut core::ffi::c_void = core::ptr::addr_of_mut!({symbol}).cast();\n",
        kmdf.minor(),
        kmdf.function_count()
    );
    if kmdf.has_function_count_variable() {
        text += "#[unsafe(no_mangle)]\npub static mut WdfFunctionCount: u32 = FUNCTIONS;\n\
                 #[unsafe(no_mangle)]\npub static mut WdfClientVersionHigherThanFramework: u8 = 0;\n";
    }
    if fs::read_to_string(&version).ok().as_deref() != Some(&text) {
        fs::write(&version, &text)?;
    }

    let mut cargo = cross.cargo("rustc");
    cargo.arg("--quiet").arg("--manifest-path");
    cargo.arg(cross.tree.root.join("wdf-driver-entry/Cargo.toml"));
    cargo.env("KMDF_VERSION_RS", &version);
    // An object, not bitcode: C drivers link it too.
    cargo.args(["--", "--emit=obj", "-Clinker-plugin-lto=no"]);
    process::run(&mut cargo)?;

    let deps = cross
        .tree
        .target
        .join(TARGET)
        .join(cross.profile.folder())
        .join("deps");
    let object = fs::read_dir(&deps)?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .find(|p| {
            p.extension().is_some_and(|e| e == "o" || e == "obj")
                && p.file_name()
                    .is_some_and(|n| n.to_string_lossy().starts_with("wdf_driver_entry"))
        })
        .with_context(|| format!("no object of the entry stub in {}", deps.display()))?;
    let library = cross.tree.wdf_libraries().join("WdfDriverEntry.lib");
    process::output(
        Command::new(cross.tools.llvm("llvm-lib"))
            .arg(format!("/out:{}", library.display()))
            .arg(object),
    )?;
    Ok(())
}
