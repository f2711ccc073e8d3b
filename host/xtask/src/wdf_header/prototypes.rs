//! The function table: indices, pointer types, and the inline functions C drivers call.

use std::fmt::Write;

use anyhow::{Result, bail};

use super::tables::Tables;
use crate::kmdf::KmdfVersion;

const GLOBALS: &str = "PWDF_DRIVER_GLOBALS DriverGlobals";

/// Writes everything about functions that the version has.
pub fn write(h: &mut String, tables: &Tables, kmdf: KmdfVersion) -> Result<()> {
    let Some(functions) = tables.functions.get(..kmdf.function_count()) else {
        bail!(
            "kmdf-functions.csv has only {} functions",
            tables.functions.len()
        );
    };
    if let Some(unknown) = tables
        .prototypes
        .iter()
        .find(|p| !tables.functions.contains(&p.name))
    {
        bail!(
            "kmdf-prototypes.txt: {} is not in kmdf-functions.csv",
            unknown.name
        );
    }

    h.push_str("extern PWDF_DRIVER_GLOBALS WdfDriverGlobals;\n\ntypedef enum _WDFFUNCENUM {\n");
    for (index, name) in functions.iter().enumerate() {
        writeln!(h, "    {name}TableIndex = {index},")?;
    }
    writeln!(
        h,
        "    WdfFunctionTableNumEntries = {},\n}} WDFFUNCENUM;\n",
        functions.len()
    )?;

    let known = tables
        .prototypes
        .iter()
        .filter(|p| functions.contains(&p.name));
    for p in known.clone() {
        let pointer = format!("PFN_{}", p.name.to_uppercase());
        writeln!(
            h,
            "typedef {} (*{pointer})({});",
            p.returns,
            p.parameter_list(Some(GLOBALS))
        )?;
    }
    h.push_str("\n#ifndef WDF_NO_INLINE_FUNCTIONS\n");
    for p in known {
        let pointer = format!("PFN_{}", p.name.to_uppercase());
        let give = if p.returns == "VOID" { "" } else { "return " };
        writeln!(
            h,
            "static inline {} {}({}) {{ {give}(({pointer})WdfFunctions[{}TableIndex])(WdfDriverGlobals{}); }}",
            p.returns,
            p.name,
            p.parameter_list(None),
            p.name,
            p.arguments()
        )?;
    }
    h.push_str("#endif\n");
    Ok(())
}
