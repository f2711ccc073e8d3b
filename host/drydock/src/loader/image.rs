//! Mapped images.

use super::emulate;
use super::error::{LoadError, Reason};
use super::layout;
use super::memory::{Access, Region};
use super::pe::{self, Flat, Section};
use super::symbols::{self, Symbols};
use super::thunk;
use crate::sched::Lock;
use crate::verify;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Finds the address of what an image imports: `resolve(module, symbol)`, both as the image spells them.
///
/// The address of a function of this program is called through a stub ([`thunk::thunk`]); any other address is bound as
/// it is, so a variable is resolved to its own address.
pub type Resolve<'a> = &'a dyn Fn(&str, &str) -> Option<usize>;

/// A driver image in memory, from [`load`] until it is dropped.
#[derive(Debug)]
pub struct Image {
    /// The file's name without its extension: what stands before the `!` in reports.
    pub name: String,
    /// Where it is mapped.
    pub base: usize,
    /// Its size in memory.
    pub size: usize,
    /// The address of its entry point.
    pub entry: usize,
    /// What it imports, as `module!symbol`, in the order of its import table.
    pub imports: Vec<String>,
    /// Those of its imports that drydock does not have; calling one ends the run.
    pub missing: Vec<String>,
    sections: Vec<Section>,
    slot: usize,
    /// Present until the image is dropped.
    region: Option<Region>,
}

/// What backtraces need of an image. It outlives the mapping until the slot is used again, so that an address in an
/// image that is gone still has a name.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) name: String,
    pub(super) base: usize,
    /// The contents as they were mapped.
    pub(super) contents: Vec<u8>,
    /// The table of runtime functions.
    pub(super) exceptions: Range<u32>,
    pub(super) symbols: Symbols,
    /// Executable sections, and those that can only be read.
    pub(super) code: Vec<Range<u32>>,
    pub(super) read_only: Vec<Range<u32>>,
    pub(super) sections: Vec<Section>,
}

impl Details {
    /// True if there is code at this offset.
    pub(super) fn is_code(&self, offset: u32) -> bool {
        self.code.iter().any(|range| range.contains(&offset))
    }

    /// True if there are constants at this offset.
    pub(super) fn is_read_only(&self, offset: u32) -> bool {
        self.read_only.iter().any(|range| range.contains(&offset))
    }

    /// The section at an address of the image.
    pub(super) fn section(&self, address: usize) -> Option<&Section> {
        let offset = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let mut sections = self.sections.iter();
        sections.find(|section| section.range.contains(&offset))
    }
}

/// The extents of the sections that are as wanted.
fn extents(sections: &[Section], wanted: impl Fn(&Section) -> bool) -> Vec<Range<u32>> {
    let wanted = sections.iter().filter(|section| wanted(section));
    wanted.map(|section| section.range.clone()).collect()
}

#[derive(Debug)]
struct Slot {
    details: Arc<Details>,
    mapped: bool,
}

static SLOTS: Lock<BTreeMap<usize, Slot>> = Lock::new(BTreeMap::new());

/// Reads, checks, maps and binds the driver at `path`.
///
/// An import that `resolve` does not know is listed in [`Image::missing`] and bound to a stub that ends the run, unless
/// the settings ask to refuse such an image.
pub fn load(path: &Path, resolve: Resolve<'_>) -> Result<Arc<Image>, LoadError> {
    let of_file = |reason| LoadError {
        path: path.to_owned(),
        reason,
    };
    let file = std::fs::read(path).map_err(|error| of_file(Reason::Read(error)))?;
    let name = path.file_stem().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy().into_owned();
    let flat = pe::read(&file).map_err(of_file)?;
    let symbols = Symbols::beside(path, &flat);
    map(name, flat, symbols, resolve).map_err(of_file)
}

