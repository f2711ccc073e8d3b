//! From the bytes of a file to the bytes of an image: everything is checked before anything is mapped.

use super::error::Reason;
use super::layout;
use super::thunk;
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, Import as PeImport, PeFile64};
use std::ops::Range;

const PAGE: u32 = 0x1000;

/// An image laid out as in memory, not yet at an address.
#[derive(Debug)]
pub(super) struct Flat {
    /// The contents, as long as the image.
    pub(super) bytes: Vec<u8>,
    /// The address the contents are good for.
    pub(super) base: u64,
    pub(super) entry: u32,
    pub(super) headers: u32,
    pub(super) sections: Vec<Section>,
    pub(super) imports: Vec<Import>,
    /// The table of runtime functions, for unwinding.
    pub(super) exceptions: Range<u32>,
    /// Names and addresses of exported functions.
    pub(super) exports: Vec<(String, u32)>,
    config: LoadConfig,
    /// Where 64-bit addresses lie that move with the image.
    relocations: Vec<u32>,
    relocatable: bool,
}

/// A section in memory.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) range: Range<u32>,
    pub(super) write: bool,
    pub(super) execute: bool,
    pub(super) discardable: bool,
}

impl Section {
    /// Code that Windows takes away when DriverEntry has returned.
    pub(super) fn is_initialization(&self) -> bool {
        self.discardable && self.name.starts_with("INIT")
    }

    /// Code that Windows may page out.
    pub(super) fn is_pageable(&self) -> bool {
        self.execute && self.name.starts_with("PAGE")
    }
}

/// An imported function or variable.
#[derive(Clone, Debug)]
pub(super) struct Import {
    pub(super) module: String,
    pub(super) symbol: String,
    /// Where its address belongs.
    pub(super) slot: u32,
}

fn malformed(what: impl Into<String>) -> Reason {
    Reason::Malformed(what.into())
}

/// Checks a file and lays it out.
pub(super) fn read(file: &[u8]) -> Result<Flat, Reason> {
    check_kind(file)?;
    let parsed = PeFile64::parse(file).map_err(|error| malformed(error.to_string()))?;
    let nt = parsed.nt_headers();
    let optional = nt.optional_header();
    let subsystem = optional.subsystem();
    if subsystem != pe::IMAGE_SUBSYSTEM_NATIVE {
        return Err(Reason::Subsystem(subsystem.0));
    }
    let size = optional.size_of_image();
    if size as usize > layout::IMAGE_LIMIT {
        return Err(Reason::TooLarge {
            size: u64::from(size),
            limit: layout::IMAGE_LIMIT as u64,
        });
    }
    if optional.section_alignment() < PAGE || !size.is_multiple_of(PAGE) || size == 0 {
        return Err(malformed(format!(
            "section alignment {:#x} and image size {size:#x} are not whole pages",
            optional.section_alignment()
        )));
    }

    let mut bytes = vec![0; size as usize];
    let headers = optional.size_of_headers();
    copy(&mut bytes, 0..headers, file, 0..headers, "the header")?;
    let mut sections: Vec<Section> = Vec::new();
    let mut free = headers;
    for header in parsed.section_table().iter() {
        let section = lay_out(header, file, &mut bytes)?;
        if section.range.start < free || !section.range.start.is_multiple_of(PAGE) {
            return Err(malformed(format!(
                "section {} at {:#x} overlaps what lies before it or begins inside a page",
                section.name, section.range.start
            )));
        }
        free = section.range.end;
        sections.push(section);
    }
    check_sum(
        file,
        parsed.dos_header().nt_headers_offset(),
        optional.check_sum(),
    )?;

    let entry = optional.address_of_entry_point();
    if !sections
        .iter()
        .any(|s| s.execute && s.range.contains(&entry))
    {
        return Err(malformed(format!(
            "the entry point {entry:#x} is in no code section"
        )));
    }
    let directory = |index: usize| -> Result<Range<u32>, Reason> {
        let Some(entry) = parsed.data_directories().get(index) else {
            return Ok(0..0);
        };
        let (start, length) = entry.address_range();
        match start.checked_add(length) {
            Some(end) if end <= size => Ok(start..end),
            _ => Err(malformed(format!(
                "data directory {index} lies outside the image"
            ))),
        }
    };
    let relocation_table = directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC)?;
    let stripped =
        nt.file_header().characteristics.get(LE).0 & pe::IMAGE_FILE_RELOCS_STRIPPED.0 != 0;
    let flat = Flat {
        base: optional.image_base(),
        entry,
        headers,
        sections,
        imports: imports(&bytes, directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT)?)?,
        exceptions: directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION)?,
        exports: exports(&bytes, directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT)?)?,
        config: LoadConfig::read(
            &bytes,
            directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG)?,
            optional.image_base(),
        )?,
        // Code without a single absolute address needs no table.
        relocatable: !stripped,
        relocations: relocations(&bytes, relocation_table)?,
        bytes,
    };
    Ok(flat)
}

