//! What ntoskrnl.exe and HAL.dll export: one `extern "win64"` function per name, in a file per family.
//!
//! Every function passes `ddi::shim`, which makes it a scheduling point and checks the highest level it may be called at. What is not here is
//! bound by the loader to a stub that ends the run with its name.

#![expect(
    non_snake_case,
    reason = "functions carry the names drivers import them by"
)]

mod crt;
mod csq;
mod debug;
mod etw;
mod ex;
mod io;
mod io_build;
mod io_notify;
mod io_pnp;
mod ke;
mod ke_lock;
mod ke_time;
mod lookaside;
mod mm;
mod objects;
mod printf;
mod raise;
mod remove_lock;
mod rtl;
mod rtl_string;
mod variables;
mod zw;

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The highest level a function may be called at.
mod level {
    pub(super) const PASSIVE: u8 = 0;
    pub(super) const APC: u8 = 1;
    pub(super) const DISPATCH: u8 = 2;
    pub(super) const ANY: u8 = 31;
}

/// An exported name and where it is.
struct Export {
    name: &'static str,
    address: *const (),
}

/// Declares exported functions, each with the highest level it may be called at, and a `TABLE` of them.
macro_rules! exports {
    ($( $maximum:ident fn $name:ident ( $($arg:ident : $type:ty),* $(,)? ) $(-> $result:ty)? $body:block )*) => {
        $(
            extern "win64" fn $name($($arg: $type),*) $(-> $result)? {
                $crate::nt::ddi::shim(stringify!($name), super::level::$maximum, move || $body)
            }
        )*
        pub(super) const TABLE: &[super::Export] = &[
            $( super::Export { name: stringify!($name), address: $name as *const () } ),*
        ];
    };
}
use exports;

/// The same function under another name.
const ALIASES: &[(&str, &str)] = &[
    ("IoCallDriver", "IofCallDriver"),
    ("PoCallDriver", "IofCallDriver"),
    ("IoCompleteRequest", "IofCompleteRequest"),
    ("KeRaiseIrql", "KfRaiseIrql"),
    ("KfLowerIrql", "KeLowerIrql"),
    ("KeClearEvent", "KeResetEvent"),
    (
        "KefAcquireSpinLockAtDpcLevel",
        "KeAcquireSpinLockAtDpcLevel",
    ),
    (
        "KefReleaseSpinLockFromDpcLevel",
        "KeReleaseSpinLockFromDpcLevel",
    ),
    ("KfAcquireSpinLock", "KeAcquireSpinLockRaiseToDpc"),
    ("KfReleaseSpinLock", "KeReleaseSpinLock"),
    ("KeQuerySystemTimePrecise", "KeQuerySystemTime"),
    ("PsGetCurrentThread", "KeGetCurrentThread"),
    ("PsGetCurrentProcess", "IoGetCurrentProcess"),
    ("ObReferenceObject", "ObfReferenceObject"),
    ("ObDereferenceObject", "ObfDereferenceObject"),
    ("ObDereferenceObjectDeferDelete", "ObfDereferenceObject"),
    ("IoCreateUnprotectedSymbolicLink", "IoCreateSymbolicLink"),
    ("IoWriteErrorLogEntry", "ExFreePool"),
    ("KeInitializeGuardedMutex", "ExInitializeFastMutex"),
    ("KeAcquireGuardedMutex", "ExAcquireFastMutex"),
    ("KeReleaseGuardedMutex", "ExReleaseFastMutex"),
    ("KeAcquireGuardedMutexUnsafe", "ExAcquireFastMutexUnsafe"),
    ("KeReleaseGuardedMutexUnsafe", "ExReleaseFastMutexUnsafe"),
    ("ExiAcquireFastMutex", "ExAcquireFastMutex"),
    ("ExiReleaseFastMutex", "ExReleaseFastMutex"),
    ("RtlInitString", "RtlInitAnsiString"),
    ("RtlCopyMemory", "memcpy"),
    ("RtlMoveMemory", "memmove"),
    ("NtClose", "ZwClose"),
];

fn table() -> &'static BTreeMap<&'static str, usize> {
    static TABLE: OnceLock<BTreeMap<&'static str, usize>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let families = [
            crt::TABLE,
            csq::TABLE,
            debug::TABLE,
            etw::TABLE,
            ex::TABLE,
            io::TABLE,
            io_build::TABLE,
            io_notify::TABLE,
            io_pnp::TABLE,
            ke::TABLE,
            ke_lock::TABLE,
            ke_time::TABLE,
            lookaside::TABLE,
            mm::TABLE,
            objects::TABLE,
            raise::TABLE,
            remove_lock::TABLE,
            rtl::TABLE,
            rtl_string::TABLE,
            zw::TABLE,
        ];
        let mut table: BTreeMap<&'static str, usize> = families
            .into_iter()
            .flatten()
            .chain(debug::VARIADIC)
            .map(|export| (export.name, export.address as usize))
            .collect();
        for (alias, name) in ALIASES {
            if let Some(address) = table.get(name).copied() {
                table.insert(alias, address);
            }
        }
        table.extend(variables::table());
        table
    })
}

/// The address of an exported function or variable.
pub fn lookup(module: &str, name: &str) -> Option<usize> {
    let module = module.to_ascii_lowercase();
    let known = ["ntoskrnl.exe", "hal.dll", "ntkrnlmp.exe"].contains(&module.as_str());
    known.then(|| table().get(name).copied()).flatten()
}

/// All exported names, sorted.
pub fn names() -> Vec<&'static str> {
    table().keys().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_stands_for_a_function_that_is_there() {
        for (alias, name) in ALIASES {
            assert!(lookup("ntoskrnl.exe", name).is_some(), "{name}");
            assert_eq!(lookup("NTOSKRNL.EXE", alias), lookup("ntoskrnl.exe", name));
        }
        assert_eq!(lookup("other.sys", "KeSetEvent"), None);
    }
}
