//! A device stack offered to programs over a Unix socket.