pub(super) fn map(
    name: String,
    mut flat: Flat,
    symbols: Symbols,
    resolve: Resolve<'_>,
) -> Result<Arc<Image>, Reason> {
    let (imports, missing) = bind(&mut flat, resolve);
    if verify::settings().strict_imports && !missing.is_empty() {
        return Err(Reason::MissingImports(missing));
    }
    let (slot, region) = take_slot().map_err(Reason::Map)?;
    let base = region.range().start + layout::IMAGE_GUARD;
    let mapped = flat
        .relocate(base as u64)
        .and_then(|()| place(&region, &flat).map_err(Reason::Map));
    if let Err(reason) = mapped {
        give_slot_back(slot);
        return Err(reason);
    }
    let details = Arc::new(Details {
        name: name.clone(),
        base,
        exceptions: flat.exceptions,
        symbols,
        code: extents(&flat.sections, |section| section.execute),
        read_only: extents(&flat.sections, |section| !section.execute && !section.write),
        contents: flat.bytes,
        sections: flat.sections.clone(),
    });
    if details.sections.iter().any(Section::is_pageable) {
        PAGEABLE.store(true, Ordering::Relaxed);
    }
    let size = details.contents.len();
    let mapped = true;
    SLOTS.lock().insert(slot, Slot { details, mapped });
    Ok(Arc::new(Image {
        name,
        base,
        size,
        entry: base + flat.entry as usize,
        imports,
        missing,
        sections: flat.sections,
        slot,
        region: Some(region),
    }))
}

/// Fills the import address tables; gives all imports, and those nobody has.
fn bind(flat: &mut Flat, resolve: Resolve<'_>) -> (Vec<String>, Vec<String>) {
    let code = own_code();
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for import in std::mem::take(&mut flat.imports) {
        let name = format!("{}!{}", import.module, import.symbol);
        let address = if let Some(address) = thunk::on_the_callers_stack(&import.symbol) {
            address
        } else if let Some(address) = resolve(&import.module, &import.symbol) {
            if code.iter().any(|range| range.contains(&address)) {
                thunk::thunk(&name, address)
            } else {
                address
            }
        } else {
            missing.push(name.clone());
            thunk::missing(&name)
        };
        flat.put(import.slot, address as u64);
        all.push(name);
    }
    (all, missing)
}

/// The executable ranges of this program: what tells an imported function from an imported variable.
fn own_code() -> Vec<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut ranges = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split(' ');
        let (Some(range), Some(access)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Some((start, end)) = range.split_once('-') else {
            continue;
        };
        let address = |text| usize::from_str_radix(text, 16);
        if let (true, Ok(start), Ok(end)) = (access.contains('x'), address(start), address(end))
            && !layout::is_image_address(start)
        {
            ranges.push(start..end);
        }
    }
    ranges
}

/// Takes the lowest slot that holds no image.
fn take_slot() -> std::io::Result<(usize, Region)> {
    let mut slots = SLOTS.lock();
    let index = (0..layout::IMAGE_SLOTS)
        .find(|index| slots.get(index).is_none_or(|slot| !slot.mapped))
        .ok_or_else(|| std::io::Error::other("there is no address space for another image"))?;
    let start = layout::IMAGES + index * layout::IMAGE_SLOT;
    let region = Region::reserve(start, layout::IMAGE_SLOT)?;
    let details = Arc::new(Details {
        name: String::new(),
        base: start,
        contents: Vec::new(),
        exceptions: 0..0,
        symbols: Symbols::default(),
        code: Vec::new(),
        read_only: Vec::new(),
        sections: Vec::new(),
    });
    let mapped = true;
    slots.insert(index, Slot { details, mapped });
    Ok((index, region))
}

fn give_slot_back(index: usize) {
    if let Some(slot) = SLOTS.lock().get_mut(&index) {
        slot.mapped = false;
    }
}

/// Writes the contents to their place and gives each section its protection. What lies between and around stays
/// inaccessible.
fn place(region: &Region, flat: &Flat) -> std::io::Result<()> {
    const PAGE: usize = 0x1000;
    let guard = layout::IMAGE_GUARD;
    region.protect(guard, flat.bytes.len(), Access::ReadWrite)?;
    region.write(guard, &flat.bytes);
    region.protect(guard, flat.bytes.len(), Access::None)?;
    let headers = (flat.headers as usize).next_multiple_of(PAGE);
    region.protect(guard, headers.min(flat.bytes.len()), Access::Read)?;
    for section in &flat.sections {
        let access = match (section.write, section.execute) {
            (false, false) => Access::Read,
            (true, false) => Access::ReadWrite,
            (false, true) => Access::ReadExecute,
            (true, true) => Access::ReadWriteExecute,
        };
        let start = guard + section.range.start as usize;
        region.protect(start, section.range.len(), access)?;
    }
    Ok(())
}

