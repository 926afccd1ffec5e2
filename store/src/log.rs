//! How changes become durable: packs, the commits in them, and the catalogue that follows from those.
//!
//! ```text
//! change -> journal -> frame -> pack              the truth: appended, synced, never changed
//!              \-----> changes -> seal -> catalogue   a product of the packs
//!
//! opening: lock -> recovery -> walk over the packs -> catalogue
//! ```
//!
//! Nothing outside this folder knows where a value lies; what keys and values mean is left to `store` and `images`.

pub(crate) mod aside;
pub(crate) mod catalogue;
pub(crate) mod changes;
pub(crate) mod frame;
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod lock;
pub(crate) mod pack;
pub(crate) mod recovery;
pub(crate) mod seal;
mod sealed;
pub(crate) mod walk;
