//! What can go wrong between the two ends, apart from the outcomes of operations.

use std::io;

/// A peer broke the protocol. The connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first frame is no hello of this protocol.
    #[error(
        "this is not the drydock protocol: the conversation must begin with a hello (magic \"DRYD\")"
    )]
    NotAHello,
    /// The peer speaks another version.
    #[error(
        "the peer speaks version {theirs} of the drydock protocol, this end version {}: use drydock and its programs from one build",
        crate::VERSION
    )]
    Version {
        /// What the peer sent.
        theirs: u32,
    },
    /// A body longer than [`crate::MAX_BODY`].
    #[error(
        "a frame announces a body of {length} bytes, the limit is {}",
        crate::MAX_BODY
    )]
    TooLong {
        /// What the header says.
        length: u32,
    },
    /// A kind that this end does not know or does not accept.
    #[error("unknown kind of frame: {kind:#06x}")]
    Kind {
        /// What the header says.
        kind: u16,
    },
    /// A field or the body does not fit the kind of frame.
    #[error("a frame of kind {kind:#06x} is malformed: {what}")]
    Field {
        /// Kind of the frame.
        kind: u16,
        /// Which rule it breaks.
        what: &'static str,
    },
    /// A second hello, or an id that is already in flight, or an answer to nothing.
    #[error("out of turn: {what}")]
    OutOfTurn {
        /// What came when it must not.
        what: &'static str,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
}

/// Why a client call failed. Outcomes of operations are not errors of the client: they are in [`crate::Completion::status`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The socket could not be reached.
    #[error("cannot reach drydock at {path}: {reason}. {advice}")]
    Connect {
        /// Path of the socket.
        path: String,
        /// What the system said.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// The other end refused the conversation and said why.
    #[error("drydock closed the connection: {0}")]
    Refused(String),
    /// The other end is gone; every operation in flight ended with it.
    #[error("the connection to drydock is gone: {0}")]
    Gone(String),
    /// The other end broke the protocol.
    #[error("what answers on the socket does not speak the drydock protocol: {0}")]
    Malformed(#[from] Malformed),
    /// A transfer larger than the protocol carries.
    #[error(
        "a transfer of {length} bytes is over the limit of {} bytes of one operation",
        crate::MAX_BODY
    )]
    TooLong {
        /// Length asked for.
        length: usize,
    },
}

impl ClientError {
    pub(crate) fn connect(path: &std::path::Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::NotFound => {
                "No socket there: start `drydock serve --socket PATH --image DRIVER.sys`, or give the right path"
            }
            io::ErrorKind::ConnectionRefused => {
                "A socket file is left over from a server that is gone: start `drydock serve` again"
            }
            io::ErrorKind::PermissionDenied => {
                "The socket belongs to another user: run as that user"
            }
            _ => "Check the path of the socket",
        };
        Self::Connect {
            path: path.display().to_string(),
            reason: error.to_string(),
            advice,
        }
    }
}
