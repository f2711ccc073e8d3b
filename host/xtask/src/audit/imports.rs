//! Checks every import against `cross/imports.toml`, both ways.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};
use object::{
    LittleEndian as LE,
    read::pe::{Import, PeFile64},
};
use serde::Deserialize;

use super::Finding;

/// The levels an import's line may state, lowest first.
const LEVELS: &[&str] = &[
    "PASSIVE_LEVEL",
    "APC_LEVEL",
    "DISPATCH_LEVEL",
    "DIRQL",
    "HIGH_LEVEL",
];

/// What may be imported.
#[derive(Debug, Deserialize)]
pub struct Allowed {
    /// Oldest Windows build the images must load on.
    floor: u32,
    /// Function by module.
    #[serde(flatten)]
    modules: BTreeMap<String, BTreeMap<String, Entry>>,
}

/// One line of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    build: u32,
    irql: String,
    images: Vec<String>,
}

impl Allowed {
    /// Reads the list.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads the list from its text.
    pub fn parse(text: &str) -> Result<Self> {
        let allowed: Self = toml::from_str(text)?;
        for (name, entry) in allowed.modules.values().flatten() {
            if !LEVELS.contains(&entry.irql.as_str()) {
                bail!(
                    "{name}: irql {:?} is none of {}",
                    entry.irql,
                    LEVELS.join(", ")
                );
            }
        }
        Ok(allowed)
    }

    fn entry(&self, module: &str, function: &str) -> Option<&Entry> {
        let listed = self
            .modules
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(module));
        listed.and_then(|(_, functions)| functions.get(function))
    }

    /// Module and function of every line that says `image` imports it.
    fn expected_of<'a>(&'a self, image: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.modules.iter().flat_map(move |(module, functions)| {
            let of_image = functions
                .iter()
                .filter(move |(_, e)| e.images.iter().any(|i| i == image));
            of_image.map(move |(function, _)| (module.as_str(), function.as_str()))
        })
    }
}

/// Every `(module, function)` the image imports.
pub fn of_image(pe: &PeFile64<'_>) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    let Some(table) = pe.import_table()? else {
        return Ok(all);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let module = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        while let Some(thunk) = thunks.next::<object::pe::ImageNtHeaders64>()? {
            let function = match table.import::<object::pe::ImageNtHeaders64>(thunk)? {
                Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                Import::Ordinal(ordinal) => format!("#{ordinal}"),
            };
            all.push((module.clone(), function));
        }
    }
    Ok(all)
}

/// Compares the image's imports with the list.
pub fn check(image: &str, pe: &PeFile64<'_>, allowed: &Allowed) -> Result<Finding> {
    let imports = of_image(pe)?;
    let mut bad = Vec::new();
    for (module, function) in &imports {
        match allowed.entry(module, function) {
            None => bad.push(format!(
                "{module}!{function} is not in cross/imports.toml; list it with its minimum build and maximum IRQL"
            )),
            Some(e) if e.build > allowed.floor => bad.push(format!(
                "{module}!{function} needs build {}, the floor is {}",
                e.build, allowed.floor
            )),
            Some(e) if !e.images.iter().any(|i| i == image || i == "any") && is_listed(image, allowed) => {
                bad.push(format!("{module}!{function} is listed, but not for {image}"));
            }
            Some(_) => {}
        }
    }
    for (module, function) in allowed.expected_of(image) {
        if !imports
            .iter()
            .any(|(m, f)| m.eq_ignore_ascii_case(module) && f == function)
        {
            bad.push(format!(
                "{module}!{function} is listed for {image}, which does not import it"
            ));
        }
    }
    Ok(Finding::new(
        "imports",
        bad,
        format!("{} functions, all listed", imports.len()),
    ))
}

/// Whether the list speaks of this image at all; it does not of images under other names.
fn is_listed(image: &str, allowed: &Allowed) -> bool {
    allowed.expected_of(image).next().is_some()
}
