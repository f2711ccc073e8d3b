//! Where a request comes from, and whether a rule, limit or split sees it (filter rule 13).

use ferry_abi::control::matching;
use wdf::request::{Any, FileKey, Request};

/// Who asks, as far as a scope looks at it.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    /// User-mode code.
    pub(crate) user: bool,
    /// Through a file object.
    pub(crate) file: bool,
    /// The process; 0: unknown.
    pub(crate) process: u32,
}

/// Who asks, and through which handle.
pub(crate) struct Origin {
    pub(crate) caller: Caller,
    /// The handle, if there is one.
    pub(crate) file: Option<FileKey>,
}

impl Origin {
    pub(crate) fn of(request: &Request<'_, Any>) -> Self {
        let file = request.file_key();
        Self {
            caller: Caller {
                user: request.is_from_user_mode(),
                file: file.is_some(),
                process: request.process(),
            },
            file,
        }
    }
}

/// Whether requests of `caller` are seen by what the process `owner` has set with these `flags` of [`matching`].
///
/// By default: user mode, a file object, another process. An unknown process is another one.
pub(crate) const fn sees(flags: u32, owner: u32, caller: Caller) -> bool {
    let mode = if caller.user {
        flags & matching::NOT_USER == 0
    } else {
        flags & matching::KERNEL != 0
    };
    let file = caller.file || flags & matching::NO_FILE != 0;
    let own = owner != 0 && caller.process == owner;
    mode && file && (!own || flags & matching::OWN_PROCESS != 0)
}
