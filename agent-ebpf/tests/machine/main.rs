//! The HTTP/1 state machine, driven natively by the very code that runs in the kernel.

mod cases;
mod properties;
mod wire;
