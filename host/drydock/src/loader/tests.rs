//! What the loader promises, shown on the sample image.
#![expect(unsafe_code, reason = "calls functions of the sample by address")]

use super::sample::{self, Function};
use super::{Image, LoadError, Reason, Step, call, error, load, pe, symbolize};
use crate::verify::{self, Severity};
use rusty_fork::rusty_fork_test;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static VARIABLE: AtomicU64 = AtomicU64::new(4711);
static STEPS: crate::sched::Lock<Vec<Step>> = crate::sched::Lock::new(Vec::new());
static LEVEL: AtomicU64 = AtomicU64::new(2);

extern "win64" fn digits(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
    *STEPS.lock() = super::steps(16);
    [a, b, c, d, e, f]
        .iter()
        .fold(0, |sum, digit| sum * 10 + digit)
}

/// Enters the image again, as a framework does when a driver's call makes it call the driver back.
extern "win64" fn call_back(function: u64) -> u64 {
    // SAFETY: the test passes the address of `SixArguments`.
    unsafe { call::call4(function as usize, 1, 2, 3, 4) }
}

fn kernel(_module: &str, symbol: &str) -> Option<usize> {
    Some(match symbol {
        "Digits" => digits as *const () as usize,
        "CallBack" => call_back as *const () as usize,
        "Variable" => (&raw const VARIABLE) as usize,
        _ => return None,
    })
}

fn try_load(content: &[u8]) -> Result<Arc<Image>, LoadError> {
    let path = sample::write(content);
    let loaded = load(&path, &kernel);
    let removed = path.parent().map(std::fs::remove_dir_all);
    assert!(matches!(removed, Some(Ok(()))));
    loaded
}

fn loaded() -> Arc<Image> {
    match try_load(&sample::bytes()) {
        Ok(image) => image,
        Err(error) => panic!("{error}"),
    }
}

fn reason(content: &[u8]) -> error::Reason {
    match try_load(content) {
        Ok(_) => panic!("the file was loaded"),
        Err(error) => error.reason,
    }
}

fn run(image: &Image, function: Function, argument: u64) -> u64 {
    // SAFETY: the functions of the sample take at most one argument, or four that do not matter.
    unsafe { call::call4(image.base + function.offset(), argument, 2, 3, 4) }
}

/// The sample with its checksum written, after `change`.
fn with_checksum(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    const FIELD: usize = 0x80 + 24 + 64;
    let mut file = sample::bytes();
    change(&mut file);
    let sum = pe::checksum(&file, FIELD);
    file[FIELD..FIELD + 4].copy_from_slice(&sum.to_le_bytes());
    file
}

#[test]
fn an_image_calls_the_model_with_more_arguments_than_fit_in_registers() {
    let image = loaded();
    assert_eq!(run(&image, Function::SixArguments, 1), 123_456);
}

#[test]
fn a_stub_called_by_the_model_is_the_function_itself() {
    use super::Win64Function;
    extern "win64" fn twice(value: u64) -> u64 {
        value * 2
    }
    let stub = (twice as extern "win64" fn(u64) -> u64).stub("Twice");
    assert_ne!(stub.address(), twice as *const () as usize);
    // SAFETY: the function takes one argument.
    assert_eq!(unsafe { call::call1(stub.address(), 21) }, 42);
}

#[test]
fn an_imported_variable_is_bound_to_its_own_address() {
    let image = loaded();
    assert_eq!(run(&image, Function::Variable, 0), 4711);
}

#[test]
fn addresses_in_the_image_move_with_it_and_the_security_cookie_is_not_the_default() {
    let image = loaded();
    let cookie = run(&image, Function::Address, 0) as usize;
    assert_eq!(cookie, image.base + 0x3000);
    // SAFETY: the sample's data section is readable.
    let value = unsafe { (cookie as *const u64).read() };
    assert_ne!(value, 0x2B99_2DDF_A232);
    assert_ne!(value, 0);
    assert_eq!(value >> 48, 0);
}

#[test]
fn an_import_nobody_has_is_listed_and_does_not_hinder_loading() {
    let image = loaded();
    assert_eq!(image.missing, ["kernel.exe!NobodyHasThis"]);
    assert_eq!(image.imports.len(), 5);
}