/// Tells a file that is no driver image from a damaged one, so that the message fits.
fn check_kind(file: &[u8]) -> Result<(), Reason> {
    let size = file.len() as u64;
    let truncated = |what: &str, end: u64| Reason::Truncated {
        what: what.to_owned(),
        end,
        size,
    };
    let not_pe = |why: &str| Err(Reason::NotPe(why.to_owned()));
    match file.get(..2) {
        Some(b"MZ") => {}
        Some(_) => return not_pe("it does not begin with MZ"),
        None => return not_pe("it is empty or a single byte"),
    }
    let word = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    let nt = word(0x3C).ok_or_else(|| truncated("the DOS header", 64))? as usize;
    if nt > 0x1000_0000 {
        return not_pe("its DOS header points to no other header");
    }
    match word(nt) {
        Some(0x4550) => {}
        Some(_) => return not_pe("the PE signature is missing"),
        None => return Err(truncated("the PE header", nt as u64 + 4)),
    }
    let (machine, magic) = (word(nt + 4), word(nt + 24));
    let machine = machine.ok_or_else(|| truncated("the file header", nt as u64 + 24))? as u16;
    if machine != pe::IMAGE_FILE_MACHINE_AMD64.0 {
        return Err(Reason::Machine(machine));
    }
    let magic = magic.ok_or_else(|| truncated("the optional header", nt as u64 + 264))? as u16;
    if magic != 0x20B {
        return Err(malformed(format!(
            "the optional header has magic {magic:#x}, not that of a 64-bit image (0x20b)"
        )));
    }
    let headers_end = nt as u64 + 264;
    if size < headers_end {
        return Err(truncated("the optional header", headers_end));
    }
    Ok(())
}

/// Copies `from` of the file to `to` of the image; the file range must exist.
fn copy(
    image: &mut [u8],
    to: Range<u32>,
    file: &[u8],
    from: Range<u32>,
    what: &str,
) -> Result<(), Reason> {
    let source = file
        .get(from.start as usize..from.end as usize)
        .ok_or_else(|| Reason::Truncated {
            what: what.to_owned(),
            end: u64::from(from.end),
            size: file.len() as u64,
        })?;
    let target = image
        .get_mut(to.start as usize..to.end as usize)
        .ok_or_else(|| malformed(format!("{what} lies outside the image")))?;
    target.copy_from_slice(source);
    Ok(())
}

fn lay_out(
    header: &pe::ImageSectionHeader,
    file: &[u8],
    image: &mut [u8],
) -> Result<Section, Reason> {
    let name = String::from_utf8_lossy(header.raw_name()).into_owned();
    let start = header.virtual_address.get(LE);
    let raw_size = header.size_of_raw_data.get(LE);
    let raw_start = header.pointer_to_raw_data.get(LE);
    let size = match header.virtual_size.get(LE) {
        0 => raw_size,
        size => size,
    };
    let outside = || malformed(format!("section {name} lies outside the image"));
    let end = start
        .checked_add(size)
        .and_then(|end| end.checked_next_multiple_of(PAGE))
        .filter(|end| *end as usize <= image.len())
        .ok_or_else(outside)?;
    if raw_size > 0 {
        // All of it must be there, the padding too: its absence shows that the file was cut.
        let raw_end = raw_start.checked_add(raw_size).ok_or_else(outside)?;
        let what = format!("section {name}");
        if raw_end as usize > file.len() {
            return Err(Reason::Truncated {
                what,
                end: u64::from(raw_end),
                size: file.len() as u64,
            });
        }
        let used = raw_size.min(size);
        copy(
            image,
            start..start + used,
            file,
            raw_start..raw_start + used,
            &what,
        )?;
    }
    let flags = header.characteristics.get(LE).0;
    Ok(Section {
        range: start..end,
        write: flags & pe::IMAGE_SCN_MEM_WRITE.0 != 0,
        execute: flags & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0,
        discardable: flags & pe::IMAGE_SCN_MEM_DISCARDABLE.0 != 0,
        name,
    })
}