impl Image {
    /// Takes the memory of its initialisation sections away, as the system does after the entry point has returned.
    pub fn discard_initialization(&self) -> std::io::Result<()> {
        let Some(region) = &self.region else {
            return Ok(());
        };
        for section in &self.sections {
            if section.is_initialization() {
                let start = layout::IMAGE_GUARD + section.range.start as usize;
                region.protect(start, section.range.len(), Access::None)?;
            }
        }
        Ok(())
    }

    /// True if `address` lies in the image.
    pub fn contains(&self, address: usize) -> bool {
        (self.base..self.base + self.size).contains(&address)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // First unmapped, then free: whoever takes the slot finds it empty.
        drop(self.region.take());
        give_slot_back(self.slot);
    }
}

/// The images that are there, by address.
pub(super) fn mapped() -> Vec<Arc<Details>> {
    let slots = SLOTS.lock();
    let mapped = slots.values().filter(|slot| slot.mapped);
    mapped.map(|slot| Arc::clone(&slot.details)).collect()
}

/// The image that is or was last in a slot, and whether it is still there.
pub(super) fn in_slot(index: usize) -> Option<(Arc<Details>, bool)> {
    let slots = SLOTS.lock();
    let slot = slots.get(&index)?;
    Some((Arc::clone(&slot.details), slot.mapped))
}

/// The image that is or was last at `address`, and whether it is still there.
pub(super) fn at(address: usize) -> Option<(Arc<Details>, bool)> {
    let offset = address.checked_sub(layout::IMAGES)?;
    let slots = SLOTS.lock();
    let slot = slots.get(&(offset / layout::IMAGE_SLOT))?;
    let end = slot.details.base + slot.details.contents.len();
    let inside = (slot.details.base..end).contains(&address);
    inside.then(|| (Arc::clone(&slot.details), slot.mapped))
}

/// Some image has had pageable code.
static PAGEABLE: AtomicBool = AtomicBool::new(false);

/// Ends the run if the calling thread is at DISPATCH_LEVEL or above and `address` is pageable code of an image: nobody is there to
/// bring the page in.
#[inline]
pub(super) fn forbid_pageable(address: usize) {
    if PAGEABLE.load(Ordering::Relaxed) {
        look_for_pageable(address);
    }
}

#[cold]
fn look_for_pageable(address: usize) {
    let level = emulate::interrupt_level();
    if level < 2 {
        return;
    }
    let Some((details, _)) = at(address) else {
        return;
    };
    if let Some(section) = details
        .section(address)
        .filter(|section| section.is_pageable())
    {
        verify::violation(
            "NT-IRQL-06",
            format!(
                "pageable code of {} (section {}) runs at IRQL {level}, at {}: on Windows it can be paged out, and the fault is a \
                 bug check (IRQL_NOT_LESS_OR_EQUAL)",
                details.name,
                section.name,
                symbols::describe(address)
            ),
        );
    }
}

/// Ends the run if the code that made the call in progress is pageable and runs at DISPATCH_LEVEL or above. Asked where an image
/// enters the model, and where it goes back.
#[inline]
pub fn forbid_pageable_caller() {
    if PAGEABLE.load(Ordering::Relaxed)
        && let Some(address) = super::backtrace::caller()
    {
        look_for_pageable(address);
    }
}

/// The image whose slot `address` lies in, though not in the image itself: an access that missed it.
pub(super) fn near(address: usize) -> Option<String> {
    let offset = address.checked_sub(layout::IMAGES)?;
    let slots = SLOTS.lock();
    let slot = slots.get(&(offset / layout::IMAGE_SLOT))?;
    Some(slot.details.name.clone())
}
