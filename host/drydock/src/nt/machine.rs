//! What the kernel tells the other layers when it starts.

use super::{device, in_flight, irp, mdl, object, pool, thread};
use crate::verify::{self, Leak};
use crate::{loader, sched};
use std::sync::Once;

/// Makes the machine ready. The first driver that is made does it; again does nothing.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        loader::set_interrupt_level_access(thread::irql, write_level);
        loader::set_kernel_thread(thread::current().ethread() as usize);
        loader::register_address_describer(pool::describe_pattern);
        verify::register_section("kernel state of the thread", describe_thread);
        verify::register_leaks("kernel", leaks);
        verify::register_overview("calls in progress on all threads", thread::overview);
        verify::register_overview("requests that drivers have", in_flight::overview);
    });
}

/// An image wrote CR8.
extern "win64" fn write_level(level: u64) {
    sched::point();
    let thread = thread::current();
    let level = level as u8;
    if level > thread.irql() {
        thread.raise(level);
    } else {
        thread.lower(level);
    }
}

fn describe_thread() -> Vec<String> {
    let thread = thread::current();
    let mut lines = vec![format!("IRQL {}", thread.irql())];
    if let Some(process) = thread.process() {
        lines.push(format!("in process {} ({})", process.name(), process.id()));
    }
    if thread.critical_depth() > 0 {
        lines.push(format!("{} critical regions deep", thread.critical_depth()));
    }
    let calls = thread.calls();
    if !calls.is_empty() {
        lines.push(format!("calls in progress: {}", calls.join(" < ")));
    }
    lines
}

fn leaks() -> Vec<Leak> {
    let many = |tag: &str, count: i64| {
        (0..count)
            .map(move |_| Leak {
                tag: tag.to_owned(),
                bytes: 0,
                created: Vec::new(),
            })
            .collect::<Vec<_>>()
    };
    let (mdls, locked) = mdl::live();
    let mut leaks = many("IRP", irp::live());
    leaks.extend(many("MDL", mdls));
    leaks.extend(many("MDL with locked pages", locked));
    leaks.extend(many("kernel handle", object::open_handles() as i64));
    leaks.extend(device::left().into_iter().map(|device| Leak {
        tag: device,
        bytes: 0,
        created: Vec::new(),
    }));
    leaks
}
