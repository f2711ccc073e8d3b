//! Functions of images, by the names people give them.

use super::super::image::Details;
use super::super::unwind;
use std::ops::Range;
use std::sync::Arc;

/// A stretch of code of one image.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) image: Arc<Details>,
    pub(super) name: String,
    /// By offset in the image.
    pub(super) range: Range<u32>,
}

/// The functions meant by `[IMAGE!]NAME`, where NAME is all of a function's name, its last parts, or has `*` for
/// anything; or the code in `IMAGE+0xFROM..0xTO`, by offset.
pub(super) fn select(images: &[Arc<Details>], selector: &str) -> Result<Vec<Function>, String> {
    if let Some((image, range)) = selector.split_once('+')
        && let Some((from, to)) = range.split_once("..")
    {
        return stretch(images, selector, image, from, to).map(|function| vec![function]);
    }
    let (image, name) = match selector.split_once('!') {
        Some((image, name)) => (Some(image), name),
        None => (None, selector),
    };
    let searched: Vec<_> = images
        .iter()
        .filter(|details| image.is_none_or(|image| details.name.eq_ignore_ascii_case(image)))
        .collect();
    if searched.is_empty() {
        return Err(format!("{selector}: {}", no_image(images)));
    }
    let mut found: Vec<Function> = Vec::new();
    for details in &searched {
        for (offset, symbol) in details.symbols.all() {
            if !details.is_code(*offset) || !matches(symbol, name) {
                continue;
            }
            // Functions that are alike are folded into one by the linker.
            if found
                .iter()
                .any(|other| Arc::ptr_eq(&other.image, details) && other.range.start == *offset)
            {
                continue;
            }
            found.push(Function {
                image: Arc::clone(details),
                name: format!("{}!{symbol}", details.name),
                range: extent(details, *offset),
            });
        }
    }
    if found.is_empty() {
        return Err(not_found(&searched, selector, name));
    }
    Ok(found)
}

fn no_image(images: &[Arc<Details>]) -> String {
    let names: Vec<_> = images.iter().map(|details| details.name.as_str()).collect();
    format!("no such image is loaded; there are {}", names.join(", "))
}

fn stretch(
    images: &[Arc<Details>],
    selector: &str,
    image: &str,
    from: &str,
    to: &str,
) -> Result<Function, String> {
    let Some(details) = images
        .iter()
        .find(|details| details.name.eq_ignore_ascii_case(image))
    else {
        return Err(format!("{selector}: {}", no_image(images)));
    };
    let number = |text: &str| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        u32::from_str_radix(digits, 16)
            .map_err(|_| format!("{selector}: {text:?} is no hexadecimal offset"))
    };
    let range = number(from)?..number(to)?;
    if range.is_empty() || !details.is_code(range.start) || !details.is_code(range.end - 1) {
        return Err(format!(
            "{selector}: there is no code from {:#x} to {:#x} in {}",
            range.start, range.end, details.name
        ));
    }
    Ok(Function {
        image: Arc::clone(details),
        name: selector.to_owned(),
        range,
    })
}

/// From the table of runtime functions; a leaf function is in none, and goes on to the next symbol.
fn extent(details: &Details, offset: u32) -> Range<u32> {
    if let Some(range) = unwind::extent(details, offset) {
        return offset..range.end;
    }
    let symbols = details.symbols.all();
    let next = symbols.partition_point(|(start, _)| *start <= offset);
    let end = symbols.get(next).map(|(start, _)| *start);
    let section = details.code.iter().find(|range| range.contains(&offset));
    let limit = section.map_or(offset, |range| range.end);
    offset..end.unwrap_or(limit).min(limit)
}