/// Compares the checksum the linker wrote; zero means that it wrote none.
fn check_sum(file: &[u8], nt: u32, stored: u32) -> Result<(), Reason> {
    if stored == 0 {
        return Ok(());
    }
    let actual = checksum(file, nt as usize + 24 + 64);
    if actual == stored {
        Ok(())
    } else {
        Err(Reason::Checksum { stored, actual })
    }
}

/// The checksum of a file whose checksum field is at `field`: the folded sum of its 16-bit words, plus its length.
pub(super) fn checksum(file: &[u8], field: usize) -> u32 {
    let mut sum = 0_u32;
    for (index, pair) in file.chunks(2).enumerate() {
        let at = index * 2;
        if (field..field + 4).contains(&at) {
            continue;
        }
        let high = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_le_bytes([pair[0], high]));
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum.wrapping_add(u32::try_from(file.len()).unwrap_or(u32::MAX))
}

fn text(bytes: &[u8], what: &str) -> Result<String, Reason> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        _ => Err(malformed(format!("{what} is no readable name"))),
    }
}

fn imports(image: &[u8], table: Range<u32>) -> Result<Vec<Import>, Reason> {
    let bad = |error: object::read::Error| malformed(format!("the import table: {error}"));
    let mut found = Vec::new();
    if table.is_empty() {
        return Ok(found);
    }
    let table = object::read::pe::ImportTable::new(image, 0, table.start);
    let mut descriptors = table.descriptors().map_err(bad)?;
    while let Some(descriptor) = descriptors.next().map_err(bad)? {
        let name = table.name(descriptor.name.get(LE)).map_err(bad)?;
        let module = text(name, "the name of an imported module")?;
        let addresses = descriptor.first_thunk.get(LE);
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => addresses,
            names => names,
        };
        let mut thunks = table.thunks(names).map_err(bad)?;
        let mut slot = addresses;
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>().map_err(bad)? {
            let symbol = match table.import::<pe::ImageNtHeaders64>(thunk).map_err(bad)? {
                PeImport::Name(_, name) => text(
                    name,
                    &format!("the name of a function imported from {module}"),
                )?,
                PeImport::Ordinal(ordinal) => format!("#{ordinal}"),
            };
            let end = slot.checked_add(8);
            if end.is_none_or(|end| end as usize > image.len()) {
                return Err(malformed(format!(
                    "the import address table of {module} lies outside the image"
                )));
            }
            found.push(Import {
                module: module.clone(),
                symbol,
                slot,
            });
            slot += 8;
        }
    }
    Ok(found)
}

fn exports(image: &[u8], table: Range<u32>) -> Result<Vec<(String, u32)>, Reason> {
    let bad = |error: object::read::Error| malformed(format!("the export table: {error}"));
    let mut found = Vec::new();
    if table.is_empty() {
        return Ok(found);
    }
    let start = table.start;
    let data = &image[start as usize..table.end as usize];
    let table = object::read::pe::ExportTable::parse(data, start).map_err(bad)?;
    for (pointer, index) in table.name_iter() {
        let name = table.name_from_pointer(pointer).map_err(bad)?;
        let address = table.address_by_index(index).map_err(bad)?;
        found.push((text(name, "the name of an export")?, address));
    }
    Ok(found)
}

/// What a load configuration names for the loader to fill in.
#[derive(Debug, Default)]
struct LoadConfig {
    /// Where the security cookie lies.
    cookie: Option<u32>,
    /// Where the pointers lie through which code with control flow guard checks, and makes, its indirect calls.
    guard_check: Option<u32>,
    guard_dispatch: Option<u32>,
}