#[test]
fn a_file_that_is_no_image_is_refused_in_words() {
    assert!(matches!(reason(b""), Reason::NotPe(_)));
    assert!(matches!(reason(b"#!/bin/sh\n"), Reason::NotPe(_)));
    let nowhere = load(Path::new("/nonexistent/x.sys"), &kernel);
    assert!(matches!(
        nowhere.map_err(|e| e.reason),
        Err(Reason::Read(_))
    ));
    let other_machine = with_checksum(|file| file[0x84..0x86].copy_from_slice(&[0x64, 0xAA]));
    assert!(matches!(reason(&other_machine), Reason::Machine(0xAA64)));
    let application = with_checksum(|file| file[0x80 + 24 + 68] = 3);
    assert!(matches!(reason(&application), Reason::Subsystem(3)));
    let fixed = with_checksum(|file| file[0x80 + 22] |= 1);
    assert!(matches!(reason(&fixed), Reason::Fixed { .. }));
}

#[test]
fn a_file_cut_at_any_length_is_refused() {
    let file = sample::bytes();
    for length in 0..file.len() {
        assert!(
            pe::read(&file[..length]).is_err(),
            "{length} bytes were enough"
        );
    }
    let cut = reason(&file[..0x5800]);
    assert!(matches!(cut, Reason::Truncated { .. }), "{cut}");
}

#[test]
fn a_changed_byte_shows_in_the_checksum() {
    let mut file = with_checksum(|_| {});
    assert!(pe::read(&file).is_ok());
    file[0x1800] ^= 0x10;
    assert!(matches!(pe::read(&file), Err(Reason::Checksum { .. })));
}

/// Files damaged at random, their checksum made right again, are loaded or refused; nothing else happens.
#[test]
fn a_damaged_file_is_loaded_or_refused() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let original = sample::bytes();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..4_000 {
        let file = with_checksum(|file| {
            for _ in 0..=random() % 3 {
                // Where the structures lie: the headers and the beginnings of the sections.
                let page = (random() % 6) as usize * 0x1000;
                let at = page + (random() % 0x200) as usize;
                if at < original.len() {
                    file[at] = match random() % 3 {
                        0 => 0xFF,
                        1 => 0,
                        _ => random() as u8,
                    };
                }
            }
        });
        let path = Path::new("damaged.sys");
        let Ok(flat) = pe::read(&file) else {
            bad += 1;
            continue;
        };
        let symbols = super::symbols::Symbols::beside(path, &flat);
        match super::image::map("damaged".to_owned(), flat, symbols, &kernel) {
            Ok(image) => {
                symbolize(image.entry);
                good += 1;
            }
            Err(_) => bad += 1,
        }
    }
    assert!(good > 100 && bad > 100, "{good} loaded, {bad} refused");
}

