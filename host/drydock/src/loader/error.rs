//! Why a file cannot be loaded, in words that say what to do.

use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// A file that cannot be loaded, and why.
#[derive(Debug, Error)]
#[error("{}: {reason}", path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a file that cannot be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Reason {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    /// The file is something else than a Windows executable.
    #[error("is not a Windows executable (PE) file: {0}")]
    NotPe(String),
    /// The image is for another processor.
    #[error(
        "is built for machine {0:#06x}; drydock runs x86-64 drivers (0x8664): build it for x86_64"
    )]
    Machine(u16),
    /// The image is an application or a library of user mode.
    #[error(
        "has subsystem {0}; a driver is linked with subsystem 1 (native): is this the .sys file?"
    )]
    Subsystem(u16),
    /// The file ends before something it says it contains.
    #[error("is truncated: {what} ends at byte {end}, the file at {size}: copy or build it again")]
    Truncated {
        /// What lies beyond the end.
        what: String,
        /// Where that ends.
        end: u64,
        /// The size of the file.
        size: u64,
    },
    /// The checksum in the header is not that of the file.
    #[error(
        "is damaged: its header has checksum {stored:#x}, its contents have {actual:#x}: copy or build it again"
    )]
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the contents.
        actual: u32,
    },
    /// A structure inside the image contradicts itself or the rest.
    #[error("is malformed: {0}")]
    Malformed(String),
    /// The image cannot be moved to where drydock maps it.
    #[error(
        "has no base relocations, so it runs at {preferred:#x} only: link it with /DYNAMICBASE and without /FIXED"
    )]
    Fixed {
        /// The only address it runs at.
        preferred: u64,
    },
    /// The image is larger than the space drydock keeps for one.
    #[error("has an image size of {size} bytes; drydock maps images of up to {limit}")]
    TooLarge {
        /// Its size in memory.
        size: u64,
        /// The largest size.
        limit: u64,
    },
    /// Functions that drydock does not have are imported, and the caller asked to refuse that.
    #[error("imports what drydock does not have: {}", List(.0))]
    MissingImports(Vec<String>),
    /// The system gave no memory for the image.
    #[error("cannot be mapped: {0}")]
    Map(std::io::Error),
}

struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}
