//! What programs do: open a device, start and cancel operations, close, exit.
//!
//! ```no_run
//! use drydock::nt::app::{Op, Process};
//!
//! let program = Process::new("test.exe");
//! let handle = program.open(r"\\.\Ferry", 0xc000_0000, 3)?;
//! let id = handle.start(Op::Read { offset: 0, len: 512 }, |done| println!("{}", done.status));
//! handle.cancel(id);
//! handle.close();
//! program.kill();
//! # Ok::<(), drydock::nt::status::NtStatus>(())
//! ```

pub use super::file::{Handle, OpenOptions};
pub use super::io::{Completion, IoId, OnDone, Op};
pub use super::process::Process;
pub use super::raw::{RawFile, RawIo, RawRequest};
pub use super::security::Token;
