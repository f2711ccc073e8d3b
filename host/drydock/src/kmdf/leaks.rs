//! Framework objects that outlive their driver.

use super::handle;
use crate::verify::Leak;

/// Live objects of the framework, by type and the DDI that made them.
pub(super) fn objects() -> Vec<Leak> {
    let mut leaks = Vec::new();
    handle::for_each_live(|object| {
        leaks.push(Leak {
            tag: object.kind().name().to_owned(),
            bytes: 0,
            created: vec![object.created_by().to_owned()],
        });
    });
    leaks
}