impl LoadConfig {
    fn read(image: &[u8], table: Range<u32>, base: u64) -> Result<Self, Reason> {
        const SECURITY_COOKIE: usize = 88;
        const GUARD_CHECK: usize = 112;
        const GUARD_DISPATCH: usize = 120;
        let start = table.start as usize;
        let quad = |at: usize| {
            let bytes = image.get(at..at + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        if table.is_empty() {
            return Ok(Self::default());
        }
        let cut_off = || malformed("the load configuration is cut off");
        let size = image.get(start..start + 4).ok_or_else(cut_off)?;
        let size = u32::from_le_bytes(size.try_into().map_err(|_| cut_off())?) as usize;
        let named = |member: usize, what: &str| {
            if size < member + 8 {
                return Ok(None); // an older layout
            }
            let address = quad(start + member).ok_or_else(cut_off)?;
            if address == 0 {
                return Ok(None);
            }
            let offset = address.checked_sub(base);
            match offset.and_then(|offset| u32::try_from(offset).ok()) {
                Some(offset) if quad(offset as usize).is_some() => Ok(Some(offset)),
                _ => Err(malformed(format!("{what} lies outside the image"))),
            }
        };
        Ok(Self {
            cookie: named(SECURITY_COOKIE, "the security cookie")?,
            guard_check: named(GUARD_CHECK, "the pointer of control flow guard")?,
            guard_dispatch: named(GUARD_DISPATCH, "the pointer of control flow guard")?,
        })
    }
}

fn relocations(image: &[u8], table: Range<u32>) -> Result<Vec<u32>, Reason> {
    let bad = |error: object::read::Error| malformed(format!("the relocation table: {error}"));
    let mut found = Vec::new();
    let data = &image[table.start as usize..table.end as usize];
    let mut blocks = object::read::pe::RelocationBlockIterator::new(data);
    while let Some(block) = blocks.next().map_err(bad)? {
        for relocation in block {
            if relocation.typ == pe::IMAGE_REL_BASED_ABSOLUTE {
                continue;
            }
            if relocation.typ != pe::IMAGE_REL_BASED_DIR64 {
                return Err(malformed(format!(
                    "the relocation at {:#x} has type {}; x86-64 images use type 10",
                    relocation.virtual_address, relocation.typ.0
                )));
            }
            let end = relocation.virtual_address.checked_add(8);
            if end.is_none_or(|end| end as usize > image.len()) {
                return Err(malformed(format!(
                    "the relocation at {:#x} lies outside the image",
                    relocation.virtual_address
                )));
            }
            found.push(relocation.virtual_address);
        }
    }
    Ok(found)
}

impl Flat {
    /// Makes the contents good for another address, gives the security cookie its value, and control flow guard its functions.
    pub(super) fn relocate(&mut self, base: u64) -> Result<(), Reason> {
        if !self.relocatable && base != self.base {
            return Err(Reason::Fixed {
                preferred: self.base,
            });
        }
        let delta = base.wrapping_sub(self.base);
        for at in &self.relocations {
            let at = *at as usize;
            if let Some(bytes) = self.bytes.get_mut(at..at + 8)
                && let Ok(quad) = <[u8; 8]>::try_from(&*bytes)
            {
                let moved = u64::from_le_bytes(quad).wrapping_add(delta);
                bytes.copy_from_slice(&moved.to_le_bytes());
            }
        }
        self.base = base;
        let [check, dispatch] = thunk::control_flow_guard();
        for (pointer, function) in [
            (self.config.guard_check, check),
            (self.config.guard_dispatch, dispatch),
        ] {
            if let Some(at) = pointer {
                self.put(at, function as u64);
            }
        }
        if let Some(at) = self.config.cookie {
            // Any value will do that is not the linker's default and fits in 48 bits; a fixed one keeps runs alike.
            let value = (base.rotate_left(17) ^ 0x0000_5A17_C0DE_51DE) & 0x0000_FFFF_FFFF_FFFF;
            self.put(at, value);
        }
        Ok(())
    }

    /// Writes a 64-bit value whose place was checked when the image was read.
    pub(super) fn put(&mut self, at: u32, value: u64) {
        let at = at as usize;
        if let Some(bytes) = self.bytes.get_mut(at..at + 8) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }
}
