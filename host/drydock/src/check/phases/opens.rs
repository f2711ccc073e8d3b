//! Opens: names below the device, odd options and access, many at a time, closed in any order.

use super::super::traffic::{End, Program};
use super::{Session, stress};
use crate::nt::app::{OpenOptions, Process, Token};
use crate::sched;
use std::sync::Arc;

/// What may follow a device's name.
fn rest(rng: &mut fastrand::Rng) -> String {
    match rng.u32(0..10) {
        0..=3 => String::new(),
        4 => "\\".to_owned(),
        5 => "\\sub".to_owned(),
        6 => "\\..\\..\\x".to_owned(),
        7 => ":stream:$DATA".to_owned(),
        8 => format!("\\{}", "a".repeat(rng.usize(1..2000))),
        _ => (0..rng.usize(1..40))
            .map(|_| rng.char('\u{1}'..'\u{d7ff}'))
            .collect::<String>(),
    }
}

fn options(rng: &mut fastrand::Rng) -> OpenOptions {
    const ACCESS: [u32; 7] = [
        0,
        1,
        0x8000_0000,
        0xc000_0000,
        0x0010_0000,
        0x0200_0000,
        0x0001_0000,
    ];
    OpenOptions {
        access: ACCESS[rng.usize(0..ACCESS.len())],
        share: rng.u32(0..8),
        // FILE_DIRECTORY_FILE, FILE_SYNCHRONOUS_IO_NONALERT, FILE_NON_DIRECTORY_FILE, FILE_DELETE_ON_CLOSE
        options: [0, 1, 0x20, 0x40, 0x1000][rng.usize(0..5)],
        disposition: rng.u8(0..6),
    }
}

/// Opens and closes on several threads until the time is up.
pub(super) fn run(session: &Arc<Session>) {
    let threads = (0..3)
        .map(|number| {
            let session = Arc::clone(session);
            sched::spawn(&format!("opener {number}"), move || work(&session, number))
        })
        .collect();
    stress::join(threads);
}

fn work(session: &Session, number: u64) {
    let mut rng = session.rng(100 + number);
    while !session.is_over() {
        let token = [Token::Administrator, Token::System, Token::User][rng.usize(0..3)];
        let process = Process::with_token("opener.exe", token);
        let mut handles = Vec::new();
        for _ in 0..rng.u32(1..64) {
            let Some(path) = session.path(&mut rng) else {
                break;
            };
            match process.open_with(&(path + &rest(&mut rng)), options(&mut rng)) {
                Ok(handle) => {
                    session.counts.add("opens", 1);
                    handles.push(handle);
                }
                Err(_) => session.counts.add("refused opens", 1),
            }
            if handles.len() > 8 {
                handles.swap_remove(rng.usize(0..handles.len())).close();
            }
        }
        if rng.bool() {
            for handle in handles {
                handle.close();
            }
        }
        process.kill();
        if rng.u32(0..4) == 0
            && let Some(mut program) = Program::open(session, &mut rng)
        {
            for _ in 0..20 {
                program.step(session, &mut rng);
            }
            program.end(session, End::Killed);
        }
    }
}
