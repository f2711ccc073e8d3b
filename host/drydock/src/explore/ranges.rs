//! Which memory of the process belongs to the machine, beside its heap and the program's statics.

use crate::loader::layout;
use crate::nt::pool;
use std::ops::Range;

type Fixed = (Range<usize>, i32);

/// The writable memory of the machine (pool, sections of images, driver stacks and control regions), and the parts of images
/// that are not writable, with their protection.
pub(super) fn of_the_machine() -> Result<(Vec<Range<usize>>, Vec<Fixed>), String> {
    let mut ranges = vec![pool::used()];
    let mut fixed = Vec::new();
    let maps = std::fs::read_to_string("/proc/self/maps")
        .map_err(|error| format!("/proc/self/maps cannot be read: {error}"))?;
    for line in maps.lines() {
        let mut fields = line.split(' ');
        let (Some(range), Some(access)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Some((start, end)) = range.split_once('-') else {
            continue;
        };
        let address = |text| usize::from_str_radix(text, 16);
        if let (Ok(start), Ok(end)) = (address(start), address(end))
            && (layout::IMAGES..layout::THUNKS).contains(&start)
        {
            match &access[..3] {
                "rw-" => ranges.push(start..end),
                "rwx" => {
                    return Err(
                        "an image has a section that is both writable and executable; such images cannot be explored"
                            .to_owned(),
                    );
                }
                "r--" => fixed.push((start..end, libc::PROT_READ)),
                "r-x" => fixed.push((start..end, libc::PROT_READ | libc::PROT_EXEC)),
                _ => {}
            }
        }
    }
    Ok((ranges, fixed))
}
