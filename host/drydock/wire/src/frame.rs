//! Frames: the fixed header, and cutting a byte stream into frames.

use std::io::{self, Read};

use zerocopy::little_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{MAX_BODY, Malformed};

/// Header of every frame. What each field means depends on the kind; unused ones are 0.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    /// Bytes of body that follow.
    pub length: U32,
    /// Kind of frame.
    pub kind: U16,
    /// Bits, by kind.
    pub flags: U16,
    /// The operation this belongs to.
    pub id: U64,
    /// The open handle this belongs to.
    pub handle: U32,
    /// Control code, access mask or version, by kind.
    pub code: U32,
    /// Offset, information, target id or a length, by kind.
    pub value: U64,
    /// Length wanted or share mask, by kind.
    pub extent: U32,
    /// `NTSTATUS` of an answer.
    pub status: I32,
}
const _: () = assert!(size_of::<Head>() == 40);

/// Size of [`Head`] in bytes.
pub const HEAD: usize = size_of::<Head>();

/// A frame in a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Its header.
    pub head: Head,
    /// Its body, `head.length` bytes.
    pub body: &'a [u8],
}

/// Length of the frame at the start of `bytes`, if its header is complete.
///
/// # Errors
/// [`Malformed::TooLong`] when the header announces a body over [`MAX_BODY`].
fn extent(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Ok((head, _)) = Head::read_from_prefix(bytes) else {
        return Ok(None);
    };
    let length = head.length.get();
    match usize::try_from(length) {
        Ok(body) if body <= MAX_BODY => Ok(Some(HEAD + body)),
        _ => Err(Malformed::TooLong { length }),
    }
}

/// The frame at the start of `bytes` and how many bytes it takes, or `None` while it is incomplete.
///
/// # Errors
/// [`Malformed::TooLong`] as soon as a header announces a body over [`MAX_BODY`].
pub fn split(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let Some(total) = extent(bytes)? else {
        return Ok(None);
    };
    let Some(frame) = bytes.get(..total) else {
        return Ok(None);
    };
    let Ok((head, body)) = Head::read_from_prefix(frame) else {
        return Ok(None);
    };
    Ok(Some((Frame { head, body }, total)))
}

/// Appends a frame. `head.length` is set from `bodies`.
///
/// # Panics
/// If the bodies are together longer than [`MAX_BODY`]: callers check what they are given.
pub fn append(out: &mut Vec<u8>, mut head: Head, bodies: &[&[u8]]) {
    let length: usize = bodies.iter().map(|body| body.len()).sum();
    assert!(
        length <= MAX_BODY,
        "a body of {length} bytes is over the protocol's limit"
    );
    head.length
        .set(u32::try_from(length).expect("MAX_BODY fits 32 bits"));
    out.extend_from_slice(head.as_bytes());
    for body in bodies {
        out.extend_from_slice(body);
    }
}

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is no frame.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Cuts a byte stream into frames, reading as much at a time as there is.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> FrameReader<R> {
    /// Reads frames from `stream`.
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: vec![0; 256 << 10],
            start: 0,
            end: 0,
        }
    }

    /// Whether the next [`Self::next_frame`] would have to wait for the stream.
    pub fn is_drained(&self) -> bool {
        match extent(&self.buffer[self.start..self.end]) {
            Ok(Some(total)) => self.end - self.start < total,
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// The header of the next frame, without waiting for its body; `None` at the orderly end of the stream.
    ///
    /// # Errors
    /// As [`Self::next_frame`].
    pub fn peek_head(&mut self) -> Result<Option<Head>, ReadError> {
        loop {
            let bytes = &self.buffer[self.start..self.end];
            if let Ok((head, _)) = Head::read_from_prefix(bytes) {
                return Ok(Some(head));
            }
            if !self.fill(HEAD)? {
                return if self.start == self.end {
                    Ok(None)
                } else {
                    Err(Malformed::Truncated.into())
                };
            }
        }
    }

    /// The next frame; `None` at the orderly end of the stream, between two frames.
    ///
    /// # Errors
    /// The stream's error, or [`Malformed`] when the bytes are no frame or end inside one.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        let total = loop {
            let total = extent(&self.buffer[self.start..self.end])?;
            match total {
                Some(total) if self.end - self.start >= total => break total,
                _ => {}
            }
            if !self.fill(total.unwrap_or(HEAD))? {
                return if self.start == self.end {
                    Ok(None)
                } else {
                    Err(Malformed::Truncated.into())
                };
            }
        };
        let bytes = &self.buffer[self.start..self.start + total];
        self.start += total;
        Ok(split(bytes)?.map(|(frame, _)| frame))
    }

    /// Reads once, making room for a frame of `wanted` bytes. False at the end of the stream.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.buffer.len() - self.start < wanted || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stream that hands out its bytes in small pieces.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    proptest! {
        #[test]
        fn cutting_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = FrameReader::new(&bytes[..]);
            while let Ok(Some(_)) = reader.next_frame() {}
        }

        #[test]
        fn frames_survive_any_fragmentation(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20),
            step in 1_usize..500,
        ) {
            let mut bytes = Vec::new();
            for (id, body) in bodies.iter().enumerate() {
                append(&mut bytes, Head { id: (id as u64).into(), ..Head::default() }, &[body]);
            }
            let mut reader = FrameReader::new(Trickle(&bytes, step));
            for (id, body) in bodies.iter().enumerate() {
                let frame = reader.next_frame().unwrap().unwrap();
                prop_assert_eq!(frame.head.id.get(), id as u64);
                prop_assert_eq!(frame.body, &body[..]);
            }
            prop_assert!(reader.next_frame().unwrap().is_none());
        }
    }

    #[test]
    fn a_body_larger_than_the_buffer_arrives_whole() {
        let body = vec![0xA5; MAX_BODY];
        let mut bytes = Vec::new();
        append(&mut bytes, Head::default(), &[b"x"]);
        append(&mut bytes, Head::default(), &[&body]);
        let mut reader = FrameReader::new(Trickle(&bytes, 70_000));
        assert_eq!(reader.next_frame().unwrap().unwrap().body, b"x");
        assert!(reader.next_frame().unwrap().unwrap().body == body);
    }

    #[test]
    fn a_body_over_the_limit_is_refused_from_its_header() {
        let head = Head {
            length: u32::MAX.into(),
            ..Head::default()
        };
        let error = FrameReader::new(head.as_bytes()).next_frame().unwrap_err();
        assert!(
            error.to_string().contains("the limit is 16777216"),
            "{error}"
        );
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let mut bytes = Vec::new();
        append(&mut bytes, Head::default(), &[b"four"]);
        let error = FrameReader::new(&bytes[..bytes.len() - 1])
            .next_frame()
            .unwrap_err();
        assert!(
            matches!(error, ReadError::Malformed(Malformed::Truncated)),
            "{error}"
        );
    }
}
