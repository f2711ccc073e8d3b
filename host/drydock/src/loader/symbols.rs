//! Names of addresses in an image: from the linker's map beside the file, or else from its exports.

use super::image;
use super::pe::Flat;
use super::thunk;
use std::fmt;
use std::path::Path;

/// The symbols of an image, by their offset in it. Functions that the linker has folded have one offset and several names.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    sorted: Vec<(u32, String)>,
}

impl Symbols {
    /// The symbols for the image at `path`: those of `path` with the extension `map`, as `lld-link /MAP` and
    /// Microsoft's linker write it.
    pub(super) fn beside(path: &Path, flat: &Flat) -> Self {
        let map = std::fs::read(path.with_extension("map")).unwrap_or_default();
        let mut sorted = parse_map(&String::from_utf8_lossy(&map), flat);
        if sorted.is_empty() {
            sorted = flat
                .exports
                .iter()
                .map(|(n, at)| (*at, n.clone()))
                .collect();
        }
        Self::of(sorted)
    }

    /// Of these.
    pub(super) fn of(mut sorted: Vec<(u32, String)>) -> Self {
        sorted.sort();
        sorted.dedup();
        Self { sorted }
    }

    /// All of them, by offset.
    pub(super) fn all(&self) -> &[(u32, String)] {
        &self.sorted
    }

    /// The symbol at or before `offset`, and the distance from it.
    pub(super) fn find(&self, offset: u32) -> Option<(&str, u32)> {
        let next = self.sorted.partition_point(|(start, _)| *start <= offset);
        let (start, _) = self.sorted.get(next.checked_sub(1)?)?;
        let first = self.sorted.partition_point(|(other, _)| other < start);
        let (_, name) = self.sorted.get(first)?;
        Some((name, offset - start))
    }
}

/// The lines `SSSS:OOOOOOOO name RVA+BASE ...` of a linker map, for symbols in code sections.
fn parse_map(map: &str, flat: &Flat) -> Vec<(u32, String)> {
    const PREFERRED: &str = "Preferred load address is ";
    let preferred = map.lines().find_map(|line| {
        let digits = line.trim().strip_prefix(PREFERRED)?;
        u64::from_str_radix(digits.trim(), 16).ok()
    });
    let Some(preferred) = preferred else {
        return Vec::new();
    };
    let mut symbols = Vec::new();
    for line in map.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(place), Some(name), Some(address)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if place.len() != 13 || place.as_bytes().get(4) != Some(&b':') {
            continue;
        }
        let address = u64::from_str_radix(address, 16).ok();
        let offset = address
            .and_then(|address| address.checked_sub(preferred))
            .and_then(|offset| u32::try_from(offset).ok());
        if let Some(offset) = offset
            && flat.sections.iter().any(|s| s.range.contains(&offset))
        {
            symbols.push((offset, format!("{:#}", rustc_demangle::demangle(name))));
        }
    }
    symbols
}

/// What an address in an image stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The image's name.
    pub image: String,
    /// The function's or variable's name; none where the image has no symbols.
    pub name: Option<String>,
    /// The distance from that symbol, or from the beginning of the image.
    pub offset: usize,
    /// False if the image has been unloaded since.
    pub loaded: bool,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gone = if self.loaded { "" } else { "<unloaded> " };
        match &self.name {
            Some(name) => write!(f, "{gone}{}!{name}+{:#x}", self.image, self.offset),
            None => write!(f, "{gone}{}+{:#x}", self.image, self.offset),
        }
    }
}

/// What the address stands for, if it lies in an image.
pub fn symbolize(address: usize) -> Option<Symbol> {
    let (details, loaded) = image::at(address)?;
    let offset = address - details.base;
    let found = u32::try_from(offset)
        .ok()
        .and_then(|offset| details.symbols.find(offset));
    let image = details.name.clone();
    Some(match found {
        Some((name, distance)) => Symbol {
            image,
            name: Some(name.to_owned()),
            offset: distance as usize,
            loaded,
        },
        None => Symbol {
            image,
            name: None,
            offset,
            loaded,
        },
    })
}

/// Names an address for a report, whatever it is.
pub fn describe(address: usize) -> String {
    if let Some(symbol) = symbolize(address) {
        return symbol.to_string();
    }
    if let Some(name) = thunk::name_at(address) {
        return name;
    }
    format!("{address:#x}")
}

/// Names a return address: by the call before it, which can be the last instruction of its function.
pub fn describe_return(address: usize) -> String {
    match symbolize(address.wrapping_sub(1)) {
        Some(mut symbol) => {
            symbol.offset += 1;
            symbol.to_string()
        }
        None => describe(address),
    }
}
