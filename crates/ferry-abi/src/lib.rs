//! The contract between the drivers (`ferry.sys`, `pier.sys`) and user mode.
//!
//! Both sides compile this crate; nothing else is shared. Every structure has an explicit layout
//! (`repr(C)`, no implicit padding, checked by `zerocopy`'s derives), begins with a [`Header`] and
//! has its size asserted. A driver answers a structure of another size or version with
//! `STATUS_INFO_LENGTH_MISMATCH` or `STATUS_REVISION_MISMATCH` and changes nothing.
#![no_std]
#![forbid(unsafe_code)]

mod code;
pub mod control;
pub mod guid;
pub mod pier;

pub use code::{Access, ControlCode, Method};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of every structure in this crate. Raised when any layout or meaning changes.
pub const VERSION: u32 = 2;

/// First field of every structure: how long the sender thinks it is, and which contract it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Size of the whole structure in bytes.
    pub size: u32,
    /// [`VERSION`] of the sender.
    pub version: u32,
}

/// Why a structure from the other side was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The buffer is shorter than the structure, or `Header::size` is not its size.
    Length,
    /// `Header::version` is not [`VERSION`].
    Version,
}

/// A structure of this contract: a [`Header`] first, then fields.
pub trait Message: FromBytes + IntoBytes + Immutable + KnownLayout + Sized {
    /// The header of this structure.
    fn header(&self) -> Header;

    /// The header a sender must write.
    #[must_use]
    fn expected() -> Header {
        // Every structure here is far below 4 GiB: sizes are asserted below each definition.
        Header {
            size: u32::try_from(size_of::<Self>()).unwrap_or(u32::MAX),
            version: VERSION,
        }
    }

    /// Copies a structure out of `bytes`, which may be longer.
    ///
    /// # Errors
    /// [`Refused`] if the length, the stated size or the version does not fit.
    fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let (message, _) = Self::read_from_prefix(bytes).map_err(|_| Refused::Length)?;
        let (got, want) = (message.header(), Self::expected());
        match (got.size == want.size, got.version == want.version) {
            (_, false) => Err(Refused::Version),
            (false, true) => Err(Refused::Length),
            (true, true) => Ok(message),
        }
    }
}

/// Defines the layout of a [`Message`]: derives, a `header` field in front, an asserted size.
macro_rules! layout {
    ($(#[$doc:meta])* $name:ident, $size:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq,
                 zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
        #[repr(C)]
        pub struct $name {
            /// Size and version of this structure.
            pub header: crate::Header,
            $($(#[$fdoc])* pub $field: $ty,)*
        }
        const _: () = assert!(size_of::<$name>() == $size);
        impl crate::Message for $name {
            fn header(&self) -> crate::Header { self.header }
        }
    };
}
pub(crate) use layout;

/// Defines a [`Message`] with a `new`.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident, $size:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        crate::layout! { $(#[$doc])* $name, $size { $($(#[$fdoc])* $field: $ty),* } }
        impl $name {
            /// A structure with a correct header.
            #[must_use]
            pub fn new($($field: $ty),*) -> Self {
                Self { header: <Self as crate::Message>::expected(), $($field),* }
            }
        }
    };
}
pub(crate) use message;
