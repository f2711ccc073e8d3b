//! Turns the rows of cross/tables into constants that do not compile if the headers disagree.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

use wdk_build::{Config, DriverConfig};

/// Structures of the loader's own headers, which are in no WDK.
const PRIVATE: &[&str] = &["WDF_BIND_INFO", "WDF_BIND_INFO2", "WDF_VERSION"];

fn main() -> Result<(), Box<dyn Error>> {
    let DriverConfig::Kmdf(kmdf) = Config::from_env_auto()?.driver_config else {
        return Err("the workspace is configured for KMDF".into());
    };
    let tables = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../cross/tables");
    let mut code = String::new();
    functions(
        &read(&tables.join("kmdf-functions.csv"))?,
        kmdf.target_kmdf_version_minor,
        &mut code,
    )?;
    structures(&read(&tables.join("kmdf-structs.csv"))?, &mut code)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("comparison.rs"), code)?;
    wdk_build::configure_wdk_library_build()?;
    Ok(())
}

fn read(table: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", table.display());
    fs::read_to_string(table).map_err(|e| format!("{}: {e}", table.display()).into())
}

/// `index,name,first_version`: the position of every function the configured version has.
fn functions(table: &str, minor: u8, code: &mut String) -> Result<(), Box<dyn Error>> {
    let mut count = 0usize;
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        let [index, name, version] = columns[..] else {
            return Err(format!("kmdf-functions.csv: {row}").into());
        };
        let first: u8 = version.trim_start_matches("1.").parse()?;
        if first <= minor {
            writeln!(
                code,
                "const _: () = assert!(wdk_sys::_WDFFUNCENUM::{name}TableIndex == {index}, \"index of {name}\");"
            )?;
            count = count.saturating_add(1);
        }
    }
    writeln!(
        code,
        "const _: () = assert!(wdk_sys::_WDFFUNCENUM::WdfFunctionTableNumEntries == {count}, \"number of functions\");"
    )?;
    Ok(())
}

/// `struct,struct_size,struct_align,field,c_type,offset,size`: sizes, alignments, offsets of top-level fields.
fn structures(table: &str, code: &mut String) -> Result<(), Box<dyn Error>> {
    let mut last = "";
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        let [name, size, align, field, _, offset, _] = columns[..] else {
            return Err(format!("kmdf-structs.csv: {row}").into());
        };
        if PRIVATE.contains(&name) {
            continue;
        }
        if name != last {
            writeln!(
                code,
                "const _: () = assert!(size_of::<wdk_sys::{name}>() == {size}, \"size of {name}\");\n\
                 const _: () = assert!(align_of::<wdk_sys::{name}>() == {align}, \"alignment of {name}\");"
            )?;
            last = name;
        }
        // Members of members and of unnamed members belong to types that bindgen names itself.
        if !field.contains(['.', '(']) {
            writeln!(
                code,
                "const _: () = assert!(offset_of!(wdk_sys::{name}, {field}) == {offset}, \"{name}.{field}\");"
            )?;
        }
    }
    Ok(())
}
