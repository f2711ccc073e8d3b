//! What is left behind after unload.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;

/// Something that is still there and should not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The pool tag, or the kind of object.
    pub tag: String,
    /// Its size; 0 where size means nothing.
    pub bytes: u64,
    /// Where it was made: symbolised frames, innermost first.
    pub created: Vec<String>,
}

/// All that was left behind, by counter and then by tag and creation stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeakReport {
    groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    counter: &'static str,
    tag: String,
    created: Vec<String>,
    count: u64,
    bytes: u64,
}

type Counter = fn() -> Vec<Leak>;

static COUNTERS: Mutex<BTreeMap<&'static str, Counter>> = Mutex::new(BTreeMap::new());

/// Adds a source of leaks under a name such as `pool` or `objects`. A second registration of a name replaces the first.
pub fn register_leaks(name: &'static str, counter: fn() -> Vec<Leak>) {
    COUNTERS.lock().insert(name, counter);
}

/// Asks every counter what is left.
pub fn leak_report() -> LeakReport {
    let counters: Vec<_> = COUNTERS.lock().iter().map(|(n, c)| (*n, *c)).collect();
    let mut groups: BTreeMap<(&'static str, String, Vec<String>), (u64, u64)> = BTreeMap::new();
    for (name, counter) in counters {
        for leak in counter() {
            let group = groups.entry((name, leak.tag, leak.created)).or_default();
            group.0 += 1;
            group.1 += leak.bytes;
        }
    }
    LeakReport {
        groups: groups
            .into_iter()
            .map(|((counter, tag, created), (count, bytes))| Group {
                counter,
                tag,
                created,
                count,
                bytes,
            })
            .collect(),
    }
}

impl LeakReport {
    /// True if nothing was left behind.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// A line per kind of thing that was left behind.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.groups.iter().map(|group| {
            let by = group
                .created
                .first()
                .map(|frame| format!(", created by {frame}"));
            format!(
                "{} {}: {} left, {} bytes{}",
                group.counter,
                group.tag,
                group.count,
                group.bytes,
                by.unwrap_or_default()
            )
        })
    }

    /// How many things were left behind.
    pub fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// How many bytes were left behind.
    pub fn bytes(&self) -> u64 {
        self.groups.iter().map(|group| group.bytes).sum()
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "no leak");
        }
        writeln!(f, "LEAKS {} left, {} bytes", self.count(), self.bytes())?;
        for group in &self.groups {
            writeln!(
                f,
                "  {} {}: {} left, {} bytes",
                group.counter, group.tag, group.count, group.bytes
            )?;
            for frame in &group.created {
                writeln!(f, "      created by {frame}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_of_a_kind() -> Vec<Leak> {
        let leak = |tag: &str, bytes| Leak {
            tag: tag.to_owned(),
            bytes,
            created: vec!["pier!start+0x10".to_owned()],
        };
        vec![leak("Pier", 16), leak("Frry", 1), leak("Pier", 32)]
    }

    #[test]
    fn leaks_of_one_tag_and_creation_stack_are_one_line() {
        register_leaks("pool", two_of_a_kind);
        let report = leak_report();
        assert_eq!((report.count(), report.bytes()), (3, 49));
        let text = report.to_string();
        assert!(text.contains("pool Frry: 1 left, 1 bytes"), "{text}");
        assert!(text.contains("pool Pier: 2 left, 48 bytes"), "{text}");
        register_leaks("pool", Vec::new);
        assert_eq!(leak_report().to_string(), "no leak\n");
    }
}
