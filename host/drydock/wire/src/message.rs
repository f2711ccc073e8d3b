//! Meaning of frames: requests of a program, answers of drydock.

use crate::frame::{self, Frame, Head};
use crate::{MAGIC, MAX_BODY, Malformed, VERSION};

/// Kinds of frames. Requests are below 0x100, answers above.
mod kind {
    pub const HELLO: u16 = 0x01;
    pub const OPEN: u16 = 0x02;
    pub const CLOSE: u16 = 0x03;
    pub const READ: u16 = 0x04;
    pub const WRITE: u16 = 0x05;
    pub const IOCTL: u16 = 0x06;
    pub const FLUSH: u16 = 0x07;
    pub const CANCEL: u16 = 0x08;
    pub const CANCEL_ALL: u16 = 0x09;
    pub const INTERFACES: u16 = 0x0A;
    pub const WELCOME: u16 = 0x101;
    pub const DONE: u16 = 0x102;
    pub const ERROR: u16 = 0x103;
}

/// Longest path or name, in bytes.
pub const MAX_NAME: usize = 32 << 10;

/// `FILE_READ_DATA`: the access that reads and read controls ask for.
pub const ACCESS_READ: u32 = 1;
/// `FILE_WRITE_DATA`: the access that writes and write controls ask for.
pub const ACCESS_WRITE: u32 = 2;
/// `FILE_SHARE_READ | FILE_SHARE_WRITE`.
pub const SHARE_ALL: u32 = 3;

/// What a program asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// First frame: who speaks. Answered by [`Reply::Hello`] only.
    Hello {
        /// Name of the process, for reports.
        name: &'a str,
    },
    /// Open a device by path. `Done.handle` is the handle.
    Open {
        /// Tag of the answer.
        id: u64,
        /// Access mask.
        access: u32,
        /// Share mask.
        share: u32,
        /// Win32 path, such as `\\.\Ferry`, or an interface path.
        path: &'a str,
    },
    /// Close a handle. Operations in flight go on and are answered.
    Close {
        /// Tag of the answer.
        id: u64,
        /// The handle, gone from here on.
        handle: u32,
    },
    /// Read at an offset. `Done.data` is what was read.
    Read {
        /// Tag of the answer.
        id: u64,
        /// An open handle.
        handle: u32,
        /// Byte offset.
        offset: u64,
        /// Bytes wanted.
        length: u32,
    },
    /// Write at an offset.
    Write {
        /// Tag of the answer.
        id: u64,
        /// An open handle.
        handle: u32,
        /// Byte offset.
        offset: u64,
        /// What to write.
        data: &'a [u8],
    },
    /// Device control. `Done.data` is the output buffer, as far as the driver says it filled it.
    Ioctl {
        /// Tag of the answer.
        id: u64,
        /// An open handle.
        handle: u32,
        /// Control code.
        code: u32,
        /// Input buffer.
        input: &'a [u8],
        /// Length of the output buffer.
        output_length: u32,
        /// What the output buffer holds beforehand (`METHOD_IN_DIRECT` drivers read it); the rest is 0.
        output: &'a [u8],
    },
    /// Flush buffers.
    Flush {
        /// Tag of the answer.
        id: u64,
        /// An open handle.
        handle: u32,
    },
    /// Cancel one operation of a handle. Answered with success if it was still in flight, else "not found".
    Cancel {
        /// Tag of the answer.
        id: u64,
        /// The handle it was started on.
        handle: u32,
        /// Its id.
        target: u64,
    },
    /// Cancel all operations of a handle.
    CancelAll {
        /// Tag of the answer.
        id: u64,
        /// An open handle.
        handle: u32,
    },
    /// Enabled device interfaces of a class. `Done.data` are their paths, UTF-8, each ended by a NUL.
    Interfaces {
        /// Tag of the answer.
        id: u64,
        /// Interface class GUID, in its memory layout.
        guid: [u8; 16],
    },
}

