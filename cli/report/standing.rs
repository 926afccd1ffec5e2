//! Which images of a report stand on which.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use layerprint_query::{Base, Finding, ImageFacts, Verdict, family_of};
use layerprint_store::id::ImageId;

use super::spool::Spool;

/// See the module.
pub struct Standing {
    children: HashMap<ImageId, Children>,
    parents: HashMap<ImageId, ImageId>,
}

/// The images that are built on one directly.
#[derive(Debug, Clone, Copy, Default)]
pub struct Children {
    pub all: u64,
    /// Those of other repositories.
    pub others: u64,
}

/// An image, on its way onto its base: the larger come first.
type Step = (Reverse<u64>, ImageId, ImageId);

impl Standing {
    pub fn of(images: &[ImageId], spool: &Spool) -> anyhow::Result<Self> {
        let told: HashSet<&ImageId> = images.iter().collect();
        let (mut children, mut steps) = (HashMap::new(), Vec::new());
        for image in images {
            let Finding { image, base, verdict, .. } = spool.row(image)?.finding;
            let Some(base) = base.filter(|_| verdict == Verdict::Base) else { continue };
            count(&mut children, &image, &base);
            let parent = base.images.iter().map(|member| member.id).find(|id| told.contains(id));
            steps.extend(parent.map(|parent| (Reverse(image.contents), image.id, parent)));
        }
        Ok(Self { children, parents: parents(steps) })
    }

    pub fn children(&self, image: &ImageId) -> Children {
        self.children.get(image).copied().unwrap_or_default()
    }

    pub fn parent(&self, image: &ImageId) -> Option<ImageId> {
        self.parents.get(image).copied()
    }
}

fn count(children: &mut HashMap<ImageId, Children>, image: &ImageFacts, base: &Base) {
    let is_other = is_of_another(&image.names, &base.names);
    for member in &base.images {
        let children = children.entry(member.id).or_default();
        children.all += 1;
        children.others += u64::from(is_other);
    }
}

/// Returns true if an image is of another repository than its base. One without a name may be another build of the same.
fn is_of_another(names: &[String], base: &[String]) -> bool {
    let mut families = names.iter().filter_map(|name| family_of(name)).peekable();
    let is_base = |family: &str| base.iter().any(|name| family_of(name) == Some(family));
    families.peek().is_some() && !families.any(is_base)
}

/// Of images that seem to be built on each other, as a base and what was squashed on it may, the larger stands on the smaller.
fn parents(mut steps: Vec<Step>) -> HashMap<ImageId, ImageId> {
    steps.sort_unstable();
    let mut parents: HashMap<ImageId, ImageId> = HashMap::new();
    for (_, image, parent) in steps {
        let mut line = std::iter::successors(Some(parent), |below| parents.get(below).copied());
        if line.all(|below| below != image) {
            parents.insert(image, parent);
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_stands_on_himself() {
        let id = |name: &str| ImageId::of_config(name.as_bytes());
        let step = |contents, image, parent| (Reverse(contents), id(image), id(parent));
        let steps = vec![
            step(10, "base", "middle"),
            step(20, "middle", "top"),
            step(30, "top", "base"),
            step(5, "other", "top"),
        ];
        let expected = [("top", "base"), ("middle", "top"), ("other", "top")];
        let expected = expected.map(|(image, parent)| (id(image), id(parent)));
        assert_eq!(parents(steps), HashMap::from(expected));
    }
}
