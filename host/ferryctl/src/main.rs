//! ferryctl
fn main() {}