/// What drydock answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Answer to the hello.
    Hello {
        /// What answers.
        name: &'a str,
    },
    /// One request is done.
    Done {
        /// The request's tag.
        id: u64,
        /// Outcome.
        status: i32,
        /// `IoStatus.Information`.
        information: u64,
        /// The new handle, for [`Request::Open`].
        handle: u32,
        /// Data, by request.
        data: &'a [u8],
    },
    /// The conversation is over because of what the program sent.
    Error {
        /// Why, for people.
        text: &'a str,
    },
}

fn name<'a>(frame: &Frame<'a>) -> Result<&'a str, Malformed> {
    let kind = frame.head.kind.get();
    if frame.body.len() > MAX_NAME {
        return Err(Malformed::Field {
            kind,
            what: "the name is too long",
        });
    }
    match std::str::from_utf8(frame.body) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) => Err(Malformed::Field {
            kind,
            what: "the name has a NUL in it",
        }),
        Err(_) => Err(Malformed::Field {
            kind,
            what: "the name is not UTF-8",
        }),
    }
}

fn transfer(frame: &Frame<'_>) -> Result<u32, Malformed> {
    let length = frame.head.extent.get();
    if length as usize > MAX_BODY {
        return Err(Malformed::Field {
            kind: frame.head.kind.get(),
            what: "the transfer is over the limit",
        });
    }
    Ok(length)
}

fn hello<'a>(frame: &Frame<'a>) -> Result<&'a str, Malformed> {
    if frame.head.value.get() != u64::from(MAGIC) {
        return Err(Malformed::NotAHello);
    }
    let theirs = frame.head.code.get();
    if theirs != VERSION {
        return Err(Malformed::Version { theirs });
    }
    name(frame)
}

/// Whether a header can only be that of a hello of this protocol: checked before its body is waited for.
#[must_use]
pub fn is_hello(head: &Head) -> bool {
    head.kind.get() == kind::HELLO
        && head.value.get() == u64::from(MAGIC)
        && head.length.get() as usize <= MAX_NAME
}

fn head(kind: u16, id: u64, handle: u32) -> Head {
    Head {
        kind: kind.into(),
        id: id.into(),
        handle: handle.into(),
        ..Head::default()
    }
}

