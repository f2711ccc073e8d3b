//! The function table of the framework: index, name and first version of every entry, and what stands there.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::ddi::Entry;
use crate::loader;
use crate::verify;

const FUNCTIONS: &str = include_str!("../../../../cross/tables/kmdf-functions.csv");

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Name of the DDI.
    pub name: &'static str,
    /// Minor version that brought it.
    pub first_minor: u32,
}

/// All functions, in table order.
pub fn functions() -> &'static [Function] {
    static LIST: OnceLock<Vec<Function>> = OnceLock::new();
    LIST.get_or_init(|| {
        FUNCTIONS
            .lines()
            .skip(1)
            .filter_map(|line| {
                let mut fields = line.split(',');
                let (_, name, version) = (fields.next()?, fields.next()?, fields.next()?);
                let first_minor = version.split_once('.')?.1.parse().ok()?;
                Some(Function { name, first_minor })
            })
            .collect()
    })
}

/// Numbers of entries a client may ask for (`spec/abi-facts.md`).
pub const RELEASED_COUNTS: [u32; 13] = [
    383, 386, 387, 396, 432, 438, 444, 446, 448, 451, 453, 454, 458,
];

/// Addresses of the first `count` entries.
pub fn addresses(count: usize) -> &'static [usize] {
    static TABLE: OnceLock<Vec<usize>> = OnceLock::new();
    let all = TABLE.get_or_init(|| {
        let by_name: BTreeMap<&str, usize> = implemented()
            .into_iter()
            .map(|entry| (entry.name, entry.address))
            .collect();
        functions()
            .iter()
            .map(|function| {
                let body = by_name.get(function.name).copied();
                let body = body.unwrap_or(missing as *const () as usize);
                loader::thunk(function.name, body)
            })
            .collect()
    });
    &all[..count]
}

/// Every implemented entry.
pub fn implemented() -> Vec<Entry> {
    [
        super::collection::entries(),
        super::control::entries(),
        super::device_ddi::entries(),
        super::dpc::entries(),
        super::driver::entries(),
        super::file::entries(),
        super::init_ddi::entries(),
        super::interface::entries(),
        super::lock::entries(),
        super::memory::entries(),
        super::object_ddi::entries(),
        super::property::entries(),
        super::registry::entries(),
        super::registry_write::entries(),
        super::resources::entries(),
        super::string::entries(),
        super::timer::entries(),
        super::workitem::entries(),
        super::queue::entries(),
        super::request::request_entries(),
        super::request::buffer_entries(),
        super::target::target_entries(),
        super::target::synchronous_entries(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Stands where nobody implements the function: names it and ends the run.
extern "win64" fn missing() {
    let name = loader::current_call().unwrap_or_else(|| "a framework function".to_owned());
    verify::unimplemented(&name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_number_of_entries_of_each_released_version() {
        let list = functions();
        assert_eq!(list.len(), 458);
        for (minor, count) in [
            (0, 383),
            (1, 386),
            (9, 396),
            (11, 432),
            (13, 438),
            (15, 444),
            (31, 458),
        ] {
            assert_eq!(
                list.iter().filter(|f| f.first_minor <= minor).count(),
                count,
                "1.{minor}"
            );
            assert!(RELEASED_COUNTS.contains(&(count as u32)));
        }
    }

    #[test]
    fn every_implemented_name_is_in_the_table_once() {
        let mut names: Vec<_> = implemented().iter().map(|entry| entry.name).collect();
        for name in &names {
            assert!(
                functions().iter().any(|f| f.name == *name),
                "{name} is no KMDF function"
            );
        }
        let total = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), total, "a function is implemented twice");
    }
}