/// True if `pattern` is all of the name, the parts of it behind some `::`, or fits with its `*`.
fn matches(name: &str, pattern: &str) -> bool {
    if pattern.contains('*') {
        return fits(name.as_bytes(), pattern.as_bytes());
    }
    name.strip_suffix(pattern)
        .is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

fn fits(name: &[u8], pattern: &[u8]) -> bool {
    match (name.split_first(), pattern.split_first()) {
        (_, Some((b'*', rest))) => {
            fits(name, rest)
                || name
                    .split_first()
                    .is_some_and(|(_, name)| fits(name, pattern))
        }
        (Some((a, name)), Some((b, rest))) => a == b && fits(name, rest),
        (None, None) => true,
        _ => false,
    }
}

fn not_found(searched: &[&Arc<Details>], selector: &str, name: &str) -> String {
    const SHOWN: usize = 6;
    let functions: Vec<_> = searched
        .iter()
        .flat_map(|details| {
            let symbols = details.symbols.all().iter();
            symbols.filter(|(offset, _)| details.is_code(*offset))
        })
        .map(|(_, symbol)| symbol.as_str())
        .collect();
    let images: Vec<_> = searched
        .iter()
        .map(|details| details.name.as_str())
        .collect();
    let images = images.join(", ");
    if functions.is_empty() {
        return format!(
            "{selector}: nothing is known of the functions of {images}: there is no linker map beside the image \
             (NAME.map); name an offset range instead, such as IMAGE+0x1000..0x1080"
        );
    }
    let last = |name: &str| name.rsplit("::").next().unwrap_or(name).to_lowercase();
    let wanted = last(name);
    let mut near: Vec<_> = functions
        .iter()
        .map(|symbol| {
            let alike = strsim::jaro_winkler(&last(symbol), &wanted);
            let within = symbol.to_lowercase().contains(&wanted);
            (if within { 1.0 } else { alike }, *symbol)
        })
        .filter(|(alike, _)| *alike > 0.7)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by_key(|(_, symbol)| *symbol);
    let near: Vec<_> = near.iter().take(SHOWN).map(|(_, symbol)| *symbol).collect();
    let hint = if near.is_empty() {
        "none is like it (inlined functions have no name of their own)".to_owned()
    } else {
        format!("near it: {}", near.join(", "))
    };
    format!(
        "{selector}: none of the {} functions of {images} is called that; {hint}",
        functions.len()
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::symbols::Symbols;
    use super::*;

    fn image() -> Vec<Arc<Details>> {
        let symbols = [
            (0x1000, "ferry::pump::Pump::wake"),
            (0x1040, "ferry::pump::run"),
            (0x1040, "ferry::also_run"),
            (0x1080, "IoRead"),
            (0x2000, "ferry::COUNTER"),
        ];
        let symbols = symbols.map(|(offset, name)| (offset, name.to_owned()));
        vec![Arc::new(Details {
            name: "ferry".to_owned(),
            base: 0x10_0000,
            contents: vec![0; 0x3000],
            exceptions: 0..0,
            symbols: Symbols::of(symbols.to_vec()),
            code: std::iter::once(0x1000..0x1100).collect(),
            sections: Vec::new(),
            read_only: Vec::new(),
        })]
    }

    fn found(selector: &str) -> Vec<(String, Range<u32>)> {
        match select(&image(), selector) {
            Ok(found) => found.into_iter().map(|f| (f.name, f.range)).collect(),
            Err(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn a_function_is_found_by_all_or_the_last_parts_of_its_name() {
        let wake = vec![("ferry!ferry::pump::Pump::wake".to_owned(), 0x1000..0x1040)];
        for selector in [
            "wake",
            "Pump::wake",
            "ferry!wake",
            "FERRY!ferry::pump::Pump::wake",
        ] {
            assert_eq!(found(selector), wake, "{selector}");
        }
        assert_eq!(found("IoRead")[0].1, 0x1080..0x1100);
    }

    #[test]
    fn a_star_stands_for_anything_and_folded_functions_count_once() {
        assert_eq!(found("*").len(), 3);
        assert_eq!(found("ferry::pump::*").len(), 2);
        assert_eq!(found("also_run")[0].1, 0x1040..0x1080);
    }

    #[test]
    fn an_unknown_name_is_refused_with_what_is_near() {
        let refused = |selector| select(&image(), selector).err().unwrap_or_default();
        let text = refused("Pump::wakes");
        assert!(text.contains("near it: ferry::pump::Pump::wake"), "{text}");
        let text = refused("zzz");
        assert!(text.contains("none is like it"), "{text}");
        let text = refused("pier!wake");
        assert!(
            text.contains("no such image is loaded; there are ferry"),
            "{text}"
        );
        let text = refused("COUNTER");
        assert!(
            text.contains("none of the 4 functions"),
            "data is no function: {text}"
        );
    }

    #[test]
    fn a_range_of_offsets_must_be_code() {
        assert_eq!(found("ferry+0x1010..0x1020")[0].1, 0x1010..0x1020);
        let refused = select(&image(), "ferry+0x2000..0x2010").err();
        assert!(
            refused
                .unwrap_or_default()
                .contains("there is no code from 0x2000")
        );
    }
}
