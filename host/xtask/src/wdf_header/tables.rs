//! Reads the fact tables.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// A function's or callback's types and names.
#[derive(Debug, Clone)]
pub struct Prototype {
    /// What it gives back.
    pub returns: String,
    /// Its name.
    pub name: String,
    /// Type and name of each parameter.
    pub parameters: Vec<(String, String)>,
}

impl Prototype {
    /// `VOID` or `T a, U b`, with `first` in front if given.
    pub fn parameter_list(&self, first: Option<&str>) -> String {
        let own = self.parameters.iter().map(|(t, n)| declare(t, n));
        let all: Vec<String> = first.map(str::to_string).into_iter().chain(own).collect();
        if all.is_empty() {
            "VOID".into()
        } else {
            all.join(", ")
        }
    }

    /// `, a, b`.
    pub fn arguments(&self) -> String {
        self.parameters
            .iter()
            .map(|(_, n)| format!(", {n}"))
            .collect()
    }
}

/// `T name`, with the star or the array bounds where C wants them.
pub fn declare(c_type: &str, name: &str) -> String {
    if let Some((element, bound)) = c_type.split_once('[') {
        return format!("{element} {name}[{bound}");
    }
    if c_type.ends_with('*') {
        format!("{c_type}{name}")
    } else {
        format!("{c_type} {name}")
    }
}

/// One enumerator.
#[derive(Debug)]
pub struct EnumValue {
    /// The enumeration.
    pub of: String,
    /// The enumerator.
    pub name: String,
    /// Its value as a C literal.
    pub hex: String,
}

/// One field of a structure, in declaration order; `path` is dotted for members of members.
#[derive(Debug, Clone)]
pub struct Field {
    /// The structure.
    pub of: String,
    /// Its size.
    pub struct_size: usize,
    /// Its alignment.
    pub struct_align: usize,
    /// The field.
    pub path: String,
    /// Its C type, or `struct`/`union` for an unnamed one.
    pub c_type: String,
    /// Bytes from the start of the structure.
    pub offset: usize,
    /// Bytes it takes.
    pub size: usize,
}

/// All of `cross/tables`.
#[derive(Debug)]
pub struct Tables {
    /// Handle types.
    pub handles: Vec<String>,
    /// Structures without a layout.
    pub opaque: Vec<String>,
    /// Function names; the position is the table index.
    pub functions: Vec<String>,
    /// What is known of how to call them.
    pub prototypes: Vec<Prototype>,
    /// Callback types.
    pub callbacks: Vec<Prototype>,
    /// Enumerators, grouped.
    pub enum_values: Vec<EnumValue>,
    /// Fields, grouped.
    pub fields: Vec<Field>,
}

impl Tables {
    /// Reads them all.
    pub fn read(folder: &Path) -> Result<Self> {
        let text =
            |name: &str| fs::read_to_string(folder.join(name)).with_context(|| name.to_string());
        let types = text("kmdf-types.txt")?;
        let of_kind = |kind: &str| -> Vec<String> {
            let words = types.lines().filter_map(|l| l.split_once(' '));
            words
                .filter(|(k, _)| *k == kind)
                .map(|(_, name)| name.to_string())
                .collect()
        };
        Ok(Self {
            handles: of_kind("handle"),
            opaque: of_kind("opaque"),
            functions: functions(&text("kmdf-functions.csv")?)?,
            prototypes: prototypes(&text("kmdf-prototypes.txt")?)?,
            callbacks: prototypes(&text("kmdf-callbacks.txt")?)?,
            enum_values: enum_values(&text("kmdf-enums.csv")?)?,
            fields: fields(&text("kmdf-structs.csv")?)?,
        })
    }
}

/// The rows below a table's heading, cut into `N` columns. No value holds a comma.
fn rows<const N: usize>(text: &str) -> impl Iterator<Item = Result<[&str; N]>> {
    text.lines().skip(1).filter(|l| !l.is_empty()).map(|line| {
        let columns: Vec<&str> = line.split(',').collect();
        columns
            .try_into()
            .map_err(|_| anyhow::anyhow!("not {N} columns: {line}"))
    })
}

fn functions(text: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for row in rows::<3>(text) {
        let [index, name, _first_version] = row?;
        if index.parse() != Ok(names.len()) {
            bail!("the function table has a hole before {name}");
        }
        names.push(name.to_string());
    }
    Ok(names)
}

fn enum_values(text: &str) -> Result<Vec<EnumValue>> {
    let value = |row: Result<[&str; 5]>| {
        let [_header, of, name, _decimal, hex] = row?;
        Ok(EnumValue {
            of: of.into(),
            name: name.into(),
            hex: hex.into(),
        })
    };
    rows(text).map(value).collect()
}

fn fields(text: &str) -> Result<Vec<Field>> {
    let mut all = Vec::new();
    for row in rows::<7>(text) {
        let [of, struct_size, struct_align, path, c_type, offset, size] = row?;
        if path.ends_with("(anonymous)") {
            continue; // the inside of a type that other headers declare
        }
        let number = |n: &str| {
            n.parse::<usize>()
                .with_context(|| format!("{of}.{path}: {n:?}"))
        };
        all.push(Field {
            of: of.into(),
            struct_size: number(struct_size)?,
            struct_align: number(struct_align)?,
            path: path.into(),
            c_type: c_type.into(),
            offset: number(offset)?,
            size: number(size)?,
        });
    }
    Ok(all)
}

fn prototypes(text: &str) -> Result<Vec<Prototype>> {
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| prototype(line).with_context(|| format!("not a prototype: {line}")))
        .collect()
}

fn prototype(line: &str) -> Option<Prototype> {
    let (head, rest) = line.split_once('(')?;
    let (returns, name) = split_name(head)?;
    let inside = rest.strip_suffix(')')?;
    let parameters = inside.split(", ").filter(|p| !p.is_empty()).map(split_name);
    Some(Prototype {
        returns,
        name,
        parameters: parameters.collect::<Option<_>>()?,
    })
}

/// Cuts `CONST GUID *Name` into `CONST GUID *` and `Name`.
fn split_name(declaration: &str) -> Option<(String, String)> {
    let at = declaration.rfind([' ', '*'])?;
    let (c_type, name) = declaration.split_at(at + 1);
    Some((c_type.trim_end().to_string(), name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prototype_line_gives_types_and_names() {
        let p = prototype("NTSTATUS WdfObjectQuery(WDFOBJECT Object, CONST GUID *Guid)")
            .expect("prototype");
        assert_eq!(
            (p.returns.as_str(), p.name.as_str()),
            ("NTSTATUS", "WdfObjectQuery")
        );
        assert_eq!(
            p.parameter_list(Some("G g")),
            "G g, WDFOBJECT Object, CONST GUID *Guid"
        );
        assert_eq!(p.arguments(), ", Object, Guid");
    }

    #[test]
    fn a_function_table_with_a_hole_is_refused() {
        assert!(functions("index,name,first_version\n0,A,1.0\n2,B,1.0\n").is_err());
    }
}
