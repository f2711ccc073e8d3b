//! Event tracing: providers register, what they write is kept, and a session may listen.
//!
//! A provider asks before it writes whether anybody listens, and learns of a session through its enable callback; so a test that
//! wants to see events calls [`listen`] before the driver is loaded, or after.

use super::pnp::Guid;
use super::status::NtStatus;
use super::thread;
use crate::loader::call;
use crate::sched::Lock;
use crate::verify::{self, Leak};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Once;

/// Events that are kept; of older ones only the number is.
const KEPT: usize = 4096;
/// EVENT_CONTROL_CODE_DISABLE_PROVIDER and ..._ENABLE_PROVIDER.
const DISABLE: u64 = 0;
const ENABLE: u64 = 1;

/// EVENT_DESCRIPTOR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the structure of the same name")]
pub struct Descriptor {
    pub id: u16,
    pub version: u8,
    pub channel: u8,
    pub level: u8,
    pub opcode: u8,
    pub task: u16,
    pub keyword: u64,
}

/// What a piece of an event's data is (EVENT_DATA_DESCRIPTOR_TYPE_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The value of a field, or part of one.
    Field,
    /// Name and fields of a self-describing event.
    EventMetadata,
    /// Traits of the provider.
    ProviderMetadata,
}

/// An event a driver has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The provider.
    pub provider: Guid,
    /// What the writer says of it.
    pub descriptor: Descriptor,
    /// The activity it belongs to.
    pub activity: Option<Guid>,
    /// The activity that led to that one.
    pub related: Option<Guid>,
    /// Its data, as the writer has handed it over.
    pub data: Vec<(Part, Vec<u8>)>,
    /// Interrupt time at which it was written, in 100 ns.
    pub time: i64,
}

impl Event {
    /// The name of a self-describing event: it follows the size and the tags of the event's metadata.
    pub fn name(&self) -> Option<String> {
        let (_, metadata) = self
            .data
            .iter()
            .find(|(part, _)| *part == Part::EventMetadata)?;
        let after_size = metadata.get(2..)?;
        let tags = after_size.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let name = after_size.get(tags..)?;
        let end = name.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&name[..end]).into_owned())
    }

    /// The values of its fields, one behind the other.
    pub fn payload(&self) -> Vec<u8> {
        let fields = self.data.iter().filter(|(part, _)| *part == Part::Field);
        fields.flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

/// Who listens: one session, to all providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The least important level that is heard; 0 is all.
    pub level: u8,
    /// An event is heard that has one of these keywords, or none; 0 is all.
    pub keywords: u64,
}

impl Session {
    /// Hears everything.
    pub const ALL: Self = Self {
        level: 0,
        keywords: 0,
    };

    fn hears(self, level: u8, keyword: u64) -> bool {
        (self.level == 0 || level <= self.level)
            && (self.keywords == 0 || keyword == 0 || keyword & self.keywords != 0)
    }
}

/// A registered provider.
#[derive(Clone, Copy)]
struct Provider {
    guid: Guid,
    /// ETWENABLECALLBACK, or 0.
    callback: usize,
    context: u64,
}

#[derive(Default)]
struct State {
    providers: BTreeMap<u64, Provider>,
    last: u64,
    session: Option<Session>,
    written: u64,
    kept: VecDeque<Event>,
}

static STATE: Lock<Option<State>> = Lock::new(None);

fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    f(STATE.lock().get_or_insert_default())
}

/// A session begins to listen to all providers, or the one there was stops. Each provider is told. PASSIVE_LEVEL.
pub fn listen(session: Option<Session>) {
    thread::require_at_most(thread::PASSIVE_LEVEL, "a change of the tracing session");
    let providers: Vec<Provider> = with(|state| {
        state.session = session;
        state.providers.values().copied().collect()
    });
    for provider in providers {
        tell(provider, session);
    }
}

#[expect(unsafe_code, reason = "an enable callback is known by address only")]
fn tell(provider: Provider, session: Option<Session>) {
    if provider.callback == 0 {
        return;
    }
    let source = [0_u8; 16];
    let (control, level, keywords) = match session {
        // A session that asks for no keyword in particular is enabled with all.
        Some(Session { level, keywords: 0 }) => (ENABLE, level, u64::MAX),
        Some(session) => (ENABLE, session.level, session.keywords),
        None => (DISABLE, 0, 0),
    };
    // SAFETY: the driver vouches that the address is an ETWENABLECALLBACK, which takes these seven arguments.
    unsafe {
        call::call7(
            provider.callback,
            source.as_ptr() as u64,
            control,
            level.into(),
            keywords,
            0,
            0,
            provider.context,
        )
    };
}

/// EtwRegister: gives the handle. The callback is called before this returns if a session listens.
pub(super) fn register(guid: Guid, callback: usize, context: u64) -> u64 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| verify::register_leaks("tracing", leaks));
    let provider = Provider {
        guid,
        callback,
        context,
    };
    let (handle, session) = with(|state| {
        state.last += 1;
        state.providers.insert(state.last, provider);
        (state.last, state.session)
    });
    if session.is_some() {
        tell(provider, session);
    }
    handle
}

/// EtwUnregister.
pub(super) fn unregister(handle: u64) -> NtStatus {
    match with(|state| state.providers.remove(&handle)) {
        Some(_) => NtStatus::SUCCESS,
        None => NtStatus::INVALID_HANDLE,
    }
}

/// True for the handle of a registered provider.
pub(super) fn is_registered(handle: u64) -> bool {
    with(|state| state.providers.contains_key(&handle))
}

/// Whether the session hears events of this level and keyword from this provider.
pub(super) fn is_heard(handle: u64, level: u8, keyword: u64) -> bool {
    with(|state| {
        state.providers.contains_key(&handle)
            && state
                .session
                .is_some_and(|session| session.hears(level, keyword))
    })
}

/// EtwWrite and its kin.
pub(super) fn write(
    handle: u64,
    descriptor: Descriptor,
    activities: [Option<Guid>; 2],
    data: Vec<(Part, Vec<u8>)>,
) -> NtStatus {
    let [activity, related] = activities;
    let time = crate::sched::now();
    with(|state| {
        let Some(provider) = state.providers.get(&handle).map(|provider| provider.guid) else {
            return NtStatus::INVALID_HANDLE;
        };
        state.written += 1;
        if state.kept.len() == KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back(Event {
            provider,
            descriptor,
            activity,
            related,
            data,
            time,
        });
        NtStatus::SUCCESS
    })
}

/// How many events were written since the machine started.
pub fn written() -> u64 {
    with(|state| state.written)
}

/// The last events that were written and not taken yet, oldest first.
pub fn take_events() -> Vec<Event> {
    with(|state| state.kept.drain(..).collect())
}

/// A provider that is still registered when its driver is gone would be called back in freed memory.
fn leaks() -> Vec<Leak> {
    let guids: Vec<Guid> = with(|state| {
        let providers = state.providers.values();
        providers.map(|provider| provider.guid).collect()
    });
    let leak = |guid: Guid| Leak {
        tag: format!("provider {guid}"),
        bytes: 0,
        created: Vec::new(),
    };
    guids.into_iter().map(leak).collect()
}
