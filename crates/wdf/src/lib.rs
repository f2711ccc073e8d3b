//! Safe Rust over the objects, queues, requests, cancellation and I/O targets of KMDF.
//!
//! The ownership rules of a framework request are Rust's ownership rules here:
//!
//! | the request is | the value | how it leaves |
//! |---|---|---|
//! | presented to a handler | [`Request`](request::Request) | complete, forward, requeue, park, send: each consumes it |
//! | waiting, cancelable | [`Parked`](request::Parked), a reference only | [`unpark`](request::Parked::unpark) or its cancel handler, exactly one of them |
//! | canceled | [`Canceled`](request::Canceled) | complete |
//! | below | nothing in the driver owns it | its completion routine gets a `Request` again |
//!
//! A handler must return a [`Disposition`](request::Disposition) branded with the very request it was given;
//! only the consuming calls make one. Four decisions carry the crate: the brand, the park cell in every
//! request's context ([`request`]), the capability token [`Cx`](cx::Cx), and closures for locks ([`lock`]).
//!
//! Every object a driver keeps ([`Queue`](queue::Queue), [`Timer`](timer::Timer), …) holds a framework reference: its
//! memory outlives the value (R-OBJ-12). Nothing here allocates, nothing panics.
#![no_std]

pub mod clock;
pub mod collection;
pub mod context;
pub mod cx;
pub mod device;
pub mod dpc;
pub mod driver;
pub mod file;
pub mod handler;
pub mod lock;
pub mod memory;
mod object;
pub mod parked_list;
pub mod preprocess;
pub mod queue;
pub mod registry;
pub mod request;
pub mod status;
mod string;
pub mod target;
pub mod text;
pub mod timer;
pub mod trace;
pub mod work_item;
pub mod zeroed;

pub use status::{FinalStatus, Status};
pub use string::Wide;
#[doc(hidden)]
pub use string::widen as __widen;
#[doc(hidden)]
pub use wdk_sys as __sys;