impl<'a> Request<'a> {
    /// Appends this request as a frame.
    ///
    /// # Panics
    /// If it is larger than [`MAX_BODY`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Hello { name } => {
                let head = Head {
                    code: VERSION.into(),
                    value: u64::from(MAGIC).into(),
                    ..head(kind::HELLO, 0, 0)
                };
                frame::append(out, head, &[name.as_bytes()]);
            }
            Self::Open {
                id,
                access,
                share,
                path,
            } => {
                let head = Head {
                    code: access.into(),
                    extent: share.into(),
                    ..head(kind::OPEN, id, 0)
                };
                frame::append(out, head, &[path.as_bytes()]);
            }
            Self::Close { id, handle } => frame::append(out, head(kind::CLOSE, id, handle), &[]),
            Self::Read {
                id,
                handle,
                offset,
                length,
            } => {
                let head = Head {
                    value: offset.into(),
                    extent: length.into(),
                    ..head(kind::READ, id, handle)
                };
                frame::append(out, head, &[]);
            }
            Self::Write {
                id,
                handle,
                offset,
                data,
            } => {
                frame::append(
                    out,
                    Head {
                        value: offset.into(),
                        ..head(kind::WRITE, id, handle)
                    },
                    &[data],
                );
            }
            Self::Ioctl {
                id,
                handle,
                code,
                input,
                output_length,
                output,
            } => {
                let head = Head {
                    code: code.into(),
                    value: (input.len() as u64).into(),
                    extent: output_length.into(),
                    ..head(kind::IOCTL, id, handle)
                };
                frame::append(out, head, &[input, output]);
            }
            Self::Flush { id, handle } => frame::append(out, head(kind::FLUSH, id, handle), &[]),
            Self::Cancel { id, handle, target } => {
                frame::append(
                    out,
                    Head {
                        value: target.into(),
                        ..head(kind::CANCEL, id, handle)
                    },
                    &[],
                );
            }
            Self::CancelAll { id, handle } => {
                frame::append(out, head(kind::CANCEL_ALL, id, handle), &[])
            }
            Self::Interfaces { id, guid } => {
                frame::append(out, head(kind::INTERFACES, id, 0), &[&guid])
            }
        }
    }

    /// Understands a frame from a program.
    ///
    /// # Errors
    /// [`Malformed`] when it is none of a program's requests.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, Malformed> {
        let Head {
            kind,
            id,
            handle,
            code,
            value,
            ..
        } = frame.head;
        let (kind, id, handle) = (kind.get(), id.get(), handle.get());
        let plain = |request| {
            let wants_body = matches!(request, Self::Write { .. });
            if !wants_body && !frame.body.is_empty() {
                return Err(Malformed::Field {
                    kind,
                    what: "it has a body where none belongs",
                });
            }
            Ok(request)
        };
        match kind {
            kind::HELLO => hello(frame).map(|name| Self::Hello { name }),
            kind::OPEN => Ok(Self::Open {
                id,
                access: code.get(),
                share: frame.head.extent.get(),
                path: name(frame)?,
            }),
            kind::CLOSE => plain(Self::Close { id, handle }),
            kind::READ => plain(Self::Read {
                id,
                handle,
                offset: value.get(),
                length: transfer(frame)?,
            }),
            kind::WRITE => plain(Self::Write {
                id,
                handle,
                offset: value.get(),
                data: frame.body,
            }),
            kind::IOCTL => {
                let bad = |what| Malformed::Field { kind, what };
                let output_length = transfer(frame)?;
                let input = usize::try_from(value.get()).unwrap_or(usize::MAX);
                let (input, output) = frame
                    .body
                    .split_at_checked(input)
                    .ok_or(bad("the input is longer than the body"))?;
                if output.len() > output_length as usize {
                    return Err(bad("the output buffer is shorter than its contents"));
                }
                Ok(Self::Ioctl {
                    id,
                    handle,
                    code: code.get(),
                    input,
                    output_length,
                    output,
                })
            }
            kind::FLUSH => plain(Self::Flush { id, handle }),
            kind::CANCEL => plain(Self::Cancel {
                id,
                handle,
                target: value.get(),
            }),
            kind::CANCEL_ALL => plain(Self::CancelAll { id, handle }),
            kind::INTERFACES => match frame.body.try_into() {
                Ok(guid) => Ok(Self::Interfaces { id, guid }),
                Err(_) => Err(Malformed::Field {
                    kind,
                    what: "a GUID has 16 bytes",
                }),
            },
            _ => Err(Malformed::Kind { kind }),
        }
    }
}

