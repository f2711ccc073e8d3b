//! Structure definitions and the assertions on their layout.

use std::fmt::Write;

use anyhow::Result;

use super::tables::{Field, declare};

/// The structures of the table, each once, in its order.
pub fn names(fields: &[Field]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for field in fields {
        if names.last() != Some(&field.of) {
            names.push(field.of.clone());
        }
    }
    names.extend(inline_types(fields).into_iter().map(|f| f.c_type.clone()));
    names
}

/// Writes every structure.
pub fn write(h: &mut String, fields: &[Field]) -> Result<()> {
    // Types that only occur as the type of one field come first: it needs their size.
    for field in inline_types(fields) {
        let inner: Vec<Field> = fields
            .iter()
            .filter(|f| f.of == field.of)
            .filter_map(|f| {
                let path = f.path.strip_prefix(&format!("{}.", field.path))?;
                Some(Field {
                    of: field.c_type.clone(),
                    struct_size: field.size,
                    path: path.into(),
                    offset: f.offset - field.offset,
                    ..f.clone()
                })
            })
            .collect();
        structure(h, &inner)?;
    }
    let mut rest = fields;
    while let Some(first) = rest.first() {
        let end = rest
            .iter()
            .position(|f| f.of != first.of)
            .unwrap_or(rest.len());
        let (this, after) = rest.split_at(end);
        structure(h, this)?;
        rest = after;
    }
    Ok(())
}

/// Fields of a WDF type that has no rows of its own, only members below the field.
fn inline_types(fields: &[Field]) -> Vec<&Field> {
    let has_rows = |name: &str| fields.iter().any(|f| f.of == name);
    let has_members = |field: &Field| {
        let below = format!("{}.", field.path);
        fields
            .iter()
            .any(|f| f.of == field.of && f.path.starts_with(&below))
    };
    fields
        .iter()
        .filter(|f| f.c_type.starts_with("WDF_") && !has_rows(&f.c_type) && has_members(f))
        .collect()
}

fn structure(h: &mut String, fields: &[Field]) -> Result<()> {
    let Some(first) = fields.first() else {
        return Ok(());
    };
    let name = &first.of;
    writeln!(h, "struct _{name} {{")?;
    members(h, fields, "", 1, 0, false)?;
    writeln!(h, "}};")?;
    writeln!(
        h,
        "_Static_assert(sizeof({name}) == {}, \"size of {name}\");",
        first.struct_size
    )?;
    writeln!(
        h,
        "_Static_assert(_Alignof({name}) == {}, \"alignment of {name}\");",
        first.struct_align
    )?;
    for field in fields {
        writeln!(
            h,
            "_Static_assert(__builtin_offsetof({name}, {}) == {}, \"{name}.{}\");",
            field.path, field.offset, field.path
        )?;
    }
    h.push('\n');
    Ok(())
}

/// Writes the members directly below `prefix`, descending into unnamed structures and unions.
fn members(
    h: &mut String,
    fields: &[Field],
    prefix: &str,
    depth: usize,
    base: usize,
    union: bool,
) -> Result<()> {
    let indent = "    ".repeat(depth);
    let mut end = base;
    for field in fields {
        let Some(name) = field.path.strip_prefix(prefix) else {
            continue;
        };
        if name.contains('.') {
            continue;
        }
        if field.c_type == "struct" || field.c_type == "union" {
            writeln!(h, "{indent}{} {{", field.c_type)?;
            let below = format!("{}.", field.path);
            members(
                h,
                fields,
                &below,
                depth + 1,
                field.offset,
                field.c_type == "union",
            )?;
            writeln!(h, "{indent}}} {name};")?;
        } else {
            // A gap larger than the field's own alignment explains was asked for.
            let natural = end.next_multiple_of(field.size.clamp(1, 8));
            let align = if !union && field.offset > natural {
                "DECLSPEC_ALIGN(8) "
            } else {
                ""
            };
            writeln!(h, "{indent}{align}{};", declare(&field.c_type, name))?;
        }
        end = field.offset + field.size;
    }
    Ok(())
}
