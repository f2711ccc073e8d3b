//! Generates `wdf.h` for one KMDF version from the fact tables in `cross/tables`.
//!
//! Two readers use it: bindgen through wdk-sys, and clang for C drivers. Sizes and offsets are asserted
//! in the header itself, so a wrong table stops whoever compiles it.

mod prototypes;
mod structs;
mod tables;

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result};

use crate::kmdf::KmdfVersion;
use tables::{Prototype, Tables};

/// The text of `wdf.h`.
pub fn generate(tables_folder: &Path, kmdf: KmdfVersion) -> Result<String> {
    let tables = Tables::read(tables_folder)
        .with_context(|| format!("tables in {}", tables_folder.display()))?;
    let mut h = String::new();
    prologue(&mut h, &tables, kmdf)?;
    enums(&mut h, &tables)?;
    callbacks(&mut h, &tables.callbacks)?;
    structs::write(&mut h, &tables.fields)?;
    prototypes::write(&mut h, &tables, kmdf)?;
    h.push_str("#ifndef WDF_NO_INLINE_FUNCTIONS\n#include \"wdfinit.h\"\n#endif\n");
    Ok(h)
}

fn prologue(h: &mut String, tables: &Tables, kmdf: KmdfVersion) -> Result<()> {
    writeln!(
        h,
        "/* KMDF {kmdf}: interface facts, generated from cross/tables. */"
    )?;
    h.push_str("#pragma once\n\ntypedef VOID (*WDFFUNC)(VOID);\n");
    writeln!(h, "#define WdfFunctions {}", kmdf.table_symbol())?;
    h.push_str("extern const WDFFUNC *WdfFunctions;\n");
    if kmdf.has_function_count_variable() {
        h.push_str("extern ULONG WdfFunctionCount;\n");
    }
    h.push_str("\ntypedef HANDLE WDFOBJECT, *PWDFOBJECT;\ntypedef PVOID WDFCONTEXT;\n");
    for handle in &tables.handles {
        writeln!(h, "DECLARE_HANDLE({handle});")?;
    }
    h.push_str("typedef struct WDFDEVICE_INIT *PWDFDEVICE_INIT;\n");
    h.push_str("typedef ULONG WDF_MAJOR_VERSION, WDF_MINOR_VERSION, WDF_BUILD_NUMBER;\n\n");
    for name in tables
        .opaque
        .iter()
        .chain(structs::names(&tables.fields).iter())
    {
        writeln!(h, "typedef struct _{name} {name}, *P{name};")?;
        writeln!(h, "typedef const struct _{name} *PC{name};")?;
    }
    h.push('\n');
    Ok(())
}

fn enums(h: &mut String, tables: &Tables) -> Result<()> {
    let mut open: Option<&str> = None;
    let close = |h: &mut String, open: Option<&str>| match open {
        Some(name) => writeln!(h, "}} {name}, *P{name};\n"),
        None => Ok(()),
    };
    for value in &tables.enum_values {
        if value.of == "NTSTATUS(WDF)" {
            close(h, open.take())?;
            writeln!(h, "#define {} ((NTSTATUS){}L)", value.name, value.hex)?;
            continue;
        }
        if open != Some(value.of.as_str()) {
            close(h, open)?;
            writeln!(h, "typedef enum _{} {{", value.of)?;
            open = Some(value.of.as_str());
        }
        writeln!(h, "    {} = {},", value.name, value.hex)?;
    }
    close(h, open)?;
    Ok(())
}

fn callbacks(h: &mut String, callbacks: &[Prototype]) -> Result<()> {
    for c in callbacks {
        let pointer = c.name.replacen("EVT_", "PFN_", 1);
        writeln!(
            h,
            "typedef {} {}({});",
            c.returns,
            c.name,
            c.parameter_list(None)
        )?;
        writeln!(h, "typedef {} *{pointer};", c.name)?;
    }
    h.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kmdf: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cross/tables");
        generate(&folder, kmdf.parse().expect("a KMDF version")).expect("a header")
    }

    /// Spec section 0.1: the table is append-only, and an older client receives a shorter one.
    #[test]
    fn a_function_newer_than_the_version_is_absent() {
        assert!(!header("1.15").contains("WdfDeviceSetDeviceInterfaceStateEx"));
        assert!(header("1.31").contains("WdfDeviceSetDeviceInterfaceStateExTableIndex = 457"));
    }

    #[test]
    fn the_table_size_closes_the_index_enum() {
        assert!(header("1.15").contains("WdfFunctionTableNumEntries = 444"));
        assert!(header("1.33").contains("WdfFunctionTableNumEntries = 458"));
    }

    /// DECLSPEC_ALIGN where the layout table puts a field further than C would.
    #[test]
    fn a_field_with_a_gap_before_it_is_aligned() {
        assert!(header("1.15").contains("DECLSPEC_ALIGN(8) BOOLEAN UseHighResolutionTimer;"));
    }
}
