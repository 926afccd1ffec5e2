//! What could not be read for an answer: told when the answer is, each once, however many questions met it.

use std::collections::BTreeMap;

use layerprint_query::{Partly, Unread};
use layerprint_store::{StoreError, Subject};

use crate::error::Status;
use crate::output::counted;
use crate::progress::complain;
use crate::store::Published;
use crate::subjects::Trouble;

/// See the module.
#[derive(Default)]
pub struct LeftOut(BTreeMap<Subject, StoreError>);

impl LeftOut {
    /// Returns an answer, and remembers what could not be read for it.
    pub fn take<T>(&mut self, partly: Partly<T>) -> T {
        partly.unread.into_iter().for_each(|Unread { what, error }| self.add(what, error));
        partly.answer
    }

    /// Remembers what could not be read.
    pub fn add(&mut self, what: Subject, error: StoreError) {
        self.0.entry(what).or_insert(error);
    }

    /// Returns what could not be read, as people know it.
    pub fn names(&self, published: &Published) -> impl Iterator<Item = String> {
        self.0.keys().map(|what| told(published, what))
    }

    /// Tells and counts it, and returns how that ends.
    pub fn tell(self, published: &Published) -> Status {
        if self.0.is_empty() {
            return Status::Done;
        }
        let images = self.0.keys().filter(|what| matches!(what, Subject::Image(_))).count() as u64;
        let layers = self.0.len() as u64 - images;
        for (what, error) in self.0 {
            Trouble::failed(&told(published, &what), &error.into()).complain();
        }
        let told = [(images, "image"), (layers, "layer")].into_iter().filter(|(number, _)| *number > 0);
        let told: Vec<String> = told.map(|(number, noun)| counted(number, noun)).collect();
        complain(&format!("left out: {}", told.join(" and ")));
        Status::Failed
    }
}

/// An image is known to people by its name.
fn told(published: &Published, what: &Subject) -> String {
    let named = |image| published.index().names_of(image).ok()?.into_iter().next();
    match what {
        Subject::Image(image) => {
            named(image).map_or_else(|| what.to_string(), |name| format!("{what}, {name}"))
        }
        Subject::Layer(_) => what.to_string(),
    }
}
