//! Compiles the entry stub: what `WdfDriverEntry.lib` is in the WDK.

use std::{fs, process::Command};

use anyhow::Result;

use crate::{cross_cargo::CrossCargo, process, wdk_tree::write_if_changed};

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
    write_if_changed(&version, text.as_bytes())?;

    let mut cargo = cross.cargo("rustc");
    cargo.arg("--quiet").arg("--manifest-path");
    cargo.arg(cross.tree.root.join("wdf-driver-entry/Cargo.toml"));
    cargo.env("KMDF_VERSION_RS", &version);
    // One object, not bitcode: C drivers link it too.
    let object = cross
        .tree
        .target
        .join(format!("wdf_driver_entry-{}.obj", cross.profile.folder()));
    cargo.args(["--", "-Clinker-plugin-lto=no", "-Ccodegen-units=1"]);
    cargo.arg(format!("--emit=obj={}", object.display()));
    process::run(&mut cargo)?;

    // Written only if it differs: a newer library makes both drivers link again.
    let fresh = object.with_extension("lib");
    let mut librarian = Command::new(cross.tools.llvm("llvm-lib"));
    process::output(
        librarian
            .arg(format!("/out:{}", fresh.display()))
            .arg(object),
    )?;
    write_if_changed(
        &cross.tree.wdf_libraries().join("WdfDriverEntry.lib"),
        &fs::read(fresh)?,
    )?;
    Ok(())
}
