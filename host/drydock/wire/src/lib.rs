//! The protocol between a program and the driver stack that drydock runs for it.
//!
//! One connection over a Unix stream socket is one *process*: when it ends, for whatever reason, drydock
//! does what Windows does when a process ends: cancel, cleanup, close, for each of its handles.
//!
//! # Conversation
//!
//! Either side sends [`frame`]s: a fixed header of 40 bytes, little-endian, then `length` bytes of body.
//! The program speaks first with [`Request::Hello`]; drydock answers [`Reply::Hello`]. From then on the program
//! sends requests with ids of its own choosing, unique among those in flight, and drydock answers each
//! exactly once with [`Reply::Done`] carrying that id, in any order: an operation that a driver keeps stays
//! unanswered until the driver completes it.
//!
//! Outcomes of operations are `NTSTATUS` values in `Done`. A peer that breaks the protocol itself
//! ([`Malformed`]) gets one [`Reply::Error`] saying what was wrong, and the connection is closed.
//!
//! # Why not a serialiser
//!
//! Most of what travels is the data of reads and writes, and a workload is a million small frames: a fixed header read in place
//! ([`zerocopy`]) followed by raw bytes costs one copy of the data and no parsing. Five fields do not need more.
#![forbid(unsafe_code)]

pub mod client;
mod error;
pub mod frame;
pub mod message;
pub mod status;
mod submission;

pub use client::{Client, Completion, Handle, Operation};
pub use error::{ClientError, Malformed};
pub use message::{Reply, Request};

/// First field of a hello, so that a stranger on the socket is recognised at once.
pub const MAGIC: u32 = u32::from_le_bytes(*b"DRYD");
/// Version of this protocol. Both sides must have the same.
pub const VERSION: u32 = 1;
/// Longest body of a frame, in bytes. Bounds what one transfer can carry.
pub const MAX_BODY: usize = 16 << 20;
/// Most operations a connection may have in flight; one more is answered with `STATUS_INSUFFICIENT_RESOURCES`.
pub const MAX_IN_FLIGHT: usize = 1 << 17;
