//! drydock-wire