rusty_fork_test! {
    #[test]
    fn a_backtrace_goes_through_the_model_and_through_frames_without_a_frame_pointer() {
        let image = loaded();
        let inner = image.base + Function::SixArguments.offset();
        assert_eq!(run(&image, Function::ThroughFrame, inner as u64), 123_456);
        let steps: Vec<_> = STEPS.lock().iter().map(Step::describe).collect();
        assert_eq!(
            steps,
            [
                "calls kernel.exe!Digits",
                "sample!SixArguments+0x1c",
                "calls kernel.exe!CallBack",
                "sample!ThroughFrame+0x1e",
            ]
        );
        assert!(super::steps(16).is_empty(), "nothing is in progress now");
        assert!(super::stack_high_water() > 0x150 && super::stack_high_water() < 0x400);
    }

    #[test]
    fn strict_settings_refuse_an_image_with_a_missing_import() {
        let mut settings = verify::settings().clone();
        settings.strict_imports = true;
        verify::configure(settings);
        let text = reason(&sample::bytes()).to_string();
        assert_eq!(text, "imports what drydock does not have: kernel.exe!NobodyHasThis");
    }

    #[test]
    fn calling_a_missing_import_ends_the_run_with_its_name() {
        let image = loaded();
        verify::on_end(|report| {
            assert_eq!(report.severity, Severity::Unimplemented);
            assert!(report.text.starts_with("kernel.exe!NobodyHasThis is not implemented"), "{report}");
            0
        });
        run(&image, Function::Missing, 0);
    }

    #[test]
    fn a_fault_in_an_image_is_reported_with_its_stack() {
        let image = loaded();
        verify::on_end(|report| {
            let text = report.to_string();
            assert_eq!(report.severity, Severity::Fault);
            assert!(text.starts_with("FAULT: access violation reading 0x0, at sample!"), "{text}");
            assert!(text.contains("rax=0000000000000000"), "{text}");
            0
        });
        run(&image, Function::Null, 0);
    }

    #[test]
    fn a_bad_pointer_passed_to_the_model_is_reported_with_the_call_and_the_caller() {
        extern "win64" fn read_argument(at: *const u64) -> u64 {
            // SAFETY: none; that is the point.
            unsafe { at.read_volatile() }
        }
        let resolve = |module: &str, symbol: &str| match symbol {
            "CallBack" => Some(read_argument as *const () as usize),
            _ => kernel(module, symbol),
        };
        let path = sample::write(&sample::bytes());
        let Ok(image) = load(&path, &resolve) else {
            panic!("the sample does not load");
        };
        verify::on_end(|report| {
            let text = report.to_string();
            let start = "FAULT: access violation reading 0x10 (an offset from a null pointer), while drydock served kernel.exe!CallBack";
            assert!(text.starts_with(start), "{text}");
            assert!(text.contains("sample!ThroughFrame+0x1e"), "{text}");
            0
        });
        run(&image, Function::ThroughFrame, 0x10);
    }

    #[test]
    fn recursion_without_end_is_an_exhausted_driver_stack() {
        let image = loaded();
        verify::on_end(|report| {
            let text = report.to_string();
            assert!(text.contains("below the driver stack: its 24576 bytes are used up"), "{text}");
            0
        });
        run(&image, Function::Recurse, 0);
    }

    #[test]
    fn a_frame_larger_than_the_stack_is_caught_by_its_probe() {
        let image = loaded();
        verify::on_end(|report| {
            let text = report.to_string();
            assert!(text.contains("below the driver stack"), "{text}");
            0
        });
        run(&image, Function::LargeFrame, 0);
    }

    #[test]
    fn a_fast_fail_is_a_bug_check() {
        let image = loaded();
        verify::on_end(|report| {
            assert_eq!(report.bug_check.map(|(code, p)| (code, p[0])), Some((0x139, 2)));
            0
        });
        run(&image, Function::FailFast, 0);
    }

    #[test]
    fn reads_and_writes_of_cr8_reach_the_interrupt_level() {
        extern "win64" fn write(level: u64) {
            LEVEL.store(level, Ordering::SeqCst);
        }
        super::set_interrupt_level_access(|| LEVEL.load(Ordering::SeqCst) as u8, write);
        let image = loaded();
        assert_eq!(run(&image, Function::ReadLevel, 0), 2);
        assert_eq!(run(&image, Function::WriteLevel, 1), 8, "the other registers stay");
        assert_eq!(LEVEL.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn image_code_finds_its_kernel_thread_under_gs() {
        let image = loaded();
        super::set_kernel_thread(0x1234_5678);
        assert_eq!(run(&image, Function::Thread, 0), 0x1234_5678);
        let base = image.base + Function::Thread.offset();
        let other = std::thread::spawn(move || {
            super::set_kernel_thread(0x8765_4321);
            // SAFETY: the image stays mapped; the function takes nothing.
            unsafe { call::call0(base) }
        });
        assert_eq!(other.join().ok(), Some(0x8765_4321));
        assert_eq!(run(&image, Function::Thread, 0), 0x1234_5678);
    }

    #[test]
    fn ending_a_thread_skips_what_is_in_progress_and_leaves_the_stacks_in_order() {
        extern "win64" fn end_inside(_: u64) -> u64 {
            // SAFETY: this function owns nothing, and so do the frames of the sample.
            unsafe { call::abandon(77) };
            0
        }
        let resolve = |module: &str, symbol: &str| match symbol {
            "CallBack" => Some(end_inside as *const () as usize),
            _ => kernel(module, symbol),
        };
        let path = sample::write(&sample::bytes());
        let Ok(image) = load(&path, &resolve) else {
            panic!("the sample does not load");
        };
        for _ in 0..3 {
            assert_eq!(run(&image, Function::ThroughFrame, 0), 77);
            assert!(super::steps(16).is_empty());
        }
        assert_eq!(run(&image, Function::SixArguments, 1), 123_456);
    }

    #[test]
    fn an_address_in_an_unloaded_image_still_has_a_name() {
        let image = loaded();
        let inside = image.base + Function::SixArguments.offset() + 4;
        drop(image);
        let named = symbolize(inside).map(|symbol| symbol.to_string());
        assert_eq!(named.as_deref(), Some("<unloaded> sample!SixArguments+0x4"));
    }
}