impl<'a> Reply<'a> {
    /// Appends this answer as a frame.
    ///
    /// # Panics
    /// If it is larger than [`MAX_BODY`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Hello { name } => {
                let head = Head {
                    code: VERSION.into(),
                    value: u64::from(MAGIC).into(),
                    ..head(kind::WELCOME, 0, 0)
                };
                frame::append(out, head, &[name.as_bytes()]);
            }
            Self::Done {
                id,
                status,
                information,
                handle,
                data,
            } => {
                let head = Head {
                    value: information.into(),
                    status: status.into(),
                    ..head(kind::DONE, id, handle)
                };
                frame::append(out, head, &[data]);
            }
            Self::Error { text } => frame::append(out, head(kind::ERROR, 0, 0), &[text.as_bytes()]),
        }
    }

    /// Understands a frame from drydock.
    ///
    /// # Errors
    /// [`Malformed`] when it is none of drydock's answers.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, Malformed> {
        let head = &frame.head;
        match head.kind.get() {
            kind::WELCOME => hello(frame).map(|name| Self::Hello { name }),
            kind::DONE => Ok(Self::Done {
                id: head.id.get(),
                status: head.status.get(),
                information: head.value.get(),
                handle: head.handle.get(),
                data: frame.body,
            }),
            kind::ERROR => name(frame).map(|text| Self::Error { text }),
            kind => Err(Malformed::Kind { kind }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through<R>(bytes: &[u8], decode: impl FnOnce(&Frame<'_>) -> R) -> R {
        let (frame, used) = frame::split(bytes).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        decode(&frame)
    }

    fn round_trip(request: Request<'_>) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        through(&bytes, |frame| {
            assert_eq!(Request::decode(frame), Ok(request))
        });
    }

    proptest! {
        #[test]
        fn decoding_any_frame_never_panics(
            kind in prop_oneof![0_u16..0x20, 0x100_u16..0x110, any::<u16>()],
            (flags, id, handle, code) in any::<(u16, u64, u32, u32)>(),
            (value, extent, status) in prop_oneof![any::<(u64, u32, i32)>(), (0_u64..64, 0_u32..64, any::<i32>())],
            body in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let head = Head {
                length: 0.into(), kind: kind.into(), flags: flags.into(), id: id.into(), handle: handle.into(),
                code: code.into(), value: value.into(), extent: extent.into(), status: status.into(),
            };
            let frame = Frame { head, body: &body };
            let _ = Request::decode(&frame);
            let _ = Reply::decode(&frame);
        }

        #[test]
        fn every_request_decodes_to_itself(
            (id, handle, code, offset) in any::<(u64, u32, u32, u64)>(),
            length in 0..=MAX_BODY as u32,
            text in "[^\0]{0,40}",
            (one, two) in any::<(Vec<u8>, Vec<u8>)>(),
            guid in any::<[u8; 16]>(),
        ) {
            round_trip(Request::Hello { name: &text });
            round_trip(Request::Open { id, access: code, share: handle, path: &text });
            round_trip(Request::Close { id, handle });
            round_trip(Request::Read { id, handle, offset, length });
            round_trip(Request::Write { id, handle, offset, data: &one });
            let output_length = (length + two.len() as u32).min(MAX_BODY as u32);
            round_trip(Request::Ioctl { id, handle, code, input: &one, output_length, output: &two });
            round_trip(Request::Flush { id, handle });
            round_trip(Request::Cancel { id, handle, target: offset });
            round_trip(Request::CancelAll { id, handle });
            round_trip(Request::Interfaces { id, guid });
        }

        #[test]
        fn every_reply_decodes_to_itself(
            (id, handle, status, information) in any::<(u64, u32, i32, u64)>(),
            text in "[^\0]{0,40}",
            data in any::<Vec<u8>>(),
        ) {
            for reply in [
                Reply::Hello { name: &text },
                Reply::Done { id, status, information, handle, data: &data },
                Reply::Error { text: &text },
            ] {
                let mut bytes = Vec::new();
                reply.encode(&mut bytes);
                through(&bytes, |frame| assert_eq!(Reply::decode(frame), Ok(reply)));
            }
        }
    }

    #[test]
    fn a_control_whose_input_is_longer_than_its_body_is_refused() {
        let head = Head {
            value: 5.into(),
            extent: 8.into(),
            ..head(kind::IOCTL, 1, 1)
        };
        let error = Request::decode(&Frame {
            head,
            body: b"four",
        })
        .unwrap_err();
        assert_eq!(
            error,
            Malformed::Field {
                kind: kind::IOCTL,
                what: "the input is longer than the body"
            }
        );
    }

    #[test]
    fn another_version_says_both_versions() {
        let head = Head {
            code: 9.into(),
            value: u64::from(MAGIC).into(),
            ..head(kind::HELLO, 0, 0)
        };
        let text = Request::decode(&Frame { head, body: b"" })
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("version 9") && text.contains("version 1"),
            "{text}"
        );
    }
}
