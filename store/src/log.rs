//! How changes become durable: packs, the commits in them, and the catalogue that follows from those.
//!
//! ```text
//! change -> journal -> frame -> pack          the truth: appended, synced, never changed
//!              \-----> changes -> seal -> catalogue   a product of the packs
//! ```
//!
//! Nothing outside this folder knows where a value lies; what keys and values mean is left to `store` and `images`.

pub(crate) mod catalogue;
mod changes;
pub(crate) mod frame;
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod pack;
pub(crate) mod seal;
