//! What leaves the process besides model calls: notifications, telemetry, gate tokens.

pub mod gate_token;
pub(crate) mod http;
pub(crate) mod notify;
pub(crate) mod retry;
pub(crate) mod telemetry;
